/**
 * What the forecast of the peak takes and gives. All sizes in bytes, `n` is the size of the input in the user's own unit, at least 1.
 * Everything here is a plain value that JSON can hold, except `Fit`, which also carries the draws.
 *
 *     fit(points, options)            -> Fit                 fit.ts       once per set of points; some 20 ms
 *     forecast(fit, n)                -> Forecast            forecast.ts  some 4 ms, for any n
 *     largestFitting(fit, limitBytes) -> Fitting             forecast.ts  bisection on forecast().high
 *     selfTest(points, options)       -> SelfTest | null     forecast.ts  the largest size left out and foretold
 *     siteCurves(points, n)           -> SiteCurve[]         sites.ts     owners at the peak, worst at `n` first
 */

/** One size that was run. */
export interface Point {
  readonly n: number;
  /** The peak: VmHWM at the end (PSS peak for a process tree). Of several runs: their median. With `censored`: the largest that was seen. */
  readonly peakBytes: number;
  /** The peaks of all runs at this size, the first included; absent or empty: one run. `peakBytes` is ignored when there are any. */
  readonly repeats?: readonly number[];
  /** "above": the run was stopped, killed or swapped, the true peak is at least `peakBytes`. Such a point is no part of the fit but rules out models below it. */
  readonly censored?: "above";
  /** Why it is censored, as the end of a sentence: "was stopped at half of the free memory". */
  readonly reason?: string;
  /** What lived at the instant of the heap's peak, by site; absent in plain mode. */
  readonly perSite?: readonly SiteAtPeak[];
}

export interface SiteAtPeak {
  /** The same for the same line at every size: "file:line function". */
  readonly site: string;
  /** For the terminal: source line, null when not at hand. */
  readonly source?: string | null;
  /** All live bytes of the site, its `arrays` included. */
  readonly bytes: number;
  /** Live blocks; absent when not known. */
  readonly count?: number;
  /** Its single large buffers, largest first, at most 6. */
  readonly arrays?: readonly ArrayAtPeak[];
}

export interface ArrayAtPeak {
  readonly bytes: number;
  /** "ndarray", "list", "bytearray", … */
  readonly type?: string;
  readonly dtype?: string;
  readonly shape?: readonly number[];
}

/** A limit that the program states itself (part of the verdicts): what it holds stops growing when it is full. */
export interface Bound {
  /** "lru_cache of render" */
  readonly what: string;
  readonly site?: string;
  /** Entries at the largest size that was run, and how many it may have. */
  readonly fill: number;
  readonly limit: number;
  /** What its entries take at the largest size: never more than this, in proportion, is taken off a forecast. */
  readonly bytes: number;
}

export interface FitOptions {
  readonly bounds?: readonly Bound[];
  /** Of the draws; the same seed and points give the same answer on every machine. Default 1. */
  readonly seed?: number;
  /** Default 6000. */
  readonly draws?: number;
  /** Smallest standard deviation of a peak, bytes. Default 200 KiB (VmHWM); 512 for a site's live bytes. */
  readonly noiseFloorBytes?: number;
  /** The same relative to what varies with n. Default 0.02; 0.004 for a site's live bytes. */
  readonly noiseShare?: number;
}

/** One term of a model, with its coefficient: "412 bytes × n". */
export interface Term {
  /** "1", "n", "n log n", "n^1.5", "min(n, 40000)", "2^ceil(log2 n)" */
  readonly text: string;
  /** bytes per unit of the term's own text */
  readonly bytes: number;
  /** bytes of this term at the largest size that was run */
  readonly bytesAtLargest: number;
}

export interface ModelReport {
  /** "constant", "n", "n + n^2", "stair + n" */
  readonly name: string;
  /** share of the draws, 0 to 1 */
  readonly weight: number;
  readonly terms: readonly Term[];
  /** Residual variance over what the noise explains: about 1 when the model fits, above 9 when it does not. */
  readonly misfit: number;
}

export type RefusalKind =
  | "too-few-sizes"
  | "too-little-growth"
  | "no-growth"
  | "nothing-fits"
  | "too-far"
  | "too-wide"
  | "models-disagree"
  | "stopped-run-contradicts";

/** Why no number is given. */
export interface Refusal {
  readonly kind: RefusalKind;
  /** One sentence: the reason. "no growth was seen up to n = 24 149 293" */
  readonly text: string;
  /** The next size to run, rounded to three digits, above the largest run; null when running more does not help. */
  readonly nextSize: number | null;
}

/** At one size. low and high are the 5 % and 95 % quantiles of the draws, bytes the best guess (the models' weighted median), within them. They are there even when `refused`, but must not be printed then. */
export interface Forecast {
  readonly n: number;
  readonly bytes: number;
  readonly low: number;
  readonly high: number;
  /** n over the largest size that was run to its end */
  readonly factor: number;
  readonly refused: Refusal | null;
  /** "lru_cache of render is full at n = 1 560 (640 of 1 000 now): it stops growing there"; null: no bound is reached before n */
  readonly capped: string | null;
  /** Sentences that belong to the number: "if nothing changes on the way", "between n and n log n". */
  readonly cautions: readonly string[];
}

/** The largest n whose `high` is within the limit. */
export interface Fitting {
  readonly limitBytes: number;
  /** Fits with 95 % safety: high(n) <= limit. null: see `text`. */
  readonly n: number | null;
  /** n at which `bytes` reaches the limit, and at which `low` does (above it, it does not fit with 95 %); null: beyond what can be said */
  readonly low: number | null;
  readonly high: number | null;
  /** true: the answer is cut off at the farthest size at which a forecast is given; more may fit */
  readonly atLeast: boolean;
  /** "It fits up to n = 39 M (with 95 % safety)." or why nothing can be said */
  readonly text: string;
}

/** The largest size left out and foretold from the others. */
export interface SelfTest {
  readonly n: number;
  readonly measuredBytes: number;
  readonly forecast: Forecast;
  /** measured within low … high */
  readonly inside: boolean;
  readonly text: string;
}

/** A point that no model explains although all others are: a disturbed run, set aside. */
export interface Outlier {
  readonly n: number;
  readonly peakBytes: number;
  readonly expectedBytes: number;
}

/** One line's part of the peak. */
export interface SiteCurve {
  readonly site: string;
  readonly source: string | null;
  /** at the largest size that was run */
  readonly bytes: number;
  readonly share: number;
  /** at the target: null when its curve cannot be told */
  readonly target: {
    readonly n: number;
    readonly bytes: number;
    readonly low: number;
    readonly high: number;
    readonly share: number;
  } | null;
  /** "grows like n", "does not grow", "grows like n^2", "between n and n log n" */
  readonly growth: string;
  /** effective exponent d log bytes / d log n from the largest run to the target; null when not known */
  readonly exponent: number | null;
  readonly perUnit: number | null;
  readonly arrays: readonly ArrayCurve[];
}

export interface ArrayCurve {
  readonly type: string;
  readonly dtype: string | null;
  /** "(n, 1 024)", "(2 n)", "(n / 4, n)"; null: no shape known */
  readonly shape: string | null;
  /** at the largest size that was run */
  readonly bytes: number;
  /** arrays of this kind at the peak */
  readonly count: number;
}
