/**
 * When one thing was done again and again: the starts of the calls made from one instruction, or of the turns of a loop. Kept whole up
 * to a few thousand; beyond, pairs of neighbours chosen by a hash of their number, so that single turns stay visible in any length of
 * run and no rhythm of the program is hit or missed.
 */

import { lastNotAbove, scramble } from "./history.ts";

const MOST = 4096;

export class Turns {
  /** Turns seen. */
  count = 0;
  /** Birth numbers at which the kept turns began, in order. */
  readonly starts: number[] = [];
  /** Their numbers, counted from 0 over all turns. */
  readonly numbers: number[] = [];
  /** Start of the last turn, kept or not. */
  latest = 0;
  private mask = 0;

  add(start: number): void {
    const index = this.count++;
    this.latest = start;
    if ((scramble(index >> 1) & this.mask) !== 0) return;
    this.starts.push(start);
    this.numbers.push(index);
    if (this.starts.length > MOST) this.thin();
  }

  /** The kept turn at `at` and the next kept one are neighbours. */
  isSingle(at: number): boolean {
    return at + 1 < this.numbers.length ? this.numbers[at + 1] === this.numbers[at]! + 1 : this.mask === 0;
  }

  /** Turns that began up to a birth, as nearly as the kept ones tell. */
  before(birth: number): number {
    const { starts, numbers } = this;
    const at = lastNotAbove(starts, starts.length, birth);
    if (at < 0) return 0;
    if (at + 1 === starts.length) return birth >= this.latest ? this.count : numbers[at]! + 1;
    const share = (birth - starts[at]!) / Math.max(1, starts[at + 1]! - starts[at]!);
    return numbers[at]! + 1 + Math.floor(share * (numbers[at + 1]! - numbers[at]! - 1));
  }

  /** The longest of the kept turns whose next one is kept, in births. */
  longest(): number {
    let longest = 0;
    for (let at = 0; at + 1 < this.starts.length; at++) {
      if (this.isSingle(at)) longest = Math.max(longest, this.starts[at + 1]! - this.starts[at]!);
    }
    return longest;
  }

  /** Several rows as one, by start. */
  static merge(several: readonly Turns[]): Turns {
    if (several.length === 1) return several[0]!;
    const all = new Turns();
    const starts = several.flatMap((turns) => turns.starts).sort((a, b) => a - b);
    const count = several.reduce((sum, turns) => sum + turns.count, 0);
    for (const start of starts) all.add(start);
    const scale = count / Math.max(1, starts.length);
    if (scale > 1) all.numbers.forEach((number, at) => (all.numbers[at] = Math.floor(number * scale)));
    all.count = count;
    all.latest = Math.max(...several.map(({ latest }) => latest));
    return all;
  }

  private thin(): void {
    this.mask = this.mask * 2 + 1;
    let kept = 0;
    for (let at = 0; at < this.starts.length; at++) {
      if ((scramble(this.numbers[at]! >> 1) & this.mask) !== 0) continue;
      this.starts[kept] = this.starts[at]!;
      this.numbers[kept++] = this.numbers[at]!;
    }
    this.starts.length = kept;
    this.numbers.length = kept;
  }
}
