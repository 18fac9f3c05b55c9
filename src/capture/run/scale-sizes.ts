/**
 * Which size to run next. From the base upward until the growth shows above the noise, then in steps that are never doublings: a doubling grid
 * meets the same phase of a table that doubles every time (error 19 % instead of 0.1 % in simulations). Pure: the same runs give the same next size.
 */

/** What is known of the sizes that were run. */
export interface Tried {
  readonly n: number;
  readonly peakBytes: number;
  readonly seconds: number;
  /** false: stopped or failed; larger sizes are not tried */
  readonly ended: boolean;
}

export interface SizeLimits {
  /** No size above: the target, or what the user allows. */
  readonly most: number;
  /** Seconds for all runs, and those that are gone. */
  readonly seconds: number;
  readonly spent: number;
  /** A run may take that much. */
  readonly bytes: number;
}

export type Next =
  | { readonly n: number; readonly why: "start" | "visible" | "step" | "between" }
  | { readonly n: null; readonly why: "enough" | "time" | "memory" | "target" };

/** 15 times the noise of equal runs (200 KiB). */
export const VISIBLE_BYTES = 3 * 1024 * 1024;
/** The first visible growth should not be much more than that, or the small sizes are lost to the fit. */
const FIRST_AT_MOST = 5 * VISIBLE_BYTES;
const AIM_BYTES = 1.3 * VISIBLE_BYTES;
/** Below this nothing is seen: steps are large. */
const NOISE_BYTES = 0.3 * 1024 * 1024;
const BLIND_STEP = 8;
const RATIO = 1.75;
const JITTER = 0.08;
/** Sizes with visible growth, the largest near enough to the target. */
export const SIZES = 8;
/** The fit refuses fewer. */
export const LEAST_SIZES = 5;
const START = 16;
/** A larger step than this from the largest run to the target needs no more runs near it. */
const NEAR_TARGET = 3;
const LEAST_RATIO = 1.12;
const MOST_SIZE = 1e15;

/** `tried` in any order. `start`: the smallest size, undefined: chosen. */
export function nextSize(tried: readonly Tried[], limits: SizeLimits, start?: number): Next {
  const all = [...tried].sort((a, b) => a.n - b.n);
  if (all.length === 0) return { n: start ?? firstSize(limits.most), why: "start" };
  const good = all.filter((each) => each.ended);
  const bad = all.filter((each) => !each.ended && each.n >= (good.at(-1)?.n ?? 0));
  const ceiling = Math.min(limits.most, ...bad.map((each) => each.n / 1.02), MOST_SIZE);
  if (good.length === 0) return { n: null, why: "memory" };
  const base = Math.min(...good.map((each) => each.peakBytes));
  const visible = good.filter((each) => each.peakBytes - base >= VISIBLE_BYTES);
  const last = good.at(-1)!;
  const timeFor = (n: number): boolean => limits.spent + secondsAt(good, n) <= limits.seconds;
  const step = (n: number, why: "visible" | "step" | "between"): Next => {
    const whole = Math.round(n);
    if (all.some((each) => each.n === whole)) return { n: null, why: "enough" };
    return timeFor(whole) ? { n: whole, why } : { n: null, why: "time" };
  };
  if (visible.length === 0) {
    if (bad.length > 0) return between(all, ceiling, step);
    if (last.n >= ceiling * 0.999) return { n: null, why: "target" };
    return step(Math.min(searchStep(last, base, good), ceiling), "visible");
  }
  const first = visible[0];
  const below = good.findLast((each) => each.n < first.n);
  // The jump to the first visible size was too long: look between, twice at most.
  if (below && first.peakBytes - base > FIRST_AT_MOST && first.n > below.n * 2 && good.length < 12)
    return step(Math.sqrt(below.n * first.n), "visible");
  if (visible.length >= SIZES) return { n: null, why: "enough" };
  const grown = good.filter((each) => each.peakBytes - base > NOISE_BYTES);
  const ratio = ratioFor(visible[0].n, grown, base, ceiling) * jitter(visible.length);
  const n = last.n * Math.max(ratio, LEAST_RATIO);
  if (n > ceiling || bad.length > 0) {
    const near = last.n * LEAST_RATIO < ceiling && bad.length === 0 && limits.most / last.n > NEAR_TARGET;
    if (near) return step(last.n * LEAST_RATIO, "step");
    return good.length < SIZES ? between(all, ceiling, step) : { n: null, why: bad.length > 0 ? "memory" : "target" };
  }
  if (bytesAt(grown, base, n) > limits.bytes && visible.length >= LEAST_SIZES) return { n: null, why: "memory" };
  return step(n, "step");
}

