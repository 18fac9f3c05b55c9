/**
 * The executions of instructions by running activations: for each activation, which instructions it executed more than once and when.
 * Most activations end with none; the few that did one thing eight times and more may drive a trend and are handed on.
 * Rows of a pool in typed arrays, linked by index, since a busy program makes tens of millions of them.
 */

import { Turns } from "./turns.ts";

/** Fewer turns of a loop, or calls of a function, are no trend. */
export const FEWEST_TURNS = 8;

const FIRST_ROWS = 1 << 10;

/** What one activation did again and again. */
export interface Repeated {
  /** The stack down to the activation's own frame, at the instruction. */
  stack: number;
  turns: Turns;
}

export class Executions {
  private stacks = new Uint32Array(FIRST_ROWS);
  private owners = new Uint32Array(FIRST_ROWS);
  private counts = new Uint32Array(FIRST_ROWS);
  private next = new Int32Array(FIRST_ROWS);
  /** The first starts of a row; all of them go to `turns` when there are more. */
  private starts = new Float64Array(FIRST_ROWS * FEWEST_TURNS);
  private readonly turns: (Turns | undefined)[] = [];
  private readonly rowOfStack: Int32Array;
  private free = -1;
  private rows = 0;
  private owner = 0;

  constructor(stacks: number) {
    this.rowOfStack = new Int32Array(stacks).fill(-1);
  }

  /** A name for an activation that begins to have rows. */
  newOwner(): number {
    this.owner = (this.owner + 1) >>> 0;
    return this.owner;
  }

  /** Notes one execution. @returns the head of the owner's rows, given the one before (-1: no rows yet) */
  add(head: number, owner: number, stack: number, start: number): number {
    let row = this.rowOfStack[stack]!;
    if (row < 0 || this.stacks[row] !== stack || this.owners[row] !== owner) {
      row = head;
      while (row >= 0 && this.stacks[row] !== stack) row = this.next[row]!;
      if (row < 0) {
        row = this.take();
        this.stacks[row] = stack;
        this.owners[row] = owner;
        this.counts[row] = 0;
        this.next[row] = head;
        head = row;
      }
      this.rowOfStack[stack] = row;
    }
    const count = this.counts[row]!++;
    if (count < FEWEST_TURNS) this.starts[row * FEWEST_TURNS + count] = start;
    else this.addMore(row, count, start);
    return head;
  }

  private addMore(row: number, count: number, start: number): void {
    if (count === FEWEST_TURNS) this.turns[row] = this.firstTurns(row);
    this.turns[row]!.add(start);
  }

  private firstTurns(row: number): Turns {
    const turns = new Turns();
    for (let i = 0; i < FEWEST_TURNS; i++) turns.add(this.starts[row * FEWEST_TURNS + i]!);
    return turns;
  }

  /** The activation is over: gives its rows back, and what it did eight times and more (nothing: undefined). */
  end(head: number): Repeated[] | undefined {
    let repeated: Repeated[] | undefined;
    let last = head;
    for (let row = head; row >= 0; row = this.next[row]!) {
      last = row;
      this.owners[row] = 0;
      if (this.counts[row]! < FEWEST_TURNS) continue;
      const turns = this.turns[row] ?? this.firstTurns(row);
      this.turns[row] = undefined;
      (repeated ??= []).push({ stack: this.stacks[row]!, turns });
    }
    this.next[last] = this.free;
    this.free = head;
    return repeated;
  }

  private take(): number {
    if (this.free >= 0) {
      const row = this.free;
      this.free = this.next[row]!;
      return row;
    }
    if (this.rows === this.stacks.length) this.grow();
    this.turns.push(undefined);
    return this.rows++;
  }

  private grow(): void {
    const length = this.rows * 2;
    this.stacks = copied(this.stacks, new Uint32Array(length));
    this.owners = copied(this.owners, new Uint32Array(length));
    this.counts = copied(this.counts, new Uint32Array(length));
    this.next = copied(this.next, new Int32Array(length));
    this.starts = copied(this.starts, new Float64Array(length * FEWEST_TURNS));
  }
}

function copied<A extends Uint32Array | Int32Array | Float64Array>(from: A, to: A): A {
  to.set(from);
  return to;
}
