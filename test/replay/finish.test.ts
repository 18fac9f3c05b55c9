import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { finishRun, readRun } from "../../src/capture/run/finish.ts";
import { Refusal } from "../../src/capture/run/refusal.ts";
import { createJudge } from "../../src/answers/verdict/judge.ts";
import { bytesSource, TideError } from "../../src/tide/container.ts";
import { eventsWriter } from "../../src/tide/events-writer.ts";
import type { WriterOptions } from "../../src/tide/events-writer.ts";
import { FLAG, SLOT_BYTES, STATE } from "../../src/tide/events.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { encodePairs, encodeProcessLine, encodeSettings, encodeTimeline } from "../../src/tide/runfolder.ts";
import type { ProcessLine, TimelineSample } from "../../src/tide/runfolder.ts";
import type { Tables } from "../../src/tide/schema.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import type { JudgeFactory } from "../../src/views/blocks/judge.ts";

const judge: JudgeFactory = () => ({ start: () => ({ born: () => {}, died: () => {} }), finish: () => [] });
/** The run starts at this CLOCK_MONOTONIC, and ticks are nanoseconds. */
const ZERO = 5_000_000_000;

let folder = "";
let place = "";
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), "tidegauge-test-"));
  folder = join(place, "out.tide.run");
  mkdirSync(folder);
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

interface Recorded {
  facts?: Record<string, string | number>;
  lines?: ProcessLine[];
  samples?: (Partial<TimelineSample> & { pid: number; time: number; hwm: number })[];
}

/** What the recorder leaves of a program (process 100) that ran for one second and exited. */
function record({ facts = {}, lines, samples = [] }: Recorded = {}): void {
  const usual = {
    version: "0.1.0",
    argv: "python3\0main.py",
    cwd: place,
    mode: "exact",
    pid: 100,
    seconds: 1,
    complete: 1,
    exitCode: 0,
    signal: 0,
  };
  writeFileSync(
    join(folder, "settings"),
    encodeSettings({
      mode: "exact",
      interval: 0,
      overhead: 3,
      maxBytes: 0,
      started: BigInt(ZERO),
      snapshots: "none",
      memoryLimit: 0,
    }),
  );
  writeFileSync(join(folder, "run"), encodePairs(Object.entries({ ...usual, ...facts })));
  const root: ProcessLine[] = [start(100, 1, 0, ["python3", "main.py"]), end(100, 1)];
  writeFileSync(join(folder, "processes"), (lines ?? root).map(encodeProcessLine).join(""));
  const nothing = { rss: NaN, pss: NaN, uss: NaN, swap: NaN, cgroupUsage: NaN };
  writeFileSync(
    join(folder, "timeline"),
    encodeTimeline(samples.map((sample) => ({ ...nothing, rss: sample.hwm, ...sample }))),
  );
}

function start(pid: number, parent: number, time: number, argv: string[]): ProcessLine {
  return { kind: "start", pid, parent, time, argv };
}

function end(pid: number, time: number, exitCode = 0): ProcessLine {
  return { kind: "end", pid, time, exitCode, signal: 0 };
}

const at = (seconds: number) => ({ tick: seconds * 1e9, monotonic: ZERO + seconds * 1e9, realtime: 0 });

/** The event file of one image, alive from 0.1 to 0.9 s. `run` gets the writer, a node of main.py line 1, and a thread. */
function events(
  options: WriterOptions = {},
  run: (w: ReturnType<typeof eventsWriter>, node: number) => void = () => {},
): string {
  const { pid = 100, ordinal = 0 } = options;
  const w = eventsWriter({ start: at(0.1), last: at(0.9), argv: ["python3", "main.py"], ...options });
  const code = w.code({ name: "<module>", file: join(place, "main.py"), lineTable: Uint8Array.of(0, 0) });
  const node = w.node(0, code, 0);
  w.thread().birth(pid * 0x1000, 100_000, node);
  run(w, node);
  const name = `${pid}.${ordinal}.events`;
  writeFileSync(join(folder, name), w.finish());
  return name;
}

