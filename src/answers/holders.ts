/** Who keeps the memory: where it gathers below the roots, as readable paths. */
import { formatBytes, formatCount, formatShare } from "../base/format.ts";
import { BOUND_NAMES, GARBAGE_ROOT, NATIVE_ROOT, NodeFlag, findRow } from "../views/objects/heap.ts";
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
  const enough = least ?? total * LEAST;
  return [
    ...gatheringPoints(heap, enough, limit).map((point) => reportOf(snapshot, point, total)),
    ...crowds(snapshot, enough, total),
  ]
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, limit);
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

/** Many small objects of one type that nobody refers to, or that wait for the collector: none of them is a holder worth a line, together they are. */
function crowds(snapshot: Snapshot, least: number, total: number): HolderReport[] {
  const { table, dominatorTree } = snapshot.heap;
  const { firstChild, child, retained } = dominatorTree;
  const groups = new Map<number, { row: number; count: number; bytes: number }>();
  for (const root of [NATIVE_ROOT, GARBAGE_ROOT]) {
    for (let i = firstChild[root]!; i < firstChild[root + 1]!; i++) {
      const row = child[i]!;
      const orphan = (table.flags[row]! & NodeFlag.orphan) !== 0;
      if ((root === NATIVE_ROOT && !orphan) || retained[row]! >= least) continue;
      const key = table.type[row]! * 2 + (orphan ? 1 : 0);
      const group = groups.get(key) ?? { row, count: 0, bytes: 0 };
      group.count++;
      group.bytes += retained[row]!;
      groups.set(key, group);
    }
  }
  return [...groups.values()]
    .filter(({ bytes, count }) => bytes >= least && count > 1)
    .map(({ row, count, bytes }) => {
      const path = pathOf(snapshot, row);
      const type = typeName(table, table.type[row]!);
      const share = total > 0 ? bytes / total : 0;
      const state =
        path.kind === "nobody"
          ? "nobody refers to them: references were lost in native code"
          : "they wait for the cyclic collector";
      return {
        id: `o${row}`,
        kind: path.kind,
        path: path.kind === "nobody" ? ["nobody"] : path.steps,
        text: path.kind === "nobody" ? `nobody (o${row} is one of them)` : `${path.text} and more`,
        bound: null,
        type,
        bytes,
        share,
        shared: false,
        holds: { type, count, bytes },
        claim: `${formatBytes(bytes)} (${formatShare(share)}) in ${formatCount(count)} ${type}; ${state}`,
        advice: adviceOf(path, null),
      };
    });
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
