/**
 * The activation clock: which call of which function a birth belongs to, and how often loops turned, rebuilt from the births of each
 * thread alone (docs/verdicts.md, "Turns"). Calls are not recorded; but a stack whose frame stands at an instruction that the frame
 * before could not have come to was called again, and one that stands at an earlier instruction has turned its loop.
 *
 * Per thread the clock keeps the running activations, one column each by depth. A birth costs what changed since the one before.
 */

import { NONE } from "../../base/brand.ts";
import { Executions } from "./executions.ts";
import type { Repeated } from "./executions.ts";
import { SIZES } from "./patterns.ts";
import type { Patterns } from "./patterns.ts";
import { Path } from "./path.ts";
import type { Suspended } from "./path.ts";
import { kindOf, sharedOf, STEP } from "./places.ts";
import type { Places } from "./places.ts";
import { Turns } from "./turns.ts";

/** One running call that did something eight times and more. Births are numbered from 1, over all threads. */
export interface Activation {
  thread: number;
  /** Frames outside its own. */
  depth: number;
  code: number;
  /** Between `start` and `last` other births of its thread may not be its own. */
  isGenerator: boolean;
  start: number;
  last: number;
  repeated: Repeated[];
}

export interface ClockSettings {
  places: Places;
  patterns: Patterns;
  /** Only fill `patterns`. */
  learning: boolean;
  ended(activation: Activation): void;
}

/** Threads whose paths are kept; beyond, those that were silent longest are taken as ended. */
const MOST_THREADS = 4096;

export class Clock {
  /** By root code: when threads, or calls from outside Python, began there. */
  readonly roots = new Map<number, Turns>();
  private readonly places: Places;
  private readonly patterns: Patterns;
  /** The birth being told was sampled: others may be missing before it. */
  private sampled = false;
  private readonly learning: boolean;
  private readonly ended: (activation: Activation) => void;
  private readonly executions: Executions;
  private readonly paths = new Map<number, Path>();
  private current = new Path(NONE);
  /** By stack: 2 + hiddenLoop, as a u32 (2 + NONE = 1); 0: not asked since `shownLoops` changed. */
  private readonly hidden: Uint32Array;
  private shownLoops = 0;

  constructor(settings: ClockSettings) {
    this.places = settings.places;
    this.patterns = settings.patterns;
    this.learning = settings.learning;
    this.ended = settings.ended;
    this.hidden = new Uint32Array(this.places.program.stackParent.length);
    this.executions = new Executions(this.learning ? 0 : this.places.program.stackParent.length);
  }

  /**
   * The next birth.
   * @param sampled others may be missing before it; otherwise every block was recorded, and silence is evidence
   * @returns its thread's path, which stays valid until the next birth
   */
  birth(sequence: number, thread: number, clockStack: number, size: number, sampled: boolean): Path {
    this.sampled = sampled;
    let path = this.current;
    if (path.thread !== thread) path = this.current = this.pathOf(thread);
    if (path.stack === clockStack) this.sameStack(path, size, sequence);
    else this.otherStack(path, clockStack, size, sequence);
    path.last = sequence;
    path.run++;
    return path;
  }

  /** Every thread that was seen and not taken as ended. */
  allPaths(): Iterable<Path> {
    return this.paths.values();
  }

  /** After the last birth: ends whatever runs. */
  finish(): void {
    for (const path of this.paths.values()) this.endPath(path);
    this.paths.clear();
  }

  private pathOf(thread: number): Path {
    let path = this.paths.get(thread);
    if (!path) {
      if (this.paths.size >= MOST_THREADS) this.dropSilentThreads();
      path = new Path(thread);
      this.paths.set(thread, path);
    }
    return path;
  }

  private dropSilentThreads(): void {
    const oldest = [...this.paths.values()].sort((a, b) => a.last - b.last).slice(0, MOST_THREADS / 4);
    for (const path of oldest) {
      this.endPath(path);
      this.paths.delete(path.thread);
    }
  }

  private endPath(path: Path): void {
    this.close(path, 0);
    for (const suspended of path.suspended) if (suspended) this.endSuspended(path, suspended);
    path.suspended.length = 0;
  }

