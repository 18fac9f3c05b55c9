/** When blocks were left out: an adaptive recording is exact at first, and again in quiet times. */

export class Sampling {
  /** Longest interval, bytes. */
  interval = 0;
  /** Numbers of the first and the last birth of sampled times; 0: every block was recorded. */
  private first = 0;
  private last = 0;

  note(sequence: number, interval: number): void {
    if (this.first === 0) this.first = sequence;
    this.last = sequence;
    if (interval > this.interval) this.interval = interval;
  }

  /** Blocks may be missing between two births. */
  touches(from: number, to: number): boolean {
    return this.first !== 0 && from <= this.last && to >= this.first;
  }
}
