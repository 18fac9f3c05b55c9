/** When births are missing: an adaptive recording is exact at first, and again in quiet times; of an exact one, stretches are thinned. */

import type { Turns } from "./turns.ts";

const MOST_STRETCHES = 1024;

export class Sampling {
  /** Longest interval, bytes; 0: no block was left out, births were only counted. */
  interval = 0;
  /** Numbers of the first and the last birth of times in which others may be missing; 0: none is. */
  private first = 0;
  private last = 0;
  /** Stretches in which none is missing: numbers of the first birth and of the last. */
  private readonly from: number[] = [];
  private readonly to: number[] = [];

  note(sequence: number, interval: number): void {
    if (this.first === 0) this.first = sequence;
    this.last = sequence;
    if (interval > this.interval) this.interval = interval;
  }

  noteWhole(sequence: number): void {
    const { from, to } = this;
    const last = to.length - 1;
    if (last >= 0 && to[last] === sequence - 1) to[last] = sequence;
    else if (to.length < MOST_STRETCHES) {
      from.push(sequence);
      to.push(sequence);
    }
  }

  /** Blocks may be missing between two births. */
  touches(from: number, to: number): boolean {
    return this.first !== 0 && from <= this.last && to >= this.first;
  }

  /** Turns that began while no birth was missing. */
  wholeTurns(turns: Turns): number {
    return this.from.reduce((sum, from, i) => sum + turns.before(this.to[i]!) - turns.before(from), 0);
  }
}