/** Rows of `processes` with the columns asked for. */
function processes(tables: Tables, ...columns: (keyof Tables["processes"])[]): unknown[][] {
  const { processes: table } = tables;
  return Array.from({ length: table.length }, (_, row) =>
    columns.map((column) => (table[column] as ArrayLike<unknown>)[row]),
  );
}

function factOf(tables: Tables, key: string): string | number {
  const row = tables.facts.key.indexOf(key);
  return tables.facts.text[row] || tables.facts.number[row]!;
}

describe("finishing a run", () => {
  test("writes one private file and removes the folder", () => {
    record();
    events();
    finishRun(folder, judge);
    const file = join(place, "out.tide");
    expect(readdirSync(place)).toEqual(["out.tide"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(openRecording(bytesSource(readFileSync(file))).table("processes").recorded[0]).toBe(1);
  });

  test("never writes over a recording, unless told to", () => {
    record();
    events();
    const file = join(place, "out.tide");
    writeFileSync(file, "precious");
    expect(() => finishRun(folder, judge)).toThrow(`${file} exists; -f writes over it`);
    expect(readFileSync(file, "utf8")).toBe("precious");
    expect(existsSync(folder)).toBe(true);
    finishRun(folder, judge, { force: true });
    expect(readFileSync(file).length).toBeGreaterThan(100);
  });

  test("keeps the folder when the file cannot be written", () => {
    record();
    events();
    const file = join(place, "missing", "out.tide");
    expect(() => finishRun(folder, judge, { file })).toThrow(
      `cannot write ${file}: no such file or folder; what was recorded stays in ${folder}`,
    );
    expect(existsSync(join(folder, "run"))).toBe(true);
  });

  test("says in a sentence that a folder is none of a run", () => {
    expect(() => finishRun(folder, judge)).toThrow(`${folder} is no folder of a run`);
    expect(() => finishRun(join(place, "nowhere"), judge)).toThrow("no such file or folder");
  });

  test("gives the facts of the launch, the interpreter and what the agents used", () => {
    record({ facts: { notMeasured: "What the GPU held.\nWhat the moon held." } });
    events({ pythonHex: 0x030c_01f0, ownBytes: 3000, ownCpuNs: 2e6 });
    const tables = readRun(folder, judge);
    expect(["python", "agentBytes", "agentCpuSeconds", "complete", "cwd"].map((key) => factOf(tables, key))).toEqual([
      "CPython 3.12.1",
      3000,
      0.002,
      1,
      place,
    ]);
    expect([...tables.notMeasured.text]).toEqual(["What the GPU held.", "What the moon held."]);
    expect(tables.facts.key).not.toContain("notMeasured");
  });
});

describe("a run whose recorder died", () => {
  test("is finished as far as it goes, and says that it is not complete", () => {
    record({ lines: [start(100, 1, 0, ["python3", "main.py"])], samples: [{ pid: 100, time: 0.5, hwm: 5e6 }] });
    writeFileSync(
      join(folder, "run"),
      encodePairs([
        ["pid", 100],
        ["complete", 0],
        ["cwd", place],
      ]),
    );
    events({ state: STATE.running, last: at(0.4) });
    const tables = readRun(folder, judge);
    expect([factOf(tables, "complete"), factOf(tables, "seconds")]).toEqual([0, 0.5]);
    expect(processes(tables, "end", "exitCode", "peakRss", "peakFinal")).toEqual([[0.5, -1, 5e6, 0]]);
    expect(tables.endStacks.bytes[0]).toBe(100_000);
  });

  test("may lack every file but one", () => {
    record();
    for (const name of ["run", "processes", "timeline"]) rmSync(join(folder, name));
    events();
    expect(processes(readRun(folder, judge), "pid", "recorded")).toEqual([[100, 1]]);
  });
});

describe("a damaged run", () => {
  test("is finished as far as it goes, or refused in a sentence", () => {
    record({ samples: [{ pid: 100, time: 0.5, hwm: 5e6 }] });
    events({ chunkBytes: 64, interval: 4096, mode: "adaptive" }, (w, node) => {
      const [a, b] = [w.thread(), w.thread()];
      for (let i = 1; i <= 30; i++)
        (i % 3 ? a : b)
          .time(i * 1e7)
          .birth(i * 0x1000, 100 * i, node)
          .death(i * 0x1000);
      a.map(0x100_0000, 0x4000, node).unmap(0x100_1000, 0x1000).failedRealloc(0x1000);
    });
    events({ pid: 101, fork: { pid: 100, ordinal: 0, order: 5, nodes: 2, codes: 2 }, start: at(0.3) });
    const names = readdirSync(folder);
    const whole = names.map((name) => readFileSync(join(folder, name)));
    const edit = fc.tuple(
      fc.nat(names.length - 1),
      fc.nat(70),
      fc.nat(400),
      fc.constantFrom(0, 1, 7, 0x7f, 0xff),
      fc.integer({ min: 1, max: 9 }),
    );
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 8 }), fc.option(fc.nat(names.length - 1)), (edits, cut) => {
        const damaged = whole.map((bytes) => Uint8Array.from(bytes));
        for (const [file, slot, place, value, length] of edits) {
          const bytes = damaged[file]!;
          const from = Math.min(slot * SLOT_BYTES, Math.max(0, bytes.length - SLOT_BYTES)) + place;
          bytes.fill(value, from, from + length);
        }
        if (cut !== null) damaged[cut] = damaged[cut]!.subarray(0, edits[0]![2] * 37);
        names.forEach((name, i) => writeFileSync(join(folder, name), damaged[i]!));
        try {
          openRecording(bytesSource(writeRecording(readRun(folder, createJudge)))).table("siteFeatures");
        } catch (error) {
          if (!(error instanceof TideError || error instanceof Refusal)) throw error;
        }
      }),
      // The example: a chunk of a thread whose number is 2^32 - 1.
      {
        numRuns: 100,
        examples: [
          [
            [
              [0, 1, 8, 255, 4],
              [0, 0, 9, 0, 1],
            ],
            null,
          ],
        ],
      },
    );
  });
});

