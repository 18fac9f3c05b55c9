/**
 * The search tree of a heap: for each row the edge by which a reader should be led to it from a root. Breadth first, so paths are
 * short; and by rounds: a round follows precise edges until none is left before the next one begins with the conservative
 * edges seen so far, so the path of a row never has more conservative edges than it must.
 */

import { NONE } from "../../base/brand.ts";
import { EdgeKind, SUPER_ROOT } from "./heap.ts";
import type { HeapTable } from "./heap.ts";

export interface SearchTree {
  /** edge that leads to a row; NONE: the super-root, or not reached */
  readonly edge: Uint32Array;
  /** row that the edge comes from */
  readonly parent: Uint32Array;
  /** conservative edges on the path, at most 255; 255 and parent NONE: not reached */
  readonly doubt: Uint8Array;
}

export function searchTree(table: HeapTable): SearchTree {
  const { count } = table;
  const tree = {
    edge: new Uint32Array(count).fill(NONE),
    parent: new Uint32Array(count).fill(NONE),
    doubt: new Uint8Array(count).fill(255),
  };
  tree.doubt[SUPER_ROOT] = 0;
  const queue = new Uint32Array(count);
  queue[0] = SUPER_ROOT;
  spread(table, tree, queue, 1);
  return tree;
}

/** Follows every edge from the `filled` rows at the front of `queue`. Room for all rows. */
function spread(table: HeapTable, tree: SearchTree, queue: Uint32Array, filled: number): void {
  const { firstEdge, edgeTo, edgeLabel } = table;
  const { edge: by, parent, doubt } = tree;
  let from = 0; // the round's first row
  let tail = filled;
  for (let round = 0; from < tail; round++) {
    let guesses = false;
    for (let head = from; head < tail; head++) {
      const row = queue[head]!;
      for (let edge = firstEdge[row]!, end = firstEdge[row + 1]!; edge < end; edge++) {
        const to = edgeTo[edge]!;
        if (doubt[to] !== 255) continue;
        if ((edgeLabel[edge]! & 15) === EdgeKind.conservative) {
          guesses = true;
          continue;
        }
        doubt[to] = Math.min(round, 254);
        by[to] = edge;
        parent[to] = row;
        queue[tail++] = to;
      }
    }
    const end = tail;
    if (!guesses) return;
    for (let head = from; head < end; head++) {
      const row = queue[head]!;
      for (let edge = firstEdge[row]!, last = firstEdge[row + 1]!; edge < last; edge++) {
        const to = edgeTo[edge]!;
        if (doubt[to] !== 255) continue;
        doubt[to] = Math.min(round + 1, 254);
        by[to] = edge;
        parent[to] = row;
        queue[tail++] = to;
      }
    }
    from = end;
  }
}
