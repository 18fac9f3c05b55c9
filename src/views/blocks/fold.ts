/**
 * Amounts per stack as table rows. A program has tens of thousands of stacks of which most hold next to nothing: what is below a small share
 * of the whole is told at its caller, as long as that belongs to the same site, or to no code of the user's either (an interpreter's start
 * is ten thousand such places). Sums of the user's sites and in all stay what they are.
 */

import { NONE } from "../../base/brand.ts";
import type { Amount } from "./amounts.ts";
import type { Program } from "./codes.ts";
import { OWNER } from "./sites.ts";

const COLUMNS = ["bytes", "count", "variance", "sampled", "exactBytes"] as const satisfies (keyof Amount)[];
const WIDTH = COLUMNS.length;

export class StackRows {
  private readonly program: Program;
  private readonly values: Float64Array;

  constructor(program: Program) {
    this.program = program;
    this.values = new Float64Array(program.stackParent.length * WIDTH);
  }

  clear(): void {
    this.values.fill(0);
  }

  set(stack: number, amount: Amount): void {
    for (let i = 0; i < WIDTH; i++) this.values[stack * WIDTH + i] = amount[COLUMNS[i]!];
  }

  /** Sum over all stacks. */
  total(): Amount {
    const sum: Amount = { bytes: 0, count: 0, variance: 0, sampled: 0, exactBytes: 0 };
    for (let at = 0; at < this.values.length; at += WIDTH) {
      for (let i = 0; i < WIDTH; i++) sum[COLUMNS[i]!] += this.values[at + i]!;
    }
    return sum;
  }

  /** Stacks below `floor` bytes go to their callers, innermost first, so that many small ones may add up to a row. */
  fold(floor: number): void {
    const { values } = this;
    const { stackParent, stackSite } = this.program;
    for (let stack = stackParent.length - 1; stack >= 0; stack--) {
      const parent = stackParent[stack]!;
      if (values[stack * WIDTH + 1] === 0 || values[stack * WIDTH]! >= floor) continue;
      if (parent === NONE || (stackSite[parent] !== stackSite[stack] && this.isUsers(stack))) continue;
      for (let i = 0; i < WIDTH; i++) {
        values[parent * WIDTH + i]! += values[stack * WIDTH + i]!;
        values[stack * WIDTH + i] = 0;
      }
    }
  }

  /** Whether the site is the user's own code: then some frame is, and the caller's may not be. */
  private isUsers(stack: number): boolean {
    const { program } = this;
    return program.codeOwner[program.siteCode[program.stackSite[stack]!]!] === OWNER.user;
  }

  /** Calls with every stack that has blocks, ascending. */
  forEach(row: (stack: number, amount: Amount) => void): void {
    const { values } = this;
    for (let stack = 0, at = 0; at < values.length; stack++, at += WIDTH) {
      if (values[at + 1] === 0) continue;
      row(stack, {
        bytes: values[at]!,
        count: values[at + 1]!,
        variance: values[at + 2]!,
        sampled: values[at + 3]!,
        exactBytes: values[at + 4]!,
      });
    }
  }
}
