/** Who keeps the memory: where it gathers below the roots, as readable paths. */
import { formatBytes, formatCount, formatShare } from "../base/format.ts";
import { BOUND_NAMES, findRow } from "../views/objects/heap.ts";
import { gatheringPoints } from "../views/objects/holders.ts";
import type { GatheringPoint } from "../views/objects/holders.ts";
import { pathTo, typeName } from "../views/objects/paths.ts";
import type { ReadablePath } from "../views/objects/paths.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { known } from "./about.ts";
import type { Holder } from "./leaks.ts";
import { shownPath } from "./sites.ts";

export interface HolderReport extends Holder {
  /** "o17": ask for it with `tidegauge heap FILE o17` */
  readonly id: string;
  /** the path as one text */
  readonly text: string;
  readonly type: string;
  /** what would go with it */
  readonly bytes: number;
  /** of all objects' bytes */
  readonly share: number;
  /** several roots lead to it; the path is one of them */
  readonly shared: boolean;
  /** of what it keeps, the type that keeps most */
  readonly holds: { readonly type: string; readonly count: number; readonly bytes: number };
  readonly claim: string;
  readonly advice: string | null;
}

/** Holders of less than this share of the heap are not listed. */
const LEAST = 0.005;

/** The `limit` largest that keep at least `least` bytes. */
export function holdersOf(snapshot: Snapshot, limit: number, least?: number): HolderReport[] {
  const { heap } = snapshot;
  const total = heap.dominatorTree.retained[0]!;
  return gatheringPoints(heap, least ?? total * LEAST, limit).map((point) => reportOf(snapshot, point, total));
}

function reportOf(snapshot: Snapshot, point: GatheringPoint, total: number): HolderReport {
  const { table } = snapshot.heap;
  const path = pathOf(snapshot, point.row);
  const type = typeName(table, table.type[point.row]!);
  const holds = { type: typeName(table, point.mainType), count: point.mainCount, bytes: point.mainBytes };
  const bound = boundOn(snapshot, path.rows);
  const share = total > 0 ? point.retained / total : 0;
  return {
    id: `o${point.row}`,
    kind: path.kind,
    path: path.steps,
    text: path.text,
    bound,
    type,
    bytes: point.retained,
    share,
    shared: point.shared,
    holds,
    claim: claimOf(path, type, point, holds, share),
    advice: adviceOf(path, bound),
  };
}

/** The path of a row with files shown as the other answers show them. */
export function pathOf({ heap, facts }: Snapshot, row: number): ReadablePath {
  return pathTo(heap, row, { file: (file) => shownPath(file, facts.cwd) });
}

/** The innermost container with a limit on a path. */
export function boundOn({ heap }: Snapshot, rows: readonly number[]): Holder["bound"] {
  const { bounds } = heap.table;
  for (const row of rows.toReversed()) {
    const at = findRow(bounds.row, row);
    if (at < 0) continue;
    const limit = bounds.limit[at]!;
    return { kind: BOUND_NAMES[bounds.kind[at]!]!, limit: known(limit), fill: bounds.fill[at]! };
  }
  return null;
}

const KEPT_BY: Partial<Record<ReadablePath["kind"], string>> = {
  nobody: "nobody refers to it: a reference was lost in native code",
  native: "held by native code",
};

function claimOf(
  path: ReadablePath,
  type: string,
  point: GatheringPoint,
  holds: HolderReport["holds"],
  share: number,
): string {
  const size = `${formatBytes(point.retained)} (${formatShare(share)})`;
  const what = point.mainCount > 1 ? `, ${formatCount(holds.count)} × ${holds.type} below it` : "";
  const who = KEPT_BY[path.kind];
  const doubt = path.doubt > 0 && who === undefined ? "; the path has a guess in it" : "";
  return `${size} in ${/^[aeiou]/i.test(type) ? "an" : "a"} ${type}${what}${who === undefined ? "" : `; ${who}`}${doubt}`;
}

function adviceOf(path: ReadablePath, bound: Holder["bound"]): string | null {
  if (bound !== null && bound.limit === null && bound.kind === "lru_cache")
    return "Bound or drop the cache: lru_cache without a limit keeps every argument and result.";
  if (path.kind === "cycle") return "Break the cycle, or let gc.collect() run.";
  if (path.kind === "nobody") return "Look for a missing Py_DECREF in the extension that made it.";
  return null;
}