describe("processes", () => {
  test("without events say why", () => {
    const lines = [
      start(100, 1, 0, ["sh", "-c", "…"]),
      start(101, 100, 0.1, ["/opt/tg/python3.13t", "x.py"]),
      start(102, 100, 0.1, ["/bin/python3-static", "y.py"]),
      start(103, 100, 0.1, ["git", "log"]),
      start(104, 100, 0.1, []),
      start(105, 100, 0.1, ["python3", "torn.py"]),
    ];
    record({ lines, facts: { reason: "sh is a static program, which loads no libraries" } });
    writeFileSync(join(folder, "101.0.off"), "a free-threaded CPython is not supported\n");
    writeFileSync(join(folder, "105.0.events"), "TIDEEVT1 and no more");
    expect(processes(readRun(folder, judge), "pid", "recorded", "reason")).toEqual([
      [100, 0, "sh is a static program, which loads no libraries"],
      [101, 0, "a free-threaded CPython is not supported"],
      [
        102,
        0,
        "its interpreter (python3-static) could not be recorded: a static program, another C library, or an environment without LD_PRELOAD",
      ],
      [103, 0, "no Python ran in it (git)"],
      [104, 0, "it ended before anything was seen of it"],
      [105, 0, "The event file is cut short inside its header: nothing of it can be read"],
    ]);
  });

  test("have the peak that the agent read at the end, or the last sample's as a lower bound", () => {
    const samples = [
      { pid: 100, time: 0.2, hwm: 4e6 },
      { pid: 100, time: 0.4, hwm: 6e6 },
      { pid: 100, time: 0.8, hwm: 6e6 },
    ];
    record({ samples });
    events({ hwmBytes: 7e6 });
    expect(processes(readRun(folder, judge), "peakRss", "peakFinal")).toEqual([[7e6, 1]]);
    events({ hwmBytes: 7e6, state: STATE.running });
    expect(processes(readRun(folder, judge), "peakRss", "peakFinal")).toEqual([[6e6, 0]]);
  });

  test("have their blocks at the peak from the time between the two samples that saw RSS rise to it, even when the kernel shows less later", () => {
    const samples = [0.2, 0.3, 0.5, 0.7].map((time, i) => ({ pid: 100, time, hwm: [4e6, 4e6, 9e6, 8.8e6][i]! }));
    record({ samples });
    events({ state: STATE.running }, (w, node) => {
      const t = w.thread();
      t.time(0.25e9).birth(0x10_0000, 900_000, node).death(0x10_0000);
      t.time(0.4e9).birth(0x20_0000, 500_000, node).death(0x20_0000);
      t.time(0.6e9).birth(0x30_0000, 800_000, node).death(0x30_0000);
    });
    const tables = readRun(folder, judge);
    expect(tables.peakStacks.bytes[0]).toBe(600_000);
    expect(tables.processes.peakAt[0]).toBeCloseTo(0.4, 6);
  });

  test("that call exec are one image after the other", () => {
    const lines = [
      start(100, 1, 0, ["python3", "main.py"]),
      start(100, 1, 0.5, ["python3", "second.py"]),
      end(100, 1, 3),
    ];
    record({ lines });
    events({ state: STATE.exec, last: at(0.5) });
    events({ ordinal: 1, argv: ["python3", "second.py"], start: at(0.5) });
    expect(processes(readRun(folder, judge), "pid", "ordinal", "argv", "exitCode")).toEqual([
      [100, 0, "python3\0main.py", -1],
      [100, 1, "python3\0second.py", 3],
    ]);
  });

  test("that a wrapper turned into are one row, with the command line that runs", () => {
    record({ lines: [start(100, 1, 0, ["./wrapper.sh"]), end(100, 1)] });
    events();
    expect(processes(readRun(folder, judge), "argv", "recorded")).toEqual([["python3\0main.py", 1]]);
  });

  test("that were forked and called exec at once have no row for the time between", () => {
    record({
      lines: [
        start(100, 1, 0, ["python3", "main.py"]),
        start(101, 100, 0.3, ["python3", "child.py"]),
        end(101, 0.8),
        end(100, 1),
      ],
    });
    events();
    const fork = { pid: 100, ordinal: 0, order: 2, nodes: 1, codes: 1 };
    events({ pid: 101, fork, state: STATE.exec, start: at(0.3), last: at(0.301) });
    events({ pid: 101, ordinal: 1, argv: ["python3", "child.py"], start: at(0.302) });
    expect(processes(readRun(folder, judge), "pid", "argv", "recorded")).toEqual([
      [100, "python3\0main.py", 1],
      [101, "python3\0child.py", 1],
    ]);
  });

  test("that were forked carry on with their parent's blocks", () => {
    record({
      lines: [start(100, 1, 0, ["python3", "main.py"]), start(101, 100, 0.3, ["python3", "main.py"]), end(100, 1)],
    });
    events();
    const fork = { pid: 100, ordinal: 0, order: 2, nodes: 2, codes: 2 };
    events({ pid: 101, parentPid: 100, fork, start: at(0.3) });
    const { endStacks } = readRun(folder, judge);
    const ends = [...endStacks.process].map((process, i) => [process, endStacks.bytes[i]]);
    expect(ends.toSorted()).toEqual([
      [0, 100_000],
      [1, 200_000],
    ]);
  });

  test("that the recorder never saw are there all the same", () => {
    record();
    events();
    events({ pid: 555, parentPid: 100, start: at(0.2), argv: ["python3", "quick.py"] });
    expect(processes(readRun(folder, judge), "pid", "parentPid", "argv")).toEqual([
      [100, 1, "python3\0main.py"],
      [555, 100, "python3\0quick.py"],
    ]);
  });

  test("name each other as parents of a fork in a damaged file without harm", () => {
    record();
    events({ fork: { pid: 101, ordinal: 0, order: 1, nodes: 1, codes: 1 } });
    events({ pid: 101, fork: { pid: 100, ordinal: 0, order: 1, nodes: 1, codes: 1 } });
    expect(processes(readRun(folder, judge), "recorded")).toEqual([[1], [1]]);
  });
});

