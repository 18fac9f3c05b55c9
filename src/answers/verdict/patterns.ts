/**
 * What the births of a run look like at each instruction inside a loop: learned from a first reading, so that the clock knows from the
 * first turn on what only later turns show.
 *
 * One instruction may make one block each time, or ten thousand (a parser). Two births in a row at one stack are therefore two turns
 * or one. They are two when the instruction has an *anchor*: a size that it makes exactly once each time it is executed.
 */

import { NONE } from "../../base/brand.ts";
import { FEWEST_TURNS } from "./executions.ts";

/** Sizes told apart at one stack; an instruction that makes more kinds has no anchor. */
export const SIZES = 4;
const MOST_PER_ANCHOR = 4;
const FIRST_ROWS = 64;
/** Of 32 classes of sizes: with more in use there are too many sizes to count them so. */
const FEW_KINDS = 20;

export class Patterns {
  /** By code: how often a loop of one activation turned for certain, at most over all activations. */
  private readonly certainTurns: Uint32Array;
  /** Codes whose loops show when they turn. */
  shownLoops = 0;
  /** By stack: at how few outer frames a birth there was the first of all new calls inwards; NONE: never the first of a call. */
  private readonly firstOfCalls: Uint32Array;
  /** By stack: how few outer frames went on after a birth there, at the fewest; NONE: no birth elsewhere was seen to follow. */
  private readonly lastOfCalls: Uint32Array;
  /** By stack: births there in a row, at the fewest and at the most. */
  private readonly shortestRun: Uint32Array;
  private readonly longestRun: Uint32Array;
  private readonly rowOfStack: Int32Array;
  private births = new Uint32Array(FIRST_ROWS);
  /** A bit for each of 32 classes of sizes: enough to tell few from many. */
  private kinds = new Uint32Array(FIRST_ROWS);
  private manySizes = new Uint8Array(FIRST_ROWS);
  private anchors = new Float64Array(FIRST_ROWS);
  /** Calls beyond the first that one execution made, at the fewest. */
  private fewestRepeats = new Uint32Array(FIRST_ROWS);
  /** SIZES columns a row. */
  private sizes = new Float64Array(FIRST_ROWS * SIZES);
  private counts = new Uint32Array(FIRST_ROWS * SIZES);
  private fewest = new Uint32Array(FIRST_ROWS * SIZES);
  private most = new Uint32Array(FIRST_ROWS * SIZES);
  private rows = 0;

  constructor(stacks: number, codes: number) {
    this.certainTurns = new Uint32Array(codes);
    this.firstOfCalls = new Uint32Array(stacks).fill(NONE);
    this.lastOfCalls = new Uint32Array(stacks).fill(NONE);
    this.shortestRun = new Uint32Array(stacks).fill(NONE);
    this.longestRun = new Uint32Array(stacks);
    this.rowOfStack = new Int32Array(stacks).fill(-1);
  }

  /** A birth was the first of new calls below `depth` frames. */
  began(stack: number, depth: number): void {
    if (depth < this.firstOfCalls[stack]!) this.firstOfCalls[stack] = depth;
  }

  /** After `run` births there the next one was elsewhere, and `depth` outer frames went on. */
  left(stack: number, depth: number, run: number): void {
    if (depth < this.lastOfCalls[stack]!) this.lastOfCalls[stack] = depth;
    if (run < this.shortestRun[stack]!) this.shortestRun[stack] = run;
    if (run > this.longestRun[stack]!) this.longestRun[stack] = run;
  }

  /**
   * Can the loop at the end of the first `depth` frames turn between two births at this stack and not show? Not when other births were always seen
   * to come first in the calls between; nor when others always came after much the same number of births here.
   */
  mayTurnUnseen(stack: number, depth: number, whole: number): boolean {
    if (depth === whole) return true;
    if (this.firstOfCalls[stack]! > depth) return false;
    const last = this.lastOfCalls[stack]!;
    return last === NONE || last <= depth || this.longestRun[stack]! > 2 * this.shortestRun[stack]!;
  }

  /** One activation of a code has turned its loops so often. */
  turned(code: number, turns: number): void {
    if (turns <= this.certainTurns[code]!) return;
    this.certainTurns[code] = turns;
    if (turns === FEWEST_TURNS) this.shownLoops++;
  }

  /** The loops of this code show when they turn: silence means that they did not. */
  isShown(code: number): boolean {
    return this.certainTurns[code]! >= FEWEST_TURNS;
  }

