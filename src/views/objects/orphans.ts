/**
 * What no root reaches, told apart by its reference counts: a count larger than the references found means that somebody out of sight
 * holds the object (native code, or nobody any more: a reference lost in C); an object to which only others of its kind refer, all
 * references found, waits for the cyclic collector. Both get an edge from a row of their own, so that every row has a path and a dominator.
 */

import { NONE } from "../../base/brand.ts";
import { EdgeKind, GARBAGE_ROOT, NATIVE_ROOT, NodeFlag, NodeKind, SUPER_ROOT, packLabel } from "./heap.ts";
import type { HeapTable } from "./heap.ts";
import { searchTree } from "./tree.ts";

/** The table with rows 1 and 2 filled and the builder's flags set (in place). */
export function gatherUnreached(table: HeapTable): HeapTable {
  const { count, kind, refcount, flags, roots } = table;
  const found = referencesFound(table);
  const { doubt } = searchTree(table);
  const seen = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    if (doubt[row] !== 255) seen[row] = 1;
    if (doubt[row] !== 0 && doubt[row] !== 255) flags[row]! |= NodeFlag.conservative;
    if (refcount[row]! > found[row]! && kind[row] === NodeKind.object) flags[row]! |= NodeFlag.nativelyHeld;
  }
  for (let row = 0; row <= roots; row++) seen[row] = 1;
  const queue = new Uint32Array(count);
  const held: number[] = [];
  // Counted from outside, immortal, or a block of which no count is kept: somebody out of sight keeps it.
  for (let row = roots + 1; row < count; row++) {
    if (seen[row] === 0 && (refcount[row]! > found[row]! || refcount[row]! < 0)) held.push(row);
  }
  for (const row of held) {
    if (found[row] === 0 && refcount[row]! > 0) flags[row]! |= NodeFlag.orphan;
    if (seen[row] === 0) mark(table, row, seen, queue);
  }
  const garbage = sources(table, seen, queue);
  return withSeeds(withoutIdleGuesses(table, doubt), held, garbage);
}

/**
 * The table without guesses from memory that is no object (a stack, static memory, a native block) at what precise references reach: most of
 * them are stale words, and each would make several holders of one.
 */
function withoutIdleGuesses(table: HeapTable, doubt: Uint8Array): HeapTable {
  const { count, kind, edgeTo, edgeLabel } = table;
  const firstEdge = table.firstEdge.slice();
  let kept = 0;
  for (let row = 0; row < count; row++) {
    const from = table.firstEdge[row]!;
    const end = table.firstEdge[row + 1]!;
    firstEdge[row] = kept;
    const guesses = kind[row] !== NodeKind.object;
    for (let edge = from; edge < end; edge++) {
      if (guesses && (edgeLabel[edge]! & 15) === EdgeKind.conservative && doubt[edgeTo[edge]!] === 0) continue;
      edgeTo[kept] = edgeTo[edge]!;
      edgeLabel[kept++] = edgeLabel[edge]!;
    }
  }
  firstEdge[count] = kept;
  return { ...table, firstEdge, edgeTo: edgeTo.subarray(0, kept), edgeLabel: edgeLabel.subarray(0, kept) };
}

/** References that count, found in the heap: edges except those that only group (super-root, module roots). */
export function referencesFound({ count, kind, firstEdge, edgeTo }: HeapTable): Uint32Array {
  const found = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    if (kind[row] === NodeKind.superRoot || kind[row] === NodeKind.module) continue;
    for (let edge = firstEdge[row]!, end = firstEdge[row + 1]!; edge < end; edge++) found[edgeTo[edge]!]!++;
  }
  return found;
}

/** Marks everything that can be reached from a row that is not marked. */
function mark({ firstEdge, edgeTo }: HeapTable, row: number, seen: Uint8Array, queue: Uint32Array): void {
  seen[row] = 1;
  queue[0] = row;
  for (let head = 0, tail = 1; head < tail; head++) {
    const at = queue[head]!;
    for (let edge = firstEdge[at]!, end = firstEdge[at + 1]!; edge < end; edge++) {
      const to = edgeTo[edge]!;
      if (seen[to] !== 0) continue;
      seen[to] = 1;
      queue[tail++] = to;
    }
  }
}

/**
 * One row for each group of unmarked rows to which no other group refers, which then reach all of them: in the reverse order in which a
 * depth-first search leaves them, a row that nothing before it reached lies in such a group (Kosaraju). Marks and flags them all.
 */
function sources(table: HeapTable, seen: Uint8Array, queue: Uint32Array): number[] {
  const { count, firstEdge, edgeTo, flags } = table;
  const visited = seen.slice();
  const order: number[] = [];
  const next = new Map<number, number>(); // rows on the stack
  for (let start = 0; start < count; start++) {
    if (visited[start] !== 0) continue;
    visited[start] = 1;
    const stack = [start];
    next.set(start, firstEdge[start]!);
    while (stack.length > 0) {
      const row = stack[stack.length - 1]!;
      const edge = next.get(row)!;
      if (edge === firstEdge[row + 1]!) {
        order.push(row);
        next.delete(row);
        stack.pop();
        continue;
      }
      next.set(row, edge + 1);
      const to = edgeTo[edge]!;
      if (visited[to] !== 0) continue;
      visited[to] = 1;
      next.set(to, firstEdge[to]!);
      stack.push(to);
    }
  }
  const seeds: number[] = [];
  for (let i = order.length - 1; i >= 0; i--) {
    const row = order[i]!;
    flags[row]! |= NodeFlag.garbage;
    if (seen[row] !== 0) continue;
    seeds.push(row);
    mark(table, row, seen, queue);
  }
  return seeds;
}

/** The table with edges super-root -> 1 -> held and super-root -> 2 -> garbage, which go before all others but the super-root's. */
function withSeeds(table: HeapTable, held: readonly number[], garbage: readonly number[]): HeapTable {
  const own = table.firstEdge[SUPER_ROOT + 1]!;
  if (table.firstEdge[GARBAGE_ROOT + 1] !== own) throw new RangeError("rows 1 and 2 are the builder's own");
  const groups = [NATIVE_ROOT, GARBAGE_ROOT].filter((group) => (group === NATIVE_ROOT ? held : garbage).length > 0);
  const label = packLabel(EdgeKind.other, NONE);
  const added = groups.length + held.length + garbage.length;
  const edgeTo = new Uint32Array(table.edgeTo.length + added);
  const edgeLabel = new Uint32Array(edgeTo.length);
  edgeTo.set(table.edgeTo.subarray(0, own));
  edgeLabel.set(table.edgeLabel.subarray(0, own));
  edgeTo.set([...groups], own);
  edgeTo.set(held, own + groups.length);
  edgeTo.set(garbage, own + groups.length + held.length);
  edgeLabel.fill(label, own, own + added);
  edgeTo.set(table.edgeTo.subarray(own), own + added);
  edgeLabel.set(table.edgeLabel.subarray(own), own + added);
  const firstEdge = table.firstEdge.slice();
  for (let row = GARBAGE_ROOT + 1; row < firstEdge.length; row++) firstEdge[row]! += added;
  firstEdge[NATIVE_ROOT] = own + groups.length;
  firstEdge[GARBAGE_ROOT] = own + groups.length + held.length;
  return { ...table, firstEdge, edgeTo, edgeLabel };
}
