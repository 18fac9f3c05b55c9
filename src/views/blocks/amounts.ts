/**
 * Running sums over blocks, per stack: bytes, number, and what an interval needs (docs/format.md, Estimates). Blocks with p = 1 and
 * sampled ones are kept apart; the sampled ones in two halves, by a coin thrown at birth, so that one half can choose an instant and
 * the other tell what lived then (see peak.ts).
 */

/** The AMOUNT columns of the schema. */
export interface Amount {
  bytes: number;
  count: number;
  variance: number;
  sampled: number;
  exactBytes: number;
}

/** Doubles of a stack in `exact`: live bytes and count, then those of everything born. */
export const EXACT = 4;
/** Doubles of a stack in `sampled`: bytes, count, variance, number of samples, for half 0, half 1 and everything born. */
export const SAMPLED = 12;
const PART = 4;
const BORN = 8;

export class StackAmounts {
  readonly stacks: number;
  readonly exact: Float64Array;
  /** Made when the first sampled block is born: most runs have none. */
  sampled: Float64Array | undefined;
  /** Live, of all stacks. */
  exactBytes = 0;
  exactCount = 0;
  /** Live, of all stacks: as a row of `sampled`, without the last part. */
  readonly totals = new Float64Array(2 * PART);

  /** @param inherited the live amounts of a fork child's parent at the fork */
  constructor(stacks: number, inherited?: StackAmounts) {
    this.stacks = stacks;
    this.exact = new Float64Array(stacks * EXACT);
    if (inherited) this.inherit(inherited);
  }

  private inherit(from: StackAmounts): void {
    this.exact.set(from.exact);
    for (let at = 0; at < this.exact.length; at += EXACT) this.exact[at + 2] = this.exact[at + 3] = 0;
    this.sampled = from.sampled?.slice();
    if (this.sampled)
      for (let at = 0; at < this.sampled.length; at += SAMPLED) this.sampled.fill(0, at + BORN, at + SAMPLED);
    this.exactBytes = from.exactBytes;
    this.exactCount = from.exactCount;
    this.totals.set(from.totals);
  }

  /** @param half 0 or 1; `fresh`: a new request, not the rest of a mapping */
  addSampled(stack: number, half: number, size: number, weight: number, fresh: boolean): void {
    this.sampled ??= new Float64Array(this.stacks * SAMPLED);
    change(this.sampled, stack * SAMPLED + half * PART, size, weight, 1);
    change(this.totals, half * PART, size, weight, 1);
    if (fresh) change(this.sampled, stack * SAMPLED + BORN, size, weight, 1);
  }

  removeSampled(stack: number, half: number, size: number, weight: number): void {
    change(this.sampled!, stack * SAMPLED + half * PART, size, weight, -1);
    change(this.totals, half * PART, size, weight, -1);
  }

  /** Live now, over all stacks. */
  total(): Amount {
    return amountOf(this.exactBytes, this.exactCount, [this.totals, 0], [this.totals, PART]);
  }

  /** Nothing lives on this stack, and nothing was born. */
  isUntouched(stack: number): boolean {
    const { exact, sampled } = this;
    if (exact[stack * EXACT + 1] !== 0 || exact[stack * EXACT + 3] !== 0) return false;
    if (!sampled) return true;
    const at = stack * SAMPLED;
    return sampled[at + 3] === 0 && sampled[at + PART + 3] === 0 && sampled[at + BORN + 3] === 0;
  }

  /** Live now, of one stack. */
  live(stack: number): Amount {
    const at = stack * SAMPLED;
    const sampled = this.sampled ?? NOTHING;
    const from = this.sampled ? at : 0;
    return amountOf(
      this.exact[stack * EXACT]!,
      this.exact[stack * EXACT + 1]!,
      [sampled, from],
      [sampled, from + PART],
    );
  }

  /** Everything born, of one stack. */
  allocated(stack: number): Amount {
    const sampled = this.sampled ?? NOTHING;
    const born: Part = this.sampled ? [sampled, stack * SAMPLED + BORN] : [sampled, 0];
    return amountOf(this.exact[stack * EXACT + 2]!, this.exact[stack * EXACT + 3]!, born, [NOTHING, 0]);
  }

  /** Estimated live bytes and blocks of a stack, without the rest: for checkpoints, which look at every stack. */
  liveBytes(stack: number): number {
    const exact = this.exact[stack * EXACT]!;
    return this.sampled ? exact + this.sampled[stack * SAMPLED]! + this.sampled[stack * SAMPLED + PART]! : exact;
  }

  liveCount(stack: number): number {
    const exact = this.exact[stack * EXACT + 1]!;
    return this.sampled
      ? exact + this.sampled[stack * SAMPLED + 1]! + this.sampled[stack * SAMPLED + PART + 1]!
      : exact;
  }
}

/** Where the four doubles of one part stand. */
export type Part = readonly [Float64Array, number];

const NOTHING = new Float64Array(2 * PART);

/** Sum of a part with p = 1 and two sampled ones. A part without samples is nothing: what rounding left of it does not count. */
export function amountOf(exactBytes: number, exactCount: number, ...parts: readonly Part[]): Amount {
  const sum: Amount = { bytes: exactBytes, count: exactCount, variance: 0, sampled: 0, exactBytes };
  for (const [values, at] of parts) {
    if (values[at + 3] === 0) continue;
    sum.bytes += values[at]!;
    sum.count += values[at + 1]!;
    sum.variance += values[at + 2]!;
    sum.sampled += values[at + 3]!;
  }
  return sum;
}

/** One block with p = 1 / weight: Var = size^2 (1 - p) / p^2. */
function change(values: Float64Array, at: number, size: number, weight: number, sign: 1 | -1): void {
  values[at]! += sign * size * weight;
  values[at + 1]! += sign * weight;
  values[at + 2]! += sign * size * size * (weight * weight - weight);
  values[at + 3]! += sign;
}
