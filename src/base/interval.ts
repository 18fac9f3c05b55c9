/**
 * Intervals of sums that were estimated from a Poisson sample of blocks (docs/format.md, "Estimates").
 * Every block of size s was kept with probability p; the estimate adds s/p of those that were kept.
 */
import type { Interval } from "./format.ts";

/** What the tables keep of an estimate; see `AMOUNT` in tide/schema.ts. Sizes in bytes, `variance` in bytes squared. */
export interface Estimate {
  readonly bytes: number;
  readonly variance: number;
  /** blocks behind the estimate that had p < 1 */
  readonly sampled: number;
  /** the part of `bytes` from blocks that are always recorded */
  readonly exactBytes: number;
}

/** From this many sampled blocks on the normal approximation is good enough. */
const MANY = 30;
/** Two-sided 90 %. */
const Z = 1.6448536269514722;
/** -ln(0.05): when nothing was sampled, at most this many intervals' worth was there, 95 times of 100. */
const NOTHING_SEEN = 2.995732273553991;

/**
 * The 90 % interval of an estimate. `interval` is T, the mean bytes between samples (0: every block was recorded).
 * Many samples: normal. Few: the bounds of a Poisson count, in units of what one sample stands for. None: 0 to 3 T,
 * unless blocks that are always recorded were seen: those are then the whole of what is known, and exact.
 */
export function intervalOf(estimate: Estimate, interval: number): Interval {
  const { bytes, variance, sampled, exactBytes } = estimate;
  if (sampled === 0) {
    const high = bytes > 0 ? bytes : NOTHING_SEEN * interval;
    return { bytes, low: bytes, high };
  }
  if (sampled >= MANY) {
    const half = Z * Math.sqrt(variance);
    return { bytes, low: Math.max(exactBytes, bytes - half), high: bytes + half };
  }
  const sampledBytes = bytes - exactBytes;
  const perSample = sampledBytes > 0 ? variance / sampledBytes : 0;
  // The variance of a sum of blocks near the always-recorded size says less than their number does: never below the estimate itself.
  const low = exactBytes + 0.5 * chiSquareQuantile(0.05, 2 * sampled) * perSample;
  const high = exactBytes + 0.5 * chiSquareQuantile(0.95, 2 * sampled + 2) * perSample;
  return { bytes, low: Math.min(low, bytes), high: Math.max(high, bytes) };
}

/**
 * The value below which a chi-square variable with `freedom` degrees (even, >= 2) lies with probability `p`.
 * For even degrees the distribution is a finite Poisson sum, so bisection is exact to the last digits.
 */
export function chiSquareQuantile(p: number, freedom: number): number {
  let low = 0;
  let high = 1;
  while (chiSquareCumulative(high, freedom) < p) high *= 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (chiSquareCumulative(middle, freedom) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** P(X < x) = 1 - sum over i < freedom/2 of the Poisson probabilities with mean x/2. */
function chiSquareCumulative(x: number, freedom: number): number {
  let term = Math.exp(-x / 2);
  let sum = term;
  for (let i = 1; i < freedom / 2; i++) {
    term *= x / 2 / i;
    sum += term;
  }
  return 1 - sum;
}