  private otherStack(path: Path, stack: number, size: number, sequence: number): void {
    const { places } = this;
    if (path.depth === 0) {
      this.newRoot(stack, sequence);
      this.open(path, 0, stack, sequence);
    } else {
      const step = places.step(path.stack, stack);
      const shared = sharedOf(step);
      const kind = kindOf(step);
      if (this.learning) this.learnLeaving(path, kind === STEP.on || kind === STEP.back ? shared + 1 : shared);
      if (kind === STEP.shorter) {
        this.close(path, shared);
        path.depth = shared;
        path.stack = stack;
        path.called[shared - 1] = 1;
        this.direct(path, size, sequence, true);
        return;
      }
      if (kind === STEP.on || kind === STEP.back) this.moveOn(path, shared, stack, kind === STEP.back, sequence);
      else if (kind === STEP.again) this.callAgain(path, shared, stack, sequence);
      else if (kind === STEP.other) this.callFrom(path, shared, stack, sequence);
      else this.callDeeper(path, shared, stack, sequence);
    }
    path.forgetSizes();
    this.direct(path, size, sequence, true);
  }

  /** The activation at depth `at` went from one instruction to another. */
  private moveOn(path: Path, at: number, stack: number, turned: boolean, sequence: number): void {
    this.close(path, at + 1);
    if (this.learning || path.rows[at]! >= 0 || this.places.inLoop(path.stacks[at]!)) this.executed(path, at);
    if (turned) this.certainTurn(path, at);
    this.begin(path, at, sequence);
    path.stacks[at] = this.places.cut(stack, at + 1);
    this.open(path, at + 1, stack, sequence);
  }

  /** The frame at depth `at` is a new call of the same code: the innermost loop outside it turned, unless C code called back. */
  private callAgain(path: Path, at: number, stack: number, sequence: number): void {
    const { places } = this;
    const caller = at === 0 ? NONE : path.stacks[at - 1]!;
    const loop = caller === NONE ? NONE : places.loopOf(caller);
    if (
      loop === NONE ||
      places.isHiddenByFold(stack, loop) ||
      (!places.inLoop(caller) && (this.learning || !this.patterns.callsOnce(caller)))
    ) {
      this.callFrom(path, at, stack, sequence);
      return;
    }
    const turned = this.places.program.stackDepth[loop]! - 1;
    this.certainTurn(path, turned);
    this.execution(path, turned, sequence);
    this.open(path, turned + 1, stack, sequence);
  }

  /** Another call from the same instruction of the frame outside; C code that calls back, or a turn that nothing else shows. */
  private callFrom(path: Path, at: number, stack: number, sequence: number): void {
    if (at === 0) {
      this.close(path, 0);
      this.newRoot(stack, sequence);
    } else if (this.learning) {
      this.close(path, at);
      path.repeats[at - 1]!++;
    } else this.execution(path, at - 1, sequence);
    this.open(path, at, stack, sequence);
  }

  /** The frame that made the birth before calls, maybe not for the first time. */
  private callDeeper(path: Path, at: number, stack: number, sequence: number): void {
    const { places, patterns } = this;
    const caller = path.stacks[at - 1]!;
    if (path.called[at - 1] === 1) {
      const callsOnce = !this.learning && !places.inLoop(caller) && patterns.callsOnce(caller);
      if (callsOnce && places.loopOf(caller) !== NONE) {
        this.callAgain(path, at, stack, sequence);
        return;
      }
      if (this.learning) path.repeats[at - 1]!++;
      else this.execution(path, at - 1, sequence);
    }
    this.open(path, at, stack, sequence);
  }

  private sameStack(path: Path, size: number, sequence: number): void {
    if (this.places.tellableLoopOf(path.stack) !== NONE) this.direct(path, size, sequence, false);
  }

  /**
   * A birth whose innermost frame is that of the birth before, or one outside it (`fresh`): did a loop turn between the two?
   * When `fresh` after any other change, nothing is to decide: only what was seen is noted.
   */
  private direct(path: Path, size: number, sequence: number, fresh: boolean): void {
    const { places, patterns } = this;
    const loop = places.tellableLoopOf(path.stack);
    if (loop === NONE) return;
    const innermost = path.depth - 1;
    if (this.learning) {
      this.learn(path, innermost, size);
      return;
    }
    if (this.sampled) {
      if (!fresh) this.sampledTurn(path, loop, size, sequence);
      else path.noteSize(size);
      return;
    }
    const anchor = patterns.anchorOf(path.stack);
    if (anchor !== NONE) {
      if (size !== anchor) return;
      if (path.anchored[innermost] === 1) this.turn(path, this.loopThatTurned(loop), sequence);
      path.anchored[innermost] = 1;
      return;
    }
    if (fresh) {
      if (path.anchored[innermost] === 1 && !places.inLoop(path.stack) && !patterns.isShown(places.codeOf(loop))) {
        this.turn(path, loop, sequence);
      }
      path.anchored[innermost] = 1;
      path.noteSize(size);
      return;
    }
    const hidden = this.hiddenLoop(path.stack, loop);
    if (hidden === NONE) return;
    if (patterns.repeatsSizes(path.stack) && !path.hasSize(size)) {
      path.noteSize(size);
      return;
    }
    this.turn(path, hidden, sequence);
    path.anchored[innermost] = 1;
    path.noteSize(size);
  }

