import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TideError, explain, leaks, lines, processes, timeline } from "../../src/answers/index.ts";
import type { Recording } from "../../src/answers/index.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { GiB, KiB, MiB, opened, recordingOf, tablesOf } from "./fixture.ts";
import type { ProgramSpec, SiteSpec } from "./fixture.ts";
import { situations } from "./situations.ts";

const { recycled, service, killed, pages, small, children } = situations;

const ANSWERS: Record<string, (r: Recording) => unknown> = { explain, leaks, lines, timeline, processes };

const endingOf = (facts: Record<string, string | number>) => explain(recordingOf({ facts })).program.ending;
const claim = (spec: ProgramSpec) => explain(recordingOf(spec)).peak.claim;
const summary = (spec: ProgramSpec) => explain(recordingOf(spec)).summary;

/** A line that holds 1 MiB, and one more at its peak for each process before. */
const held = (at: string, process: number): SiteSpec => ({
  at,
  process,
  verdict: "held",
  live: { bytes: MiB, count: 1 },
  peak: { bytes: (process + 1) * MiB, count: 2 },
});

describe("every answer", () => {
  const cases = Object.entries(situations).flatMap(([situation, spec]) =>
    Object.keys(ANSWERS).map((name) => [situation, name, spec] as const),
  );

  test.each(cases)("%s: %s is a plain JSON value", (_, name, spec) => {
    const answer = ANSWERS[name](recordingOf(spec));
    // NaN and undefined would not survive.
    expect(JSON.parse(JSON.stringify(answer))).toEqual(answer);
    expect(answer).toMatchObject({ schema: 1, program: { argv: expect.any(Array) }, recording: { complete: true } });
  });

  test.each(cases)("%s: %s does not invent a 0 for what was not measured", (_, name, spec) => {
    const unmeasured = Object.fromEntries(
      ["pid", "exitCode", "signal", "seconds", "limitBytes", "oomKills", "agentBytes", "agentCpuSeconds"].map((key) => [
        key,
        Number.NaN,
      ]),
    );
    const r = recordingOf({
      ...spec,
      facts: { ...spec.facts, ...unmeasured, recorderCpuSeconds: Number.NaN, recorderRssBytes: Number.NaN },
      processes: (spec.processes ?? []).map((process) =>
        Object.assign({}, process, { peakRss: Number.NaN, peakAt: Number.NaN, end: Number.NaN }),
      ),
    });
    const text = JSON.stringify(ANSWERS[name](r));
    for (const key of ["pid", "exitCode", "seconds", "agentBytes"]) expect(text).toContain(`"${key}":null`);
    if (name === "explain") expect(text).toContain('"rssBytes":null');
    if (name === "processes") expect(text).toContain('"peakRssBytes":null');
  });

  test("of a damaged table is a sentence, whichever answer meets it", () => {
    const bytes = writeRecording(tablesOf(recycled));
    const broken = bytes.slice();
    for (let at = 64; at < broken.length - 2000; at += 97) broken[at] ^= 0x55;
    let refused = 0;
    for (const answer of Object.values(ANSWERS)) {
      try {
        answer(opened(broken));
      } catch (error) {
        expect(error).toBeInstanceOf(TideError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe("who ran", () => {
  const { program, recording } = explain(recordingOf(service));

  test("is told with the interpreter, the time and the way of recording", () => {
    expect(program).toMatchObject({
      argv: ["python3", "server.py", "--port", "0"],
      python: "CPython 3.12.1",
      exitCode: 0,
      seconds: 250,
      ending: null,
    });
    expect(recording).toMatchObject({ mode: "sampled", intervalBytes: 64 * KiB, notMeasured: ["Memory on the GPU."] });
    expect(explain(recordingOf(recycled)).recording).toMatchObject({ mode: "exact", intervalBytes: 0 });
    expect(explain(recordingOf(pages)).recording).toMatchObject({ mode: "pages", intervalBytes: null });
  });

  test("and how it ended, by whose hand", () => {
    const sigkill = { signal: 9, exitCode: Number.NaN, seconds: 41.7 };
    expect(endingOf({ exitCode: 3 })).toBe("exit status 3");
    expect(endingOf({ signal: 11, exitCode: Number.NaN })).toBe("killed by SIGSEGV after 2.50 s");
    expect(endingOf({ signal: 40, exitCode: Number.NaN })).toBe("killed by SIG40 after 2.50 s");
    expect(endingOf({ ...sigkill, oomKills: 1, limitBytes: 4 * GiB, limitKind: "cgroup" })).toBe(
      "killed by SIGKILL after 41.7 s: the cgroup limit of 4.00 GiB was reached (oom_kill 1)",
    );
    expect(endingOf({ ...sigkill, oomKills: 1 })).toBe(
      "killed by SIGKILL after 41.7 s: the machine was out of memory (oom_kill 1)",
    );
    expect(endingOf(sigkill)).toBe("killed by SIGKILL after 41.7 s; not by the kernel's out-of-memory killer");
    expect(endingOf({ ...sigkill, oomKills: Number.NaN })).toBe("killed by SIGKILL after 41.7 s");
  });

  test("an adaptive run that sampled longer before says what a sample stood for", () => {
    const site: SiteSpec = {
      at: "main.py:3",
      verdict: "recycled",
      allocated: { bytes: 400 * MiB, count: 9e5, sampled: 400, variance: 1 },
    };
    const { recording } = explain(recordingOf({ processes: [{ intervalBytes: 64 * KiB }], sites: [site] }));
    expect(recording.intervalBytes).toBe(MiB);
  });
});

describe("the peak", () => {
  test("is set against a limit that somebody set, and against the machine only when it comes near", () => {
    const process = { peakRss: 10 * MiB, peakAt: 1 };
    expect(claim({ processes: [process] })).toBe("Peak 10.0 MiB resident, at 1.00 s.");
    expect(claim({ processes: [process], facts: { limitBytes: 20 * MiB, limitKind: "cgroup" } })).toBe(
      "Peak 10.0 MiB resident, at 1.00 s; 50 % of the 20.0 MiB limit (cgroup).",
    );
    expect(claim({ processes: [{ ...process, peakRss: 12 * GiB }] })).toBe(
      "Peak 12.0 GiB resident, at 1.00 s; 75 % of the 16.0 GiB of memory.",
    );
  });

  test("is a lower bound when nobody looked at the very end, and unknown when nobody looked at all", () => {
    expect(claim({ processes: [{ peakFinal: 0 }] })).toMatch(/^Peak at least 10\.1 MiB resident/);
    expect(claim({ processes: [{ peakRss: Number.NaN }] })).toMatch(/^The peak is not known/);
  });

  test("names those whose blocks were alive at its instant, largest first", () => {
    const { peak } = explain(recordingOf(killed));
    expect(peak.sites.map(({ site, bytes }) => [site.function, site.line, bytes])).toEqual([
      ["fit", 88, 3.1 * GiB],
      ["<module>", 14, 0.61 * GiB],
    ]);
    expect(peak.heapBytes).toBeCloseTo(3.71 * GiB, -3);
  });

  test("is that of the process with the highest one; the sum of all stands beside it", () => {
    const { peak } = explain(recordingOf(children));
    expect(peak).toMatchObject({ pid: 1201, rssBytes: 48 * MiB, together: { measure: "rss" } });
    // Some twenty workers live at a time beside the parent.
    expect(peak.together!.bytes / MiB).toBeGreaterThan(200);
    expect(explain(recordingOf(recycled)).peak.together).toBeNull();
  });

  test("sums PSS when every sample has it", () => {
    const samples = [0, 1].map((process) => ({ process, time: 1, rss: 30 * MiB, pss: 16 * MiB }));
    const { peak } = explain(recordingOf({ processes: [{}, { pid: 5, parentPid: 1201 }], samples }));
    expect(peak.together).toEqual({ bytes: 32 * MiB, atSeconds: 1, measure: "pss" });
  });
});

describe("sites", () => {
  test("are named by the user's own line, and show the library line that asked and the callers", () => {
    const [{ site }] = leaks(recordingOf(service)).sites;
    expect(site).toMatchObject({ id: "s1", file: "/home/ann/app/app/report.py", line: 31, function: "Report.total" });
    expect(site.inner).toMatchObject({ line: 12, function: "load", package: "fast" });
    expect(site.stack.map(({ line }) => line)).toEqual([31, 58, 99, 104]);
    expect(site.stackDepth).toBe(4);
  });

  test("keep at most 64 frames of a deep stack and tell how deep it was", () => {
    const from = Array.from({ length: 500 }, () => "main.py:9 down").concat("main.py:12");
    const [{ site }] = leaks(
      recordingOf({ sites: [{ at: "main.py:8 down", from, verdict: "held", live: { bytes: MiB, count: 9 } }] }),
    ).sites;
    expect(site.stack.length).toBe(64);
    expect(site.stackDepth).toBe(502);
  });

  test("have the same handles in every answer, worst first", () => {
    const r = recordingOf(service);
    const byLine = new Map(leaks(r).sites.map(({ site }) => [site.line, site.id]));
    expect([...byLine]).toEqual([
      [31, "s1"],
      [9, "s2"],
      [58, "s3"],
    ]);
    for (const { site } of explain(r).findings) expect(site.id).toBe(byLine.get(site.line));
    for (const { site } of explain(r).peak.sites) expect(site.id).toBe(byLine.get(site.line));
    for (const { line, site } of lines(r).files.flatMap((file) => file.lines)) expect(site).toBe(byLine.get(line));
  });

  test("can be asked for by handle or by place", () => {
    const r = recordingOf(service);
    for (const selector of ["s1", "app/report.py:31", "report.py:31", "/home/ann/app/app/report.py:31"]) {
      expect(leaks(r, selector).sites.map(({ site }) => site.id)).toEqual(["s1"]);
    }
    for (const selector of ["s9", "report.py:32", "port.py:31", "report.py", ""])
      expect(leaks(r, selector).sites).toEqual([]);
  });

  test("alone come with their live bytes over time", () => {
    const r = recordingOf(service);
    expect(leaks(r, "s1").curve).toHaveLength(100);
    expect(leaks(r, "s2").curve).toEqual([]);
    expect(leaks(r).curve).toBeNull();
  });

  test("that several processes ran are one entry: the worst process, and how many there were", () => {
    const [report, ...others] = leaks(recordingOf(children)).sites;
    expect(report).toMatchObject({ pid: 2199, processes: 201, peak: { bytes: 6 * MiB } });
    expect(others).toEqual([]);
  });
});

describe("findings", () => {
  test("begin with what grows, and leave out what is below the floor", () => {
    expect(explain(recordingOf(service)).findings.map(({ verdict, growing }) => [verdict, growing])).toEqual([
      ["undecided", true],
      ["bounded cache", false],
      ["recycled", false],
    ]);
    expect(explain(recordingOf(recycled)).findings).toHaveLength(1);
  });

  test("carry the growth of a turn with its interval", () => {
    const [{ growth, units, calls }] = explain(recordingOf(service)).findings;
    expect(growth).toMatchObject({ bytesPerUnit: 16.4 * KiB, low: 16.1 * KiB, high: 16.7 * KiB, unitKind: "call" });
    expect([units, calls]).toEqual([30_120, 30_120]);
  });

  test("of a sampled run have intervals, those of blocks that are always recorded are exact", () => {
    const sites: SiteSpec[] = [
      {
        at: "main.py:1 a",
        verdict: "held",
        live: { bytes: 8 * MiB, count: 100, sampled: 128, variance: 8 * MiB * 64 * KiB },
      },
      { at: "main.py:2 b", verdict: "held", live: { bytes: 4 * MiB, count: 1 } },
      {
        at: "main.py:3 c",
        verdict: "recycled",
        live: { bytes: 0, count: 0 },
        peak: { bytes: MiB, count: 16, sampled: 16, variance: MiB * 64 * KiB },
      },
      { at: "main.py:4 d", verdict: "recycled", live: { bytes: 0, count: 0 }, peak: { bytes: 40 * KiB, count: 1 } },
    ];
    const [a, b, c, d] = leaks(recordingOf({ processes: [{ intervalBytes: 64 * KiB }], sites })).sites;
    expect(a.live.low).toBeLessThan(7 * MiB);
    expect(a.live.high).toBeGreaterThan(9 * MiB);
    expect(b.live).toEqual({ bytes: 4 * MiB, low: 4 * MiB, high: 4 * MiB, count: 1 });
    // Nothing left behind was seen; that is a bound, not a 0, unless every block would have been seen.
    expect(c.live.bytes).toBe(0);
    expect(c.live.high).toBeCloseTo(3 * 64 * KiB, -3);
    expect(d.live).toEqual({ bytes: 0, low: 0, high: 0, count: 0 });
  });
});

describe("the summary", () => {
  test("says that nothing grew only when that was seen", () => {
    expect(summary(recycled)).toBe("Nothing grew.");
    expect(summary(small)).toBe("Nothing grew: no line had 16.0 KiB or more at a time.");
    expect(summary(service)).toBeNull();
    expect(summary(pages)).toBeNull();
    expect(summary({ ...recycled, processes: [{ dropped: 12 }] })).toBeNull();
    const worker = { pid: 7, parentPid: 1201, recorded: 0, reason: "free-threaded CPython 3.13" };
    expect(summary({ ...recycled, processes: [{}, worker] })).toBe("Nothing grew in the processes that were recorded.");
  });

  test("does not call a list that grows on purpose nothing", () => {
    const site: SiteSpec = {
      at: "main.py:3",
      verdict: "held",
      live: { bytes: MiB, count: 9 },
      features: { growthPerUnit: 1000, unit: 2, units: 99 },
    };
    expect(summary({ sites: [site] })).toBe("Nothing grew but what is held on purpose.");
    expect(summary({ sites: [{ ...site, verdict: "bounded cache" }] })).toBeNull();
  });
});

describe("what was not seen", () => {
  test("is what the recording says and what its tables lack", () => {
    const worker = { parentPid: 1201, recorded: 0, reason: "musl" };
    const spec: ProgramSpec = {
      facts: { complete: 0 },
      notMeasured: ["The GPU."],
      processes: [
        { dropped: 3 },
        { pid: 7, ...worker },
        { pid: 8, ...worker },
        { pid: 9, ...worker, reason: "no Python ran in it (sh)" },
      ],
    };
    expect(explain(recordingOf(spec)).unknown).toEqual([
      "The GPU.",
      "The lines of 2 processes (7 and others): musl.",
      "3 events of the program could not be kept: amounts can be wrong by these blocks.",
      "What came after the recording broke off.",
    ]);
  });
});

const undecided = (live: number, growthPerUnit = Number.NaN): SiteSpec => ({
  at: `main.py:${live} f`,
  verdict: "undecided",
  live: { bytes: live, count: 9 },
  features: { growthPerUnit, unit: 1, units: 99 },
});

describe("what is undecided", () => {
  test("asks for attention when it grows, or is a part that one would notice; growth stands first", () => {
    const sites = [undecided(20 * KiB), undecided(400 * KiB), undecided(30 * KiB, 300)];
    const { findings, summary } = explain(recordingOf({ sites }));
    expect(findings.map(({ bytes, attention }) => [bytes, attention])).toEqual([
      [30 * KiB, true],
      [400 * KiB, true],
      [20 * KiB, false],
    ]);
    expect(summary).toBeNull();
  });

  test("is never called nothing, however small", () => {
    const { findings, summary } = explain(recordingOf({ sites: [undecided(20 * KiB)] }));
    expect(findings[0].attention).toBe(false);
    expect(summary).toBeNull();
  });
});

test("blocks larger than what is resident are told as such", () => {
  const site: SiteSpec = { at: "main.py:1", verdict: "held", live: { bytes: 64 * MiB, count: 2 } };
  expect(explain(recordingOf({ sites: [site] })).unknown).toEqual([
    "Which part of the 64.0 MiB of blocks at the peak was in use: untouched pages are not resident.",
  ]);
  expect(explain(recordingOf({ sites: [site], processes: [{ peakRss: 90 * MiB }] })).unknown).toEqual([]);
});

describe("lines", () => {
  test("stand in their source, with two lines around each", () => {
    const [file] = lines(recordingOf(recycled)).files;
    expect(file.path).toBe("/home/ann/app/recycled.py");
    expect(file.lines.map(({ line, source, verdict, site }) => [line, source, verdict, site])).toEqual([
      [2, "", null, null],
      [3, "def eatmemory():", null, null],
      [4, "  x = [0] * 100000", "recycled", "s1"],
      [5, "  print('Memory usage after x created')", "minor", "s2"],
      [6, "", null, null],
      [7, "print('Memory usage initially')", null, null],
    ]);
    expect(file.lines[2]).toMatchObject({
      peak: { bytes: 800_056 },
      live: { bytes: 0 },
      allocated: { bytes: 2_400_168 },
      calls: 3,
    });
    expect(file.lines[1]).toMatchObject({ peak: null, live: null, allocated: null, calls: null });
  });

  test("can be the whole file", () => {
    const [file] = lines(recordingOf(recycled), { context: Infinity }).files;
    expect(file.lines).toHaveLength(10);
  });

  test("of several sites add up; of several processes, what was made adds up", () => {
    const sites = [held("main.py:3 f", 0), held("main.py:3 f", 1), held("main.py:3 <lambda>", 0)];
    const [
      {
        lines: [line],
      },
    ] = lines(recordingOf({ processes: [{}, { pid: 7 }], sites })).files;
    expect(line.live).toMatchObject({ bytes: 2 * MiB, count: 2 });
    expect(line.peak).toMatchObject({ bytes: 2 * MiB });
    expect(line.allocated).toMatchObject({ bytes: 4 * MiB });
  });

  test("of libraries are shown when asked for, or when there is nothing else", () => {
    const library = {
      at: "/usr/lib/python3.11/site-packages/numpy/core.py:5 ones",
      owner: 1,
      package: "numpy",
      live: { bytes: MiB, count: 1 },
    };
    const r = recordingOf({ sites: [library, { at: "main.py:1", live: { bytes: 10, count: 1 } }] });
    expect(lines(r).files.map(({ path }) => path)).toEqual(["/home/ann/app/main.py"]);
    expect(lines(r, { selector: "numpy/core.py" }).files).toHaveLength(1);
    expect(lines(r, { selector: "umpy/core.py" }).files).toEqual([]);
    expect(lines(recordingOf({ sites: [library] })).files).toHaveLength(1);
  });

  test("that were not judged still show what was made and left", () => {
    const [
      {
        lines: [line],
      },
    ] = lines(recordingOf({ sites: [{ at: "main.py:1", live: { bytes: 10, count: 1 } }] })).files;
    expect(line).toMatchObject({ peak: null, live: { bytes: 10 }, verdict: null, site: "s1" });
  });
});

describe("RSS over time", () => {
  test("keeps the highest of each part, and the last", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 600 }), (values) => {
        const r = recordingOf({ rss: values.map((value, i) => [i * 0.01, value * MiB]) });
        const { points } = explain(r).rss!;
        expect(points.length).toBeLessThanOrEqual(121);
        expect(Math.max(...points.map(({ rssBytes }) => rssBytes))).toBe(Math.max(...values) * MiB);
        expect(points[points.length - 1]).toEqual({
          seconds: (values.length - 1) * 0.01,
          rssBytes: values[values.length - 1] * MiB,
        });
        expect(points.map(({ seconds }) => seconds)).toEqual(
          points.map(({ seconds }) => seconds).toSorted((a, b) => a - b),
        );
      }),
      { numRuns: 50 },
    );
  });

  test("leaves out what was not read", () => {
    const r = recordingOf({
      rss: [
        [0, Number.NaN],
        [1, MiB],
      ],
    });
    expect(explain(r).rss!.points).toEqual([{ seconds: 1, rssBytes: MiB }]);
    expect(timeline(r).processes[0].points[0]).toMatchObject({ seconds: 0, rssBytes: null, pssBytes: null });
  });
});

test("processes tell their interpreter from its version number", () => {
  const hexes = [0x030b07f0, 0x030f00a2, 0x030e00c3, 0];
  const r = recordingOf({ processes: hexes.map((pythonHex, i) => ({ pid: 10 + i, pythonHex })) });
  expect(processes(r).processes.map(({ python }) => python)).toEqual([
    "CPython 3.11.7",
    "CPython 3.15.0a2",
    "CPython 3.14.0rc3",
    null,
  ]);
});

const startup = (live: number): SiteSpec => ({
  at: "/usr/lib/python3.11/typing.py:864 ForwardRef.__init__",
  owner: 2,
  verdict: "undecided",
  live: { bytes: live, count: 900 },
  features: { growthPerUnit: 300, unit: 1, units: 900 },
});
const ownLine: SiteSpec = {
  at: "main.py:3",
  verdict: "recycled",
  live: { bytes: 0, count: 0 },
  peak: { bytes: 64 * KiB, count: 1 },
};

describe("memory that no line of the program led to", () => {
  test("asks for no attention while it is small, and stands behind the program's own lines", () => {
    const { findings, summary, peak } = explain(recordingOf({ sites: [startup(300 * KiB), ownLine] }));
    expect(findings.map(({ site, attention }) => [site.id, site.own, attention])).toEqual([
      ["s1", true, false],
      ["s2", false, false],
    ]);
    expect(summary).toBe("Nothing grew.");
    expect(peak.elsewhere).toMatchObject({ bytes: 300 * KiB, count: 900 });
  });

  test("asks for attention when it is much", () => {
    const { findings, summary } = explain(recordingOf({ sites: [startup(3 * MiB), ownLine] }));
    expect(findings[0]).toMatchObject({ site: { own: false }, attention: true });
    expect(summary).toBeNull();
  });
});
