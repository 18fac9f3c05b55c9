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

const FEWEST_WHOLE = 64;

export class Counts {
  private readonly largest: Float64Array;
  private readonly counts: Float64Array;
  private readonly variances: Float64Array;
  /** By stack: all births, and those in times in which none is missing. */
  private readonly all: Float64Array;
  private readonly whole: Float64Array;

  constructor(stacks: number) {
    this.largest = new Float64Array(stacks);
    this.counts = new Float64Array(stacks);
    this.variances = new Float64Array(stacks);
    this.all = new Float64Array(stacks);
    this.whole = new Float64Array(stacks);
  }

  add(stack: number, size: number, weight: number, isWhole: boolean): void {
    this.all[stack]! += weight;
    if (isWhole) this.whole[stack]! += 1;
    this.note(stack, size, weight);
  }

  private note(stack: number, size: number, weight: number): void {
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

  /** So many births of that mean size, of which the recording only has the number. */
  addCounted(stack: number, size: number, count: number): void {
    this.all[stack]! += count;
    this.note(stack, size, 1);
    this.counts[stack]! += size * 2 < this.largest[stack]! ? 0 : count - 1;
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
    const isSure = (stack: number): boolean => {
      const count = this.counts[stack]!;
      return count >= SEEN * seen && Math.sqrt(this.variances[stack]!) <= SURE * count;
    };
    const known = stacksBelow(part, places).filter(isSure);
    known.sort((a, b) => this.counts[a]! - this.counts[b]!);
    const rarest = known.find(isSteady);
    if (rarest === undefined) return { turns: seen, stack: NONE };
    const stack = this.surestLike(rarest, known.filter(isSteady));
    return { turns: this.counts[stack]!, stack };
  }

  /** How many births below this part of the stacks there were for each one in times in which none is missing; NaN: too few of those to say. */
  timesWhole(part: number, places: Places): number {
    let [all, whole] = [0, 0];
    for (const stack of stacksBelow(part, places)) {
      all += this.all[stack]!;
      whole += this.whole[stack]!;
    }
    return whole >= FEWEST_WHOLE ? all / whole : NaN;
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

/** Those that begin with this part, itself included. A parent stands before its children. */
function stacksBelow(part: number, { program: { stackParent } }: Places): number[] {
  const below = new Uint8Array(stackParent.length);
  const stacks: number[] = [];
  for (let stack = part; stack < stackParent.length; stack++) {
    const parent = stackParent[stack]!;
    if (stack !== part && (parent === NONE || below[parent] === 0)) continue;
    below[stack] = 1;
    stacks.push(stack);
  }
  return stacks;
}
