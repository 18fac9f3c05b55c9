/**
 * A model of the peak from runs at several sizes: every model of the family is fitted, weighed by how well it explains the points, and drawn from.
 * A forecast is then the spread of the draws, so that what the points leave open is in the interval (Bayesian model averaging, as in Hoeting et al. 1999).
 */
import { median } from "simple-statistics";
import { cholesky, invert, nonNegative, normalEquations } from "./linear.ts";
import { modelsFor, termAt } from "./models.ts";
import type { Model } from "./models.ts";
import { Random } from "./random.ts";
import type { Bound, FitOptions, Outlier, Point } from "./types.ts";

/** VmHWM of equal runs: the 99th percentile of their standard deviation over 734 groups of three was 156 kB. */
const NOISE_FLOOR = 200 * 1024;
const NOISE_SHARE = 0.02;
const DRAWS = 6_000;
/** Terms of a model, the constant included. */
export const MAX_TERMS = 3;
/** What one more coefficient must gain in -2 log likelihood. 3 keeps small late terms alive (AICc, 2 and more for few points, cut them away with confidence). */
const PENALTY = 3;
const REWEIGHTS = 4;
/** Tries for one draw whose coefficients are all >= 0 before the fitted ones stand in. */
const TRIES = 20;
/** An odd point is set aside when the rest is explained this well without it, and this badly with it. */
const OUTLIER = { misfitWith: 9, misfitWithout: 2, leastSizes: 7 };

/** One size after the runs at it were put together. */
export interface Size {
  readonly n: number;
  readonly bytes: number;
  readonly runs: number;
}

export interface ModelFit {
  readonly model: Model;
  /** >= 0, in bytes at the largest size */
  readonly coefficients: Float64Array;
  /** share of the draws; set once all models are fitted */
  weight: number;
  readonly score: number;
  /** residual variance over what the noise explains, before the floor of 1 */
  readonly misfit: number;
}

export interface Fit {
  /** ascending; without censored sizes and outliers */
  readonly sizes: readonly Size[];
  /** sizes whose true peak is at least that, ascending */
  readonly censored: readonly Point[];
  readonly outliers: readonly Outlier[];
  readonly largest: number;
  readonly smallestPeak: number;
  /** standard deviation of equal runs, relative to what varies with n; 0: no repeats */
  readonly replicateNoise: number;
  /** heaviest first, weights sum to 1 */
  readonly models: readonly ModelFit[];
  readonly bounds: readonly Bound[];
  /** share of the draws that the censored points allow: 1 when there are none */
  readonly censoredAgree: number;
  readonly draws: Draws;
}

/** Typed columns, a row per draw. */
export interface Draws {
  readonly count: number;
  /** row in `Fit.models` */
  readonly model: Uint16Array;
  /** MAX_TERMS per draw, >= 0 */
  readonly coefficients: Float64Array;
  /** of the new run's own noise: times sqrt(floor^2 + (share * variable part)^2) */
  readonly noise: Float64Array;
  readonly noiseFloor: number;
  readonly noiseShare: number;
}

interface Noise {
  readonly floor: number;
  readonly share: number;
  readonly replicate: number;
}

/** `points` in any order, at least one of them not censored. */
export function fit(points: readonly Point[], options: FitOptions = {}): Fit {
  const censored = points.filter((point) => point.censored).sort((a, b) => a.n - b.n);
  const all = sizesOf(points.filter((point) => !point.censored));
  if (all.length === 0) throw new RangeError("a fit needs at least one size that ran to its end");
  const floor = options.noiseFloorBytes ?? NOISE_FLOOR;
  const noise: Noise = { floor, share: options.noiseShare ?? NOISE_SHARE, replicate: replicateNoise(points, floor) };
  const { sizes, outliers, fits } = robustFits(all, noise);
  const y0 = Math.min(...sizes.map((size) => size.bytes));
  const best = Math.min(...fits.map((each) => each.score));
  let total = 0;
  for (const each of fits) {
    each.weight = each.model.prior * Math.exp(-(each.score - best) / 2);
    total += each.weight;
  }
  for (const each of fits) each.weight /= total;
  const models = fits.sort((a, b) => b.weight - a.weight);
  const drawn = draw(models, sizes, noise, censored, options);
  return {
    sizes,
    censored,
    outliers,
    largest: sizes[sizes.length - 1].n,
    smallestPeak: y0,
    replicateNoise: noise.replicate,
    models,
    bounds: options.bounds ?? [],
    censoredAgree: drawn.agree,
    draws: drawn.draws,
  };
}

function runsOf(point: Point): readonly number[] {
  return point.repeats && point.repeats.length > 0 ? point.repeats : [point.peakBytes];
}

/** One row a size: points of equal n are runs of one size. */
function sizesOf(points: readonly Point[]): Size[] {
  const byN = new Map<number, number[]>();
  for (const point of points) byN.set(point.n, [...(byN.get(point.n) ?? []), ...runsOf(point)]);
  return [...byN].map(([n, runs]) => ({ n, bytes: median(runs), runs: runs.length })).sort((a, b) => a.n - b.n);
}

