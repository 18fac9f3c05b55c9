/** Quantiles of a fit's draws at a size, the size that fits a limit, the forecast's own test, and when no number is given. */
import { quantileSorted } from "simple-statistics";
import { formatBytes, formatCount, formatLevels } from "../../base/format.ts";
import { MAX_TERMS, fit } from "./fit.ts";
import type { Fit } from "./fit.ts";
import { termAt } from "./models.ts";
import type { Model } from "./models.ts";
import { sizeText } from "./words.ts";
import { cautionsOf, refusalOf } from "./refusals.ts";
import type { Bound, FitOptions, Fitting, Forecast, Point, SelfTest } from "./types.ts";

const LOW = 0.05;
const HIGH = 0.95;
/** A peak is not foretold below the smallest one seen, less three times the noise. */
const BELOW = 3;
/** Halvings of log n: to a part in a million over a factor of 30. */
const HALVINGS = 24;

/** The peak at n with its 90 % interval. n > 0. The caller prints no number when `refused`. */
export function forecast(fitted: Fit, n: number): Forecast {
  const values = sortedAt(fitted, n);
  const low = quantileSorted(fitted.bounds.some(isFull) ? sortedAt(fitted, n, true) : values, LOW);
  const high = quantileSorted(values, HIGH);
  const part = { n, bytes: Math.min(Math.max(pointAt(fitted, n), low), high), low, high, factor: n / fitted.largest };
  const reached = fitted.bounds.filter((bound) => stopsAt(fitted, bound) < n);
  return {
    ...part,
    refused: refusalOf(fitted, part),
    capped: reached.length === 0 ? null : reached.map((bound) => boundText(fitted, bound)).join("; "),
    cautions: cautionsOf(fitted, part),
  };
}

/** What the draws say at n, ascending; `atMost`: as if what is full already had stopped growing at the largest run only. */
function sortedAt(fitted: Fit, n: number, atMost = false): number[] {
  const { draws, models, smallestPeak } = fitted;
  const lowest = smallestPeak - BELOW * draws.noiseFloor;
  const curves = models.map(({ model }) => curveOf(fitted, model, n, atMost));
  const out: number[] = Array.from({ length: draws.count });
  for (let i = 0; i < draws.count; i++) {
    const mu = curves[draws.model[i]](draws.coefficients, i * MAX_TERMS);
    const varying = draws.noiseShare * Math.max(mu - smallestPeak, 0);
    out[i] = Math.max(mu + draws.noise[i] * Math.sqrt(draws.noiseFloor ** 2 + varying ** 2), lowest);
  }
  return out.sort((a, b) => a - b);
}

/**
 * The best guess: the weighted median of what the fitted models say. Not the median of the draws: their guard terms can only add, so it lies
 * above the truth by a part of the interval's upper half.
 */
function pointAt(fitted: Fit, n: number): number {
  const values = fitted.models.map(({ model, coefficients, weight }) => ({
    value: curveOf(fitted, model, n)(coefficients, 0),
    weight,
  }));
  values.sort((a, b) => a.value - b.value);
  let sum = 0;
  for (const { value, weight } of values) {
    sum += weight;
    if (sum >= 0.5) return value;
  }
  return values[values.length - 1].value;
}

type Curve = (coefficients: Float64Array, offset: number) => number;

/** A model at n as a function of its coefficients, with the bounds that the program states. */
function curveOf(fitted: Fit, model: Model, n: number, atMost = false): Curve {
  const plain = at(model, n, fitted.largest);
  const full = fitted.bounds
    .map((bound) => ({ bound, end: atMost && isFull(bound) ? fitted.largest : stopsAt(fitted, bound) }))
    .filter(({ end }) => end < n);
  if (full.length === 0) return plain;
  // What would have been added beyond a bound is taken off, but never more than the model adds from there on.
  const caps = full.map(({ bound, end }) => ({
    removed: (bound.bytes * (n - end)) / fitted.largest,
    floor: at(model, end, fitted.largest),
  }));
  return (coefficients, offset) => {
    let mu = plain(coefficients, offset);
    for (const { removed, floor } of caps) mu = Math.max(mu - removed, Math.min(mu, floor(coefficients, offset)));
    return mu;
  };
}

function at(model: Model, n: number, largest: number): Curve {
  const x = model.terms.map((term) => termAt(term, n, largest));
  return (coefficients, offset) => {
    let sum = 0;
    for (let j = 0; j < x.length; j++) sum += coefficients[offset + j] * x[j];
    return sum;
  };
}

