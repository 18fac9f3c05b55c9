/**
 * The models that a peak may follow, each a sum of terms with coefficients >= 0, and how much each is believed before the points are seen.
 *
 * Terms are scaled to 1 at the largest size n_max, so that a coefficient is bytes there. The family is Extra-P's (Calotoiu et al., SC 2013: n^p log^j n) with
 * a constant always in it, because an interpreter takes 10 to 30 MB before the first row is read, and with what Python's containers do: tables that double.
 */

export type TermKind = "constant" | "power" | "plateau" | "stair";

export interface TermShape {
  readonly kind: TermKind;
  /** power: exponent of n; plateau: the size where it ends; stair: phase, the part of a step (in its logarithm) at which it falls */
  readonly a: number;
  /** power: exponent of log2 n (0 or 1); stair: how many times larger one step is than the one before */
  readonly b: number;
  /** stair: the elements are n to this power (a dict of pairs has n^2 keys); else 0 */
  readonly of: number;
}

export interface Model {
  readonly name: string;
  readonly terms: readonly TermShape[];
  readonly prior: number;
  /** What the score counts: coefficients, and a plateau's end. */
  readonly parameters: number;
}

const CONSTANT: TermShape = { kind: "constant", a: 0, b: 0, of: 0 };
const power = (a: number, b = 0): TermShape => ({ kind: "power", a, b, of: 0 });

/** Exponents of everyday programs, then the rest of the family, which has to earn its place. */
const COMMON: readonly (readonly [number, number, number])[] = [
  [1, 0, 1],
  [2, 0, 1],
  [0.5, 0, 0.5],
  [1, 1, 0.5],
  [1.5, 0, 0.4],
  [3, 0, 0.4],
  [0, 1, 0.15],
  [2, 1, 0.15],
];
const OTHER = [0.25, 1 / 3, 0.6, 2 / 3, 0.75, 0.8, 0.9, 1.1, 1.2, 1.25, 4 / 3, 5 / 3, 1.75, 1.9, 2.1, 2.25, 2.5, 3.5];
const OTHER_PRIOR = 0.04;
const OTHER_LOG_PRIOR = 0.01;
const PAIRS: readonly (readonly [TermShape, TermShape, number])[] = [
  [power(1), power(2), 0.5],
  [power(1), power(3), 0.15],
  [power(1), power(1.5), 0.1],
  [power(2), power(3), 0.1],
  [power(1), power(1, 1), 0.1],
];
const PLATEAU_PRIOR = 0.25;
/** Where the end lies between two sizes, as a share of their ratio's logarithm: finer than the noise of 2 % needs at a ratio of 1.75. */
const PLATEAU_PLACES = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95];
/**
 * Containers that grow in steps, alone and beside a part that grows like n. Dicts and sets double; lists and bytearrays add an eighth (list_resize in
 * Objects/listobject.c, bytearray the same). Where the steps fall depends on how many elements one of n is, so that is left open.
 */
const STAIRS = [
  { step: 2, of: 1, phases: 16, alone: 0.2, beside: 0.3 },
  { step: 2, of: 2, phases: 8, alone: 0.1, beside: 0.1 },
  { step: 1.125, of: 1, phases: 6, alone: 0.1, beside: 0.1 },
] as const;

/** `sizes` ascending and distinct. */
export function modelsFor(sizes: readonly number[]): Model[] {
  const models: Model[] = [model("constant", [], 1)];
  for (const [a, b, prior] of COMMON) models.push(model(powerText(a, b), [power(a, b)], prior));
  for (const a of OTHER) models.push(model(powerText(a, 0), [power(a)], OTHER_PRIOR));
  for (const a of [0.5, 1.5, 3, ...OTHER]) models.push(model(powerText(a, 1), [power(a, 1)], OTHER_LOG_PRIOR));
  for (const [first, second, prior] of PAIRS) {
    models.push(model(`${powerText(first.a, first.b)} + ${powerText(second.a, second.b)}`, [first, second], prior));
  }
  for (const { step, of, phases, alone, beside } of STAIRS) {
    for (let q = 0; q < phases; q++) {
      const stair: TermShape = { kind: "stair", a: q / phases, b: step, of };
      models.push(model(of === 1 ? "stair" : `stair of n^${of}`, [stair], alone / phases));
      models.push(model(of === 1 ? "stair + n" : `stair of n^${of} + n^${of}`, [stair, power(of)], beside / phases));
    }
  }
  // An end is recognised once it is passed: one size beyond it tells that growth is over, two before it that there was growth.
  const gaps = sizes.length - 2;
  for (let i = 1; i + 1 < sizes.length; i++) {
    for (const part of PLATEAU_PLACES) {
      const end = sizes[i] * (sizes[i + 1] / sizes[i]) ** part;
      const prior = PLATEAU_PRIOR / (gaps * PLATEAU_PLACES.length);
      models.push({ ...model("plateau", [{ kind: "plateau", a: end, b: 0, of: 0 }], prior), parameters: 3 });
    }
  }
  return models;
}

function model(name: string, terms: readonly TermShape[], prior: number): Model {
  return { name, terms: [CONSTANT, ...terms], prior, parameters: terms.length + 1 };
}

/** The term at n, 1 at `largest` (a plateau and a stair: about 1). */
export function termAt(term: TermShape, n: number, largest: number): number {
  switch (term.kind) {
    case "constant":
      return 1;
    case "power":
      return (n / largest) ** term.a * (term.b === 0 ? 1 : logs(n) / logs(largest));
    case "plateau":
      return Math.min(n, term.a) / largest;
    case "stair":
      return term.b ** (term.a + Math.ceil((term.of * Math.log(n)) / Math.log(term.b) - term.a)) / largest ** term.of;
  }
}

/** log2 n, never 0 so that a fit from n = 1 stays finite. */
function logs(n: number): number {
  return Math.log2(Math.max(n, 1.0001));
}

/** What a coefficient is divided by to be bytes per unit of the term as a person writes it (`termText`). */
export function unitOf(term: TermShape, largest: number): number {
  if (term.kind === "power") return largest ** term.a * (term.b === 0 ? 1 : logs(largest));
  return term.kind === "constant" ? 1 : largest ** Math.max(term.of, 1);
}

export function termText(term: TermShape): string {
  switch (term.kind) {
    case "constant":
      return "1";
    case "power":
      return powerText(term.a, term.b);
    case "plateau":
      return `min(n, ${Math.round(term.a)})`;
    case "stair":
      return `${powerText(term.of, 0)} rounded up to ${term.b === 2 ? "a doubling table" : "a list's next size"}`;
  }
}

function powerText(a: number, b: number): string {
  const n = a === 0 ? "" : a === 1 ? "n" : `n^${Number(a.toFixed(2))}`;
  return b === 0 ? n : n === "" ? "log n" : `${n} log n`;
}
