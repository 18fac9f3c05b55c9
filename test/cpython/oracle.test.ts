/** A program that tells what it has (oracle_target.py) against what is read: types, collector lists, threads' frames with lines, arrays, bounds. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { NONE, NodeFlag, NodeKind, findRow } from "../../src/views/objects/heap.ts";
import type { HeapTable } from "../../src/views/objects/heap.ts";
import { oneOfEachMinor } from "../interpreters.ts";
import { heapOf, startWaiting } from "./process.ts";

const program = fileURLToPath(new URL("oracle_target.py", import.meta.url));

interface Told {
  ids: Record<string, number>;
  gens: Record<string, number[]>;
  frames: Record<string, [name: string, line: number, last: number, code: number][]>;
  main: number;
}

describe("a program's own account of its objects agrees with what is read", () => {
  for (const python of oneOfEachMinor())
    test(`on CPython ${python.version}`, { timeout: 120_000 }, async () => {
      const waiting = await startWaiting(python, (out) => [program, out]);
      try {
        const told = JSON.parse(readFileSync(`${waiting.out}.json`, "utf8")) as Told;
        const { table, runtime } = await heapOf(waiting.pid);
        const rows = new Map<number, number>();
        for (let row = table.roots + 1; row < table.count; row++) rows.set(table.address[row]!, row);
        const rowOf = (name: string): number => rows.get(told.ids[name]!) ?? NONE;

        for (const name of Object.keys(told.ids)) {
          if (told.ids[name] === told.ids.none && name !== "none") continue;
          expect(rowOf(name), `${name} is found`).not.toBe(NONE);
        }
        const listed = Object.values(told.gens).flat();
        const missing = listed.filter((id) => !rows.has(id));
        // One young object at most: a temporary of the dump itself.
        expect(missing.length).toBeLessThanOrEqual(5);
        expect(table.flags[rowOf("list")]! & NodeFlag.tracked).not.toBe(0);

        const bound = (name: string): [number, number] => {
          const at = findRow(table.bounds.row, rowOf(name));
          return [table.bounds.limit[at]!, table.bounds.fill[at]!];
        };
        expect(bound("lru")).toEqual([8, 8]);
        expect(bound("lru_unbounded")).toEqual([NaN, 12]);
        expect(bound("deque:maxlen")).toEqual([2, 2]);

        const array = findRow(table.arrays.row, rowOf("array"));
        expect(table.names[table.arrays.dtype[array]!]).toBe("float64");
        expect(table.arrays.bufferBytes[array]).toBe(800);
        const view = findRow(table.arrays.row, rowOf("memoryview"));
        expect(table.arrays.base[view]).toBe(rowOf("mvb"));

        const idents = runtime.interpreters[0]!.threads.map(({ ident }) => String(ident));
        expect(idents.toSorted()).toEqual(Object.keys(told.frames).toSorted());
        for (const [ident, frames] of Object.entries(told.frames)) {
          if (Number(ident) === told.main) continue;
          expect(framesOfThread(table, idents.indexOf(ident))).toEqual(frames.map(([name, line]) => `${name}:${line}`));
        }
      } finally {
        waiting.stop();
      }
    });
});

/** "function:line" of each frame of the nth thread, innermost first. */
function framesOfThread(table: HeapTable, n: number): string[] {
  const threads = Array.from({ length: table.roots + 1 }, (_, row) => row).filter(
    (row) => table.kind[row] === NodeKind.thread,
  );
  const thread = threads[n]!;
  const texts: string[] = [];
  for (let edge = table.firstEdge[thread]!; edge < table.firstEdge[thread + 1]!; edge++) {
    const row = table.edgeTo[edge]!;
    if (table.kind[row] !== NodeKind.frame) continue;
    const at = findRow(table.named.row, row);
    const name = table.names[table.named.name[at]!]!;
    texts.push(`${name.slice(name.lastIndexOf(".") + 1)}:${table.named.line[at]}`);
  }
  return texts;
}
