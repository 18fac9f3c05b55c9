/**
 * How often stacks were executed, estimated from a sample. Small blocks of an instruction say little (each stands for thousands), so only
 * its largest ones count: they are the surest.
 */

import { NONE } from "../../base/brand.ts";
import type { Places } from "./places.ts";

/** A count with a larger relative error is not used. */
const SURE = 0.25;
/** Of the turns that were seen, a count may miss this share and still be one of every turn. */
const SEEN = 0.7;

export class Counts {
  private readonly largest: Float64Array;
  private readonly counts: Float64Array;
  private readonly variances: Float64Array;

  constructor(stacks: number) {
    this.largest = new Float64Array(stacks);
    this.counts = new Float64Array(stacks);
    this.variances = new Float64Array(stacks);
  }

  add(stack: number, size: number, weight: number): void {
    const largest = this.largest[stack]!;
    if (size * 2 < largest) return;
    if (size > largest * 2) {
      this.counts[stack] = 0;
      this.variances[stack] = 0;
    }
    if (size > largest) this.largest[stack] = size;
    this.counts[stack]! += weight;
    this.variances[stack]! += weight * (weight - 1);
  }

  /**
   * How often the calls from this part of the stacks, or the turns at it, happened: the rarest block below it that is counted surely,
   * not more seldom than turns were seen, and made steadily. Blocks that one turn makes several of would say too much.
   * @param isSteady the blocks of a stack are spread over the driver's time
   * @returns also the stack of that block, NONE: there is none, and the turns are those seen
   */
  turnsBelow(
    part: number,
    seen: number,
    places: Places,
    isSteady: (stack: number) => boolean,
  ): { turns: number; stack: number } {
    const { stackParent } = places.program;
    const below = new Uint8Array(stackParent.length);
    const known: number[] = [];
    for (let stack = part; stack < stackParent.length; stack++) {
      const parent = stackParent[stack]!;
      if (stack !== part && (parent === NONE || below[parent] === 0)) continue;
      below[stack] = 1;
      const count = this.counts[stack]!;
      if (count >= SEEN * seen && Math.sqrt(this.variances[stack]!) <= SURE * count) known.push(stack);
    }
    known.sort((a, b) => this.counts[a]! - this.counts[b]!);
    const rarest = known.find(isSteady);
    if (rarest === undefined) return { turns: seen, stack: NONE };
    const stack = this.surestLike(rarest, known.filter(isSteady));
    return { turns: this.counts[stack]!, stack };
  }

  /** Of the stacks whose count may well be the same: the one that is counted best. The rarest of several is rare by chance as well. */
  private surestLike(rarest: number, stacks: readonly number[]): number {
    const error = (stack: number): number => Math.sqrt(this.variances[stack]!);
    const mayEqual = (stack: number): boolean =>
      this.counts[stack]! - this.counts[rarest]! <= 2 * (error(stack) + error(rarest));
    const relative = (stack: number): number => error(stack) / this.counts[stack]!;
    return stacks.filter(mayEqual).reduce((best, stack) => (relative(stack) < relative(best) ? stack : best), rarest);
  }
}
