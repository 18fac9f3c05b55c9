/** Will it fit? The forecast of the peak at sizes that were not run, what fits the limit, and which lines stop it. docs/scale.md says what the numbers mean. */
import { formatBytes, formatShare, plural } from "../base/format.ts";
import { JSON_SCHEMA } from "./about.ts";
import { fit } from "./scaling/fit.ts";
import type { Fit } from "./scaling/fit.ts";
import { forecast, largestFitting, selfTest } from "./scaling/forecast.ts";
import { siteCurves } from "./scaling/sites.ts";
import type {
  Bound,
  Fitting,
  Forecast,
  ModelReport,
  Outlier,
  Point,
  Refusal,
  SelfTest,
  SiteCurve,
} from "./scaling/types.ts";
import { factorText, forecastText, growthText, modelReports, perUnit, sizeText, waysOf } from "./scaling/words.ts";

export interface ScaleInput {
  readonly points: readonly Point[];
  /** Sizes to foretell; the last is the one that the limit is about. May be empty: the largest run is taken. */
  readonly targets: readonly number[];
  readonly limitBytes?: number | null;
  /** What one of n is: "row"; absent: sizes are told as n alone. */
  readonly unit?: string | null;
  readonly bounds?: readonly Bound[];
  /** Of the recordings that gave the lines: mean bytes between two samples. */
  readonly intervalBytes?: number;
  readonly seed?: number;
}

/** Whether the last target stays within the limit. unsafe: it may, but not with 95 % safety. null: no limit was asked about. */
export type Fits = "fits" | "unsafe" | "does-not-fit" | "cannot-say";

export interface ScaleAnswer {
  readonly schema: number;
  /** ascending, runs that were stopped included */
  readonly points: readonly { n: number; peakBytes: number; repeats: readonly number[]; stopped: string | null }[];
  readonly outliers: readonly Outlier[];
  /** null: no size ran to its end */
  readonly model: {
    readonly terms: ModelReport["terms"];
    readonly text: string;
    readonly bytesPerUnit: number | null;
    readonly models: readonly ModelReport[];
  } | null;
  readonly forecasts: readonly (Forecast & { readonly text: string })[];
  /** null without a limit, or without a model */
  readonly fits: Fitting | null;
  readonly verdict: Fits | null;
  /** worst at the last target first */
  readonly byLine: readonly (SiteCurve & { readonly text: string })[];
  /** of the last target */
  readonly refused: Refusal | null;
  readonly selfTest: SelfTest | null;
  /** The answer in one or two sentences, with its number or with why there is none. */
  readonly claim: string;
  /** What else belongs below it: growth, bounds, warnings; one sentence each. */
  readonly notes: readonly string[];
  /** Ready to paste; null when there is no number. */
  readonly request: { readonly slurm: string; readonly kubernetes: string; readonly margin: string } | null;
  /** For a plot: the forecast at sizes spread evenly in log n, from the smallest run to the last target. */
  readonly curve: readonly { n: number; bytes: number; low: number; high: number }[];
}

const CURVE_POINTS = 40;
/** A line with less of the peak than this today, and more than twice its share at the target, is warned of. */
const SMALL_SHARE = 0.2;
const MEBI = 1024 ** 2;
const GIBI = 1024 ** 3;