/** Pooled over the sizes that were run more than once, and a little more for few degrees of freedom. */
function replicateNoise(points: readonly Point[], floor: number): number {
  const groups = new Map<number, number[]>();
  for (const point of points)
    if (!point.censored) groups.set(point.n, [...(groups.get(point.n) ?? []), ...runsOf(point)]);
  const y0 = Math.min(...[...groups.values()].map((runs) => median(runs)));
  let sum = 0;
  let freedom = 0;
  for (const runs of groups.values()) {
    if (runs.length < 2) continue;
    const mean = runs.reduce((a, b) => a + b, 0) / runs.length;
    const scale = Math.max(median(runs) - y0, 20 * floor);
    for (const run of runs) sum += ((run - mean) / scale) ** 2;
    freedom += runs.length - 1;
  }
  return freedom === 0 ? 0 : Math.sqrt(sum / freedom) * (1 + 1 / Math.sqrt(2 * freedom));
}

/** Fits, with at most one point set aside that stands alone against all others. Never the last two: there a change of behaviour begins. */
function robustFits(
  all: readonly Size[],
  noise: Noise,
): { sizes: readonly Size[]; outliers: Outlier[]; fits: ModelFit[] } {
  const fits = fitAll(all, noise);
  const whole = Math.min(...fits.map((each) => each.misfit));
  if (all.length < OUTLIER.leastSizes || whole <= OUTLIER.misfitWith) return { sizes: all, outliers: [], fits };
  let best = { misfit: Infinity, at: -1, fits };
  for (let i = 0; i < all.length - 2; i++) {
    const without = fitAll(
      all.filter((_, j) => j !== i),
      noise,
    );
    const misfit = Math.min(...without.map((each) => each.misfit));
    if (misfit < best.misfit) best = { misfit, at: i, fits: without };
  }
  if (best.misfit > OUTLIER.misfitWithout) return { sizes: all, outliers: [], fits };
  const sizes = all.filter((_, j) => j !== best.at);
  const top = best.fits.reduce((a, b) => (b.score < a.score ? b : a));
  const odd = all[best.at];
  const expectedBytes = valueAt(top.model, top.coefficients, 0, odd.n, sizes[sizes.length - 1].n);
  return { sizes, outliers: [{ n: odd.n, peakBytes: odd.bytes, expectedBytes }], fits: best.fits };
}

export function valueAt(model: Model, coefficients: Float64Array, offset: number, n: number, largest: number): number {
  let sum = 0;
  for (let j = 0; j < model.terms.length; j++) sum += coefficients[offset + j] * termAt(model.terms[j], n, largest);
  return sum;
}

/** Every model that leaves a degree of freedom (the constant always), weights not yet set. */
function fitAll(sizes: readonly Size[], noise: Noise): ModelFit[] {
  const out: ModelFit[] = [];
  for (const model of modelsFor(sizes.map((size) => size.n))) {
    if (model.terms.length > 1 && sizes.length - model.parameters < 1) continue;
    const one = fitOne(model, sizes, noise);
    if (one) out.push(one);
  }
  return out;
}

interface Design {
  readonly x: readonly Float64Array[];
  readonly y: Float64Array;
  readonly y0: number;
}

function designOf(model: Model, sizes: readonly Size[]): Design {
  const largest = sizes[sizes.length - 1].n;
  const x = sizes.map((size) => Float64Array.from(model.terms, (term) => termAt(term, size.n, largest)));
  const y = Float64Array.from(sizes, (size) => size.bytes);
  return { x, y, y0: Math.min(...y) };
}

/** Standard deviation of each size's median about the model, from the model's own values. */
function deviations(mu: Float64Array, sizes: readonly Size[], noise: Noise, y0: number): Float64Array {
  return Float64Array.from(mu, (value, i) => {
    const share2 = noise.share ** 2 + (1.2 * noise.replicate ** 2) / sizes[i].runs;
    return Math.sqrt(noise.floor ** 2 + share2 * Math.max(value - y0, 0) ** 2);
  });
}

function product(x: readonly Float64Array[], c: Float64Array): Float64Array {
  return Float64Array.from(x, (row) => {
    let sum = 0;
    for (let j = 0; j < c.length; j++) sum += row[j] * c[j];
    return sum;
  });
}

function fitOne(model: Model, sizes: readonly Size[], noise: Noise): ModelFit | null {
  const { x, y, y0 } = designOf(model, sizes);
  let mu = y;
  let s = y;
  let c = new Float64Array(model.terms.length);
  for (let turn = 0; turn < REWEIGHTS; turn++) {
    s = deviations(mu, sizes, noise, y0);
    c = Float64Array.from(nonNegative(normalEquations(x, y, s)));
    mu = product(x, c);
  }
  // A model none of whose terms is used is the constant again.
  if (c.length > 1 && c.every((value, j) => j === 0 || value === 0)) return null;
  let rss = 0;
  for (let i = 0; i < y.length; i++) rss += ((y[i] - mu[i]) / s[i]) ** 2;
  const k = y.length;
  // ln(1 + RSS/k): a fit closer than the noise earns nothing, so that flexible models cannot win on rounding.
  const score = k * Math.log1p(rss / k) + PENALTY * model.parameters;
  return { model, coefficients: c, weight: 0, score, misfit: rss / Math.max(k - model.parameters, 1) };
}

