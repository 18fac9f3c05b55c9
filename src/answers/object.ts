/** One object, all objects of a type, and what would go with some objects. */
import { formatBytes, formatShare, plural } from "../base/format.ts";
import { without } from "../views/objects/analysis.ts";
import { referencesFound } from "../views/objects/orphans.ts";
import { EdgeKind, NodeFlag, NodeKind, findRow, labelKind } from "../views/objects/heap.ts";
import type { HeapTable } from "../views/objects/heap.ts";
import { groupByType } from "../views/objects/groups.ts";
import { boundText, edgeName, ownName, placeOf, typeName } from "../views/objects/paths.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { aboutHeap } from "./heap.ts";
import type { AboutHeap, Portion, TypeReport } from "./heap.ts";
import { boundOn, pathOf } from "./holders.ts";
import type { Holder } from "./leaks.ts";
import { shownPath } from "./sites.ts";

/** One end of a reference. Sizes in bytes. */
export interface Neighbour {
  readonly id: string;
  /** ".name", "[3]": how the holder refers to it */
  readonly edge: string;
  readonly type: string;
  /** of a class, function, module, frame */
  readonly name: string | null;
  readonly bytes: number;
  readonly retainedBytes: number;
}

export interface ObjectAnswer extends AboutHeap {
  readonly id: string;
  readonly type: string;
  readonly module: string;
  readonly name: string | null;
  readonly place: string | null;
  /** hexadecimal, null for what is no memory */
  readonly address: string | null;
  /** short value, only when the snapshot was taken with --values */
  readonly value: string | null;
  readonly bytes: number;
  readonly retainedBytes: number;
  /** null: immortal or not counted */
  readonly refcount: number | null;
  readonly referencesFound: number;
  /** in words: "tracked by the collector", "held by native code" … */
  readonly states: readonly string[];
  readonly bound: string | null;
  readonly holder: Holder & { readonly text: string };
  readonly fields: readonly Neighbour[];
  readonly fieldCount: number;
  readonly referrers: readonly Neighbour[];
  readonly referrerCount: number;
  /** what it alone keeps, itself included, by type, largest first */
  readonly keeps: readonly { readonly type: string; readonly count: number; readonly bytes: number }[];
  readonly keepsCount: number;
}

/** The row of a handle ("o17"), or undefined. */
export function rowOf({ heap }: Snapshot, handle: string): number | undefined {
  const match = /^o(\d{1,10})$/.exec(handle);
  const row = match ? Number(match[1]) : NaN;
  return row < heap.table.count ? row : undefined;
}

/** The object of a row. all: every field and referrer. */
export function objectAnswer(snapshot: Snapshot, row: number, all = false): ObjectAnswer {
  const { heap } = snapshot;
  const { table } = heap;
  const limit = all ? 1000 : 15;
  const path = pathOf(snapshot, row);
  const text = findRow(table.texts.row, row);
  const place = placeOf(table, row);
  const fields = fieldsOf(snapshot, row, limit);
  const { first } = heap.referrers;
  const keeps = keptBy(snapshot, row);
  return {
    ...aboutHeap(snapshot),
    id: `o${row}`,
    type: typeName(table, table.type[row]!),
    module: table.types.module[table.type[row]!]!,
    name: ownName(table, row) ?? null,
    place: place === undefined ? null : `${shownPath(place.file, snapshot.facts.cwd)}:${place.line}`,
    address: table.address[row] === 0 ? null : `0x${table.address[row]!.toString(16)}`,
    value: text < 0 ? null : table.texts.text[text]!,
    bytes: table.bytes[row]!,
    retainedBytes: heap.dominatorTree.retained[row]!,
    refcount: table.refcount[row]! < 0 ? null : table.refcount[row]!,
    referencesFound: referencesFound(table)[row]!,
    states: statesOf(table, row),
    bound: boundText(table, row),
    holder: { kind: path.kind, path: path.steps, text: path.text, bound: boundOn(snapshot, path.rows.slice(0, -1)) },
    fields,
    fieldCount: table.firstEdge[row + 1]! - table.firstEdge[row]!,
    referrers: referrersOf(snapshot, row, limit),
    referrerCount: first[row + 1]! - first[row]!,
    keeps: keeps.types.slice(0, limit),
    keepsCount: keeps.count,
  };
}

const STATES: readonly (readonly [number, string])[] = [
  [NodeFlag.tracked, "tracked by the collector"],
  [NodeFlag.garbage, "garbage: waits for the collector"],
  [NodeFlag.orphan, "nobody refers to it: a reference was lost in native code"],
  [NodeFlag.nativelyHeld, "more references are counted than were found: native code holds it"],
  [NodeFlag.immortal, "immortal"],
  [NodeFlag.conservative, "reached only by guesses"],
];

function statesOf({ flags }: HeapTable, row: number): string[] {
  return STATES.filter(([flag]) => (flags[row]! & flag) !== 0).map(([, text]) => text);
}

