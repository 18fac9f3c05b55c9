/** When a number would not be honest, and what has to be said with one. */
import type { Fit } from "./fit.ts";
import { valueAt } from "./fit.ts";
import { factorText, sizeText, waysOf } from "./words.ts";
import type { Forecast, Refusal, RefusalKind } from "./types.ts";

const LEAST_SIZES = 5;
/** 15 times the noise of a peak. */
const LEAST_GROWTH_FLOORS = 15;
export const FARTHEST = 30;
const WORST_MISFIT = 9;
const WIDEST = 4;
const DISAGREEMENT = 2;
const SHARED_WEIGHT = 0.2;
/** Fewer draws than this share beside the stopped runs: no model foresaw them. */
const CENSORED_AGREE = 0.02;
/** Beyond this factor the reader is reminded that nothing past the largest run was seen. */
const FAR = 10;
/** Sizes grow by this much from run to run: never 2, a doubling table would meet every run in the same phase. */
const NEXT_RATIO = 1.75;

type Numbers = Pick<Forecast, "n" | "low" | "bytes" | "high" | "factor">;

/** null: the number may be printed. */
export function refusalOf(fitted: Fit, at: Numbers): Refusal | null {
  const { sizes, largest, models, smallestPeak, draws } = fitted;
  const refuse = (kind: RefusalKind, text: string, nextSize: number | null = next(fitted, at.n)): Refusal => ({
    kind,
    text,
    nextSize,
  });
  if (sizes.length < LEAST_SIZES)
    return refuse("too-few-sizes", `${sizes.length} sizes are too few, at least ${LEAST_SIZES} are needed`);
  if (fitted.censored.length > 0 && fitted.censoredAgree < CENSORED_AGREE) {
    const worst = fitted.censored[0];
    const text = `the run at n = ${sizeText(worst.n)} ${worst.reason ?? "was stopped"} above what the smaller runs foretold: something changes there`;
    return refuse("stopped-run-contradicts", text, between(largest, worst.n));
  }
  const best = Math.min(...models.filter((each) => each.weight > 0).map((each) => each.misfit));
  if (best > WORST_MISFIT)
    return refuse("nothing-fits", "no model explains the points: the peak jumps or does not depend on n alone");
  const growth = Math.max(...sizes.map((size) => size.bytes)) - smallestPeak;
  if (growth < LEAST_GROWTH_FLOORS * draws.noiseFloor) {
    const flat = models[0].model.terms.length === 1;
    const text = flat
      ? `no growth was seen up to n = ${sizeText(largest)}`
      : `less than 3 MB of growth was seen up to n = ${sizeText(largest)}`;
    return refuse(flat ? "no-growth" : "too-little-growth", text, next(fitted, at.n, 4));
  }
  if (at.factor > FARTHEST)
    return refuse(
      "too-far",
      `n = ${sizeText(at.n)} is ${factorText(at.factor).slice(0, -1)} times the largest run`,
      towards(fitted, at.n),
    );
  if (at.high > WIDEST * Math.max(at.low, 1))
    return refuse("too-wide", "what fits the runs differs by more than 4 times there", towards(fitted, at.n));
  const disagreement = disagreeing(fitted, at.n);
  if (disagreement) return refuse("models-disagree", disagreement, towards(fitted, at.n));
  return null;
}

/** Two models that are both likely and say different things. */
function disagreeing(fitted: Fit, n: number): string | null {
  const [a, b] = fitted.models;
  if (!b || a.weight <= SHARED_WEIGHT || b.weight <= SHARED_WEIGHT) return null;
  const [first, second] = [a, b].map((each) => valueAt(each.model, each.coefficients, 0, n, fitted.largest));
  if (Math.max(first, second) <= DISAGREEMENT * Math.min(first, second)) return null;
  return `the runs fit ${a.model.name} as well as ${b.model.name}, which differ more than 2 times there`;
}

export function cautionsOf(fitted: Fit, at: Numbers): string[] {
  const out: string[] = [];
  if (at.factor > FAR) out.push("if nothing changes on the way");
  const [first, second] = waysOf(fitted);
  if (second && second.weight > SHARED_WEIGHT) out.push(`it ${first.text}, or it ${second.text}`);
  for (const odd of fitted.outliers) out.push(`the run at n = ${sizeText(odd.n)} stands out and was set aside`);
  return out;
}

/** One step up, not beyond the target. */
function next(fitted: Fit, target: number, ratio = NEXT_RATIO): number | null {
  const size = fitted.largest * ratio;
  const stopped = fitted.censored.find((point) => point.n > fitted.largest);
  return rounded(
    stopped
      ? Math.min(size, between(fitted.largest, stopped.n))
      : target > fitted.largest
        ? Math.min(size, target)
        : size,
  );
}

/** Near enough to the target that a forecast from there has a good chance: a third of it, at least one step up. */
function towards(fitted: Fit, target: number): number | null {
  const size = Math.min(Math.max(fitted.largest * NEXT_RATIO, target / 9), target);
  const stopped = fitted.censored.find((point) => point.n > fitted.largest);
  return rounded(stopped ? Math.min(size, between(fitted.largest, stopped.n)) : size);
}

function between(a: number, b: number): number {
  return Math.max(Math.sqrt(a * b), 1);
}

/** To three digits, upwards. */
export function rounded(size: number): number {
  const unit = 10 ** Math.max(Math.floor(Math.log10(size)) - 2, 0);
  return Math.ceil(size / unit) * unit;
}
