/** A heap with what is derived from it; each part is computed when it is first asked for and kept. */

import { NONE } from "../../base/brand.ts";
import { dominatorTree, immediateDominators } from "./dominators.ts";
import type { DominatorTree } from "./dominators.ts";
import { EdgeKind, MAX_ARGUMENT, labelArgument, labelKind } from "./heap.ts";
import type { HeapTable } from "./heap.ts";
import { ownName } from "./named.ts";
import { searchTree } from "./tree.ts";
import type { SearchTree } from "./tree.ts";

/** Edges backwards: the edges into row r are edge[first[r]] .. edge[first[r + 1]], rows from which they come in `from`. */
export interface Referrers {
  readonly first: Uint32Array;
  readonly from: Uint32Array;
  readonly edge: Uint32Array;
}

export class Heap {
  readonly table: HeapTable;
  private dominators: DominatorTree | undefined;
  private search: SearchTree | undefined;
  private backwards: Referrers | undefined;
  private idom: Uint32Array | undefined;

  /** idom: immediate dominators that were computed before and stored. */
  constructor(table: HeapTable, idom?: Uint32Array) {
    this.table = table;
    this.idom = idom;
  }

  get dominatorTree(): DominatorTree {
    return (this.dominators ??= dominatorTree((this.idom ??= immediateDominators(this.table)), this.table.bytes));
  }

  get tree(): SearchTree {
    return (this.search ??= searchTree(this.table));
  }

  get referrers(): Referrers {
    return (this.backwards ??= referrers(this.table));
  }

  /** The name that a row has of its own. */
  ownName(row: number): string | undefined {
    return ownName(this.table, row);
  }

  /** An edge for programs: an index, or a name that needs no more words. */
  edgeParts(edge: number): { kind: "local" | "property" | "internal"; index: number | undefined; name: string } {
    const label = this.table.edgeLabel[edge]!;
    const argument = labelArgument(label);
    const name = (): string => this.table.names[argument] ?? "?";
    switch (labelKind(label)) {
      case EdgeKind.item:
        return { kind: "property", index: argument, name: "" };
      case EdgeKind.attribute:
      case EdgeKind.nameKey:
      case EdgeKind.global:
        return { kind: "property", index: undefined, name: name() };
      case EdgeKind.local:
      case EdgeKind.closure:
        return { kind: "local", index: undefined, name: name() };
      case EdgeKind.conservative:
        return { kind: "internal", index: undefined, name: `perhaps +${argument}` };
      case EdgeKind.cfield:
        return { kind: "internal", index: undefined, name: `+${argument}` };
      case EdgeKind.other:
        return { kind: "internal", index: undefined, name: argument === MAX_ARGUMENT ? "reference" : name() };
      default:
        return { kind: "internal", index: undefined, name: KIND_NAMES[labelKind(label)]! };
    }
  }

  /** Whether `row` is `above` or dominated by it. */
  isKeptBy(row: number, above: number): boolean {
    const { idom } = this.dominatorTree;
    let at = row;
    for (let steps = 0; at !== above; steps++) {
      if (at === NONE || steps > this.table.count) return false;
      at = idom[at]!;
    }
    return true;
  }
}

const KIND_NAMES = Object.keys(EdgeKind);

function referrers({ count, firstEdge, edgeTo }: HeapTable): Referrers {
  const first = new Uint32Array(count + 1);
  for (let edge = 0; edge < edgeTo.length; edge++) first[edgeTo[edge]! + 1]!++;
  for (let row = 0; row < count; row++) first[row + 1]! += first[row]!;
  const next = first.slice(0, count);
  const from = new Uint32Array(edgeTo.length);
  const edge = new Uint32Array(edgeTo.length);
  for (let row = 0; row < count; row++) {
    for (let at = firstEdge[row]!, end = firstEdge[row + 1]!; at < end; at++) {
      const place = next[edgeTo[at]!]!++;
      from[place] = row;
      edge[place] = at;
    }
  }
  return { first, from, edge };
}

/** What would go if all of `rows` went: bytes and number of rows that no path from the super-root reaches any more. */
export function without(
  table: HeapTable,
  rows: Iterable<number>,
): { bytes: number; objects: number; gone: Uint8Array } {
  const { count, roots, firstEdge, edgeTo, bytes } = table;
  const gone = new Uint8Array(count).fill(1);
  const removed = new Set(rows);
  const queue = new Uint32Array(count);
  gone[0] = 0;
  for (let head = 0, tail = 1; head < tail; head++) {
    const row = queue[head]!;
    for (let edge = firstEdge[row]!, end = firstEdge[row + 1]!; edge < end; edge++) {
      const to = edgeTo[edge]!;
      if (gone[to] === 0 || removed.has(to)) continue;
      gone[to] = 0;
      queue[tail++] = to;
    }
  }
  let sum = 0;
  let objects = 0;
  gone.fill(0, 0, roots + 1); // groups are no memory
  for (let row = roots + 1; row < count; row++) {
    if (gone[row] === 0) continue;
    sum += bytes[row]!;
    objects++;
  }
  return { bytes: sum, objects, gone };
}
