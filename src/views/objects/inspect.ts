/** Memory that a program could do without, found by what the heap looks like. Each with what would be saved; sentences are made in `answers`. */

import { NONE } from "../../base/brand.ts";
import type { Heap } from "./analysis.ts";
import { EdgeKind, NodeKind, labelKind, findRow } from "./heap.ts";
import type { HeapTable } from "./heap.ts";

/** A set of rows of one kind of waste. */
export interface Waste {
  readonly bytes: number;
  readonly count: number;
  /** an example: the row that wastes most (or, of equal texts, the first) */
  readonly row: number;
}

export interface Duplicates extends Waste {
  /** the texts repeated most expensively: one of the equal rows, how many there are, bytes that all but one take */
  readonly worst: readonly Waste[];
}

/** Equal str or bytes objects: what all but one of each take. Needs contentHash; undefined without. */
export function duplicates({ table }: Heap, type: number, worst = 5): Duplicates | undefined {
  const { contentHash: hashes, count, bytes, type: types } = table;
  if (hashes === undefined) return undefined;
  let rows = 0;
  for (let row = 0; row < count; row++) if (types[row] === type && hashes[row] !== 0) rows++;
  const size = 2 ** Math.ceil(Math.log2(Math.max(2, rows * 2)));
  const slots = new Uint32Array(size); // first row of equal ones; 0 free (row 0 is no object)
  const times = new Uint32Array(size);
  for (let row = 0; row < count; row++) {
    if (types[row] !== type || hashes[row] === 0) continue;
    const hash = hashes[row]!;
    let slot = (Math.imul(hash, 0x9e3779b1) >>> 0) & (size - 1);
    while (slots[slot] !== 0 && (hashes[slots[slot]!] !== hash || bytes[slots[slot]!] !== bytes[row]))
      slot = (slot + 1) & (size - 1);
    if (slots[slot] === 0) slots[slot] = row;
    times[slot]!++;
  }
  const found: Waste[] = [];
  let total = 0;
  let copies = 0;
  for (let slot = 0; slot < size; slot++) {
    if (times[slot]! < 2) continue;
    const row = slots[slot]!;
    const wasted = (times[slot]! - 1) * bytes[row]!;
    total += wasted;
    copies += times[slot]! - 1;
    if (found.length < worst || wasted > found[found.length - 1]!.bytes) {
      found.push({ row, count: times[slot]!, bytes: wasted });
      found.sort((a, b) => b.bytes - a.bytes);
      if (found.length > worst) found.pop();
    }
  }
  return { bytes: total, count: copies, row: found[0]?.row ?? NONE, worst: found };
}

/** Dicts, sets and lists that use less than an eighth of their room: what the unused room takes. By type. */
export function sparseContainers({ table }: Heap): Map<number, Waste> {
  const { row: rows, used, slots } = table.containers;
  const found = new Map<number, Waste & { worst: number }>();
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (used[i]! * 8 >= slots[i]!) continue;
    const wasted = table.bytes[row]! * (1 - used[i]! / slots[i]!);
    const before = found.get(table.type[row]!) ?? { bytes: 0, count: 0, row, worst: 0 };
    found.set(table.type[row]!, {
      bytes: before.bytes + wasted,
      count: before.count + 1,
      row: wasted > before.worst ? row : before.row,
      worst: Math.max(wasted, before.worst),
    });
  }
  return found;
}

export interface Slots extends Waste {
  readonly type: number;
  /** attributes of an instance, mean */
  readonly attributes: number;
}

/** Object header and collector header; __slots__ add 8 bytes an attribute (CPython, 64 bit). */
const SLOTTED_BYTES = 16 + 16;

/**
 * Types with many instances that have a dict of their own (as an object, or as values inside the instance) and would be smaller with
 * __slots__: own bytes and those of the dict, less header and 8 bytes an attribute.
 */
