import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bytesSource, TideError } from "../../src/tide/container.ts";
import { eventsWriter } from "../../src/tide/events-writer.ts";
import { CONTROL, NO_RECORD, openEvents, SLOT_BYTES } from "../../src/tide/events.ts";
import type { EventFile } from "../../src/tide/events.ts";

const HEAP = 0x5555_0000_0000;

/** All words of one thread, chunk after chunk. */
function wordsOf(file: EventFile, thread: number): number[] {
  const { chunks } = file.threads.find((stream) => stream.thread === thread)!;
  return chunks.flatMap((chunk) => Array.from(file.words(chunk)));
}

const refuse = (bytes: Uint8Array) => () => openEvents(bytesSource(bytes));

/** What any reader of a file does: it ends, in time and with bounded memory, or says in a sentence why not. */
function readAll(bytes: Uint8Array): void {
  try {
    const file = openEvents(bytesSource(bytes));
    for (const { chunks } of file.threads) for (const chunk of chunks) file.words(chunk);
  } catch (error) {
    if (!(error instanceof TideError)) throw error;
    expect(error.message).toMatch(/^[A-Z].*\.$/);
  }
}

function smallProgram(options = {}) {
  const w = eventsWriter({ pid: 77, cwd: "/work here", argv: ["python3", "a b.py", ""], ...options });
  const main = w.node(0, w.code({ qualname: "main", file: "/app/main.py", firstLine: 3 }), 10);
  return { w, main, thread: w.thread() };
}

describe("the header", () => {
  test("names the process image", () => {
    const { w } = smallProgram({ fork: { pid: 5, ordinal: 1, order: 9, nodes: 4, codes: 2 } });
    const { header } = openEvents(bytesSource(w.finish()));
    expect(header).toMatchObject({ pid: 77, cwd: "/work here", argv: ["python3", "a b.py", ""], mode: "exact" });
    expect(header.fork).toEqual({ pid: 5, ordinal: 1, order: 9, nodes: 4, codes: 2 });
  });

  test("of another program is refused in a sentence", () => {
    expect(refuse(new Uint8Array(0))).toThrow(TideError);
    expect(refuse(new TextEncoder().encode("#!/bin/sh\n"))).toThrow("not an event file");
    const { w } = smallProgram();
    const newer = w.finish();
    newer[8] = 2;
    expect(refuse(newer)).toThrow("newer format 2");
  });
});

describe("the dictionary", () => {
  test("gives codes, nodes and threads back by their ids", () => {
    const { w, main } = smallProgram();
    const inner = w.node(main, w.native(0x7f00_1234_5678), 0);
    w.thread(4321);
    const { dictionary } = openEvents(bytesSource(w.finish()));
    const { nodes, codes, threads } = dictionary;
    expect([nodes.parent[inner], nodes.code[main], nodes.offset[main]]).toEqual([main, 1, 10]);
    expect(codes[1]).toMatchObject({ kind: "python", qualname: "main", file: "/app/main.py", firstLine: 3 });
    expect(codes[2]).toEqual({ kind: "native", address: 0x7f00_1234_5678 });
    expect(threads.map(({ tid }) => tid)).toEqual([1000, 4321]);
  });

  test("survives a code whose line table does not fit any slot", () => {
    const { w } = smallProgram();
    const big = w.code({ qualname: "wide", lineTable: new Uint8Array(60_000) });
    const { dictionary } = openEvents(bytesSource(w.finish()));
    expect(dictionary.codes[big]).toMatchObject({ qualname: "wide" });
    expect(dictionary.codes[1]).toMatchObject({ qualname: "main" });
  });

  test("of a fork child leaves the parent's ids without a record", () => {
    const w = eventsWriter({ fork: { pid: 1, ordinal: 0, order: 1, nodes: 5, codes: 3 } });
    const own = w.node(4, w.code({ qualname: "child" }), 0);
    const { nodes } = openEvents(bytesSource(w.finish())).dictionary;
    expect(own).toBe(5);
    expect([...nodes.code]).toEqual([NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD, NO_RECORD, 3]);
  });
});

