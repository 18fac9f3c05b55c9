/**
 * Running sums over blocks, per stack: bytes, number, and what an interval needs (docs/format.md, Estimates). Blocks with p = 1 and
 * sampled ones are kept apart; the sampled ones in two halves, by a coin thrown at birth, so that one half can choose an instant and
 * the other tell what lived then (see peak.ts).
 *
 * Beside what lives now stands what changed since the last `settle`: what dies after the program's last own birth still counts as alive
 * at its end. A change says which settling it came after, so that settling is one addition.
 */

/** The AMOUNT columns of the schema. */
export interface Amount {
  bytes: number;
  count: number;
  variance: number;
  sampled: number;
  exactBytes: number;
}

/** Doubles of a stack in `exact`, a cache line: what each stands for. */
export const EXACT = 8;
const BYTES = 0;
const COUNT = 1;
const BORN_BYTES = 2;
const BORN_COUNT = 3;
const CHANGED_BYTES = 4;
const CHANGED_COUNT = 5;
const CHANGED_AFTER = 6;

/** Doubles of a stack in `sampled`: bytes, count, variance and number of samples of half 0, of half 1, born, changed; and after which settling. */
export const SAMPLED = 17;
const PART = 4;
const BORN = 8;
const CHANGED = 12;
const SAMPLES_CHANGED_AFTER = 16;

export class StackAmounts {
  readonly stacks: number;
  readonly exact: Float64Array;
  /** Made when the first sampled block is born: most runs have none. */
  sampled: Float64Array | undefined;
  /** Live, of all stacks. */
  exactBytes = 0;
  exactCount = 0;
  /** Live, of all stacks: as the two halves in a row of `sampled`. */
  readonly totals = new Float64Array(2 * PART);
  private settled = 1;

  /** @param inherited the live amounts of a fork child's parent at the fork */
  constructor(stacks: number, inherited?: StackAmounts) {
    this.stacks = stacks;
    this.exact = new Float64Array(stacks * EXACT);
    if (inherited) this.inherit(inherited);
  }

  private inherit(from: StackAmounts): void {
    this.exactBytes = from.exactBytes;
    this.exactCount = from.exactCount;
    this.totals.set(from.totals);
    this.exact.set(from.exact);
    for (let at = 0; at < this.exact.length; at += EXACT) this.exact.fill(0, at + BORN_BYTES, at + EXACT);
    if (!from.sampled) return;
    this.sampled = from.sampled.slice();
    for (let at = 0; at < this.sampled.length; at += SAMPLED) this.sampled.fill(0, at + BORN, at + SAMPLED);
  }

  /** A block with p = 1. @param fresh a new request, not the rest of a mapping */
  add(stack: number, size: number, fresh: boolean): void {
    const { exact } = this;
    const at = stack * EXACT;
    exact[at + BYTES]! += size;
    exact[at + COUNT]! += 1;
    if (fresh) {
      exact[at + BORN_BYTES]! += size;
      exact[at + BORN_COUNT]! += 1;
    }
    this.exactBytes += size;
    this.exactCount++;
  }

  remove(stack: number, size: number): void {
    const { exact } = this;
    const at = stack * EXACT;
    exact[at + BYTES]! -= size;
    exact[at + COUNT]! -= 1;
    this.exactBytes -= size;
    this.exactCount--;
  }

  /** A block that came and went at once. */
  addBorn(stack: number, bytes: number, count = 1): void {
    this.exact[stack * EXACT + BORN_BYTES]! += bytes;
    this.exact[stack * EXACT + BORN_COUNT]! += count;
  }

  /** @param half 0 or 1 */
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

  addSampledBorn(stack: number, size: number, weight: number): void {
    this.sampled ??= new Float64Array(this.stacks * SAMPLED);
    change(this.sampled, stack * SAMPLED + BORN, size, weight, 1);
  }

  /** What lives now is what will have been alive at the end, unless this is called again. */
  settle(): void {
    this.settled++;
  }

  /** Notes a birth (+1) or death (-1) that came after the last `settle`, so that `atEnd` does not show it. */
  noteAfter(stack: number, size: number, weight: number, sign: 1 | -1): void {
    if (weight !== 1) {
      this.noteSampledAfter(stack, size, weight, sign);
      return;
    }
    const { exact } = this;
    const at = stack * EXACT;
    if (exact[at + CHANGED_AFTER] !== this.settled) {
      exact[at + CHANGED_AFTER] = this.settled;
      exact[at + CHANGED_BYTES] = exact[at + CHANGED_COUNT] = 0;
    }
    exact[at + CHANGED_BYTES]! += sign * size;
    exact[at + CHANGED_COUNT]! += sign;
  }

