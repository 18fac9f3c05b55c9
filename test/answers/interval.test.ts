import { describe, expect, test } from "vitest";
import { chiSquareQuantile, intervalOf } from "../../src/base/interval.ts";

/** A small generator with a fixed seed (mulberry32), so that the simulations below are the same everywhere. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Samples `sizes` as the agent does (p = 1 - exp(-size/T), always from 32 KiB on) and estimates their sum. */
function sample(sizes: readonly number[], T: number, random: () => number) {
  let [bytes, variance, sampled, exactBytes] = [0, 0, 0, 0];
  for (const size of sizes) {
    const p = size >= 32_768 ? 1 : 1 - Math.exp(-size / T);
    if (random() >= p) continue;
    bytes += size / p;
    if (p < 1) sampled++;
    else exactBytes += size;
    variance += (size * size * (1 - p)) / (p * p);
  }
  return { bytes, variance, sampled, exactBytes };
}

/** Share of `runs` samples whose 90 % interval holds the true sum. */
function coverage(sizes: readonly number[], T: number, runs: number): number {
  const random = randomNumbers(20_240_229);
  const truth = sizes.reduce((a, b) => a + b, 0);
  let held = 0;
  for (let run = 0; run < runs; run++) {
    const { low, high } = intervalOf(sample(sizes, T, random), T);
    if (low <= truth && truth <= high) held++;
  }
  return held / runs;
}

describe("chi-square quantiles", () => {
  test("agree with the printed tables", () => {
    const table: [number, number, number][] = [
      [0.05, 2, 0.1026],
      [0.95, 2, 5.9915],
      [0.05, 10, 3.9403],
      [0.95, 10, 18.307],
      [0.95, 12, 21.026],
      [0.05, 58, 41.492],
      [0.95, 60, 79.082],
    ];
    for (const [p, freedom, value] of table)
      expect(chiSquareQuantile(p, freedom)).toBeCloseTo(value, value < 1 ? 4 : 2);
  });
});

describe("intervals", () => {
  test("of an exact figure are the figure", () => {
    const exact = { bytes: 5000, variance: 0, sampled: 0, exactBytes: 5000 };
    expect(intervalOf(exact, 0)).toEqual({ bytes: 5000, low: 5000, high: 5000 });
    expect(intervalOf({ ...exact, bytes: 0, exactBytes: 0 }, 0)).toEqual({
      bytes: 0,
      low: 0,
      high: 0,
    });
  });

  test("of five samples reach from 0.39 to 2.1 times", () => {
    const T = 65_536;
    const { low, high } = intervalOf({ bytes: 5 * T, variance: 5 * T * T, sampled: 5, exactBytes: 0 }, T);
    expect(low / (5 * T)).toBeCloseTo(0.39, 2);
    expect(high / (5 * T)).toBeCloseTo(2.1, 2);
  });

  test("of nothing seen is below three times T", () => {
    const { low, high } = intervalOf({ bytes: 0, variance: 0, sampled: 0, exactBytes: 0 }, 512 * 1024);
    expect(low).toBe(0);
    expect(high / (512 * 1024)).toBeCloseTo(2.996, 3);
  });

  test("never reach below what was recorded for certain", () => {
    const { low } = intervalOf({ bytes: 1e6, variance: 1e12, sampled: 40, exactBytes: 9e5 }, 65_536);
    expect(low).toBe(9e5);
  });

  // The promise is 90 %; small samples have wider bounds on purpose, so more is fine and less is not.
  test.each([
    ["10 000 small blocks, hundreds of samples", Array.from({ length: 10_000 }, (_, i) => 64 + (i % 512)), 8192],
    ["4 000 small blocks, about 20 samples", Array.from({ length: 4000 }, (_, i) => 64 + (i % 512)), 65_536],
    ["500 small blocks, two samples", Array.from({ length: 500 }, (_, i) => 64 + (i % 512)), 65_536],
    ["blocks close to T", Array.from({ length: 300 }, (_, i) => 1000 + i * 60), 16_384],
    ["small blocks beside large ones", [...Array(3000).fill(500), 100_000, 2_000_000], 65_536],
  ])("hold the truth nine times of ten: %s", (_, sizes, T) => {
    const share = coverage(sizes, T, 1000);
    expect(share).toBeGreaterThan(0.87);
    expect(share).toBeLessThan(0.995);
  });
});
