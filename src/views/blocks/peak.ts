/**
 * What was alive at the peak, found while the replay runs past it.
 *
 * The kernel says when the peak of RSS was, up to the time between two samples: a window. Inside the window the instant is where the
 * heap was largest. When every block is recorded the curve is the truth and its maximum may be read. A sampled curve is noisy and
 * its maximum is too high on average, so there the samples are split by a coin: each half finds the instant at which its own curve is
 * highest, and the other half, to which that instant is any instant, tells what lived then. The two together are unbiased.
 *
 * Why no second pass and no copies at intervals: the maximum is known only afterwards, but the live set at the highest instant so far
 * can be kept at the price of the events themselves. Births only raise the curve, so a new maximum stands until the next death; only
 * then it is written down, and only for the stacks that changed since it was written down before.
 */

import { EXACT, SAMPLED, sumOf } from "./amounts.ts";
import type { Amount, StackAmounts } from "./amounts.ts";

const KEPT_EXACT = 2;
const KEPT_SAMPLED = 4;

/** Follows one curve to its maximum and keeps the live amounts there. */
class Watch {
  /** Seconds since the start of the run. */
  time: number;
  private best: number;
  private pending = false;
  private readonly amounts: StackAmounts;
  /** Whose curve is followed; the samples of the other half are kept. NaN: no samples at all. */
  private readonly half: number;
  private readonly exact: Float64Array;
  private sampled: Float64Array | undefined;
  private changed: Uint32Array;
  private changedCount = 0;
  private readonly isChanged: Uint8Array;

  constructor(amounts: StackAmounts, half: number, time: number) {
    this.amounts = amounts;
    this.half = half;
    this.time = time;
    this.best = this.level();
    this.exact = new Float64Array(amounts.stacks * KEPT_EXACT);
    this.changed = new Uint32Array(1024);
    this.isChanged = new Uint8Array(amounts.stacks);
    for (let stack = 0; stack < amounts.stacks; stack++) this.keep(stack);
  }

  private level(): number {
    const { exactBytes, totals } = this.amounts;
    return Number.isNaN(this.half) ? exactBytes : exactBytes + 2 * totals[this.half * 4]!;
  }

  /** After a birth on this stack. */
  rose(stack: number, time: number): void {
    this.change(stack);
    const level = this.level();
    if (level <= this.best) return;
    this.best = level;
    this.time = time;
    this.pending = true;
  }

  /** Before a death on this stack. */
  falls(stack: number): void {
    if (this.pending) this.settle();
    this.change(stack);
  }

  settle(): void {
    if (!this.pending) return;
    this.pending = false;
    for (let i = 0; i < this.changedCount; i++) {
      this.keep(this.changed[i]!);
      this.isChanged[this.changed[i]!] = 0;
    }
    this.changedCount = 0;
  }

  private change(stack: number): void {
    if (this.isChanged[stack] === 1) return;
    this.isChanged[stack] = 1;
    if (this.changedCount === this.changed.length) {
      const larger = new Uint32Array(this.changed.length * 2);
      larger.set(this.changed);
      this.changed = larger;
    }
    this.changed[this.changedCount++] = stack;
  }

  private keep(stack: number): void {
    const { amounts } = this;
    this.exact[stack * KEPT_EXACT] = amounts.exact[stack * EXACT]!;
    this.exact[stack * KEPT_EXACT + 1] = amounts.exact[stack * EXACT + 1]!;
    if (!amounts.sampled || Number.isNaN(this.half)) return;
    this.sampled ??= new Float64Array(amounts.stacks * KEPT_SAMPLED);
    const from = stack * SAMPLED + (1 - this.half) * KEPT_SAMPLED;
    for (let i = 0; i < KEPT_SAMPLED; i++) this.sampled[stack * KEPT_SAMPLED + i] = amounts.sampled[from + i]!;
  }

  /** Bytes and number of the blocks with p = 1. */
  exactBytes(stack: number): number {
    return this.exact[stack * KEPT_EXACT]!;
  }

  exactCount(stack: number): number {
    return this.exact[stack * KEPT_EXACT + 1]!;
  }

  /** Four doubles a stack; undefined: no sample lived. */
  get samples(): Float64Array | undefined {
    return this.sampled;
  }
}

/** Follows the curves of one process through the window. Made at its beginning; `close` at its end. */
export class PeakWatch {
  private readonly first: Watch;
  /** undefined: every block is recorded, both halves would do the same. */
  private readonly second: Watch | undefined;

  constructor(amounts: StackAmounts, exact: boolean, time: number) {
    this.first = new Watch(amounts, exact ? NaN : 0, time);
    this.second = exact ? undefined : new Watch(amounts, 1, time);
  }

  rose(stack: number, time: number): void {
    this.first.rose(stack, time);
    this.second?.rose(stack, time);
  }

  falls(stack: number): void {
    this.first.falls(stack);
    this.second?.falls(stack);
  }

  close(): void {
    this.first.settle();
    this.second?.settle();
  }

  /** The instant that the figures are for; blocks with p = 1 are all from there, samples from there and from the other half's instant. */
  get time(): number {
    return this.first.time;
  }

  amount(stack: number): Amount {
    const { first, second } = this;
    const at = stack * KEPT_SAMPLED;
    return sumOf(first.exactBytes(stack), first.exactCount(stack), first.samples, at, second?.samples, at);
  }

  /** Nothing lived on this stack. */
  isEmpty(stack: number): boolean {
    const { first, second } = this;
    const at = stack * KEPT_SAMPLED + 3;
    return first.exactCount(stack) === 0 && !first.samples?.[at] && !second?.samples?.[at];
  }
}
