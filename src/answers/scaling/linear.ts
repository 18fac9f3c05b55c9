/** Least squares with at most a handful of columns. Matrices are row-major arrays of p × p. */

/** Normal equations of ||(y - X c) / s||: X is k rows of p. */
export interface Normal {
  readonly p: number;
  /** X' W X */
  readonly gram: Float64Array;
  /** X' W y */
  readonly moment: Float64Array;
}

export function normalEquations(x: readonly Float64Array[], y: Float64Array, s: Float64Array): Normal {
  const p = x[0].length;
  const gram = new Float64Array(p * p);
  const moment = new Float64Array(p);
  for (let i = 0; i < x.length; i++) {
    const w = 1 / (s[i] * s[i]);
    for (let a = 0; a < p; a++) {
      moment[a] += w * x[i][a] * y[i];
      for (let b = 0; b < p; b++) gram[a * p + b] += w * x[i][a] * x[i][b];
    }
  }
  return { p, gram, moment };
}

/**
 * Non-negative least squares: the best coefficients that are all >= 0. With p <= 4 columns the definition itself is quickest and never cycles: of
 * all sets of columns, the unconstrained solution that is feasible and explains most. (Lawson and Hanson's active set is for many columns.)
 */
export function nonNegative({ p, gram, moment }: Normal): Float64Array {
  const best = new Float64Array(p);
  let most = 0;
  for (let set = 1; set < 1 << p; set++) {
    const columns: number[] = [];
    for (let a = 0; a < p; a++) if (set & (1 << a)) columns.push(a);
    const inverse = invert(subMatrix(gram, p, columns), columns.length);
    if (!inverse) continue;
    const c = columns.map((_, i) =>
      columns.reduce((sum, b, j) => sum + inverse[i * columns.length + j] * moment[b], 0),
    );
    if (c.some((value) => value < 0)) continue;
    // What a least-squares solution explains of the weighted sum of squares is c' X' W y.
    const explained = c.reduce((sum, value, i) => sum + value * moment[columns[i]], 0);
    if (explained <= most) continue;
    most = explained;
    best.fill(0);
    for (const [i, a] of columns.entries()) best[a] = c[i];
  }
  return best;
}

function subMatrix(matrix: Float64Array, p: number, columns: readonly number[]): Float64Array {
  const q = columns.length;
  const out = new Float64Array(q * q);
  for (let i = 0; i < q; i++) for (let j = 0; j < q; j++) out[i * q + j] = matrix[columns[i] * p + columns[j]];
  return out;
}

/**
 * Inverse of a symmetric positive definite matrix by Gauss and Jordan on the matrix scaled to a unit diagonal; null when it is singular to
 * working precision (columns that the sizes do not tell apart).
 */
export function invert(matrix: Float64Array, p: number): Float64Array | null {
  const scale = new Float64Array(p);
  for (let a = 0; a < p; a++) {
    if (!(matrix[a * p + a] > 0)) return null;
    scale[a] = 1 / Math.sqrt(matrix[a * p + a]);
  }
  const m = new Float64Array(p * p);
  for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) m[a * p + b] = matrix[a * p + b] * scale[a] * scale[b];
  for (let a = 0; a < p; a++) {
    const pivot = m[a * p + a];
    if (!(pivot > 1e-11)) return null;
    m[a * p + a] = 1;
    for (let b = 0; b < p; b++) m[a * p + b] /= pivot;
    for (let i = 0; i < p; i++) {
      if (i === a) continue;
      const factor = m[i * p + a];
      m[i * p + a] = 0;
      for (let b = 0; b < p; b++) m[i * p + b] -= factor * m[a * p + b];
    }
  }
  for (let a = 0; a < p; a++) for (let b = 0; b < p; b++) m[a * p + b] *= scale[a] * scale[b];
  return m;
}

/** Lower triangle L with L L' = matrix; a pivot lost to rounding counts as 0. */
export function cholesky(matrix: Float64Array, p: number): Float64Array {
  const l = new Float64Array(p * p);
  for (let a = 0; a < p; a++) {
    for (let b = 0; b <= a; b++) {
      let sum = matrix[a * p + b];
      for (let i = 0; i < b; i++) sum -= l[a * p + i] * l[b * p + i];
      if (a === b) l[a * p + a] = Math.sqrt(Math.max(sum, 0));
      else l[a * p + b] = l[b * p + b] > 0 ? sum / l[b * p + b] : 0;
    }
  }
  return l;
}
