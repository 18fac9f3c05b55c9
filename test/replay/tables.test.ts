import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NONE } from "../../src/base/brand.ts";
import { eventsWriter } from "../../src/tide/events-writer.ts";
import type { EventsWriter, ThreadWriter, WriterOptions } from "../../src/tide/events-writer.ts";
import type { Table, TableName } from "../../src/tide/schema.ts";
import { buildBlocks } from "../../src/views/blocks/build.ts";
import type { BlockTables, ProcessBlocks } from "../../src/views/blocks/build.ts";
import { ProgramBuilder } from "../../src/views/blocks/codes.ts";
import type { ForkedFrom, Program } from "../../src/views/blocks/codes.ts";
import type { Judge } from "../../src/views/blocks/judge.ts";
import { CLOCK, fileOf } from "./programs.ts";

const KiB = 1024;
const SILENT: Judge = { start: () => ({ born: () => {}, died: () => {} }), finish: () => [] };

/** One process with the functions a (called by main), b (called by main) and c (called by b), one node each, and one thread. */
interface Fixture {
  w: EventsWriter;
  main: number;
  a: number;
  b: number;
  c: number;
  thread: ThreadWriter;
}

function fixture(options: WriterOptions = {}): Fixture {
  const w = eventsWriter(options);
  const node = (parent: number, name: string): number =>
    w.node(parent, w.code({ qualname: name, file: "/app/main.py" }), 0);
  const main = node(0, "main");
  const b = node(main, "b");
  return { w, main, a: node(main, "a"), b, c: node(b, "c"), thread: w.thread() };
}

interface Built extends BlockTables {
  program: Program;
  /** Name of a stack: its innermost function. */
  nameOf: (stack: number) => string;
}

type Plan = Partial<Pick<ProcessBlocks, "window" | "start" | "end" | "parent">> & { bytes: Uint8Array };

/** Processes in order, parents of forks first. Times are microseconds of the ticks. */
function build(plans: Plan[], judge: () => Judge = () => SILENT): Built {
  const builder = new ProgramBuilder();
  const made: ForkedFrom["maps"][] = [];
  const processes = plans.map(({ bytes, window, start = 0, end = 1, parent = NONE }, process): ProcessBlocks => {
    const file = fileOf(bytes);
    const forked = parent === NONE ? undefined : { maps: made[parent]!, ...file.header.fork! };
    const maps = builder.addProcess(file.dictionary, file.header.pythonHex, forked);
    made.push(maps);
    const whole = { from: -Infinity, to: Infinity };
    return { process, file, stackOfNode: maps.stackOfNode, clock: CLOCK, start, end, window: window ?? whole, parent };
  });
  const program = builder.finish();
  const nameOf = (stack: number): string => program.codeQualname[program.frameCode[program.stackFrame[stack]!]!]!;
  return { ...buildBlocks(program, processes, judge), program, nameOf };
}

/** "FUNCTION BYTES/COUNT" of every row of one process, by name. */
function rowsOf(built: Built, name: "peakStacks" | "endStacks" | "allocatedStacks", process = 0): string[] {
  const table = built.tables[name];
  return [...table.stack]
    .map((stack, i) => [table.process[i]!, `${built.nameOf(stack)} ${table.bytes[i]}/${table.count[i]}`] as const)
    .filter(([of]) => of === process)
    .map(([, text]) => text)
    .toSorted();
}

function column<N extends TableName, K extends keyof Table<N>>(table: Table<N>, name: K): unknown[] {
  return [...(table[name] as ArrayLike<unknown> as unknown[])];
}

/** Grows to 500 KiB, falls to 100, grows to 300, falls to 200. */
function waves(): Uint8Array {
  const { w, a, b, thread } = fixture();
  thread
    .time(100)
    .birth(0x10_0000, 400 * KiB, a)
    .birth(0x20_0000, 100 * KiB, b);
  thread.time(200).death(0x10_0000);
  thread
    .time(300)
    .birth(0x30_0000, 150 * KiB, a)
    .birth(0x40_0000, 50 * KiB, a);
  thread
    .time(400)
    .death(0x40_0000)
    .death(0x30_0000)
    .birth(0x50_0000, 100 * KiB, b);
  return w.finish();
}

