/** What of the heap a program could do without, each with its bytes and one line of advice. */
import { formatBytes, formatCount, plural } from "../base/format.ts";
import { NodeKind, findRow } from "../views/objects/heap.ts";
import { couldUseSlots, duplicates, sparseContainers, viewsOfLargeBases } from "../views/objects/inspect.ts";
import { typeName } from "../views/objects/paths.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { pathOf } from "./holders.ts";

export interface Inspection {
  readonly kind: "duplicates" | "sparse" | "slots" | "view";
  readonly claim: string;
  /** that would be saved */
  readonly bytes: number;
  readonly count: number;
  readonly advice: string;
  /** an example, and the path to it */
  readonly id: string;
  readonly holder: string;
}

/** Less than this is not worth a line. */
const LEAST = 64 * 1024;

export function inspectionsOf(snapshot: Snapshot): Inspection[] {
  return [...repeated(snapshot), ...hollow(snapshot), ...slots(snapshot), ...views(snapshot)]
    .filter(({ bytes }) => bytes >= LEAST)
    .sort((a, b) => b.bytes - a.bytes);
}

function repeated(snapshot: Snapshot): Inspection[] {
  const { heap } = snapshot;
  const { types } = heap.table;
  const texts = types.name.flatMap((name, type) =>
    types.module[type] === "builtins" && (name === "str" || name === "bytes") ? [type] : [],
  );
  return texts.flatMap((type) => {
    const found = duplicates(heap, type);
    if (found === undefined || found.count === 0) return [];
    const [worst] = found.worst;
    const name = types.name[type]!;
    return [
      {
        kind: "duplicates" as const,
        claim:
          `${plural(found.count, `${name} object`)} repeat the content of another, ${formatBytes(found.bytes)}; ` +
          `one content ${formatCount(worst!.count)} times, ${formatBytes(worst!.bytes)}`,
        bytes: found.bytes,
        count: found.count,
        advice:
          name === "str"
            ? "Share them: sys.intern(), or a dict of what was seen."
            : "Share them through a dict of what was seen.",
        id: `o${worst!.row}`,
        holder: pathOf(snapshot, worst!.row).text,
      },
    ];
  });
}

function hollow(snapshot: Snapshot): Inspection[] {
  const { table } = snapshot.heap;
  return [...sparseContainers(snapshot.heap)].map(([type, { bytes, count, row }]) => {
    const name = typeName(table, type);
    const at = findRow(table.containers.row, row);
    const use = `${formatCount(table.containers.used[at]!)} of ${formatCount(table.containers.slots[at]!)} places used`;
    return {
      kind: "sparse" as const,
      claim: `${plural(count, name, name)} almost empty, ${formatBytes(bytes)} unused; the largest has ${use}`,
      bytes,
      count,
      advice: `Make a new ${name} from what is left: one that was emptied keeps its room.`,
      id: `o${row}`,
      holder: pathOf(snapshot, row).text,
    };
  });
}

function slots(snapshot: Snapshot): Inspection[] {
  const { table } = snapshot.heap;
  return couldUseSlots(snapshot.heap).map(({ type, bytes, count, row, attributes }) => {
    const name = typeName(table, type);
    return {
      kind: "slots" as const,
      claim: `${formatCount(count)} ${name} carry a dict for ${attributes.toFixed(attributes % 1 === 0 ? 0 : 1)} attributes each`,
      bytes,
      count,
      advice: `Give ${name} __slots__ (dataclass: slots=True): saves about ${formatBytes(bytes / count)} an instance, ${formatBytes(bytes)} in all.`,
      id: `o${row}`,
      holder: pathOf(snapshot, row).text,
    };
  });
}

function views(snapshot: Snapshot): Inspection[] {
  const { table } = snapshot.heap;
  return viewsOfLargeBases(snapshot.heap).map(({ bytes, count, row, shown, base }) => ({
    kind: "view" as const,
    claim: `${plural(count, "view")} of ${formatBytes(shown)} ${count === 1 ? "keeps" : "keep"} ${formatBytes(bytes + shown)} alive (${baseName(snapshot, base)}), which nothing else uses`,
    bytes,
    count,
    advice: `Copy what is needed (${typeName(table, table.type[row]!).endsWith("memoryview") ? "bytes(view)" : "view.copy()"}) and let the rest go.`,
    id: `o${row}`,
    holder: pathOf(snapshot, row).text,
  }));
}

function baseName({ heap }: Snapshot, base: number): string {
  const { table } = heap;
  const at = findRow(table.arrays.row, base);
  const name = table.kind[base] === NodeKind.native ? "a native block" : typeName(table, table.type[base]!);
  if (at < 0) return `${name} o${base}`;
  return `${name} ${table.names[table.arrays.dtype[at]!]!} ${table.names[table.arrays.shape[at]!]!}, o${base}`;
}
