import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap, without } from "../../src/views/objects/analysis.ts";
import { HeapBuilder } from "../../src/views/objects/build.ts";
import { groupByType } from "../../src/views/objects/groups.ts";
import { EdgeKind, NodeFlag, NodeKind } from "../../src/views/objects/heap.ts";
import { gatheringPoints } from "../../src/views/objects/holders.ts";
import { couldUseSlots, duplicates, sparseContainers, viewsOfLargeBases } from "../../src/views/objects/inspect.ts";
import { pathTo } from "../../src/views/objects/paths.ts";
import { searchTree } from "../../src/views/objects/tree.ts";
import { heapOf } from "./heaps.ts";

const path = (text: string, name: string): string => {
  const { table, row } = heapOf(text);
  return pathTo(new Heap(table), row(name)).text;
};

test("a global of a module reads as Python would reach it", () => {
  const heap = `
    app: module
    app -> mod dict
    mod -> ns dict
    mod: module_object 72
    ns: dict 232
    ns -> cache ["cache"]
    cache: dict 232
    cache -> rows ["rows"]
    cache -> pair [<key>]
    key: tuple 56
    rows: list 800
    rows -> row [3]
    row: app.Row 48
    row -> its dict
    its: dict 232
    its -> name ["name"]`;
  expect(path(heap, "name")).toBe('app.cache["rows"][3].name');
  expect(path(heap, "pair")).toBe("app.cache[<tuple>]");
  expect(path(heap, "its")).toBe('app.cache["rows"][3].__dict__');
});

test("a local names its variable, function and line; a thread only when it is not the main one", () => {
  const heap = `
    main: thread MainThread
    worker: thread worker-1
    f: frame handle app/report.py:31
    g: frame loop app/pool.py:9
    main -> f frame
    worker -> g frame
    f -> rows local rows
    g -> job local job
    job -> view .view
    view -> array base
    job -> fn .fn
    fn: function 120
    fn -> captured closure x`;
  expect(path(heap, "rows")).toBe("local rows of handle at app/report.py:31");
  expect(path(heap, "array")).toBe("local job of loop at app/pool.py:9 (thread worker-1).view → base");
  expect(path(heap, "captured")).toBe("local job of loop at app/pool.py:9 (thread worker-1).fn → closure x");
});

test("a guess never wins a path while there is a longer one without", () => {
  const heap = `
    app: module
    lib: library libfoo.so
    app -> a .a
    a -> b .b
    b -> c .c
    c -> d .d
    lib -> d ?40
    lib -> only ?48
    only -> thing +24`;
  expect(path(heap, "d")).toBe("app.a.b.c.d");
  expect(path(heap, "thing")).toBe("C globals of libfoo.so → perhaps C field +48 → C field +24");
});

test("a cache says its limit in the path", () => {
  const heap = `
    app: module
    app -> total .total
    total: functools._lru_cache_wrapper 200 limit=none
    total -> key +40
    key -> report [0]`;
  expect(path(heap, "report")).toBe("app.total (lru_cache, no limit) → C field +40[0]");
});

test("a long chain keeps its beginning and its end", () => {
  const chain = Array.from({ length: 100 }, (_, i) => `n${i} -> n${i + 1} .next`).join("\n");
  expect(path(`app: module\napp -> n0 .head\n${chain}`, "n100")).toBe(
    "app.head.next.next.next.next … 90 more … .next.next.next.next.next.next",
  );
});

test("garbage, orphans and what native code holds are told apart by reference counts", () => {
  const { table, row } = heapOf(`
    app: module
    app -> fine .fine
    fine -> pinned .x
    pinned: dict 100 rc=2
    x: list 64 gc
    y: list 64 gc
    x -> y [0]
    y -> x [0]
    y -> leaf [1]
    lost: dict 500 rc=1 gc
    lost -> child ["a"]
    held: dict 500 rc=2 gc
    held -> cell ["a"]
    cell -> held .b`);
  const heap = new Heap(table);
  const flags = (name: string): number =>
    table.flags[row(name)]! & (NodeFlag.garbage | NodeFlag.nativelyHeld | NodeFlag.orphan);
  expect(flags("fine")).toBe(0);
  expect(flags("pinned")).toBe(NodeFlag.nativelyHeld);
  for (const name of ["x", "y", "leaf"]) expect(flags(name)).toBe(NodeFlag.garbage);
  expect(flags("lost")).toBe(NodeFlag.nativelyHeld | NodeFlag.orphan);
  expect(flags("child")).toBe(0);
  expect(flags("held")).toBe(NodeFlag.nativelyHeld);
  expect(pathTo(heap, row("child")).kind).toBe("nobody");
  expect(pathTo(heap, row("cell")).kind).toBe("native");
  expect(pathTo(heap, row("leaf")).kind).toBe("cycle");
  expect(pathTo(heap, row("pinned")).kind).toBe("module");
});

test("a nested type keeps each byte once", () => {
  const { table, row } = heapOf(`
    app: module
    app -> outer .outer
    outer: list 100
    outer -> inner [0]
    inner: list 50
    inner -> leaf [0]
    leaf: str 7`);
  const { count, bytes, retained } = groupByType(new Heap(table));
  const list = table.type[row("outer")]!;
  expect([count[list], bytes[list], retained[list]]).toEqual([2, 150, 157]);
});

