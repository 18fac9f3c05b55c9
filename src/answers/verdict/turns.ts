/**
 * When one thing was done again and again: the starts of the calls made from one instruction, or of the turns of a loop. Kept whole up
 * to a few thousand, thinned evenly beyond, always in pairs of neighbours, so that single turns stay visible in any length of run.
 */

const MOST = 4096;

export class Turns {
  /** Turns seen. */
  count = 0;
  /** Birth numbers at which the kept turns began, in order. */
  readonly starts: number[] = [];
  /** Of every `stride` turns the first two are kept; all of them while it is 1. */
  stride = 1;
  /** Turns that each number stands for: more than 1 when turns of several threads were merged after thinning. */
  private scale = 1;

  add(start: number): void {
    const index = this.count++;
    if (this.stride > 1 && index % this.stride > 1) return;
    this.starts.push(start);
    if (this.starts.length > MOST) this.thin();
  }

  private thin(): void {
    const { starts } = this;
    const step = this.stride === 1 ? 1 : 2; // kept values that stand for one stride
    this.stride = this.stride === 1 ? 4 : this.stride * 2;
    let kept = 0;
    for (let at = 0; at < starts.length; at++) {
      const index = step === 1 ? at : Math.floor(at / 2) * (this.stride / 2) + (at % 2);
      if (index % this.stride < 2) starts[kept++] = starts[at]!;
    }
    starts.length = kept;
  }

  /** Number of the kept turn at `at`, counted from 0 over all turns. */
  numberOf(at: number): number {
    const number = this.stride === 1 ? at : Math.floor(at / 2) * this.stride + (at % 2);
    return number * this.scale;
  }

  /** Several rows as one, by start. */
  static merge(several: readonly Turns[]): Turns {
    if (several.length === 1) return several[0]!;
    const all = new Turns();
    const starts = several.flatMap((turns) => turns.starts).sort((a, b) => a - b);
    for (const start of starts) all.add(start);
    all.count = several.reduce((sum, turns) => sum + turns.count, 0);
    all.scale = all.count / Math.max(1, starts.length);
    return all;
  }
}