  /** Two births in a row at one stack: as a rule those between them are missing. Not when an instruction makes several sizes each time. */
  private sampledTurn(path: Path, loop: number, size: number, sequence: number): void {
    const isNew = !this.patterns.repeatsSizes(path.stack) || path.hasSize(size);
    if (isNew) this.turn(path, this.outermostLoop(loop), sequence);
    path.noteSize(size);
  }

  private learnLeaving(path: Path, goingOn: number): void {
    this.patterns.left(path.stack, goingOn, path.run);
    path.run = 0;
  }

  private learn(path: Path, at: number, size: number): void {
    const which = this.patterns.note(path.stack, size);
    if (which < SIZES) {
      path.made[at * SIZES + which]!++;
      path.anchored[at] = 1;
    }
  }

  /** Which loop turned when an instruction was executed again: the innermost where it shows its turns, else the outermost that does not. */
  private loopThatTurned(loop: number): number {
    const { places, patterns } = this;
    let turned = loop;
    if (patterns.isShown(places.codeOf(loop))) return turned;
    for (let at = loop; at !== NONE; at = places.outerLoop(at)) if (!patterns.isShown(places.codeOf(at))) turned = at;
    return turned;
  }

  /** The outermost loop of a stack that does not show its turns: remembered until another loop begins to show them. */
  private hiddenLoop(stack: number, loop: number): number {
    const { patterns, hidden } = this;
    if (this.shownLoops !== patterns.shownLoops) {
      hidden.fill(0);
      this.shownLoops = patterns.shownLoops;
    }
    if (hidden[stack] === 0) hidden[stack] = this.outermostHidden(stack, loop) + 2;
    return (hidden[stack]! - 2) >>> 0;
  }

  private outermostHidden(stack: number, loop: number): number {
    const { places, patterns } = this;
    const { stackDepth } = places.program;
    let hidden = NONE;
    for (let at = loop; at !== NONE; at = places.outerLoop(at)) {
      const isHidden = !patterns.isShown(places.codeOf(at));
      if (isHidden && patterns.mayTurnUnseen(stack, stackDepth[at]!, stackDepth[stack]!)) hidden = at;
    }
    return hidden;
  }

  private outermostLoop(loop: number): number {
    let outermost = loop;
    for (let at = loop; at !== NONE; at = this.places.outerLoop(at)) outermost = at;
    return outermost;
  }

  /** The loop in which this part of the stack stands turned: what it called is called anew. */
  private turn(path: Path, loop: number, sequence: number): void {
    const at = this.places.program.stackDepth[loop]! - 1;
    const { stack } = path;
    this.execution(path, at, sequence);
    if (path.depth > at + 1) this.open(path, at + 1, stack, sequence);
    path.forgetSizes();
  }

  private certainTurn(path: Path, at: number): void {
    this.patterns.turned(this.places.codeOf(path.stacks[at]!), ++path.certain[at]!);
  }

  /** What stands at depth `at` was executed; the next execution of the same instruction begins. */
  private execution(path: Path, at: number, sequence: number): void {
    this.close(path, at + 1);
    this.executed(path, at);
    this.begin(path, at, sequence);
  }

  private begin(path: Path, at: number, sequence: number): void {
    path.executed[at] = sequence;
    path.anchored[at] = 0;
    path.called[at] = 0;
    path.repeats[at] = 0;
  }

  private executed(path: Path, at: number): void {
    if (this.learning) {
      this.learnExecution(path, at);
      return;
    }
    if (path.rows[at]! < 0) path.owner[at] = this.executions.newOwner();
    path.rows[at] = this.executions.add(path.rows[at]!, path.owner[at]!, path.stacks[at]!, path.executed[at]!);
  }