test("memory gathers where it fans out, not at the module on top", () => {
  const rows = Array.from({ length: 20 }, (_, i) => `cache -> r${i} [${i}]\nr${i}: app.Row 1000`).join("\n");
  const { table, names } = heapOf(`
    app: module
    app -> mod dict
    mod -> ns dict
    ns -> service ["service"]
    service -> cache .cache
    cache: list 200
    ${rows}
    ns -> small ["small"]`);
  const points = gatheringPoints(new Heap(table), 500, 10);
  expect(names(points.map(({ row }) => row))).toEqual(["cache"]);
  expect(points[0]).toMatchObject({ retained: 20216, shared: false, children: 20, mainCount: 20, mainBytes: 20000 });
});

test("equal texts, empty containers, dicts that could be slots, views of large memory", () => {
  const texts = Array.from({ length: 5 }, (_, i) => `s${i}: str 60 hash=9\napp -> s${i} .s${i}`).join("\n");
  const rows = Array.from(
    { length: 10 },
    (_, i) => `r${i}: app.Row 48\napp -> r${i} .r${i}\nr${i} -> d${i} dict\nd${i}: dict 232\nd${i} -> s0 ["name"]`,
  ).join("\n");
  const { table, row } = heapOf(`
    app: module
    ${texts}
    other: str 60 hash=4
    app -> other .other
    ${rows}
    app -> hollow .hollow
    hollow: dict 40000 used=1/1000
    app -> full .full
    full: dict 40000 used=900/1000
    app -> view .view
    view: numpy.ndarray 120 (10,) shows=80
    array: numpy.ndarray 800000 (100000,)
    view -> array base
    app -> kept .kept
    app -> look .look
    kept: numpy.ndarray 800000 (100000,)
    look: numpy.ndarray 120 (10,) shows=80
    look -> kept base`);
  const heap = new Heap(table);
  expect(duplicates(heap, table.type[row("s0")]!)).toMatchObject({ bytes: 240, count: 4, row: row("s0") });
  expect([...sparseContainers(heap).values()]).toMatchObject([{ bytes: 39960, count: 1, row: row("hollow") }]);
  // 280 bytes an instance now; a header of 32 and one attribute of 8 would do
  expect(couldUseSlots(heap, 10)).toMatchObject([{ bytes: 2400, count: 10, attributes: 1 }]);
  expect(viewsOfLargeBases(heap)).toMatchObject([{ base: row("array"), row: row("view"), bytes: 799920 }]);
});

/** Heaps of any shape: rows of four types with edges of any kind between them, some of them unreached. */
const heaps = fc
  .record({
    edges: fc.array(fc.tuple(fc.nat(19), fc.nat(19), fc.boolean()), { maxLength: 60 }),
    fromRoot: fc.array(fc.nat(19), { maxLength: 4 }),
    counts: fc.array(fc.nat(3), { minLength: 20, maxLength: 20 }),
  })
  .map(({ edges, fromRoot, counts }) => {
    const builder = new HeapBuilder({ nodes: 2, edges: 2 });
    const types = ["a", "b", "c", "d"].map((name) => builder.addType(name, "m"));
    const root = builder.addRoot(NodeKind.module, "app");
    const first = builder.count;
    for (let i = 0; i < 20; i++) builder.addNode(NodeKind.object, 16 * i, types[i % 4]!, 10 + i, counts[i]!, 0);
    for (const [from, to, guess] of edges)
      builder.addEdge(first + from, first + to, guess ? EdgeKind.conservative : EdgeKind.item, from);
    for (const to of fromRoot) builder.addEdge(root, first + to, EdgeKind.global, builder.addName("x"));
    builder.addEdge(0, root, EdgeKind.other, builder.addName("module"));
    return builder.finish();
  });

test("every row has a path and a dominator, and retains what would go without it", () => {
  fc.assert(
    fc.property(heaps, (table) => {
      const heap = new Heap(table);
      const { idom, retained } = heap.dominatorTree;
      for (let row = table.roots + 1; row < table.count; row++) {
        expect(idom[row]).toBeLessThan(table.count);
        expect(pathTo(heap, row).kind).not.toBe("unknown");
        expect(without(table, [row]).bytes).toBe(retained[row]);
      }
    }),
  );
});

test("a type retains what would go with all its objects that none of them already keeps", () => {
  fc.assert(
    fc.property(heaps, (table) => {
      const heap = new Heap(table);
      const { retained } = groupByType(heap);
      const { idom, retained: kept } = heap.dominatorTree;
      for (const type of new Set(table.type.subarray(table.roots + 1))) {
        let expected = 0;
        for (let row = table.roots + 1; row < table.count; row++) {
          let above = idom[row]!;
          while (above > table.roots && table.type[above] !== type) above = idom[above]!;
          if (table.type[row] === type && above <= table.roots) expected += kept[row]!;
        }
        expect(retained[type]).toBe(expected);
      }
    }),
  );
});

test("a path has no more guesses than it must", () => {
  fc.assert(
    fc.property(heaps, (table) => {
      const { doubt } = searchTree(table);
      // Bellman-Ford over edges that cost 1 when they are a guess.
      const cost = new Float64Array(table.count).fill(Infinity);
      cost[0] = 0;
      for (let round = 0; round < table.count; round++)
        for (let row = 0; row < table.count; row++)
          for (let edge = table.firstEdge[row]!; edge < table.firstEdge[row + 1]!; edge++) {
            const guess = (table.edgeLabel[edge]! & 15) === EdgeKind.conservative ? 1 : 0;
            const to = table.edgeTo[edge]!;
            cost[to] = Math.min(cost[to]!, cost[row]! + guess);
          }
      for (let row = table.roots + 1; row < table.count; row++) expect(doubt[row]).toBe(cost[row]);
    }),
  );
});