const sentences = (): string[] => [...readRun(folder, judge).notMeasured.text];

describe("stacks, frames, sites and codes", () => {
  test("are there as far as a figure stands at them", () => {
    record();
    events({}, (w, node) => {
      const unused = w.node(node, w.code({ qualname: "unused", file: "/app/other.py" }), 2);
      const helper = w.node(node, w.code({ qualname: "helper", file: "/app/other.py", firstLine: 7 }), 4);
      w.thread().birth(0x70_0000, 300_000, helper);
      expect(unused).toBeLessThan(helper);
    });
    const { stacks, frames, sites, codes, peakStacks } = readRun(folder, judge);
    const told = [...peakStacks.stack].map((stack, i) => [
      codes.qualname[frames.code[stacks.frame[stack]!]!],
      sites.line[stacks.site[stack]!],
      peakStacks.bytes[i],
    ]);
    expect(told.toSorted()).toEqual([
      ["<module>", 1, 100_000],
      ["helper", 7, 300_000],
    ]);
    expect([...codes.qualname]).toEqual(["<module>", "helper"]);
  });
});

const marksOf = (): number[] => [...readRun(folder, judge).marks.time];

describe("times", () => {
  test("of a program that was killed at once come from the rate that another one shows", () => {
    record();
    events({ state: STATE.running, last: at(0.1) }, (w) => void w.thread().time(0.35e9).mark("here"));
    events({ pid: 200, start: at(0.2) });
    expect(marksOf()[0]).toBeCloseTo(0.35, 6);
  });

  test("come from the recorder's end of the process when there is no other", () => {
    record({ lines: [start(100, 1, 0, ["python3", "main.py"]), end(100, 0.6)] });
    events(
      { state: STATE.running, last: at(0.1) },
      (w) => void w.thread().time(0.35e9).mark("half").time(0.6e9).mark("end"),
    );
    expect(marksOf()).toEqual([expect.closeTo(0.35, 6), expect.closeTo(0.6, 6)]);
  });
});