function firstSize(most: number): number {
  return Math.max(1, Math.min(START, Math.floor(most / 1000)));
}

/** Towards the first size at which the growth shows. */
function searchStep(last: Tried, base: number, good: readonly Tried[]): number {
  const grown = last.peakBytes - base;
  if (grown < NOISE_BYTES || good.length < 2) return last.n * BLIND_STEP;
  return last.n * Math.min(Math.max(AIM_BYTES / grown, 1.5), BLIND_STEP);
}

/** The middle of the widest gap below the ceiling. */
function between(all: readonly Tried[], ceiling: number, step: (n: number, why: "between") => Next): Next {
  const sizes = all.filter((each) => each.ended).map((each) => each.n);
  if (ceiling > sizes.at(-1)! * LEAST_RATIO) sizes.push(ceiling);
  let best = { ratio: LEAST_RATIO ** 2, n: NaN };
  for (let i = 1; i < sizes.length; i++) {
    const ratio = sizes[i] / sizes[i - 1];
    // Gaps above count more: the growth is seen there.
    const weighed = ratio * (1 + i / sizes.length);
    if (ratio > LEAST_RATIO ** 2 && weighed > best.ratio)
      best = { ratio: weighed, n: Math.sqrt(sizes[i] * sizes[i - 1]) };
  }
  return Number.isNaN(best.n) ? { n: null, why: "enough" } : step(best.n, "between");
}

/** Steps are smaller where the memory grows faster than n, and where the target is near. */
function ratioFor(first: number, grown: readonly Tried[], base: number, ceiling: number): number {
  const exponent = exponentOf(grown.map((each) => [each.n, each.peakBytes - base]));
  const steep = RATIO ** Math.min(1, 1.3 / Math.max(exponent, 1));
  const reach = ceiling / NEAR_TARGET / first;
  const near = reach > 1 ? reach ** (1 / (SIZES - 1)) : LEAST_RATIO;
  return Math.min(steep, Math.max(near, LEAST_RATIO * 1.05));
}

/** Fixed and without a pattern: 0.92 to 1.08. */
function jitter(i: number): number {
  const golden = (i * 0.6180339887498949) % 1;
  return 1 - JITTER + 2 * JITTER * golden;
}

/** Of the last two points that differ; 1 when there are too few. */
function exponentOf(points: readonly (readonly [number, number])[]): number {
  if (points.length < 2) return 1;
  const [a, b] = points.slice(-2);
  const exponent = Math.log(b[1] / a[1]) / Math.log(b[0] / a[0]);
  return Number.isFinite(exponent) ? Math.min(Math.max(exponent, 0), 4) : 1;
}

function bytesAt(grown: readonly Tried[], base: number, n: number): number {
  const last = grown.at(-1)!;
  const exponent = Math.max(exponentOf(grown.map((each) => [each.n, each.peakBytes - base])), 1);
  return base + (last.peakBytes - base) * (n / last.n) ** exponent;
}

/** Equal runs differ by that much: starting, and whatever else the machine does. */
const NOISE_SECONDS = 0.5;

/**
 * What a run at n is likely to take: the last one's time beyond that of the smallest, grown as times that are more than noise grew last. A
 * power read off noise would forbid every larger run (0.4 s and 0.7 s look like n^3 beyond a start of 0.4 s).
 */
export function secondsAt(good: readonly Tried[], n: number): number {
  const last = good.at(-1)!;
  const idle = Math.min(...good.map((each) => each.seconds));
  const seen = good.filter((each) => each.seconds - idle > Math.max(NOISE_SECONDS, idle));
  const exponent = Math.max(exponentOf(seen.map((each) => [each.n, each.seconds - idle])), 1);
  return idle + Math.max(last.seconds - idle, 0) * (n / last.n) ** exponent;
}