  private learnExecution(path: Path, at: number): void {
    const { patterns, places } = this;
    const stack = path.stacks[at]!;
    const hasCalled = at < path.depth - 1 || path.called[at] === 1;
    if (hasCalled && !places.inLoop(stack) && places.loopOf(stack) !== NONE) patterns.called(stack, path.repeats[at]!);
    if (path.anchored[at] === 0) return;
    patterns.executed(stack, path.made, at * SIZES);
    for (let i = at * SIZES; i < (at + 1) * SIZES; i++) path.made[i] = 0;
  }

  /** Activations at depth `from` and deeper ended. */
  private close(path: Path, from: number): void {
    const { places, learning } = this;
    for (let at = path.depth - 1; at >= from; at--) {
      if (learning) this.executed(path, at);
      if (places.isGenerator[path.stacks[at]!] === 1) this.suspend(path, at);
      else if (path.rows[at]! >= 0) {
        this.executed(path, at);
        this.end(path, at, false, path.start[at]!, path.last, path.rows[at]!, path.stacks[at]!);
      }
    }
  }

  private end(
    path: Path,
    at: number,
    isGenerator: boolean,
    start: number,
    last: number,
    rows: number,
    stack: number,
  ): void {
    const repeated = this.executions.end(rows);
    if (!repeated) return;
    this.ended({ thread: path.thread, depth: at, code: this.places.codeOf(stack), isGenerator, start, last, repeated });
  }

  /** New activations from depth `from` inwards. */
  private open(path: Path, from: number, stack: number, sequence: number): void {
    const { stackParent, stackDepth } = this.places.program;
    const depth = stackDepth[stack]!;
    path.reach(depth);
    let suspended = false;
    for (let at = depth - 1, part = stack; at >= from; at--, part = stackParent[part]!) {
      path.stacks[at] = part;
      path.start[at] = sequence;
      path.rows[at] = -1;
      path.certain[at] = 0;
      this.begin(path, at, sequence);
      if (this.places.isGenerator[part] === 1) suspended = true;
    }
    path.depth = depth;
    path.stack = stack;
    if (this.learning && from < depth) this.patterns.began(stack, from);
    if (suspended && path.suspended.length > 0) {
      for (let at = from; at < depth; at++)
        if (this.places.isGenerator[path.stacks[at]!] === 1) this.resume(path, at, sequence);
    }
  }

  /** A generator left the stack: it may come back. One of each code is remembered. */
  private suspend(path: Path, at: number): void {
    const code = this.places.codeOf(path.stacks[at]!);
    const known = path.suspended[code];
    if (known) this.endSuspended(path, known);
    path.suspended[code] = path.keep(known ?? nobody(), at);
  }

  private endSuspended(path: Path, suspended: Suspended): void {
    if (suspended.rows < 0) return;
    const { depth, start, last, rows, stack } = suspended;
    suspended.rows = -1;
    this.end(path, depth, true, start, last, rows, stack);
  }

  private resume(path: Path, at: number, sequence: number): void {
    const { places } = this;
    const stack = path.stacks[at]!;
    const code = places.codeOf(stack);
    const known = path.suspended[code];
    if (!known || known.depth !== at || known.outer !== (at === 0 ? NONE : path.start[at - 1]!)) return;
    const { frameOffset, stackFrame, flow } = places.program;
    const p = frameOffset[stackFrame[known.stack]!]!;
    const q = frameOffset[stackFrame[stack]!]!;
    if (!flow(code).reachable(p, q)) return;
    known.depth = NONE; // taken
    path.start[at] = known.start;
    path.rows[at] = known.rows;
    known.rows = -1;
    path.owner[at] = known.owner;
    path.certain[at] = known.certain;
    if (q <= p) this.certainTurn(path, at);
    if (this.learning || !places.inLoop(known.stack)) return;
    path.stacks[at] = known.stack;
    path.executed[at] = known.executed;
    this.executed(path, at);
    path.stacks[at] = stack;
    path.executed[at] = sequence;
  }

  private newRoot(stack: number, sequence: number): void {
    if (this.learning) return;
    const code = this.places.rootCode[stack]!;
    let turns = this.roots.get(code);
    if (!turns) this.roots.set(code, (turns = new Turns()));
    turns.add(sequence);
  }
}

function nobody(): Suspended {
  return { depth: NONE, outer: NONE, stack: NONE, start: 0, executed: 0, last: 0, rows: -1, owner: 0, certain: 0 };
}