/**
 * Size at which a bound is full, if it goes on filling as it did. One that is full already stopped at a size that is not known, perhaps long ago: to take its
 * bytes off could take off the growth of others, so it moves the lower end only.
 */
function stopsAt(fitted: Fit, bound: Bound): number {
  return bound.fill > 0 && !isFull(bound) ? (fitted.largest * bound.limit) / bound.fill : Infinity;
}

function isFull(bound: Bound): boolean {
  return bound.fill >= bound.limit;
}

function boundText(fitted: Fit, bound: Bound): string {
  const end = sizeText(Math.round(stopsAt(fitted, bound)));
  return `${bound.what}, ${formatCount(bound.fill)} of ${formatCount(bound.limit)}: stops growing at n = ${end}, if it goes on filling`;
}

/** The largest size at which even the upper end stays within the limit. Looks no farther than a number may be given. */
export function largestFitting(fitted: Fit, limitBytes: number): Fitting {
  const limit = formatBytes(limitBytes);
  const base = { limitBytes, n: null, low: null, high: null, atLeast: false };
  const atLargest = forecast(fitted, fitted.largest);
  if (atLargest.refused) return { ...base, text: `What fits in ${limit} cannot be said: ${atLargest.refused.text}.` };
  const smallest = fitted.sizes[0];
  if (smallest.bytes > limitBytes) {
    return {
      ...base,
      text: `It does not fit in ${limit}: n = ${sizeText(smallest.n)} already took ${formatBytes(smallest.bytes)}.`,
    };
  }
  const end = farthest(fitted);
  const n = crossing(fitted, limitBytes, end, (each) => each.high);
  if (n === null)
    return {
      ...base,
      text: `It does not fit in ${limit} with 95 % safety, not even at n = ${sizeText(smallest.n)}.`,
    };
  const whole = Math.floor(n);
  const atLeast = n >= end;
  const found = {
    limitBytes,
    n: whole,
    low: atLeast ? null : crossing(fitted, limitBytes, end, (each) => each.bytes),
    high: atLeast ? null : crossing(fitted, limitBytes, end, (each) => each.low),
    atLeast,
  };
  const text = atLeast
    ? `It fits at least up to n = ${sizeText(whole)} (with 95 % safety); farther than that these runs cannot tell.`
    : `It fits up to n = ${sizeText(whole)} (with 95 % safety).`;
  return { ...found, low: below(found.low, end), high: below(found.high, end), text };
}

function below(n: number | null, end: number): number | null {
  return n === null || n >= end ? null : Math.floor(n);
}

/** The farthest size at which forecast() gives a number. */
function farthest(fitted: Fit): number {
  return bisect(fitted.largest, fitted.largest * 30, (n) => forecast(fitted, n).refused === null);
}

/** The largest n of [smallest size, end] with value <= limit; null: none. */
function crossing(fitted: Fit, limit: number, end: number, value: (each: Forecast) => number): number | null {
  const start = fitted.sizes[0].n;
  const fits = (n: number): boolean => value(forecast(fitted, n)) <= limit;
  if (fits(end)) return end;
  return fits(start) ? bisect(start, end, fits) : null;
}

/** The last n of [from, to] with `yes`, which holds at `from` and, once it fails, fails for good. */
function bisect(from: number, to: number, yes: (n: number) => boolean): number {
  if (yes(to)) return to;
  let [low, high] = [Math.log(from), Math.log(to)];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (yes(Math.exp(middle))) low = middle;
    else high = middle;
  }
  return Math.exp(low);
}

/** Leaves out the largest size that ran to its end and foretells it. null: too few sizes for that. */
export function selfTest(points: readonly Point[], options: FitOptions = {}): SelfTest | null {
  const finished = points.filter((point) => !point.censored);
  const n = Math.max(...finished.map((point) => point.n));
  const rest = finished.filter((point) => point.n < n);
  if (new Set(rest.map((point) => point.n)).size < 3) return null;
  const whole = fit(finished, { ...options, draws: 1 });
  const last = whole.sizes[whole.sizes.length - 1];
  if (last.n !== n) return null;
  const told = forecast(fit(rest, { ...options, bounds: [] }), n);
  const inside = last.bytes >= told.low && last.bytes <= told.high;
  const range = `${formatBytes(told.bytes)} (${formatLevels([told.low, told.high], " to ")})`;
  return {
    n,
    measuredBytes: last.bytes,
    forecast: told,
    inside,
    text: `Test of this forecast: the run at n = ${sizeText(n)} was foretold as ${range}; it took ${formatBytes(last.bytes)}${inside ? "" : ", outside"}.`,
  };
}
