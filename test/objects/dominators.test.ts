import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap, without } from "../../src/views/objects/analysis.ts";
import { dominatorTree, immediateDominators } from "../../src/views/objects/dominators.ts";
import { heapOf } from "./heaps.ts";

const NONE = 0xffffffff;

interface Graph {
  count: number;
  firstEdge: Uint32Array;
  edgeTo: Uint32Array;
}

function graphOf(count: number, edges: readonly (readonly [number, number])[]): Graph {
  const sorted = edges.map(([from, to]) => [from % count, to % count] as const).sort((a, b) => a[0] - b[0]);
  const firstEdge = new Uint32Array(count + 1);
  for (const [from] of sorted) firstEdge[from + 1]!++;
  for (let row = 0; row < count; row++) firstEdge[row + 1]! += firstEdge[row]!;
  return { count, firstEdge, edgeTo: Uint32Array.from(sorted, ([, to]) => to) };
}

/** Rows that the root reaches when `without` is not there. */
function reachable({ count, firstEdge, edgeTo }: Graph, absent: number): Set<number> {
  const seen = new Set<number>(absent === 0 || count === 0 ? [] : [0]);
  for (const row of seen)
    for (let edge = firstEdge[row]!; edge < firstEdge[row + 1]!; edge++)
      if (edgeTo[edge] !== absent) seen.add(edgeTo[edge]!);
  return seen;
}

/** O(n^2), by definition: a dominates b when b cannot be reached without a; the immediate one is dominated by all the others. */
function naive(graph: Graph): number[] {
  const all = reachable(graph, NONE);
  const dominates = Array.from({ length: graph.count }, (_, a) => {
    const rest = reachable(graph, a);
    return new Set([...all].filter((b) => b !== a && !rest.has(b)));
  });
  return Array.from({ length: graph.count }, (_, b) => {
    if (b === 0 || !all.has(b)) return NONE;
    const above = [...all].filter((a) => a !== b && dominates[a]!.has(b));
    return above.find((a) => above.every((other) => other === a || dominates[other]!.has(a)))!;
  });
}

const graphs = fc
  .integer({ min: 1, max: 24 })
  .chain((count) =>
    fc.tuple(fc.constant(count), fc.array(fc.tuple(fc.nat(count - 1), fc.nat(count - 1)), { maxLength: count * 3 })),
  )
  .map(([count, edges]) => graphOf(count, edges));

test("dominators are those of the definition, on any graph", () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      expect([...immediateDominators(graph)]).toEqual(naive(graph));
    }),
    { numRuns: 1500 },
  );
});

test("what a row retains is what would not be reached without it", () => {
  fc.assert(
    fc.property(graphs, fc.infiniteStream(fc.nat(1000)), (graph, sizes) => {
      const bytes = Float64Array.from({ length: graph.count }, () => sizes.next().value as number);
      const { retained, idom } = dominatorTree(immediateDominators(graph), bytes);
      const all = reachable(graph, NONE);
      for (const row of all) {
        const rest = reachable(graph, row);
        const lost = [...all].filter((other) => !rest.has(other)).reduce((sum, other) => sum + bytes[other]!, 0);
        expect(retained[row]).toBe(lost);
      }
      expect(idom[0]).toBe(NONE);
    }),
    { numRuns: 300 },
  );
});

test("a diamond is kept by where its two paths part", () => {
  const { table, row } = heapOf(`
    app: module
    app -> top .top
    top -> left .left
    top -> right .right
    left -> shared .x
    right -> shared .x
    shared: dict 100`);
  const heap = new Heap(table);
  const { idom, retained } = heap.dominatorTree;
  expect(idom[row("shared")]).toBe(row("top"));
  expect(retained[row("left")]).toBe(16);
  expect(retained[row("top")]).toBe(16 * 3 + 100);
  expect(heap.isKeptBy(row("shared"), row("top"))).toBe(true);
  expect(heap.isKeptBy(row("shared"), row("left"))).toBe(false);
});

test("two holders of one thing keep it together: neither alone, both at once", () => {
  const { table, row } = heapOf(`
    app: module
    app -> a .a
    app -> b .b
    a -> data .x
    b -> data .x
    data: bytes 1000`);
  expect(without(table, [row("a")])).toMatchObject({ bytes: 16, objects: 1 });
  expect(without(table, [row("a"), row("b")])).toMatchObject({ bytes: 1032, objects: 3 });
});