export function scaleAnswer(input: ScaleInput): ScaleAnswer {
  const points = [...input.points].sort((a, b) => a.n - b.n);
  const limitBytes = input.limitBytes ?? null;
  const shown = points.map((point) => ({
    n: point.n,
    peakBytes: point.peakBytes,
    repeats: point.repeats ?? [],
    stopped: point.censored ? (point.reason ?? "was stopped") : null,
  }));
  if (points.every((point) => point.censored)) return nothing(shown);
  const options = { bounds: input.bounds ?? [], ...(input.seed === undefined ? {} : { seed: input.seed }) };
  const fitted = fit(points, options);
  const targets = input.targets.length > 0 ? [...input.targets].sort((a, b) => a - b) : [fitted.largest];
  const forecasts = targets.map((n) => {
    const told = forecast(fitted, n);
    return Object.assign(told, { text: told.refused ? refusalText(told) : numberText(fitted, told, input.unit) });
  });
  const last = forecasts[forecasts.length - 1];
  const fits = limitBytes === null ? null : largestFitting(fitted, limitBytes);
  const verdict = limitBytes === null ? null : verdictOf(points, last, limitBytes);
  const curves = siteCurves(points, last.n, {
    intervalBytes: input.intervalBytes ?? 0,
    ...(input.seed === undefined ? {} : { seed: input.seed }),
  });
  const byLine = curves.map((curve) => Object.assign(curve, { text: lineText(curve) }));
  return {
    schema: JSON_SCHEMA,
    points: shown,
    outliers: fitted.outliers,
    model: modelOf(fitted, input.unit),
    forecasts,
    fits,
    verdict,
    byLine,
    refused: last.refused,
    selfTest: selfTest(points, options),
    claim: [last.text, verdictText(points, last, verdict, limitBytes)].filter((text) => text !== "").join(" "),
    notes: notesOf(fitted, last, byLine, input.unit),
    request: last.refused ? null : requestOf(last),
    curve: curveOf(fitted, last.n),
  };
}

function nothing(points: ScaleAnswer["points"]): ScaleAnswer {
  const refused: Refusal = {
    kind: "too-few-sizes",
    text: "no size ran to its end",
    nextSize: points.length > 0 ? Math.max(Math.floor(points[0].n / 4), 1) : null,
  };
  const none = {
    outliers: [],
    model: null,
    forecasts: [],
    fits: null,
    byLine: [],
    selfTest: null,
    notes: [],
    request: null,
    curve: [],
  };
  const step = refused.nextSize === null ? "" : ` Run a smaller one: n = ${sizeText(refused.nextSize)}.`;
  return {
    schema: JSON_SCHEMA,
    points,
    ...none,
    verdict: "cannot-say",
    refused,
    claim: `No forecast: ${refused.text}.${step}`,
  };
}

/** "At n = 100 M rows: 38.4 GiB (90 %: 36.9 to 40.6 GiB), from 8 runs up to 5 M rows, 20x beyond them." */
function numberText(fitted: Fit, told: Forecast, unit?: string | null): string {
  const rows = unit ? ` ${unit}s` : "";
  const runs = fitted.sizes.reduce((sum, size) => sum + size.runs, 0);
  const beyond = told.factor > 1 ? `, ${factorText(told.factor)} beyond ${runs === 1 ? "it" : "them"}` : "";
  const careful = told.cautions.includes("if nothing changes on the way") ? ", if nothing changes on the way" : "";
  const head = `At n = ${sizeText(told.n)}${rows}: ${forecastText(told)}`;
  return `${head}, from ${plural(runs, "run")} up to ${unit ? "" : "n = "}${sizeText(fitted.largest)}${rows}${beyond}${careful}.`;
}

function refusalText(told: Forecast): string {
  const { text, nextSize } = told.refused!;
  const step = nextSize === null ? "" : ` Run n = ${sizeText(nextSize)} next.`;
  return `No forecast for n = ${sizeText(told.n)}: ${text}.${step}`;
}

/** What was measured counts before what is foretold: memory does not fall as n grows. */
function verdictOf(points: readonly Point[], last: Forecast, limitBytes: number): Fits {
  if (overLimit(points, last.n, limitBytes)) return "does-not-fit";
  if (last.refused) return "cannot-say";
  if (last.high <= limitBytes) return "fits";
  return last.low > limitBytes ? "does-not-fit" : "unsafe";
}

function overLimit(points: readonly Point[], n: number, limitBytes: number): Point | undefined {
  return points.find(
    (point) => point.n <= n && Math.min(...(point.repeats?.length ? point.repeats : [point.peakBytes])) > limitBytes,
  );
}

function verdictText(
  points: readonly Point[],
  last: Forecast,
  verdict: Fits | null,
  limitBytes: number | null,
): string {
  if (verdict === null || limitBytes === null) return "";
  const limit = formatBytes(limitBytes);
  const measured = overLimit(points, last.n, limitBytes);
  if (measured)
    return `It does not fit in ${limit}: n = ${sizeText(measured.n)} already took ${formatBytes(measured.peakBytes)}${measured.censored ? " or more" : ""}.`;
  if (verdict === "fits") return `It fits in ${limit} (with 95 % safety).`;
  if (verdict === "does-not-fit") return `It does not fit in ${limit}.`;
  return verdict === "unsafe"
    ? `It may not fit in ${limit}: the upper end is above.`
    : `Whether it fits in ${limit} cannot be said.`;
}