  private noteSampledAfter(stack: number, size: number, weight: number, sign: 1 | -1): void {
    const sampled = this.sampled!;
    const at = stack * SAMPLED;
    if (sampled[at + SAMPLES_CHANGED_AFTER] !== this.settled) {
      sampled.fill(0, at + CHANGED, at + CHANGED + PART);
      sampled[at + SAMPLES_CHANGED_AFTER] = this.settled;
    }
    change(sampled, at + CHANGED, size, weight, sign);
  }

  /** Live now, over all stacks. */
  total(): Amount {
    return sumOf(this.exactBytes, this.exactCount, this.totals, 0, this.totals, PART);
  }

  /** Live at the last `settle`, of one stack. */
  atEnd(stack: number): Amount {
    const { exact, sampled, settled } = this;
    const at = stack * EXACT;
    const isChanged = exact[at + CHANGED_AFTER] === settled;
    const bytes = exact[at + BYTES]! - (isChanged ? exact[at + CHANGED_BYTES]! : 0);
    const count = exact[at + COUNT]! - (isChanged ? exact[at + CHANGED_COUNT]! : 0);
    if (!sampled) return sumOf(bytes, count);
    const from = stack * SAMPLED;
    const live = sampled.slice(from, from + 2 * PART);
    if (sampled[from + SAMPLES_CHANGED_AFTER] === settled)
      for (let i = 0; i < PART; i++) live[i]! -= sampled[from + CHANGED + i]!;
    // the change is of both halves together: so are they
    for (let i = 0; i < PART; i++) live[i]! += live[PART + i]!;
    return sumOf(bytes, count, live, 0);
  }

  /** Everything born, of one stack. */
  allocated(stack: number): Amount {
    const at = stack * EXACT;
    return sumOf(this.exact[at + BORN_BYTES]!, this.exact[at + BORN_COUNT]!, this.sampled, stack * SAMPLED + BORN);
  }

  /** Nothing lives on this stack, and nothing was born. */
  isUntouched(stack: number): boolean {
    const { exact, sampled } = this;
    const at = stack * EXACT;
    if (exact[at + COUNT] !== 0 || exact[at + BORN_COUNT] !== 0) return false;
    if (!sampled) return true;
    const from = stack * SAMPLED;
    return sampled[from + 3] === 0 && sampled[from + PART + 3] === 0 && sampled[from + BORN + 3] === 0;
  }

  /** Estimated live bytes and blocks of a stack, without the rest: for checkpoints, which look at every stack. */
  liveBytes(stack: number): number {
    const exact = this.exact[stack * EXACT]!;
    return this.sampled ? exact + this.sampled[stack * SAMPLED]! + this.sampled[stack * SAMPLED + PART]! : exact;
  }

  liveCount(stack: number): number {
    const exact = this.exact[stack * EXACT + COUNT]!;
    return this.sampled
      ? exact + this.sampled[stack * SAMPLED + 1]! + this.sampled[stack * SAMPLED + PART + 1]!
      : exact;
  }
}

/**
 * The sum of blocks with p = 1 and up to two parts of sampled ones (four doubles each, from an index on). A part without samples is
 * nothing: what rounding left of it does not count.
 */
export function sumOf(
  exactBytes: number,
  exactCount: number,
  first?: Float64Array,
  firstAt = 0,
  second?: Float64Array,
  secondAt = 0,
): Amount {
  const sum: Amount = { bytes: exactBytes, count: exactCount, variance: 0, sampled: 0, exactBytes };
  if (first && first[firstAt + 3] !== 0) addPart(sum, first, firstAt);
  if (second && second[secondAt + 3] !== 0) addPart(sum, second, secondAt);
  return sum;
}

function addPart(sum: Amount, values: Float64Array, at: number): void {
  sum.bytes += values[at]!;
  sum.count += values[at + 1]!;
  sum.variance += values[at + 2]!;
  sum.sampled += values[at + 3]!;
}

/** One block with p = 1 / weight: Var = size^2 (1 - p) / p^2. */
function change(values: Float64Array, at: number, size: number, weight: number, sign: 1 | -1): void {
  values[at]! += sign * size * weight;
  values[at + 1]! += sign * weight;
  values[at + 2]! += sign * size * size * (weight * weight - weight);
  values[at + 3]! += sign;
}
