/**
 * What the activation clock asks about stacks: which frames are Python's, which of them stand in a loop, and what changed between two
 * stacks of one thread. Answers are remembered, since a program goes from one stack to the next over and over.
 */

import { NONE } from "../../base/brand.ts";
import type { Program } from "../../views/blocks/codes.ts";
import { OWNER } from "../../views/blocks/sites.ts";

/** Who stands outermost on a stack: nobody that Python knows, the main program, or other Python code (an import at the start, a thread, atexit). */
export const ROOT = { native: 0, main: 1, python: 2 } as const;

/** How a thread came from one stack to the next, told by the outermost frame that differs. */
export const STEP = {
  /** The same activation went on to a later instruction. */
  on: 0,
  /** The same activation stands at an earlier instruction: its loop turned. */
  back: 1,
  /** The same code at an instruction that could not be reached: called again. */
  again: 2,
  /** Other code: called from the same instruction. */
  other: 3,
  /** The old stack is the outer part of the new one. */
  deeper: 4,
  /** The new stack is the outer part of the old one. */
  shorter: 5,
} as const;

const KINDS = 8;
const CACHE = 1 << 15;
const MOST_CYCLE = 4;
const GENERATOR_FLAGS = 0x20 | 0x80 | 0x200;

export class Places {
  readonly program: Program;
  /** By stack: itself without the native caller below the Python frames; NONE: there is no Python frame. */
  readonly clockStack: Uint32Array;
  /** By stack: how many frames stand outside the frame of its site. */
  readonly siteDepth: Uint32Array;
  /** By stack: see ROOT. */
  readonly rootKind: Uint8Array;
  /** By stack: the code of its outermost frame. */
  readonly rootCode: Uint32Array;
  /** By stack: 1 when the innermost frame is a generator's or a coroutine's. */
  readonly isGenerator: Uint8Array;
  /** By stack: 1 when frames of any deeper round of a recursion may hang below it. */
  private readonly isFold: Uint8Array;
  /** By stack: 1 when it lies below such a stack: its frames may be of any round. */
  private readonly isFolded: Uint8Array;
  /** By frame: 0 not asked yet, 1 in no loop, 2 in a loop. */
  private readonly frameLoop: Uint8Array;
  /** By stack: 1 + the innermost stack of its own frames outwards that stands in a loop; 0 none, UNKNOWN not asked yet. */
  private readonly loops: Uint32Array;
  /** The same, NONE where a folded recursion hides whether that loop turns; 1 + NONE = 0. */
  private readonly tellable: Uint32Array;
  /** By stack: the stack that came after it the last time, and how. */
  private readonly following: Uint32Array;
  private readonly foldAt: number;
  private readonly cacheFrom = new Uint32Array(CACHE).fill(NONE);
  private readonly cacheTo = new Uint32Array(CACHE).fill(NONE);
  private readonly cacheStep = new Uint32Array(CACHE);

  /** @param foldAt round of a recursion from which on its frames share a node; 0: they never do */
  constructor(program: Program, foldAt: number) {
    const stacks = program.stackParent.length;
    this.program = program;
    this.foldAt = foldAt;
    this.clockStack = new Uint32Array(stacks);
    this.siteDepth = new Uint32Array(stacks);
    this.rootKind = new Uint8Array(stacks);
    this.rootCode = new Uint32Array(stacks);
    this.isGenerator = new Uint8Array(stacks);
    this.isFold = findFolds(program, foldAt);
    this.isFolded = new Uint8Array(stacks);
    this.frameLoop = new Uint8Array(program.frameCode.length);
    this.loops = new Uint32Array(stacks).fill(NONE);
    this.tellable = new Uint32Array(stacks).fill(NONE);
    this.following = new Uint32Array(stacks * 2).fill(NONE);
    const usersDepth = new Int32Array(stacks);
    for (let stack = 0; stack < stacks; stack++) this.describe(stack, usersDepth);
  }