function neighbour(snapshot: Snapshot, row: number, edge: string): Neighbour {
  const { table, dominatorTree } = snapshot.heap;
  return {
    id: `o${row}`,
    edge,
    type: table.kind[row]! < NodeKind.object ? "root" : typeName(table, table.type[row]!),
    name: ownName(table, row) ?? null,
    bytes: table.bytes[row]!,
    retainedBytes: dominatorTree.retained[row]!,
  };
}

/** What a row refers to, what keeps most first; the entries of its __dict__ as its own. */
function fieldsOf(snapshot: Snapshot, row: number, limit: number): Neighbour[] {
  const { table, dominatorTree } = snapshot.heap;
  const { firstEdge, edgeTo, edgeLabel } = table;
  const edges: { edge: number; holder: number; viaDict: boolean }[] = [];
  for (let edge = firstEdge[row]!; edge < firstEdge[row + 1]!; edge++) {
    edges.push({ edge, holder: row, viaDict: false });
    if (labelKind(edgeLabel[edge]!) !== EdgeKind.instanceDict) continue;
    const dict = edgeTo[edge]!;
    for (let at = firstEdge[dict]!; at < firstEdge[dict + 1]!; at++) {
      if (labelKind(edgeLabel[at]!) !== EdgeKind.dictKey) edges.push({ edge: at, holder: dict, viaDict: true });
    }
  }
  const kept = (edge: number): number => dominatorTree.retained[edgeTo[edge]!]!;
  return edges
    .sort((a, b) => kept(b.edge) - kept(a.edge) || a.edge - b.edge)
    .slice(0, limit)
    .map(({ edge, holder, viaDict }) => neighbour(snapshot, edgeTo[edge]!, edgeName(table, holder, edge, viaDict)));
}

function referrersOf(snapshot: Snapshot, row: number, limit: number): Neighbour[] {
  const { table, referrers } = snapshot.heap;
  const found: Neighbour[] = [];
  for (let at = referrers.first[row]!; at < referrers.first[row + 1]! && found.length < limit; at++)
    found.push(neighbour(snapshot, referrers.from[at]!, edgeName(table, referrers.from[at]!, referrers.edge[at]!)));
  return found;
}

/** The rows that a row dominates, itself included, by type. */
function keptBy({ heap }: Snapshot, row: number): { types: ObjectAnswer["keeps"]; count: number } {
  const { firstChild, child } = heap.dominatorTree;
  const { table } = heap;
  const groups = new Map<number, { count: number; bytes: number }>();
  let rows = 0;
  const stack = [row];
  while (stack.length > 0) {
    const at = stack.pop()!;
    if (table.kind[at]! >= NodeKind.object) {
      rows++;
      const group = groups.get(table.type[at]!) ?? { count: 0, bytes: 0 };
      group.count++;
      group.bytes += table.bytes[at]!;
      groups.set(table.type[at]!, group);
    }
    for (let i = firstChild[at]!; i < firstChild[at + 1]!; i++) stack.push(child[i]!);
  }
  const types = [...groups]
    .map(([type, { count, bytes }]) => ({ type: typeName(table, type), count, bytes }))
    .sort((a, b) => b.bytes - a.bytes);
  return { types, count: rows };
}

export interface TypeAnswer extends AboutHeap, TypeReport {
  /** how they are referred to, most frequent first: "item of list", ".rows of app.Table" */
  readonly referredBy: readonly { readonly edge: string; readonly count: number }[];
  /** what immediately keeps them alone, most bytes first */
  readonly keptBy: readonly {
    readonly id: string;
    readonly type: string;
    readonly holder: string;
    readonly count: number;
    readonly bytes: number;
  }[];
  /** those that keep most */
  readonly examples: readonly {
    readonly id: string;
    readonly bytes: number;
    readonly retainedBytes: number;
    readonly holder: string;
  }[];
}

/** All objects of the types with a name: "Row", "app.Row", "pandas.core.frame.DataFrame". undefined: no object has such a type. */
export function typeAnswer(snapshot: Snapshot, wanted: string, all = false): TypeAnswer | undefined {
  const { heap } = snapshot;
  const { table } = heap;
  const { types } = table;
  const chosen = Uint8Array.from(types.name, (name, type) => {
    const full = `${types.module[type]}.${name}`;
    return name === wanted || full === wanted || name.endsWith(`.${wanted}`) || full.endsWith(`.${wanted}`) ? 1 : 0;
  });
  const rows: number[] = [];
  for (let row = table.roots + 1; row < table.count; row++) if (chosen[table.type[row]!] === 1) rows.push(row);
  if (rows.length === 0) return undefined;
  const group = Uint32Array.from(chosen);
  const groups = groupByType(heap, group, 2);
  const { retained } = heap.dominatorTree;
  const limit = all ? 50 : 8;
  const type = table.type[rows[0]!]!;
  return {
    ...aboutHeap(snapshot),
    name: types.name[type]!,
    module: types.module[type]!,
    count: groups.count[1]!,
    bytes: groups.bytes[1]!,
    retainedBytes: groups.retained[1]!,
    referredBy: referencesTo(snapshot, rows).slice(0, limit),
    keptBy: keepersOf(snapshot, rows, limit),
    examples: rows
      .toSorted((a, b) => retained[b]! - retained[a]! || a - b)
      .slice(0, all ? 20 : 3)
      .map((row) => ({
        id: `o${row}`,
        bytes: table.bytes[row]!,
        retainedBytes: retained[row]!,
        holder: pathOf(snapshot, row).text,
      })),
  };
}

