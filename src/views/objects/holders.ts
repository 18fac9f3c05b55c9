/**
 * The places at which memory gathers, from the top of the dominator tree: for each big branch the row below which what is kept fans out
 * into many (Eclipse MAT calls it the accumulation point). One descends while a single child keeps most of what its parent keeps.
 */

import type { Heap } from "./analysis.ts";
import { EdgeKind, NodeKind, SUPER_ROOT, labelKind } from "./heap.ts";

export interface GatheringPoint {
  readonly row: number;
  readonly retained: number;
  /** several roots reach it: none of them keeps it alone */
  readonly shared: boolean;
  /** rows that it immediately dominates, and the type of which most bytes below it are */
  readonly children: number;
  readonly mainType: number;
  readonly mainCount: number;
  readonly mainBytes: number;
}

/** A child that keeps this share of what its parent keeps is followed. */
const MOST = 0.8;

/** The `limit` largest gathering points that keep at least `least` bytes, largest first. */
export function gatheringPoints(heap: Heap, least: number, limit: number): GatheringPoint[] {
  const { retained } = heap.dominatorTree;
  const open: number[] = [SUPER_ROOT];
  const branches: number[] = [];
  while (open.length > 0) {
    for (const row of childrenOf(heap, open.pop()!)) {
      if (retained[row]! < least) continue;
      if (isPlain(heap, row)) open.push(row);
      else branches.push(row);
    }
  }
  return branches
    .sort((a, b) => retained[b]! - retained[a]! || a - b)
    .slice(0, limit)
    .map((row) => describe(heap, row));
}

function childrenOf(heap: Heap, row: number): Uint32Array {
  const { firstChild, child } = heap.dominatorTree;
  return child.subarray(firstChild[row]!, firstChild[row + 1]!);
}

/** Rows that hold by their nature and say nothing as holders: root nodes, modules, and the dict of a module. */
function isPlain(heap: Heap, row: number): boolean {
  const { kind, edgeLabel } = heap.table;
  const { edge, parent } = heap.tree;
  if (kind[row]! < NodeKind.object) return true;
  if (edge[row] === 0xffffffff || labelKind(edgeLabel[edge[row]!]!) !== EdgeKind.instanceDict) return false;
  const holder = parent[row]!;
  if (kind[holder] === NodeKind.module) return true;
  const above = parent[holder];
  return above !== undefined && above !== 0xffffffff && kind[above] === NodeKind.module;
}

function describe(heap: Heap, branch: number): GatheringPoint {
  const { retained, idom } = heap.dominatorTree;
  let row = branch;
  for (;;) {
    const children = childrenOf(heap, row);
    let largest = -1;
    for (const child of children) if (largest < 0 || retained[child]! > retained[largest]!) largest = child;
    // The object itself is where the memory is, or it fans out here.
    if (largest < 0 || retained[largest]! < MOST * retained[row]!) break;
    row = largest;
  }
  const main = mainType(heap, row);
  return {
    row,
    retained: retained[branch]!,
    shared: idom[branch] === SUPER_ROOT,
    children: childrenOf(heap, row).length,
    ...main,
  };
}

/** Of the rows immediately below one: the type that keeps most, how many rows and how many bytes. */
function mainType(heap: Heap, row: number): { mainType: number; mainCount: number; mainBytes: number } {
  const { type } = heap.table;
  const { retained } = heap.dominatorTree;
  const counts = new Map<number, { count: number; bytes: number }>();
  for (const child of childrenOf(heap, row)) {
    const entry = counts.get(type[child]!) ?? { count: 0, bytes: 0 };
    entry.count++;
    entry.bytes += retained[child]!;
    counts.set(type[child]!, entry);
  }
  let best = { mainType: type[row]!, mainCount: 0, mainBytes: 0 };
  for (const [t, { count, bytes }] of counts)
    if (bytes > best.mainBytes) best = { mainType: t, mainCount: count, mainBytes: bytes };
  return best;
}