const mean = (values: number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The peak of `waves` when RSS was highest between two microseconds. */
const peak = (from: number, to: number): Built =>
  build([{ bytes: waves(), window: { from: from / 1e6, to: to / 1e6 } }]);

describe("the stacks at the peak", () => {
  test("are those at the heap's maximum, when RSS was highest at some unknown time", () => {
    const built = peak(-Infinity, Infinity);
    expect(rowsOf(built, "peakStacks")).toEqual([`a ${400 * KiB}/1`, `b ${100 * KiB}/1`]);
    expect(built.facts[0]!.peakTime).toBeCloseTo(100e-6, 9);
  });

  test("are those at the maximum inside the window that the kernel names", () => {
    const built = peak(250, 350);
    expect(rowsOf(built, "peakStacks")).toEqual([`a ${200 * KiB}/2`, `b ${100 * KiB}/1`]);
    expect(built.facts[0]!.peakTime).toBeCloseTo(300e-6, 9);
  });

  test("are those at the window's beginning, when the heap only falls inside it", () => {
    expect(rowsOf(peak(150, 250), "peakStacks")).toEqual([`a ${400 * KiB}/1`, `b ${100 * KiB}/1`]);
  });

  test("are those of the end, when the window lies behind all events", () => {
    expect(rowsOf(peak(900, 1000), "peakStacks")).toEqual([`b ${200 * KiB}/2`]);
  });

  test("hold blocks of many births and deaths on the same stacks", () => {
    const { w, a, b, thread } = fixture();
    for (let i = 1; i <= 100; i++) thread.birth(i * 0x1000, 1000, i % 2 ? a : b);
    for (let i = 1; i <= 100; i++) thread.death(i * 0x1000).birth(i * 0x1000, 999, b);
    expect(rowsOf(build([{ bytes: w.finish() }]), "peakStacks")).toEqual(["a 50000/50", "b 50000/50"]);
  });

  test("appear in the curve of live bytes, which has no higher point", () => {
    const { w, a, thread } = fixture();
    for (let i = 1; i <= 5000; i++) {
      thread
        .time(i * 10)
        .birth(0x10_0000, i === 777 ? 900 : 100, a)
        .death(0x10_0000);
    }
    const { liveCurve } = build([{ bytes: w.finish(), end: 0.05 }]).tables;
    expect(liveCurve.length).toBeLessThanOrEqual(400);
    expect(Math.max(...liveCurve.bytes)).toBe(900);
    const times = column(liveCurve, "time");
    expect(times).toEqual(times.toSorted((x, y) => Number(x) - Number(y)));
  });
});

describe("sampled blocks", () => {
  test("stand for many: bytes, number and variance follow from their weights", () => {
    const { w, a, thread } = fixture({ mode: "interval", interval: 4096 });
    thread.birth(0x1000, 1000, a).birth(0x2000, 40_000, a).birth(0x3000, 1000, a).birth(0x4000, 2000, a).death(0x4000);
    const { endStacks } = build([{ bytes: w.finish() }]).tables;
    const weight = 1 / (1 - Math.exp(-1000 / 4096));
    expect(endStacks.bytes[0]).toBeCloseTo(2000 * weight + 40_000, 6);
    expect(endStacks.count[0]).toBeCloseTo(2 * weight + 1, 9);
    expect(endStacks.variance[0]).toBeCloseTo(2 * 1000 ** 2 * (weight ** 2 - weight), 3);
    expect([endStacks.sampled[0], endStacks.exactBytes[0]]).toEqual([2, 40_000]);
  });

  test("leave nothing behind when they are gone", () => {
    const { w, a, thread } = fixture({ mode: "interval", interval: 4096 });
    for (let i = 1; i <= 50; i++) thread.birth(i * 0x1000, 100 + 7 * i, a);
    for (let i = 50; i >= 1; i--) thread.death(i * 0x1000);
    expect(build([{ bytes: w.finish() }]).tables.endStacks.length).toBe(0);
  });

  test("say the peak without the upward bias of a noisy maximum", () => {
    // 2,000 blocks of 200 bytes alive at all times, each replaced again and again: the truth is 400,000 bytes at every instant.
    const interval = 8192;
    const keep = 1 - Math.exp(-200 / interval);
    let seed = 1;
    const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const peaks: number[] = [];
    const maxima: number[] = [];
    for (let run = 0; run < 60; run++) {
      const { w, a, thread } = fixture({ mode: "interval", interval });
      const alive = new Uint8Array(2000);
      let time = 0;
      const renew = (i: number): void => {
        if (alive[i] === 1) thread.death(0x10_0000 + i * 256);
        alive[i] = random() < keep ? 1 : 0;
        if (alive[i] === 1) thread.time(++time).birth(0x10_0000 + i * 256, 200, a);
      };
      for (let i = 0; i < 20_000; i++) renew(i % 2000);
      const { peakStacks, liveCurve } = build([{ bytes: w.finish(), window: { from: 60e-6, to: 1 } }]).tables;
      peaks.push(peakStacks.bytes.reduce((sum, bytes) => sum + bytes, 0));
      maxima.push(Math.max(...liveCurve.bytes));
    }
    const error = Math.sqrt(mean(peaks.map((value) => (value - mean(peaks)) ** 2)) / peaks.length);
    expect(Math.abs(mean(peaks) - 400_000)).toBeLessThan(3 * error);
    expect(mean(maxima)).toBeGreaterThan(400_000 + 6 * error);
  });
});

describe("the end of a program", () => {
  test("comes after its last own birth: what the interpreter then frees was alive", () => {
    const { w, a, b, thread } = fixture();
    thread.birth(0x1000, 100, a).birth(0x2000, 200, b).death(0x2000);
    // the program is over: the interpreter goes on by itself
    thread.birth(0x3000, 50, b).death(0x1000).death(0x3000);
    let births = 0;
    const judge: Judge = {
      get lastBirth() {
        return Math.min(births, 2);
      },
      start: () => ({ born: () => void births++, died: () => {} }),
      finish: () => [],
    };
    expect(
      rowsOf(
        build([{ bytes: w.finish() }], () => judge),
        "endStacks",
      ),
    ).toEqual(["a 100/1", "b 200/1"]);
  });

  test("is the last event when nobody says which births are the program's", () => {
    const { w, a, b, thread } = fixture();
    thread.birth(0x1000, 100, a).birth(0x2000, 200, b).death(0x1000);
    expect(rowsOf(build([{ bytes: w.finish() }]), "endStacks")).toEqual(["b 200/1"]);
  });
});

describe("everything allocated", () => {
  test("counts transient blocks, and no rest of a mapping", () => {
    const { w, a, b, thread } = fixture();
    thread.transient(0x1000, 100, a).transient(0x1000, 100, a);
    thread.map(0x10_0000, 0x4000, b).unmap(0x10_1000, 0x1000);
    const built = build([{ bytes: w.finish() }]);
    expect(rowsOf(built, "allocatedStacks")).toEqual(["a 200/2", `b ${0x4000}/1`]);
    expect(rowsOf(built, "endStacks")).toEqual([`b ${0x3000}/2`]);
  });
});

describe("checkpoints", () => {
  test("follow the sites that had 16 KiB at once, and no others", () => {
    const { w, a, b, thread } = fixture();
    for (let i = 1; i <= 100; i++)
      thread
        .time(i * 1000)
        .birth(i * 0x10_000, 1000, a)
        .birth(i * 0x10_000 + 0x8000, 100, b);
    const built = build([{ bytes: w.finish(), end: 0.1 }]);
    const { checkpoints } = built.tables;
    const functions = new Set(
      [...checkpoints.site].map((site) => built.program.codeQualname[built.program.siteCode[site]!]),
    );
    expect([...functions]).toEqual(["a"]);
    expect(checkpoints.bytes.at(-1)).toBe(100_000);
    expect(checkpoints.length).toBeGreaterThan(3);
  });
});

describe("marks", () => {
  test("have their time and label", () => {
    const { w, thread } = fixture();
    thread.time(500).mark("loaded").time(900).mark("done");
    const { marks } = build([{ bytes: w.finish() }]).tables;
    expect(column(marks, "label")).toEqual(["loaded", "done"]);
    expect(marks.time[1]).toBeCloseTo(900e-6, 9);
  });
});

describe("a fork child", () => {
  test("holds what its parent held at the fork, and has allocated only its own", () => {
    const { w, a, b, thread } = fixture({ autoOrder: false });
    thread.order(1).birth(0x1000, 100, a).birth(0x2000, 200, b).order(3).death(0x1000).death(0x2000);
    const child = eventsWriter({ pid: 101, fork: { pid: 100, ordinal: 0, order: 2, nodes: w.nodes, codes: w.codes } });
    child.thread().death(0x2000).birth(0x3000, 30, a);
    const built = build([{ bytes: w.finish() }, { bytes: child.finish(), parent: 0 }]);
    expect(rowsOf(built, "endStacks", 0)).toEqual([]);
    expect(rowsOf(built, "endStacks", 1)).toEqual(["a 130/2"]);
    expect(rowsOf(built, "allocatedStacks", 1)).toEqual(["a 30/1"]);
  });
});

describe("small stacks", () => {
  test("are told at their callers of the same site; sums per site and in all stay", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 100_000 })), { minLength: 1, maxLength: 80 }),
        (births) => {
          const { w, main, thread } = fixture();
          const library = w.code({ qualname: "helper", file: "/usr/lib/python3.11/helper.py" });
          const user = w.code({ qualname: "user", file: "/app/user.py" });
          const nodes = [main];
          for (let i = 1; i <= 40; i++)
            nodes.push(w.node(nodes[(i * 7) % nodes.length]!, i % 4 === 0 ? user : library, 2 * i));
          births.forEach(([node, size], i) => thread.birth(0x10_0000 * (i + 1), size, nodes[node]!));
          const built = build([{ bytes: w.finish() }]);
          const { allocatedStacks: table } = built.tables;
          const told = new Map<number, number>();
          table.stack.forEach((stack, i) => {
            const site = built.program.stackSite[stack]!;
            told.set(site, (told.get(site) ?? 0) + table.bytes[i]!);
          });
          const builder = new ProgramBuilder();
          const file = fileOf(w.finish());
          const { stackOfNode } = builder.addProcess(file.dictionary, file.header.pythonHex);
          const truth = new Map<number, number>();
          for (const [node, size] of births) {
            const site = built.program.stackSite[stackOfNode[nodes[node]!]!]!;
            truth.set(site, (truth.get(site) ?? 0) + size);
          }
          expect([...told].toSorted((x, y) => x[0] - y[0])).toEqual([...truth].toSorted((x, y) => x[0] - y[0]));
        },
      ),
      { numRuns: 50 },
    );
  });
});