function modelOf(fitted: Fit, unit?: string | null): ScaleAnswer["model"] {
  const models = modelReports(fitted);
  const bytesPerUnit = perUnit(fitted);
  const each = bytesPerUnit === null ? "" : `: ${formatBytes(bytesPerUnit)} ${unit ? `a ${unit}` : "for each of n"}`;
  const growth = growthText(fitted);
  const top = waysOf(fitted)[0].best.model.name;
  const report = models.find(({ name }) => name === top) ?? models[0];
  return { terms: report.terms, text: `${growth[0].toUpperCase()}${growth.slice(1)}${each}.`, bytesPerUnit, models };
}

/** "12.3 MiB of the peak today, 1.20 GiB at n = 100 M (31 %): grows like n; 2 arrays of (n, 1 024) float64" */
function lineText(curve: SiteCurve): string {
  const { target } = curve;
  const then = target
    ? `, ${formatBytes(target.bytes)} at n = ${sizeText(target.n)} (${formatShare(target.share)})`
    : "";
  const arrays = curve.arrays.filter(({ shape }) => shape !== null).slice(0, 2);
  const shapes = arrays.map(({ count, type, shape, dtype }) => {
    const what = [shape, dtype ?? type].join(" ");
    return count > 1 ? `${count} of ${what}, copies?` : what;
  });
  return `${formatBytes(curve.bytes)} at the peak (${formatShare(curve.share)})${then}: ${curve.growth}${shapes.length > 0 ? `; ${shapes.join(", ")}` : ""}`;
}

function notesOf(fitted: Fit, last: Forecast, byLine: readonly SiteCurve[], unit?: string | null): string[] {
  const out: string[] = [];
  if (!last.refused) out.push(modelOf(fitted, unit)!.text);
  if (last.capped) out.push(`Bounds: ${last.capped}.`);
  for (const odd of fitted.outliers) {
    out.push(
      `The run at n = ${sizeText(odd.n)} took ${formatBytes(odd.peakBytes)} where the others say ${formatBytes(odd.expectedBytes)}: set aside, run it again.`,
    );
  }
  for (const point of fitted.censored) {
    out.push(
      `The run at n = ${sizeText(point.n)} ${point.reason ?? "was stopped"} at ${formatBytes(point.peakBytes)}: taken as a lower bound.`,
    );
  }
  const late = byLine.find(
    ({ share, target, exponent }) =>
      target && share < SMALL_SHARE && target.share > 2 * share && target.share > SMALL_SHARE && (exponent ?? 0) > 1.1,
  );
  if (late)
    out.push(
      `${late.site} has ${formatShare(late.share)} of the lines' bytes now and ${formatShare(late.target!.share)} there: it ${late.growth}.`,
    );
  return out;
}

/** The upper end, rounded up to what schedulers take: 64 MiB steps below 4 GiB, GiB above. */
function requestOf(last: Forecast): ScaleAnswer["request"] {
  const small = last.high < 4 * GIBI;
  const asked = small ? Math.ceil(last.high / (64 * MEBI)) * 64 : Math.ceil(last.high / GIBI);
  const bytes = asked * (small ? MEBI : GIBI);
  const margin = `the upper end of the interval, rounded up: ${formatShare(bytes / last.bytes - 1)} above the forecast`;
  return {
    slurm: `#SBATCH --mem=${asked}${small ? "M" : "G"}`,
    kubernetes: `resources.limits.memory: ${asked}${small ? "Mi" : "Gi"}`,
    margin,
  };
}

function curveOf(fitted: Fit, target: number): ScaleAnswer["curve"] {
  const from = Math.log(fitted.sizes[0].n);
  const to = Math.log(Math.max(target, fitted.largest));
  return Array.from({ length: CURVE_POINTS }, (_, i) => {
    const n = Math.exp(from + ((to - from) * i) / (CURVE_POINTS - 1));
    const { bytes, low, high } = forecast(fitted, n);
    return { n, bytes, low, high };
  });
}
