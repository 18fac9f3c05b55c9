/** Programs that exist on paper: a peak as a function of n, run at the sizes that `tidegauge scale` chooses, with noise. Seeded. */
import { Random } from "../../src/answers/scaling/random.ts";
import type { Point } from "../../src/answers/scaling/types.ts";

export interface Simulated {
  readonly points: Point[];
  readonly largest: number;
  /** bytes at n, without noise */
  readonly peak: (n: number) => number;
  /** one run at n, with noise */
  readonly run: (n: number) => number;
}

const MEGA = 1e6;
const NOISE_FLOOR = 60 * 1024;

/** The part that varies, bytes at n; `b` is the size at which it takes 3 MB. */
type Family = (random: Random, b: number) => (n: number) => number;

function power(p: number, log: number): Family {
  return (_, b) => (n) => 3 * MEGA * (n / b) ** p * (Math.log2(n) / Math.log2(b)) ** log;
}

/** A table that multiplies its size by `step` when it is full. */
function stair(step: number, share: number): Family {
  return (random, b) => {
    const phase = random.uniform();
    return (n) =>
      3 *
      MEGA *
      (share * step ** (Math.ceil(Math.log(n / b) / Math.log(step) - phase) + phase) + (1 - share) * (n / b));
  };
}

export const FAMILIES: Record<string, Family> = {
  n: power(1, 0),
  "n^2": power(2, 0),
  "n log n": power(1, 1),
  "n^1.5": power(1.5, 0),
  "n^0.5": power(0.5, 0),
  "an exponent of its own, 0.5 to 2.5": (random, b) => power(0.5 + 2 * random.uniform(), 0)(random, b),
  "doubling table, 70 % of the growth": stair(2, 0.7),
  "list that grows by 1/8": stair(1.125, 1),
  "n and a late n^2": (random, b) => {
    const small = 10 ** (-4 + random.uniform());
    return (n) => 3 * MEGA * (n / b + small * (n / b) ** 2);
  },
  "plateau inside the runs": (random, b) => {
    const end = b * (4 + 4 * random.uniform());
    return (n) => (3 * MEGA * Math.min(n, end)) / b;
  },
  "plateau beyond the runs": (_, b) => (n) => (3 * MEGA * Math.min(n, b * 60)) / b,
};

export interface SimulateOptions {
  /** sizes with visible growth; one of the base alone comes first */
  readonly sizes?: number;
  /** standard deviation of a run relative to what varies */
  readonly noise?: number;
}

export function simulate(name: string, seed: number, { sizes = 7, noise = 0 }: SimulateOptions = {}): Simulated {
  const random = new Random(seed * 7_919 + 17);
  for (let i = 0; i < 8; i++) random.uniform();
  const base = (10 + 20 * random.uniform()) * MEGA;
  const b = Math.round(10 ** (3 + 2 * random.uniform()));
  const varying = FAMILIES[name](random, b);
  const peak = (n: number): number => base + varying(n);
  const run = (n: number): number => peak(n) + varying(n) * noise * random.normal() + NOISE_FLOOR * random.normal();
  const all = [Math.max(Math.round(b / 50), 2)];
  let n = b;
  for (let i = 0; i < sizes; i++) {
    all.push(Math.round(n));
    // 1.75 times as large, or less when the growth is faster than that.
    const jitter = 0.92 + 0.16 * random.uniform();
    const before = varying(n);
    let ratio = 1.75;
    while (ratio > 1.2 && varying(n * ratio) > 2.2 * before) ratio *= 0.97;
    n *= ratio * jitter;
  }
  const repeated = new Set([all[all.length - 1], all[Math.floor(all.length / 2)]]);
  const points = all.map((size): Point => {
    const repeats = Array.from({ length: repeated.has(size) ? 3 : 1 }, () => run(size));
    return { n: size, peakBytes: repeats[0], repeats };
  });
  return { points, largest: all[all.length - 1], peak, run };
}