export function couldUseSlots(heap: Heap, least = 1000): Slots[] {
  const { table } = heap;
  const { idom } = heap.dominatorTree;
  const { count, firstEdge, edgeTo, edgeLabel, bytes, type, kind, types } = table;
  const groups = types.name.length;
  const instances = new Float64Array(groups);
  const now = new Float64Array(groups);
  const attributes = new Float64Array(groups);
  const example = new Uint32Array(groups).fill(NONE);
  const unfit = new Uint8Array(groups);
  for (let row = 0; row < count; row++) {
    if (kind[row] !== NodeKind.object) continue;
    const t = type[row]!;
    if (types.module[t] === "builtins") continue;
    let dict = NONE;
    let fields = 0;
    for (let edge = firstEdge[row]!; edge < firstEdge[row + 1]!; edge++) {
      const k = labelKind(edgeLabel[edge]!);
      if (k === EdgeKind.instanceDict) dict = edgeTo[edge]!;
      else if (k === EdgeKind.attribute) fields++;
      else if (k !== EdgeKind.type) unfit[t] = 1; // a list, dict or C type underneath: not plain
    }
    if (dict !== NONE && idom[dict] === row) {
      fields += entriesOf(table, dict);
      now[t]! += bytes[dict]!;
    }
    instances[t]!++;
    now[t]! += bytes[row]!;
    attributes[t]! += fields;
    if (example[t] === NONE) example[t] = row;
  }
  const found: Slots[] = [];
  for (let t = 0; t < groups; t++) {
    if (instances[t]! < least || unfit[t] !== 0 || attributes[t] === 0) continue;
    const saved = now[t]! - instances[t]! * SLOTTED_BYTES - attributes[t]! * 8;
    if (saved < 0.1 * now[t]!) continue;
    found.push({
      type: t,
      bytes: saved,
      count: instances[t]!,
      row: example[t]!,
      attributes: attributes[t]! / instances[t]!,
    });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

function entriesOf({ firstEdge, edgeLabel }: HeapTable, dict: number): number {
  let entries = 0;
  for (let edge = firstEdge[dict]!; edge < firstEdge[dict + 1]!; edge++) {
    const kind = labelKind(edgeLabel[edge]!);
    if (kind === EdgeKind.nameKey || kind === EdgeKind.key) entries++;
  }
  return entries;
}

export interface SmallViews extends Waste {
  /** what the views show of it */
  readonly shown: number;
  /** row of the memory's owner, which only views refer to; `row` is the largest view */
  readonly base: number;
}

/** Memory of at least `least` bytes that only views keep, which show at most a quarter of it. */
export function viewsOfLargeBases(heap: Heap, least = 65536): SmallViews[] {
  const { table } = heap;
  const { arrays } = table;
  const views = new Map<number, { shown: number; count: number; row: number; most: number }>();
  for (let i = 0; i < arrays.row.length; i++) {
    const base = arrays.base[i]!;
    if (base === NONE) continue;
    const entry = views.get(base) ?? { shown: 0, count: 0, row: arrays.row[i]!, most: 0 };
    entry.shown += arrays.bufferBytes[i]!;
    entry.count++;
    if (arrays.bufferBytes[i]! > entry.most) {
      entry.most = arrays.bufferBytes[i]!;
      entry.row = arrays.row[i]!;
    }
    views.set(base, entry);
  }
  const found: SmallViews[] = [];
  for (const [base, { shown, count, row }] of views) {
    const size = sizeOf(table, base);
    if (size < least || shown * 4 > size || !onlyViewed(heap, base)) continue;
    found.push({ bytes: size - shown, count, row, shown, base });
  }
  return found.sort((a, b) => b.bytes - a.bytes);
}

function sizeOf(table: HeapTable, row: number): number {
  const at = findRow(table.arrays.row, row);
  return at < 0 ? table.bytes[row]! : table.arrays.bufferBytes[at]!;
}

function onlyViewed(heap: Heap, base: number): boolean {
  const { first, edge } = heap.referrers;
  for (let at = first[base]!; at < first[base + 1]!; at++) {
    if (labelKind(heap.table.edgeLabel[edge[at]!]!) !== EdgeKind.base) return false;
  }
  return true;
}