  private describe(stack: number, usersDepth: Int32Array): void {
    const { program } = this;
    const parent = program.stackParent[stack]!;
    const code = program.frameCode[program.stackFrame[stack]!]!;
    const depth = program.stackDepth[stack]! - 1;
    const owner = program.codeOwner[code]!;
    const isNative = owner === OWNER.native;
    const outer = parent === NONE ? -1 : usersDepth[parent]!;
    usersDepth[stack] = owner === OWNER.user ? depth : outer;
    this.siteDepth[stack] = usersDepth[stack]! >= 0 ? usersDepth[stack]! : depth;
    this.isFolded[stack] = parent === NONE ? 0 : this.isFold[parent]! | this.isFolded[parent]!;
    this.clockStack[stack] = !isNative ? stack : parent === NONE ? NONE : this.clockStack[parent]!;
    this.isGenerator[stack] = (program.codeFlags[code]! & GENERATOR_FLAGS) === 0 ? 0 : 1;
    this.rootCode[stack] = parent === NONE ? code : this.rootCode[parent]!;
    this.rootKind[stack] = parent === NONE ? rootKindOf(program, code) : this.rootKind[parent]!;
  }

  codeOf(stack: number): number {
    const { program } = this;
    return program.frameCode[program.stackFrame[stack]!]!;
  }

  /** The innermost frame of the stack stands in a loop of its own code. */
  inLoop(stack: number): boolean {
    const { program, frameLoop } = this;
    const frame = program.stackFrame[stack]!;
    if (frameLoop[frame] === 0) {
      const offset = program.frameOffset[frame]!;
      const loops = offset !== NONE && program.flow(program.frameCode[frame]!).inLoop(offset);
      frameLoop[frame] = loops ? 2 : 1;
    }
    return frameLoop[frame] === 2;
  }

  /** The stack itself or the nearest part of it outwards whose innermost frame stands in a loop; NONE: no frame does. */
  loopOf(stack: number): number {
    const { loops } = this;
    if (loops[stack] === NONE) this.findLoop(stack);
    return (loops[stack]! - 1) >>> 0;
  }

  /** As loopOf, but NONE where rounds of a folded recursion lie between: then births do not show whether the loop turned. */
  tellableLoopOf(stack: number): number {
    const known = this.tellable[stack]!;
    if (known !== NONE) return (known - 1) >>> 0;
    const loop = this.loopOf(stack);
    const told = loop !== NONE && this.isHiddenByFold(stack, loop) ? NONE : loop;
    this.tellable[stack] = told + 1;
    return told;
  }

  private findLoop(stack: number): void {
    const { loops } = this;
    const { stackParent } = this.program;
    let at = stack;
    while (at !== NONE && loops[at] === NONE && !this.inLoop(at)) at = stackParent[at]!;
    const found = at === NONE ? 0 : loops[at] === NONE ? at + 1 : loops[at]!;
    if (at !== NONE) loops[at] = found;
    for (let below = stack; below !== at; below = stackParent[below]!) loops[below] = found;
  }

  /** The stack has rounds of a recursion that are not told apart, and the loop is outside them: it cannot be seen to turn. */
  isHiddenByFold(stack: number, loop: number): boolean {
    return this.isFolded[stack] === 1 && this.isFolded[loop] === 0;
  }

  /** Rounds of a recursion that the stack stands for at least. */
  roundsOf(stack: number): number {
    return this.isFolded[stack] === 1 ? this.foldAt : 1;
  }

  /** The next loop outwards; NONE: there is none. */
  outerLoop(loop: number): number {
    const parent = this.program.stackParent[loop]!;
    return parent === NONE ? NONE : this.loopOf(parent);
  }

  /** The part of the stack that has `depth` frames. */
  cut(stack: number, depth: number): number {
    const { stackParent, stackDepth } = this.program;
    let at = stack;
    for (let more = stackDepth[stack]! - depth; more > 0; more--) at = stackParent[at]!;
    return at;
  }