describe("chunks", () => {
  test("follow each other by serial, whatever their place in the file", () => {
    const { w, main, thread } = smallProgram({ chunkBytes: 8 });
    for (let i = 0; i < 4; i++) thread.birth(HEAP + 64 * i, 64, main);
    const bytes = w.finish();
    const before = wordsOf(openEvents(bytesSource(bytes)), 0);
    const swapped = bytes.slice();
    swapped.copyWithin(SLOT_BYTES, 3 * SLOT_BYTES, 4 * SLOT_BYTES);
    swapped.set(bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES), 3 * SLOT_BYTES);
    expect(wordsOf(openEvents(bytesSource(swapped)), 0)).toEqual(before);
  });

  test("that lie in the staging region and in a copy count once, the longer one", () => {
    const { w, main, thread } = smallProgram();
    thread.birth(HEAP, 64, main).death(HEAP);
    const bytes = w.finish();
    const staging = bytes.slice(SLOT_BYTES, 2 * SLOT_BYTES);
    new Uint32Array(staging.buffer)[3]! -= 8;
    const both = new Uint8Array([...bytes.subarray(0, SLOT_BYTES), ...staging, ...bytes.subarray(SLOT_BYTES)]);
    expect(wordsOf(openEvents(bytesSource(both)), 0)).toEqual(wordsOf(openEvents(bytesSource(bytes)), 0));
  });

  test("may span several slots, whose bytes are not taken for headers", () => {
    const { w, main, thread } = smallProgram();
    thread.birth(HEAP, 64, main);
    const bytes = w.finish();
    const wide = new Uint8Array(bytes.length + 2 * SLOT_BYTES);
    wide.set(bytes.subarray(0, 2 * SLOT_BYTES));
    wide.set(bytes.subarray(2 * SLOT_BYTES), 4 * SLOT_BYTES);
    wide.set(bytes.subarray(SLOT_BYTES, SLOT_BYTES + 64), 2 * SLOT_BYTES);
    const header = new Uint32Array(wide.buffer, SLOT_BYTES, 16);
    header[3] = 3 * SLOT_BYTES - 64;
    header[15] = 3;
    const file = openEvents(bytesSource(wide));
    expect(file.threads.map(({ chunks }) => chunks.map((chunk) => file.words(chunk).length))).toEqual([
      [(3 * SLOT_BYTES - 64) / 4],
    ]);
    expect(file.dictionary.codes[1]).toMatchObject({ qualname: "main" });
  });

  test("that were never written are skipped and counted as lost", () => {
    const { w, main, thread } = smallProgram({ chunkBytes: 8 });
    for (let i = 0; i < 4; i++) thread.birth(HEAP + 64 * i, 64, main);
    const bytes = w.finish();
    bytes.fill(0, 2 * SLOT_BYTES, 3 * SLOT_BYTES);
    expect(openEvents(bytesSource(bytes)).threads[0]!.lost).toBe(1);
  });

  test("carry order, interval, time and bases in force", () => {
    const { w, main, thread } = smallProgram({ chunkBytes: 64, interval: 4096, mode: "interval" });
    thread.birth(HEAP, 64, main).interval(8192).time(500).flush().time(700).birth(HEAP, 64, main);
    const file = openEvents(bytesSource(w.finish()));
    const [first, second] = file.threads[0]!.chunks;
    expect(first).toMatchObject({ interval: 4096, tick: 0, bases: [0, 0] });
    expect(second).toMatchObject({ interval: 8192, tick: 700, order: 1, bases: [Math.floor(HEAP / 2 ** 36), 0] });
    const [low, high] = file.words(second!);
    expect([(low! >>> 3) & 31, (low! >>> 8) + high! * 2 ** 24]).toEqual([CONTROL.time, 0]);
  });
});

describe("a broken file", () => {
  const { w, main, thread } = smallProgram({ chunkBytes: 4096 });
  const other = w.thread();
  for (let i = 0; i < 400; i++) (i % 3 ? thread : other).birth(HEAP + 64 * i, 64, main);
  const whole = w.finish();

  test("cut anywhere gives a prefix of every thread", () => {
    const all = wordsOf(openEvents(bytesSource(whole)), 0);
    fc.assert(
      fc.property(fc.integer({ min: 4096, max: whole.length }), (length) => {
        const file = openEvents(bytesSource(whole.subarray(0, length)));
        const words = file.threads.length > 0 ? wordsOf(file, 0) : [];
        expect(words).toEqual(all.slice(0, words.length));
      }),
    );
  });

  test("with changed bytes is read or refused in a sentence", () => {
    const slots = whole.length / SLOT_BYTES;
    const interesting = fc
      .tuple(fc.integer({ min: 0, max: slots - 1 }), fc.integer({ min: 0, max: 300 }))
      .map(([slot, at]) => slot * SLOT_BYTES + at);
    const edits = fc.array(fc.tuple(interesting, fc.constantFrom(0, 1, 0x7f, 0xff), fc.integer({ min: 1, max: 8 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(edits, (edits) => {
        const bytes = whole.slice();
        for (const [at, value, length] of edits) bytes.fill(value, at, at + length);
        readAll(bytes);
      }),
      { numRuns: 300 },
    );
  });
});
