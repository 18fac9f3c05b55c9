import fc from "fast-check";
import { expect, test } from "vitest";
import { pack, unpack } from "../../src/tide/packed.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { heapTables, readHeap } from "../../src/tide/snapshot.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { Heap } from "../../src/views/objects/analysis.ts";
import { groupByType } from "../../src/views/objects/groups.ts";
import { HEAP_CODES } from "../../src/views/objects/heap.ts";
import { gatheringPoints } from "../../src/views/objects/holders.ts";
import { pathTo } from "../../src/views/objects/paths.ts";
import { arbitraryMutation, damaged } from "../tide/mutate.ts";
import { answerOrRefuse, strictSource } from "../tide/touch.ts";
import { heapOf } from "./heaps.ts";

const WRITTEN = heapOf(`
  app: module
  t: thread MainThread
  f: frame handle app.py:12
  t -> f frame
  app -> ns dict
  ns: dict 232 gc used=1/8
  ns -> cache ["cache"]
  cache: dict 4000 limit=128
  cache -> a [<k>]
  k: tuple 48
  a: app.Row 64 hash=7
  b: app.Row 64 hash=7
  cache -> b ["b"]
  f -> view local view
  view: ndarray 120 (3,) shows=24
  array: ndarray 9000000000 (1000000,)
  view -> array base
  lost: list 800 rc=1 gc
  x: list 64 rc=1 gc
  y: list 64 rc=1 gc
  x -> y [0]
  y -> x [0]`);

test("whole numbers survive packing", () => {
  const values = fc.array(
    fc.oneof(fc.nat(3), fc.nat(70_000), fc.constantFrom(0xffff_ffff, 0x8000_0000, 0), fc.nat(0x7fff_ffff)),
    { maxLength: 700 },
  );
  fc.assert(
    fc.property(values, (numbers) => {
      const packed = pack(Uint32Array.from(numbers));
      expect([...unpack(packed, numbers.length, "it")]).toEqual(numbers);
    }),
  );
  expect(pack(new Uint32Array(1280).fill(5)).length).toBe(20);
});

test("a heap comes back from a file as it was", () => {
  const { table } = WRITTEN;
  const heap = new Heap(table);
  const file = writeRecording(heapTables(table, heap.dominatorTree.idom));
  const read = readHeap(openRecording(bytesSource(file)), HEAP_CODES);
  expect(read.idom).toEqual(heap.dominatorTree.idom);
  for (const name of [
    "address",
    "type",
    "bytes",
    "refcount",
    "kind",
    "flags",
    "firstEdge",
    "edgeTo",
    "edgeLabel",
  ] as const)
    expect([name, ...read.heap[name]]).toEqual([name, ...table[name]]);
  expect(read.heap.names).toEqual(table.names);
  expect(read.heap.types).toEqual(table.types);
  for (const name of ["named", "arrays", "bounds", "containers"] as const)
    expect(read.heap[name]).toMatchObject(table[name]);
});

test(
  "a damaged snapshot is read or refused in one sentence, and what is read can be asked anything",
  { timeout: 120_000 },
  () => {
    const file = writeRecording(heapTables(WRITTEN.table, new Heap(WRITTEN.table).dominatorTree.idom));
    let read = 0;
    const sentences = new Set<string>();
    fc.assert(
      fc.property(fc.array(arbitraryMutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        const bytes = damaged(file, mutations, true);
        const outcome = answerOrRefuse(() => {
          const { heap: table, idom } = readHeap(openRecording(strictSource(bytes)), HEAP_CODES);
          const heap = new Heap(table, idom);
          groupByType(heap);
          gatheringPoints(heap, 1, 20);
          for (let row = 0; row < table.count; row++) pathTo(heap, row);
        });
        if (outcome === "read") read++;
        else sentences.add(outcome.replaceAll(/"[^"]*"|\d+|[a-z]+\.[a-zA-Z]+/g, "…"));
      }),
      { numRuns: 8000 },
    );
    expect(read).toBeGreaterThan(50);
    expect(sentences.size).toBeGreaterThan(8);
  },
);