  /** From one stack to another, different one: `kindOf` and `sharedOf` read the answer. */
  step(from: number, to: number): number {
    const { following } = this;
    if (following[from * 2] === to) return following[from * 2 + 1]!;
    following[from * 2] = to;
    return (following[from * 2 + 1] = this.findStep(from, to));
  }

  private findStep(from: number, to: number): number {
    const at = (Math.imul(from, 0x9e37_79b1) ^ Math.imul(to, 0x85eb_ca6b)) >>> 17;
    if (this.cacheFrom[at] === from && this.cacheTo[at] === to) return this.cacheStep[at]!;
    const step = this.compare(from, to);
    this.cacheFrom[at] = from;
    this.cacheTo[at] = to;
    this.cacheStep[at] = step;
    return step;
  }

  private compare(from: number, to: number): number {
    const { stackParent, stackDepth } = this.program;
    let a = from;
    let b = to;
    let below = NONE; // the outermost frame of `from` that `to` does not have
    let other = NONE;
    while (stackDepth[a]! > stackDepth[b]!) [below, a] = [a, stackParent[a]!];
    while (stackDepth[b]! > stackDepth[a]!) [other, b] = [b, stackParent[b]!];
    while (a !== b) {
      [below, a] = [a, stackParent[a]!];
      [other, b] = [b, stackParent[b]!];
    }
    const shared = a === NONE ? 0 : stackDepth[a]!;
    return shared * KINDS + this.kind(below, other);
  }

  private kind(from: number, to: number): number {
    if (from === NONE) return STEP.deeper;
    if (to === NONE) return STEP.shorter;
    const { stackParent, stackFrame, frameOffset, flow } = this.program;
    const parent = stackParent[from]!;
    // Rounds of a folded recursion are one activation: they end together, when the recursion comes back to the rounds that are told apart.
    if (parent !== NONE && this.isFold[parent] === 1) return STEP.on;
    const code = this.codeOf(from);
    if (code !== this.codeOf(to)) return STEP.other;
    const p = frameOffset[stackFrame[from]!]!;
    const q = frameOffset[stackFrame[to]!]!;
    if (p === NONE || q === NONE) return STEP.on;
    if (!flow(code).reachable(p, q)) return STEP.again;
    return q < p ? STEP.back : STEP.on;
  }
}

export function kindOf(step: number): number {
  return step & (KINDS - 1);
}

/** How many outer frames two stacks share. */
export function sharedOf(step: number): number {
  return step >>> 3;
}

function findFolds(program: Program, foldAt: number): Uint8Array {
  const { stackParent, stackFrame, frameCode } = program;
  const folds = new Uint8Array(stackParent.length);
  const rounds = new Uint16Array(stackParent.length * MOST_CYCLE);
  for (let stack = 0; stack < stackParent.length; stack++) {
    const parent = stackParent[stack]!;
    const code = frameCode[stackFrame[stack]!]!;
    let outer = parent;
    for (let cycle = 1; cycle <= MOST_CYCLE && outer !== NONE; cycle++, outer = stackParent[outer]!) {
      if (frameCode[stackFrame[outer]!] !== code) continue;
      const at = stack * MOST_CYCLE + cycle - 1;
      rounds[at] = Math.min(60_000, rounds[parent * MOST_CYCLE + cycle - 1]! + 1);
      if (foldAt > 0 && rounds[at]! >= foldAt * cycle - 1) folds[stack] = 1;
    }
  }
  return folds;
}

function rootKindOf(program: Program, code: number): number {
  if (program.codeOwner[code] === OWNER.native) return ROOT.native;
  const name = program.codeName[code]!;
  if (name === "_run_module_as_main" || name.startsWith("…")) return ROOT.main; // -m; too deep: outer frames not kept
  return name === "<module>" && !program.codeFile[code]!.startsWith("<frozen ") ? ROOT.main : ROOT.python;
}
