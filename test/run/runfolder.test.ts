import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  agentFileName,
  encodePairs,
  encodeProcessLine,
  encodeSettings,
  encodeTimeline,
  parseAgentFileName,
  parsePairs,
  parseProcesses,
  parseSettings,
  parseTimeline,
  TIMELINE_ROW_BYTES,
  type ProcessLine,
} from "../../src/tide/runfolder.ts";

const pid = fc.integer({ min: 1, max: 4194304 });
const time = fc.double({ min: 0, max: 1e6, noNaN: true });
const argument = fc.string({ unit: "binary" }).map((text) => text.replaceAll("\0", ""));
const line: fc.Arbitrary<ProcessLine> = fc.oneof(
  // An empty list and a list of one empty text look alike: no program has either.
  fc.record({
    kind: fc.constant("start" as const),
    pid,
    parent: pid,
    time,
    argv: fc.array(argument, { minLength: 1 }).filter(([name]) => name !== ""),
  }),
  fc.record({
    kind: fc.constant("end" as const),
    pid,
    time,
    exitCode: fc.integer({ min: -1, max: 255 }),
    signal: fc.integer({ min: -1, max: 64 }),
  }),
);

describe("the recorder's files come back as they were written", () => {
  test("pairs, whatever their values hold", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[a-zA-Z]{1,9}$/), fc.string({ unit: "binary" })), (pairs) => {
        expect(Object.fromEntries(parsePairs(encodePairs(Object.entries(pairs))))).toEqual({ ...pairs });
      }),
    );
    expect(encodePairs([["argv", "a\\b\nc\0d"]])).toBe("argv=a\\\\b\\nc\\0d\n");
  });

  test("settings", () => {
    const settings = {
      mode: "interval",
      interval: 65536,
      overhead: 2.5,
      maxBytes: 2 ** 40,
      snapshots: "auto",
      memoryLimit: 2 ** 31,
      started: 2n ** 62n,
    } as const;
    expect(encodeSettings(settings)).toBe(
      "mode=interval\ninterval=65536\noverhead=2.5\nmaxBytes=1099511627776\nsnapshots=auto\nmemoryLimit=2147483648\nstarted=4611686018427387904\n",
    );
    expect(parseSettings(encodeSettings(settings))).toEqual(settings);
    expect(parseSettings("interval=lots\nmaxBytes=-1\n")).toEqual({
      mode: "adaptive",
      interval: 0,
      overhead: 0,
      maxBytes: 0,
      snapshots: "none",
      memoryLimit: 0,
      started: 0n,
    });
  });

  test("comings and goings", () => {
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        expect(parseProcesses(lines.map(encodeProcessLine).join(""))).toEqual(lines);
      }),
    );
  });

  test("samples, with NaN for what was not read", () => {
    const sample = { pid: 7, time: 0.5, rss: 1024, hwm: 2048, pss: NaN, uss: NaN, swap: 0, cgroupUsage: 4096 };
    const bytes = encodeTimeline([sample, { ...sample, pid: 4294967295, time: 1 }]);
    expect(bytes.length).toBe(2 * TIMELINE_ROW_BYTES);
    expect(parseTimeline(bytes)).toEqual([sample, { ...sample, pid: 4294967295, time: 1 }]);
  });

  test("names of the agent's files, and no others", () => {
    expect(parseAgentFileName(agentFileName({ pid: 12, ordinal: 3, kind: "off" }))).toEqual({
      pid: 12,
      ordinal: 3,
      kind: "off",
    });
    for (const name of ["settings", "0.0.events", "12.events", "12.0.events.new", "-1.0.off", "12.01.off"]) {
      expect(parseAgentFileName(name)).toBe(undefined);
    }
  });
});

describe("a recorder that died while it wrote loses only what it had not finished", () => {
  test("lines: every cut gives a prefix of the lines", () => {
    fc.assert(
      fc.property(fc.array(line, { minLength: 1 }), fc.nat(), (lines, at) => {
        const text = lines.map(encodeProcessLine).join("");
        const cut = parseProcesses(text.slice(0, at % (text.length + 1)));
        expect(cut).toEqual(lines.slice(0, cut.length));
        expect(parsePairs("a=1\nb=2")).toEqual(new Map([["a", "1"]]));
      }),
    );
  });

  test("rows: a torn row is left out", () => {
    const sample = { pid: 7, time: 0.5, rss: 1, hwm: 2, pss: 3, uss: 4, swap: 5, cgroupUsage: 6 };
    const bytes = encodeTimeline([sample, sample]);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseTimeline(bytes.subarray(0, length)).length).toBe(Math.floor(length / TIMELINE_ROW_BYTES));
    }
  });
});