describe("what a run could not see", () => {
  test("is told when the agent turned itself off", () => {
    record();
    events({ state: STATE.off, reason: 3 });
    expect(sentences()).toEqual([
      "Blocks that the program asked for after recording stopped: its events filled the size that --max-size allows.",
    ]);
  });

  test("is told when the hooks went in late", () => {
    record();
    events({ flags: FLAG.hooks | FLAG.late, mode: "adaptive" });
    expect(sentences()).toEqual([expect.stringMatching(/^The first blocks of the program: /)]);
  });

  test("is nothing when every block is recorded: the agent notices late hooks at the first request", () => {
    record();
    events({ flags: FLAG.hooks | FLAG.late, mode: "exact" });
    expect(sentences()).toEqual([]);
  });

  test("is told of memory that no line of Python asked for", () => {
    record();
    events({}, (w) => {
      w.mappings("7f0000000000-7f0000100000 0 /usr/lib/libfast.so.1\n");
      const native = w.node(0, w.native(0x7f00_0000_1234), 0);
      w.thread().birth(0x10_0000, 2 ** 20, native);
    });
    expect(sentences()).toEqual([
      "Lines of 1.00 MiB at the peak: asked for by libfast.so.1 while no Python code of that thread was running.",
    ]);
  });
});

describe("sources", () => {
  const text = "x = [0] * 100000\ny = 1\n";
  const finish = (changed: number): Tables => {
    record({ facts: { startedRealtime: 1_000_000 } });
    const file = join(place, "main.py");
    writeFileSync(file, text);
    utimesSync(file, changed, changed);
    events();
    return readRun(folder, judge);
  };

  test("of the user's own sites are kept with the recording", () => {
    const tables = finish(999_000);
    expect([...tables.sources.text]).toEqual([text]);
    expect([...tables.sites.source]).toEqual(["x = [0] * 100000"]);
  });

  test("that were changed after the launch are not: they may not be what ran", () => {
    const tables = finish(1_000_100);
    expect([...tables.sources.text]).toEqual([]);
    expect([...tables.sites.source]).toEqual([""]);
  });

  test("that cannot be read leave the rest as it is", () => {
    finish(999_000);
    chmodSync(join(place, "main.py"), 0);
    rmSync(join(place, "main.py"));
    expect([...readRun(folder, judge).sites.source]).toEqual([""]);
  });
});