/**
 * Draws shared among the models by weight. Coefficients come from the unconstrained estimate's normal distribution cut off at 0: a term whose estimate is 0
 * stays in with the upper side of its uncertainty (a guard term), so a small n^2 that the points cannot exclude is in the interval.
 */
function draw(
  models: ModelFit[],
  sizes: readonly Size[],
  noise: Noise,
  censored: readonly Point[],
  options: FitOptions,
): { draws: Draws; agree: number } {
  const wanted = options.draws ?? DRAWS;
  const random = new Random(options.seed ?? 1);
  const share = Math.sqrt(noise.share ** 2 + noise.replicate ** 2);
  const model: number[] = [];
  const coefficients: number[] = [];
  const noises: number[] = [];
  const kept = new Float64Array(models.length);
  let made = 0;
  const largest = sizes[sizes.length - 1].n;
  for (const [index, count] of shares(models, wanted).entries()) {
    if (count === 0) continue;
    const sampler = samplerOf(models[index], sizes, noise, random);
    for (let i = 0; i < count; i++) {
      const { c, g } = sampler();
      const deviation = g * Math.sqrt(Math.max(1, models[index].misfit));
      made++;
      if (!allowed(models[index].model, c, deviation, censored, largest, sizes, noise, random)) continue;
      kept[index]++;
      model.push(index);
      for (let j = 0; j < MAX_TERMS; j++) coefficients.push(c[j] ?? 0);
      noises.push(deviation * random.normal());
    }
  }
  // None is left: the stopped runs contradict every model. The draws are those without them, `agree` says that they must not be believed.
  if (model.length === 0 && censored.length > 0) return { ...draw(models, sizes, noise, [], options), agree: 0 };
  const agree = model.length / made;
  for (const [i, each] of models.entries()) each.weight = kept[i] / model.length;
  return {
    agree,
    draws: {
      count: model.length,
      model: Uint16Array.from(model),
      coefficients: Float64Array.from(coefficients),
      noise: Float64Array.from(noises),
      noiseFloor: noise.floor,
      noiseShare: share,
    },
  };
}

/** Whole numbers of draws by weight that sum to `wanted`: the running total is rounded, not each share. */
function shares(models: readonly ModelFit[], wanted: number): number[] {
  let before = 0;
  let total = 0;
  return models.map((each) => {
    total += each.weight * wanted;
    const count = Math.round(total) - before;
    before += count;
    return count;
  });
}

function samplerOf(
  each: ModelFit,
  sizes: readonly Size[],
  noise: Noise,
  random: Random,
): () => { c: Float64Array; g: number } {
  const { x, y, y0 } = designOf(each.model, sizes);
  const p = each.coefficients.length;
  const s = deviations(product(x, each.coefficients), sizes, noise, y0);
  const normal = normalEquations(x, y, s);
  const covariance = invert(normal.gram, p);
  const freedom = Math.max(y.length - each.model.parameters, 1);
  const spread = Math.sqrt(Math.max(1, each.misfit));
  const root = covariance ? cholesky(covariance, p) : new Float64Array(p * p);
  const centre = new Float64Array(p);
  for (let a = 0; a < p; a++) {
    for (let b = 0; b < p; b++) centre[a] += covariance ? covariance[a * p + b] * normal.moment[b] : 0;
    if (!covariance) centre[a] = each.coefficients[a];
  }
  const z = new Float64Array(p);
  return () => {
    let g = 1;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      g = Math.sqrt(freedom / random.chiSquare(freedom));
      for (let a = 0; a < p; a++) z[a] = random.normal();
      const c = new Float64Array(p);
      let positive = true;
      for (let a = 0; a < p; a++) {
        let sum = centre[a];
        for (let b = 0; b <= a; b++) sum += g * spread * root[a * p + b] * z[b];
        c[a] = sum;
        if (sum < 0) positive = false;
      }
      if (positive) return { c, g };
    }
    return { c: each.coefficients, g };
  };
}

/** Whether a run of this draw would have reached what each censored run reached. */
function allowed(
  model: Model,
  c: Float64Array,
  deviation: number,
  censored: readonly Point[],
  largest: number,
  sizes: readonly Size[],
  noise: Noise,
  random: Random,
): boolean {
  if (censored.length === 0) return true;
  const y0 = Math.min(...sizes.map((size) => size.bytes));
  const share2 = noise.share ** 2 + noise.replicate ** 2;
  return censored.every((point) => {
    const mu = valueAt(model, c, 0, point.n, largest);
    const s = Math.sqrt(noise.floor ** 2 + share2 * Math.max(mu - y0, 0) ** 2);
    return mu + deviation * s * random.normal() >= Math.max(...runsOf(point));
  });
}
