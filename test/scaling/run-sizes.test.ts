/** Which size is run next, on programs that are formulas. */
import { describe, expect, test } from "vitest";
import { fill, problemOf, runWords } from "../../src/capture/run/scale-command.ts";
import { nextSize, secondsAt, type SizeLimits, type Tried } from "../../src/capture/run/scale-sizes.ts";

const MIB = 1024 ** 2;
const FREE: SizeLimits = { most: 1e9, seconds: 600, spent: 0, bytes: 4096 * MIB };

/** Runs a formula until it is enough. */
function explore(peak: (n: number) => number, limits = FREE, seconds: (n: number) => number = () => 0.1) {
  const tried: Tried[] = [];
  let spent = 0;
  for (;;) {
    const next = nextSize(tried, { ...limits, spent }, undefined);
    if (next.n === null) return { sizes: tried.map(({ n }) => n), tried, why: next.why, spent };
    const bytes = peak(next.n);
    const ended = bytes <= limits.bytes;
    tried.push({ n: next.n, peakBytes: Math.min(bytes, limits.bytes), seconds: seconds(next.n), ended });
    spent += seconds(next.n);
    if (tried.length > 40) throw new Error(`no end: ${tried.map(({ n }) => n).join(" ")}`);
  }
}

const visibleOf = (tried: readonly Tried[]) => tried.filter(({ peakBytes }) => peakBytes >= 13 * MIB);

const ran = (...times: [n: number, seconds: number][]): Tried[] =>
  times.map(([n, seconds]) => ({ n, seconds, peakBytes: 10 * MIB, ended: true }));

describe("the time of a larger run", () => {
  test("is not a power that was read off noise", () => {
    expect(secondsAt(ran([100_000, 0.4], [300_000, 0.7]), 50_000_000)).toBeLessThan(60);
  });

  test("grows as times that are more than noise did", () => {
    // n^2 beyond a start of a second: at 4e4 it takes 161 s
    const seconds = secondsAt(ran([100, 1], [1e4, 11], [2e4, 41]), 4e4);
    expect(seconds).toBeGreaterThan(150);
    expect(seconds).toBeLessThan(170);
  });
});

describe("sizes are chosen", () => {
  test.each([
    ["n", (n: number) => 10 * MIB + 40 * n],
    ["n log n", (n: number) => 10 * MIB + 8 * n * Math.log2(n + 1)],
    ["n^2", (n: number) => 10 * MIB + n * n],
    ["n^3", (n: number) => 10 * MIB + n ** 3],
    ["the square root of n", (n: number) => 10 * MIB + 50_000 * Math.sqrt(n)],
  ])("from the noise upward, eight of them with visible growth: %s", (_, peak) => {
    const { tried, sizes } = explore(peak);
    expect(visibleOf(tried).length).toBeGreaterThanOrEqual(8);
    expect(new Set(sizes).size).toBe(sizes.length);
    // Not more than needed: the largest run stays small.
    expect(Math.max(...tried.map(({ peakBytes }) => peakBytes))).toBeLessThan(3072 * MIB);
  });

  test("never in doublings", () => {
    const { sizes } = explore((n) => 10 * MIB + 40 * n);
    const last = sizes.slice(-6);
    for (let i = 1; i < last.length; i++) {
      const ratio = last[i] / last[i - 1];
      expect(ratio).toBeGreaterThan(1.1);
      expect(ratio).toBeLessThan(1.95);
    }
    expect(new Set(last.map((n, i) => (i === 0 ? 0 : (n / last[i - 1]).toFixed(3)))).size).toBeGreaterThan(4);
  });

  test("not above the target", () => {
    const { sizes } = explore((n) => 10 * MIB + 40 * n, { ...FREE, most: 500_000 });
    expect(Math.max(...sizes)).toBeLessThanOrEqual(500_000);
  });

  test("up to the target where nothing grows", () => {
    const { sizes, why } = explore(() => 10 * MIB, { ...FREE, most: 1e6 });
    expect(why).toBe("target");
    expect(sizes.at(-1)).toBe(1e6);
    expect(sizes.length).toBeLessThan(9);
  });

  test("between those that ran, when a run had to be stopped", () => {
    const { tried } = explore((n) => 10 * MIB + 40 * n, { ...FREE, bytes: 60 * MIB });
    const stopped = tried.filter(({ ended }) => !ended);
    expect(stopped.length).toBeLessThanOrEqual(1);
    expect(visibleOf(tried).length).toBeGreaterThanOrEqual(5);
  });

  test("within the time", () => {
    const { spent, why } = explore(
      (n) => 10 * MIB + 40 * n,
      { ...FREE, seconds: 30 },
      (n) => 0.2 + n / 30_000,
    );
    expect(why).toBe("time");
    expect(spent).toBeLessThan(31);
  });
});

describe("a size is put", () => {
  const command = { words: ["a.py", "--rows={n}", "{n}"], env: [], stdin: undefined, make: undefined };

  test("into every place, as a whole number", () => {
    expect(fill(command, 1e21 / 1e6, "").words).toEqual(["a.py", "--rows=1000000000000000", "1000000000000000"]);
  });

  test("into the environment, the input, and the line that makes a file", () => {
    const all = {
      words: ["a.py", "{file}"],
      env: [["N", "{n}"]] as const,
      stdin: "{n} rows\n",
      make: "make {n} {file}",
    };
    expect(fill(all, 50, "/tmp/it's")).toEqual({
      words: ["a.py", "/tmp/it's"],
      env: { N: "50" },
      stdin: "50 rows\n",
      make: "make 50 '/tmp/it'\\''s'",
    });
    expect(problemOf(all)).toBeUndefined();
  });

  test.each([
    [{ words: ["a.py"] }, "no {n} in the program's words"],
    [{ words: ["a.py", "{file}"] }, "{file} needs --make"],
    [{ words: ["a.py", "{file}"], make: "make {file}" }, "no {n} in the line of --make"],
    [{ words: ["a.py", "{file}"], make: "make {n}" }, "no {file} in the line of --make"],
    [{ words: ["a.py", "{n}"], make: "make {n} {file}" }, "no {file} in the program's words"],
  ])("nowhere: %j", (part, problem) => {
    expect(problemOf({ ...command, ...part })).toContain(problem);
  });

  test("behind a script, a module or any command", () => {
    expect(runWords(["job.py", "{n}"], "/usr/bin")).toEqual(["job.py", "{n}"]);
    expect(runWords(["-m", "job", "{n}"], "/usr/bin")).toEqual(["-m", "job", "{n}"]);
    expect(runWords(["env", "python3", "job.py"], "/usr/bin")).toEqual(["--", "env", "python3", "job.py"]);
  });
});
