/**
 * Who alone keeps what: the dominator of a row is the last row that every path from the super-root to it passes, and the retained
 * size of a row is what would go with it. Semi-NCA (Georgiadis, "Linear-time algorithms for dominators and related problems", 2005,
 * section 2.3): on heaps it beats both Lengauer-Tarjan and the iteration of Cooper, Harvey and Kennedy, and it is short. All work is done in
 * depth-first numbers, in which parents and dominators come before what they lead to.
 */

import { NONE } from "../../base/brand.ts";
import { SUPER_ROOT } from "./heap.ts";
import type { HeapTable } from "./heap.ts";

type Edges = Pick<HeapTable, "count" | "firstEdge" | "edgeTo">;

/** The immediate dominator of each row; NONE for the super-root and for what it does not reach. */
export function immediateDominators(graph: Edges): Uint32Array {
  const { rowOf, parent, numberOf, reached } = depthFirst(graph);
  const { first, preds } = predecessors(graph, rowOf, numberOf, reached);
  const idom = semiNca(parent, first, preds, reached);
  const result = new Uint32Array(graph.count).fill(NONE);
  for (let i = 1; i < reached; i++) result[rowOf[i]!] = rowOf[idom[i]!]!;
  return result;
}

interface Numbering {
  /** row of a depth-first number */
  rowOf: Uint32Array;
  /** number of the parent in the depth-first tree, by number */
  parent: Uint32Array;
  numberOf: Uint32Array;
  reached: number;
}

function depthFirst({ count, firstEdge, edgeTo }: Edges): Numbering {
  const rowOf = new Uint32Array(count);
  const parent = new Uint32Array(count);
  const numberOf = new Uint32Array(count).fill(NONE);
  const next = firstEdge.slice(0, count);
  numberOf[SUPER_ROOT] = 0;
  let reached = 1;
  for (let at = 0; ;) {
    const row = rowOf[at]!;
    const end = firstEdge[row + 1]!;
    let edge = next[row]!;
    while (edge < end && numberOf[edgeTo[edge]!] !== NONE) edge++;
    if (edge < end) {
      const to = edgeTo[edge]!;
      next[row] = edge + 1;
      numberOf[to] = reached;
      rowOf[reached] = to;
      parent[reached] = at;
      at = reached++;
    } else if (at === 0) {
      return { rowOf, parent, numberOf, reached };
    } else {
      next[row] = edge;
      at = parent[at]!;
    }
  }
}

/** Edges backwards, in depth-first numbers. */
function predecessors({ firstEdge, edgeTo }: Edges, rowOf: Uint32Array, numberOf: Uint32Array, reached: number) {
  const first = new Uint32Array(reached + 1);
  for (let i = 0; i < reached; i++) {
    const row = rowOf[i]!;
    for (let edge = firstEdge[row]!, end = firstEdge[row + 1]!; edge < end; edge++) first[numberOf[edgeTo[edge]!]!]!++;
  }
  for (let i = 1; i <= reached; i++) first[i]! += first[i - 1]!;
  const preds = new Uint32Array(first[reached]!);
  for (let i = reached - 1; i >= 0; i--) {
    const row = rowOf[i]!;
    for (let edge = firstEdge[row]!, end = firstEdge[row + 1]!; edge < end; edge++)
      preds[--first[numberOf[edgeTo[edge]!]!]!] = i;
  }
  return { first, preds };
}

function semiNca(parent: Uint32Array, first: Uint32Array, preds: Uint32Array, reached: number): Uint32Array {
  const semi = new Uint32Array(reached);
  const label = new Uint32Array(reached);
  const ancestor = parent.slice(0, reached);
  const path = new Uint32Array(reached);
  for (let i = 0; i < reached; i++) semi[i] = label[i] = i;
  for (let w = reached - 1; w > 0; w--) {
    let least = parent[w]!;
    for (let at = first[w]!, end = first[w + 1]!; at < end; at++) {
      const v = preds[at]!;
      if (v <= w) {
        if (v < least) least = v;
        continue;
      }
      // The vertex of least semidominator on the tree path from below w to v; compresses that path.
      let depth = 0;
      for (let u = v; ancestor[u]! > w; u = ancestor[u]!) path[depth++] = u;
      while (depth > 0) {
        const u = path[--depth]!;
        const above = ancestor[u]!;
        if (semi[label[above]!]! < semi[label[u]!]!) label[u] = label[above]!;
        ancestor[u] = ancestor[above]!;
      }
      const candidate = semi[label[v]!]!;
      if (candidate < least) least = candidate;
    }
    semi[w] = least;
  }
  const idom = parent; // by number; a parent's is final before its children's
  for (let w = 1; w < reached; w++) {
    let dominator = idom[w]!;
    while (dominator > semi[w]!) dominator = idom[dominator]!;
    idom[w] = dominator;
  }
  return idom;
}

/** The dominator tree downwards. Siblings in the order of their rows. */
export interface DominatorTree {
  readonly idom: Uint32Array;
  /** bytes of a row and of all that it dominates; 0 where not reached */
  readonly retained: Float64Array;
  /** the rows that a row immediately dominates are child[firstChild[row]] .. child[firstChild[row + 1]] */
  readonly firstChild: Uint32Array;
  readonly child: Uint32Array;
}

/** The tree of an array of immediate dominators, with retained sizes. Ignores rows in cycles (a damaged file): their sizes stay their own. */
export function dominatorTree(idom: Uint32Array, bytes: Float64Array): DominatorTree {
  const count = idom.length;
  const firstChild = new Uint32Array(count + 1);
  for (let row = 0; row < count; row++) if (idom[row] !== NONE) firstChild[idom[row]! + 1]!++;
  const waiting = firstChild.slice(1); // children not yet added up
  for (let row = 0; row < count; row++) firstChild[row + 1]! += firstChild[row]!;
  const child = new Uint32Array(firstChild[count]!);
  const next = firstChild.slice(0, count);
  for (let row = 0; row < count; row++) if (idom[row] !== NONE) child[next[idom[row]!]!++] = row;
  const retained = bytes.slice();
  for (let row = 0; row < count; row++) {
    // From each leaf upwards, as far as it was the last child that was missing.
    if (firstChild[row] !== firstChild[row + 1]) continue;
    for (let at = row; ;) {
      const above = idom[at]!;
      if (above === NONE) break;
      retained[above]! += retained[at]!;
      if (--waiting[above]! > 0) break;
      at = above;
    }
  }
  return { idom, retained, firstChild, child };
}
