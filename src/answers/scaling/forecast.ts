/** Quantiles of a fit's draws at a size, the size that fits a limit, the forecast's own test, and when no number is given. */
import { quantileSorted } from "simple-statistics";
import { formatBytes, formatCount } from "../../base/format.ts";
import { MAX_TERMS, fit } from "./fit.ts";
import type { Fit } from "./fit.ts";
import { termAt } from "./models.ts";
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
  const values = sortedAt(fitted, n, true);
  const part = {
    n,
    bytes: quantileSorted(values, 0.5),
    low: quantileSorted(values, LOW),
    high: quantileSorted(values, HIGH),
    factor: n / fitted.largest,
  };
  const reached = fitted.bounds.filter((bound) => stopsAt(fitted, bound) < n);
  return {
    ...part,
    refused: refusalOf(fitted, part),
    capped: reached.length === 0 ? null : reached.map((bound) => boundText(fitted, bound)).join("; "),
    cautions: cautionsOf(fitted, part),
  };
}

/** What the draws say at n, ascending; `capped`: with the bounds that the program states. */
function sortedAt(fitted: Fit, n: number, capped: boolean): number[] {
  const { draws, models, largest, smallestPeak } = fitted;
  const terms = models.map(({ model }) => model.terms.map((term) => termAt(term, n, largest)));
  const lowest = smallestPeak - BELOW * draws.noiseFloor;
  const caps = capped ? fitted.bounds.map((bound) => capOf(fitted, bound, n)).filter((cap) => cap !== null) : [];
  const out: number[] = Array.from({ length: draws.count });
  for (let i = 0; i < draws.count; i++) {
    const x = terms[draws.model[i]];
    let mu = 0;
    for (let j = 0; j < x.length; j++) mu += draws.coefficients[i * MAX_TERMS + j] * x[j];
    for (const cap of caps) mu = Math.max(mu - cap.removed, cap.floor(i));
    const varying = draws.noiseShare * Math.max(mu - smallestPeak, 0);
    out[i] = Math.max(mu + draws.noise[i] * Math.sqrt(draws.noiseFloor ** 2 + varying ** 2), lowest);
  }
  return out.sort((a, b) => a - b);
}

/** Size at which a bound is full, if it goes on filling as it did: never less than the largest that was run. */
function stopsAt(fitted: Fit, bound: Bound): number {
  if (!(bound.fill > 0)) return Infinity;
  return fitted.largest * Math.max(bound.limit / bound.fill, 1);
}

/** What a full bound takes off a draw at n, and what it may not fall below: the same draw where the bound is reached. */
function capOf(fitted: Fit, bound: Bound, n: number): { removed: number; floor: (draw: number) => number } | null {
  const end = stopsAt(fitted, bound);
  if (n <= end) return null;
  const terms = fitted.models.map(({ model }) => model.terms.map((term) => termAt(term, end, fitted.largest)));
  const floor = (i: number): number => {
    const x = terms[fitted.draws.model[i]];
    return x.reduce((sum, value, j) => sum + fitted.draws.coefficients[i * MAX_TERMS + j] * value, 0);
  };
  const removed = bound.bytes === undefined ? Infinity : (bound.bytes * (n - end)) / fitted.largest;
  return { removed, floor };
}

function boundText(fitted: Fit, bound: Bound): string {
  const end = formatCount(Math.round(stopsAt(fitted, bound)));
  return bound.fill >= bound.limit
    ? `${bound.what} is full (${formatCount(bound.limit)}): it has stopped growing`
    : `${bound.what}, ${formatCount(bound.fill)} of ${formatCount(bound.limit)}: stops growing at n = ${end}, if it goes on filling`;
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
      text: `It does not fit in ${limit}: n = ${formatCount(smallest.n)} already took ${formatBytes(smallest.bytes)}.`,
    };
  }
  const end = farthest(fitted);
  const n = crossing(fitted, limitBytes, end, (each) => each.high);
  if (n === null)
    return {
      ...base,
      text: `It does not fit in ${limit} with 95 % safety, not even at n = ${formatCount(smallest.n)}.`,
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
    ? `It fits at least up to n = ${formatCount(whole)} (with 95 % safety); farther than that these runs cannot tell.`
    : `It fits up to n = ${formatCount(whole)} (with 95 % safety).`;
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
  const range = `${formatBytes(told.bytes)} (${formatBytes(told.low)} to ${formatBytes(told.high)})`;
  return {
    n,
    measuredBytes: last.bytes,
    forecast: told,
    inside,
    text: `Test of this forecast: the run at n = ${formatCount(n)} was foretold as ${range}; it took ${formatBytes(last.bytes)}${inside ? "" : ", outside"}.`,
  };
}
