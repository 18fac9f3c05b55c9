/** How sizes, intervals and growth are written: once, for the terminal, the page and the JSON. */
import { formatBytes, formatCount, formatLevels } from "../../base/format.ts";
import type { Fit, ModelFit } from "./fit.ts";
import { termAt, termText, unitOf } from "./models.ts";
import type { Forecast, ModelReport } from "./types.ts";

const LARGE = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
] as const;
/** A second way of growing is named when it has this share of the weight. */
const SHARED_WEIGHT = 0.2;
/** Models below this share are not listed. */
const LISTED_WEIGHT = 0.01;

/** A size of the input: "1 560", "39 M", "1.25 G"; three digits from a million on unless the size is round anyway. */
export function sizeText(n: number): string {
  for (const [unit, letter] of LARGE) if (n >= unit * 0.9995) return `${Number((n / unit).toPrecision(3))} ${letter}`;
  return n < 10 && !Number.isInteger(n) ? String(Number(n.toPrecision(3))) : formatCount(n);
}

/** "3.90 GiB (90 %: 3.60 to 4.40 GiB)" */
export function forecastText({ bytes, low, high }: Pick<Forecast, "bytes" | "low" | "high">): string {
  return `${formatBytes(bytes)} (90 %: ${formatLevels([low, high], " to ")})`;
}

/** "3x", "20x", "1.4x" */
export function factorText(factor: number): string {
  return `${factor < 9.95 ? Number(factor.toFixed(1)) : Math.round(factor)}x`;
}

/** How a model grows, as the rest of "It …". Phases of a stair are one way of growing. */
export function growthOf(each: ModelFit): string {
  const { model, coefficients } = each;
  if (model.terms.length === 1) return "does not grow";
  if (model.terms[1].kind === "plateau") return `stopped growing at about n = ${sizeText(model.terms[1].a)}`;
  // A term whose estimate is 0 stays in the interval but is no part of the answer.
  const used = model.terms.filter((_, j) => j > 0 && coefficients[j] > 0);
  const stair = used.find((term) => term.kind === "stair" && term.b === 2);
  // A list's eighth is too small a step to be worth a word.
  const powers = [
    ...new Set(
      used
        .filter((term) => term.kind === "power" || term.b !== 2)
        .map((term) => (term.kind === "power" ? termText(term) : "n")),
    ),
  ];
  if (stair)
    return `grows like ${stair.of === 1 ? "n" : `n^${stair.of}`}, ${powers.length === 0 ? "in doublings" : "partly in doublings"}`;
  return `grows like ${powers.join(" + ")}`;
}

/** "grows like n", or "grows between n and n log n" when two ways share the weight. */
export function growthText(fitted: Fit): string {
  const ways = waysOf(fitted);
  const [first, second] = ways;
  if (!second || second.weight <= SHARED_WEIGHT || second.text === "does not grow") return first.text;
  const [one, other] = [first, second].map(({ text }) => /^grows like ([^,]*)$/.exec(text)?.[1]);
  if (one && other) return `grows between ${one} and ${other}`;
  return `${first.text}, or ${second.text}`;
}

/** Ways of growing, heaviest first, models that say the same in words taken together. */
export function waysOf(fitted: Fit): { text: string; weight: number; best: ModelFit }[] {
  const ways = new Map<string, { text: string; weight: number; best: ModelFit }>();
  for (const each of fitted.models) {
    const plateau = each.model.terms[1]?.kind === "plateau";
    const text = growthOf(each);
    const key = plateau ? "plateau" : text;
    const way = ways.get(key);
    if (way) way.weight += each.weight;
    else ways.set(key, { text, weight: each.weight, best: each });
  }
  return [...ways.values()].sort((a, b) => b.weight - a.weight);
}

/** Bytes per unit of n where the heaviest way is a straight line; null where no one number says it. */
export function perUnit(fitted: Fit): number | null {
  const { best } = waysOf(fitted)[0];
  const used = best.model.terms
    .map((term, j) => ({ term, bytes: best.coefficients[j] }))
    .filter(({ bytes }, j) => j > 0 && bytes > 0);
  if (used.length !== 1 || used[0].term.kind !== "power" || used[0].term.a !== 1 || used[0].term.b !== 0) return null;
  return used[0].bytes / fitted.largest;
}

export function modelReports(fitted: Fit): ModelReport[] {
  const listed = fitted.models.filter((each, i) => i === 0 || each.weight >= LISTED_WEIGHT);
  return listed.map(({ model, coefficients, weight, misfit }) => ({
    name: model.name,
    weight,
    misfit,
    terms: model.terms.map((term, j) => ({
      text: termText(term),
      bytes: coefficients[j] / unitOf(term, fitted.largest),
      bytesAtLargest: coefficients[j] * termAt(term, fitted.largest, fitted.largest),
    })),
  }));
}
