/** The shape of an array as a function of n, told from its shapes at several sizes. */

interface Seen {
  readonly n: number;
  readonly value: number;
}

/** An edge may be a row more or less than the formula says: headers, fence posts. */
const SLACK = 1.5;
const SHARE = 0.002;

/** "(n, 1 024)", "(2 n,)", "(n / 4, n)"; null: fewer than two sizes, or shapes of different rank. */
export function shapeText(shapes: readonly { n: number; shape: readonly number[] }[]): string | null {
  if (new Set(shapes.map(({ n }) => n)).size < 2) return null;
  const rank = shapes[0].shape.length;
  if (rank === 0 || shapes.some(({ shape }) => shape.length !== rank)) return null;
  const edges = shapes[0].shape.map((_, axis) => edgeText(shapes.map(({ n, shape }) => ({ n, value: shape[axis] }))));
  return rank === 1 ? `(${edges[0]},)` : `(${edges.join(", ")})`;
}

/** One edge: constant, r n^p with p of 1, 2, 1/2, or n plus a constant; otherwise its exponent. */
function edgeText(seen: readonly Seen[]): string {
  const last = seen.reduce((a, b) => (b.n > a.n ? b : a));
  const follows = (formula: (n: number) => number): boolean =>
    seen.every(({ n, value }) => Math.abs(formula(n) - value) <= Math.max(SLACK, SHARE * value));
  if (seen.every(({ value }) => value === last.value)) return String(last.value);
  if (follows((n) => n + last.value - last.n) && Math.abs(last.value - last.n) <= 64) return plus(last.value - last.n);
  for (const [p, name] of POWERS) {
    const ratio = last.value / last.n ** p;
    if (follows((n) => ratio * n ** p)) return times(ratio, name);
  }
  const first = seen.reduce((a, b) => (b.n < a.n ? b : a));
  const exponent = Math.log(last.value / first.value) / Math.log(last.n / first.n);
  return Number.isFinite(exponent) ? `about n^${Number(exponent.toFixed(2))}` : "?";
}

const POWERS = [
  [1, "n"],
  [2, "n^2"],
  [0.5, "n^0.5"],
  [3, "n^3"],
] as const;

function plus(rest: number): string {
  return rest === 0 ? "n" : `n ${rest < 0 ? "-" : "+"} ${Math.abs(rest)}`;
}

/** 2 -> "2 n", 0.25 -> "n / 4", 0.37 -> "0.37 n" */
function times(ratio: number, name: string): string {
  if (Math.abs(ratio - 1) < SHARE) return name;
  const inverse = 1 / ratio;
  if (ratio < 1 && Math.abs(inverse - Math.round(inverse)) < SHARE * inverse) return `${name} / ${Math.round(inverse)}`;
  return `${Number(ratio.toPrecision(3))} ${name}`;
}
