/** What a thread is doing: its running activations, one column each by depth, outermost first. */

import { NONE } from "../../base/brand.ts";
import { SIZES } from "./patterns.ts";

const FIRST_DEPTH = 32;
const MOST_SIZES = 16;

/** An activation of a generator that is not running. */
export interface Suspended {
  depth: number;
  /** Start of the activation that it ran under; NONE: it was outermost. */
  outer: number;
  stack: number;
  start: number;
  executed: number;
  last: number;
  rows: number;
  owner: number;
  certain: number;
}

export class Path {
  readonly thread: number;
  /** Of the last birth; NONE before the first. */
  stack = NONE;
  depth = 0;
  /** Number of the last birth. */
  last = 0;
  /** While patterns are learned: births at the same stack so far. */
  run = 0;
  /** The part of the stack down to this depth. */
  stacks = new Uint32Array(FIRST_DEPTH);
  /** Number of the birth at which the activation was first seen. */
  start = new Float64Array(FIRST_DEPTH);
  /** The same for the execution of the instruction that it stands at. */
  executed = new Float64Array(FIRST_DEPTH);
  /** Its rows in Executions, -1: none. */
  rows = new Int32Array(FIRST_DEPTH);
  owner = new Uint32Array(FIRST_DEPTH);
  /** Turns of its loops that are certain. */
  certain = new Uint32Array(FIRST_DEPTH);
  /** 1 when the running execution has made a block itself (its anchor, where it has one). */
  anchored = new Uint8Array(FIRST_DEPTH);
  /** 1 when the running execution has called and its callee was seen to be over. */
  called = new Uint8Array(FIRST_DEPTH);
  /** While patterns are learned: calls that the running execution made after its first. */
  repeats = new Uint32Array(FIRST_DEPTH);
  /** While patterns are learned: blocks that the running execution made, by size. */
  made = new Uint32Array(FIRST_DEPTH * SIZES);
  /** Sizes seen at this stack since the last turn, as far as there is room. */
  private readonly sizes = new Float64Array(MOST_SIZES);
  private sizeCount = 0;
  /** By code: a generator of it that left the stack. */
  readonly suspended: (Suspended | undefined)[] = [];

  constructor(thread: number) {
    this.thread = thread;
  }

  forgetSizes(): void {
    this.sizeCount = 0;
  }

  noteSize(size: number): void {
    if (this.sizeCount < MOST_SIZES) this.sizes[this.sizeCount++] = size;
  }

  hasSize(size: number): boolean {
    for (let i = 0; i < this.sizeCount; i++) if (this.sizes[i] === size) return true;
    return false;
  }

  /** Makes room for that many frames. */
  reach(depth: number): void {
    if (depth <= this.stacks.length) return;
    const length = Math.max(depth, this.stacks.length * 2);
    this.stacks = grown(this.stacks, new Uint32Array(length));
    this.start = grown(this.start, new Float64Array(length));
    this.executed = grown(this.executed, new Float64Array(length));
    this.rows = grown(this.rows, new Int32Array(length));
    this.owner = grown(this.owner, new Uint32Array(length));
    this.certain = grown(this.certain, new Uint32Array(length));
    this.anchored = grown(this.anchored, new Uint8Array(length));
    this.called = grown(this.called, new Uint8Array(length));
    this.repeats = grown(this.repeats, new Uint32Array(length));
    this.made = grown(this.made, new Uint32Array(length * SIZES));
  }

  /** Writes down the activation at a depth. */
  keep(to: Suspended, at: number): Suspended {
    to.depth = at;
    to.outer = at === 0 ? NONE : this.start[at - 1]!;
    to.stack = this.stacks[at]!;
    to.start = this.start[at]!;
    to.executed = this.executed[at]!;
    to.last = this.last;
    to.rows = this.rows[at]!;
    to.owner = this.owner[at]!;
    to.certain = this.certain[at]!;
    return to;
  }
}

function grown<A extends Uint8Array | Uint32Array | Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