  /** A birth at a stack inside a loop. @returns which of the stack's sizes it had, SIZES: one more than are told apart */
  note(stack: number, size: number): number {
    let row = this.rowOfStack[stack]!;
    if (row < 0) row = this.addRow(stack);
    this.births[row]!++;
    this.kinds[row]! |= 1 << (Math.imul(size, 0x9e37_79b1) >>> 27);
    const at = row * SIZES;
    for (let i = 0; i < SIZES; i++) {
      if (this.counts[at + i] === 0) this.sizes[at + i] = size;
      else if (this.sizes[at + i] !== size) continue;
      this.counts[at + i]!++;
      return i;
    }
    this.manySizes[row] = 1;
    return SIZES;
  }

  /** An execution at this stack is over: how many blocks of each size it made, `counts[at …]`. */
  executed(stack: number, counts: Uint32Array, at: number): void {
    const to = this.rowOfStack[stack]! * SIZES;
    for (let i = 0; i < SIZES; i++) {
      const count = counts[at + i]!;
      if (count === 0) continue;
      if (count < this.fewest[to + i]!) this.fewest[to + i] = count;
      if (count > this.most[to + i]!) this.most[to + i] = count;
    }
  }

  /** An execution at this stack is over that called Python code: `repeats` more times after the first. */
  called(stack: number, repeats: number): void {
    let row = this.rowOfStack[stack]!;
    if (row < 0) row = this.addRow(stack);
    if (repeats < this.fewestRepeats[row]!) this.fewestRepeats[row] = repeats;
  }

  /** The instruction was seen to call once: two calls are two executions. Otherwise it may be C code that calls back, like `sorted` its key. */
  callsOnce(stack: number): boolean {
    const row = this.rowOfStack[stack]!;
    return row >= 0 && this.fewestRepeats[row] === 0;
  }

  /** After a reading: finds the anchors. */
  settle(): void {
    for (let row = 0; row < this.rows; row++) this.anchors[row] = this.findAnchor(row);
  }

  private findAnchor(row: number): number {
    if (this.manySizes[row] === 1) return NONE;
    const at = row * SIZES;
    let best = 0;
    for (let i = 1; i < SIZES; i++) if (this.counts[at + i]! > this.counts[at + best]!) best = i;
    const isOnce = this.fewest[at + best] === 1 && this.births[row]! <= MOST_PER_ANCHOR * this.counts[at + best]!;
    if (!isOnce) return NONE;
    // A list beside many items: what is made once however many others there are says that they came from one execution.
    for (let i = 0; i < SIZES; i++) {
      if (i !== best && this.counts[at + i]! > 0 && this.most[at + i] === 1 && this.most[at + best]! > 1) return NONE;
    }
    return this.sizes[at + best]!;
  }

  /** The size made once in each execution at this stack; NONE: not known to have one. */
  anchorOf(stack: number): number {
    const row = this.rowOfStack[stack]!;
    return row < 0 ? NONE : this.anchors[row]!;
  }

  /** The same few sizes come again and again at this stack. */
  repeatsSizes(stack: number): boolean {
    const row = this.rowOfStack[stack]!;
    if (row < 0) return false;
    const kinds = bitCount(this.kinds[row]!);
    return kinds <= FEW_KINDS && kinds * 4 <= this.births[row]!;
  }

  private addRow(stack: number): number {
    const row = this.rows++;
    this.rowOfStack[stack] = row;
    if (this.rows > this.births.length) this.grow();
    this.anchors[row] = NONE;
    this.fewestRepeats[row] = NONE;
    this.fewest.fill(NONE, row * SIZES, (row + 1) * SIZES);
    return row;
  }

  private grow(): void {
    this.births = doubled(this.births, Uint32Array);
    this.kinds = doubled(this.kinds, Uint32Array);
    this.manySizes = doubled(this.manySizes, Uint8Array);
    this.anchors = doubled(this.anchors, Float64Array);
    this.fewestRepeats = doubled(this.fewestRepeats, Uint32Array);
    this.sizes = doubled(this.sizes, Float64Array);
    this.counts = doubled(this.counts, Uint32Array);
    this.fewest = doubled(this.fewest, Uint32Array);
    this.most = doubled(this.most, Uint32Array);
  }
}

function doubled<A extends Uint8Array | Uint32Array | Float64Array>(from: A, kind: new (length: number) => A): A {
  const larger = new kind(from.length * 2);
  larger.set(from);
  return larger;
}

function bitCount(bits: number): number {
  let count = 0;
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++;
  return count;
}
