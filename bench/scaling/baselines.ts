/** What others do with the same points: the straight line, the power law, and one term chosen by cross-validation as Extra-P does (Calotoiu et al., SC 2013). */
import { linearRegression } from "simple-statistics";

export interface Told {
  readonly bytes: number;
  readonly low: number;
  readonly high: number;
}

export type Forecaster = (n: readonly number[], y: readonly number[], at: number) => Told;

/** 95 % quantile of Student's t, by degrees of freedom. */
const T95 = [Number.NaN, 6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833, 1.812];

/** Ordinary least squares of y on x with its textbook prediction interval. */
function predict(x: readonly number[], y: readonly number[], at: number): Told {
  const { m, b } = linearRegression(x.map((value, i) => [value, y[i]]));
  const k = x.length;
  const mean = x.reduce((sum, value) => sum + value, 0) / k;
  const sxx = x.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const rss = x.reduce((sum, value, i) => sum + (y[i] - m * value - b) ** 2, 0);
  const half =
    T95[Math.min(k - 2, 10)] * Math.sqrt((rss / (k - 2)) * (1 + 1 / k + (sxx === 0 ? 0 : (at - mean) ** 2 / sxx)));
  const bytes = m * at + b;
  return { bytes, low: bytes - half, high: bytes + half };
}

export const linear: Forecaster = predict;

export const powerLaw: Forecaster = (n, y, at) => {
  const told = predict(n.map(Math.log), y.map(Math.log), Math.log(at));
  return { bytes: Math.exp(told.bytes), low: Math.exp(told.low), high: Math.exp(told.high) };
};

const EXPONENTS = [0, 0.25, 1 / 3, 0.5, 2 / 3, 0.75, 1, 1.25, 4 / 3, 1.5, 5 / 3, 1.75, 2, 2.25, 2.5, 3];

/** y = c0 + c1 n^i log2^j n; i and j by leave-one-out error. */
export const oneTerm: Forecaster = (n, y, at) => {
  let best = { error: Infinity, term: (size: number): number => size };
  for (const i of EXPONENTS) {
    for (const j of [0, 1, 2]) {
      if (i === 0 && j === 0) continue;
      const term = (size: number): number => size ** i * Math.log2(size) ** j;
      const x = n.map(term);
      let error = 0;
      for (let out = 0; out < n.length; out++) {
        const rest = (values: readonly number[]): number[] => values.filter((_, index) => index !== out);
        const { m, b } = linearRegression(rest(x).map((value, index) => [value, rest(y)[index]]));
        error += Math.abs((m * x[out] + b - y[out]) / y[out]);
      }
      if (error < best.error) best = { error, term };
    }
  }
  return predict(n.map(best.term), y, best.term(at));
};