function referencesTo({ heap }: Snapshot, rows: readonly number[]): { edge: string; count: number }[] {
  const { table, referrers } = heap;
  const counts = new Map<string, number>();
  for (const row of rows) {
    for (let at = referrers.first[row]!; at < referrers.first[row + 1]!; at++) {
      const from = referrers.from[at]!;
      const label = labelKind(table.edgeLabel[referrers.edge[at]!]!);
      const many = label === EdgeKind.item || label === EdgeKind.key || label === EdgeKind.nameKey;
      const what = many ? (label === EdgeKind.item ? "item" : "value") : edgeName(table, from, referrers.edge[at]!);
      const holder =
        table.kind[from]! < NodeKind.object ? (ownName(table, from) ?? "a root") : typeName(table, table.type[from]!);
      const edge = what.includes(` of ${holder}`) ? what : `${what} of ${holder}`;
      counts.set(edge, (counts.get(edge) ?? 0) + 1);
    }
  }
  return [...counts].map(([edge, count]) => ({ edge, count })).sort((a, b) => b.count - a.count);
}

/** Dominators with fewer children than this only pass on what keeps (a tuple around a key, the dict of an instance). */
const FEW = 8;
const LEVELS = 4;

/** The nearest dominator that keeps many, or the immediate one. */
function keeperOf({ idom, firstChild }: Snapshot["heap"]["dominatorTree"], row: number): number {
  let at = idom[row]!;
  for (let level = 0; level < LEVELS && at !== 0; level++) {
    if (firstChild[at + 1]! - firstChild[at]! >= FEW) return at;
    at = idom[at]!;
  }
  return idom[row]!;
}

function keepersOf(snapshot: Snapshot, rows: readonly number[], limit: number): TypeAnswer["keptBy"] {
  const { table, dominatorTree } = snapshot.heap;
  const keepers = new Map<number, { count: number; bytes: number }>();
  for (const row of rows) {
    const above = keeperOf(dominatorTree, row);
    const entry = keepers.get(above) ?? { count: 0, bytes: 0 };
    entry.count++;
    entry.bytes += dominatorTree.retained[row]!;
    keepers.set(above, entry);
  }
  return [...keepers]
    .filter(([row]) => row < table.count)
    .sort((a, b) => b[1].bytes - a[1].bytes)
    .slice(0, limit)
    .map(([row, { count, bytes }]) => ({
      id: `o${row}`,
      type: row === 0 ? "several roots" : neighbour(snapshot, row, "").type,
      holder: row === 0 ? "more than one root" : pathOf(snapshot, row).text,
      count,
      bytes,
    }));
}

export interface WithoutAnswer extends AboutHeap {
  readonly ids: readonly string[];
  readonly claim: string;
  readonly gone: Portion;
  /** of these alone, one by one: what each retains */
  readonly alone: readonly {
    readonly id: string;
    readonly type: string;
    readonly retainedBytes: number;
    readonly holder: string;
  }[];
  readonly byType: readonly { readonly type: string; readonly count: number; readonly bytes: number }[];
}

/** What would go if all of these objects went. */
export function withoutAnswer(snapshot: Snapshot, rows: readonly number[]): WithoutAnswer {
  const { heap } = snapshot;
  const { table } = heap;
  const { bytes, objects, gone } = without(table, rows);
  const total = heap.dominatorTree.retained[0]!;
  const groups = new Map<number, { count: number; bytes: number }>();
  for (let row = table.roots + 1; row < table.count; row++) {
    if (gone[row] === 0) continue;
    const entry = groups.get(table.type[row]!) ?? { count: 0, bytes: 0 };
    entry.count++;
    entry.bytes += table.bytes[row]!;
    groups.set(table.type[row]!, entry);
  }
  const share = total > 0 ? bytes / total : 0;
  return {
    ...aboutHeap(snapshot),
    ids: rows.map((row) => `o${row}`),
    claim: `Without ${rows.length === 1 ? "it" : "them"}, ${plural(objects, "object")} would go: ${formatBytes(bytes)}, ${formatShare(share)} of the heap.`,
    gone: { objects, bytes },
    alone: rows.map((row) => ({
      id: `o${row}`,
      type: neighbour(snapshot, row, "").type,
      retainedBytes: heap.dominatorTree.retained[row]!,
      holder: pathOf(snapshot, row).text,
    })),
    byType: [...groups]
      .map(([type, entry]) => ({ type: typeName(table, type), count: entry.count, bytes: entry.bytes }))
      .sort((a, b) => b.bytes - a.bytes)
      .slice(0, 12),
  };
}
