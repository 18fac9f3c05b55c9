/**
 * What drives a site: the activation whose loop, or whose calls from one instruction, made its blocks again and again. One more round is
 * one *turn*, the clock of the site's trend. The outermost that repeats wins: a request, not what the request does twenty times.
 */

import { NONE } from "../../base/brand.ts";
import { UNITS } from "../../tide/schema.ts";
import type { Activation } from "./clock.ts";
import { FEWEST_TURNS } from "./executions.ts";
import type { Repeated } from "./executions.ts";
import type { SiteHistory } from "./history.ts";
import type { Places } from "./places.ts";
import { Turns } from "./turns.ts";

/** A driver has this share of a site's blocks below it. */
const COVERED = 0.8;

export interface Driver {
  /** Index into UNITS. */
  unit: number;
  /** The stack down to the frame that drives, at the instruction that calls or that stands for the turn; NONE: marks, new threads. */
  stack: number;
  /** Birth numbers: when it began, and the last one below it. */
  start: number;
  last: number;
  turns: Turns;
}

export interface Repetitions {
  places: Places;
  activations: readonly Activation[];
  /** By root code: when threads began with it. */
  roots: ReadonlyMap<number, Turns>;
  marks: ReadonlyMap<string, Turns>;
  isMainThread: (thread: number) => boolean;
  /** Numbers of the program's first and last birth. */
  firstBirth: number;
  lastBirth: number;
}

export class Drivers {
  private readonly from: Repetitions;
  private readonly byStack = new Map<number, { repeated: Repeated; activation: Activation }[]>();

  constructor(from: Repetitions) {
    this.from = from;
    for (const activation of from.activations) {
      for (const repeated of activation.repeated) {
        const known = this.byStack.get(repeated.stack);
        if (known) known.push({ repeated, activation });
        else this.byStack.set(repeated.stack, [{ repeated, activation }]);
      }
    }
  }

  /** undefined: nothing repeats often enough for a trend. */
  find(history: SiteHistory): Driver | undefined {
    if (history.blocks === 0) return undefined;
    const driver = this.search(history);
    // What the interpreter does before and after the program repeats nothing that the program could change.
    const { firstBirth, lastBirth } = this.from;
    return driver && driver.last >= firstBirth && driver.start <= lastBirth ? driver : undefined;
  }

  private search(history: SiteHistory): Driver | undefined {
    return this.byMarks(history) ?? this.byOneActivation(history) ?? this.byThreads(history) ?? this.bySeveral(history);
  }

  /** Marks that the program sets say best what one round is. */
  private byMarks(history: SiteHistory): Driver | undefined {
    let best: Turns | undefined;
    for (const turns of this.from.marks.values()) {
      if (turns.count >= FEWEST_TURNS && (!best || turns.count > best.count)) best = turns;
    }
    if (!best) return undefined;
    const start = best.starts[0]!;
    if (share(history, (i) => history.born[i]! >= start) < COVERED) return undefined;
    return { unit: UNITS.indexOf("mark"), stack: NONE, start, last: this.from.lastBirth, turns: best };
  }

  private byOneActivation(history: SiteHistory): Driver | undefined {
    const candidates = this.from.activations
      .filter((activation) => this.holdsProbe(activation, history))
      .filter((activation) => share(history, (i) => this.covers(activation, history, i)) >= COVERED)
      .sort((a, b) => a.depth - b.depth || a.start - b.start);
    for (const activation of candidates) {
      const choice = this.choose(activation, history);
      if (!choice) continue;
      const repeated = activation.repeated.find(({ stack }) => stack === choice.stack);
      if (repeated && repeated.turns.count >= FEWEST_TURNS) {
        const { unit, stack } = choice;
        const { turns } = repeated;
        return { unit, stack, start: activation.start, last: endOf(turns, activation.last), turns };
      }
    }
    return undefined;
  }

  /** A cheap way to leave out nearly all activations. */
  private holdsProbe(activation: Activation, history: SiteHistory): boolean {
    const { born, thread, blocks } = history;
    for (let quarter = 1; quarter < 4; quarter++) {
      const i = Math.floor((quarter / 4) * (blocks - 1));
      if (thread[i] === activation.thread && born[i]! >= activation.start && born[i]! <= activation.last) return true;
    }
    return false;
  }

  private covers(activation: Activation, history: SiteHistory, i: number): boolean {
    const born = history.born[i]!;
    if (history.thread[i] !== activation.thread || born < activation.start || born > activation.last) return false;
    if (!activation.isGenerator) return true;
    return this.partAt(history.stack[i]!, activation.depth, activation.code) !== NONE;
  }

  /** The part of a block's stack that ends with the frame at a depth, if that frame runs the code. */
  private partAt(stack: number, depth: number, code: number): number {
    const { places } = this.from;
    const whole = places.clockStack[stack]!;
    if (whole === NONE || places.program.stackDepth[whole]! <= depth) return NONE;
    const part = places.cut(whole, depth + 1);
    return places.codeOf(part) === code ? part : NONE;
  }

  /** Below an activation: are the blocks made by calls from it, or by its own instructions? Gives the instruction that counts. */
  private choose(activation: Activation, history: SiteHistory): { stack: number; unit: number } | undefined {
    const { places } = this.from;
    const called = new Map<number, number>();
    const own = new Map<number, number>();
    let calledBlocks = 0;
    let ownBlocks = 0;
    for (let i = 0; i < history.blocks; i++) {
      if (!this.covers(activation, history, i)) continue;
      const part = this.partAt(history.stack[i]!, activation.depth, activation.code);
      if (part === NONE) continue;
      if (places.clockStack[history.stack[i]!] === part) {
        ownBlocks++;
        own.set(part, (own.get(part) ?? 0) + (history.moved[i] === 1 ? 0 : history.bytes[i]!));
      } else {
        calledBlocks++;
        called.set(part, (called.get(part) ?? 0) + 1);
      }
    }
    if (calledBlocks + ownBlocks === 0) return undefined;
    if (calledBlocks >= ownBlocks) return { stack: largest(called), unit: UNITS.indexOf("call") };
    const stack = largest(own);
    const unit = UNITS.indexOf("turn");
    return { stack: own.get(stack) === 0 ? this.busiestInLoop(activation, stack) : stack, unit };
  }

  /** A block that is only moved now and then (the table of a list) does not show the turns of its loop: another instruction of the loop does. */
  private busiestInLoop(activation: Activation, stack: number): number {
    const { program } = this.from.places;
    const flow = program.flow(activation.code);
    const offsetOf = (part: number): number => program.frameOffset[program.stackFrame[part]!]!;
    const own = offsetOf(stack);
    let best = stack;
    let most = 0;
    for (const { stack: other, turns } of activation.repeated) {
      const offset = offsetOf(other);
      const together = other === stack || (flow.reachable(own, offset) && flow.reachable(offset, own));
      if (together && turns.count > most) [best, most] = [other, turns.count];
    }
    return best;
  }

  /** A thread for each request: its start is the turn. Not the threads of a pool, which all start before the work. */
  private byThreads(history: SiteHistory): Driver | undefined {
    const { places, roots, isMainThread } = this.from;
    const byRoot = new Map<number, number>();
    for (let i = 0; i < history.blocks; i++) {
      if (isMainThread(history.thread[i]!)) return undefined;
      const code = places.rootCode[history.stack[i]!]!;
      byRoot.set(code, (byRoot.get(code) ?? 0) + 1);
    }
    const code = largest(byRoot);
    const turns = roots.get(code);
    if (!turns || turns.count < FEWEST_TURNS || byRoot.get(code)! < COVERED * history.blocks) return undefined;
    if (history.born[history.blocks >> 1]! > turns.starts.at(-1)!) return undefined;
    return { unit: UNITS.indexOf("call"), stack: NONE, start: turns.starts[0]!, last: this.from.lastBirth, turns };
  }

  /** Several activations that do the same at the same place: the workers of a pool, a generator that is made anew. */
  private bySeveral(history: SiteHistory): Driver | undefined {
    const { places } = this.from;
    const { stackParent, stackDepth } = places.program;
    const blocks = new Map<number, number>();
    for (let i = 0; i < history.blocks; i++) {
      for (let part = places.clockStack[history.stack[i]!]!; part !== NONE; part = stackParent[part]!) {
        blocks.set(part, (blocks.get(part) ?? 0) + 1);
      }
    }
    const shared = [...blocks.keys()]
      .filter((part) => blocks.get(part)! >= COVERED * history.blocks && (this.byStack.get(part)?.length ?? 0) > 1)
      .sort((a, b) => stackDepth[a]! - stackDepth[b]!);
    const part = shared[0];
    if (part === undefined) return undefined;
    const several = this.byStack.get(part)!;
    const own = share(history, (i) => places.clockStack[history.stack[i]!] === part) >= 0.5;
    return {
      unit: UNITS.indexOf(own ? "turn" : "call"),
      stack: part,
      start: Math.min(...several.map(({ activation }) => activation.start)),
      last: Math.max(...several.map(({ activation, repeated }) => endOf(repeated.turns, activation.last))),
      turns: Turns.merge(several.map(({ repeated }) => repeated.turns)),
    };
  }
}

/** A loop ends before its function does: its last turn is taken to be no longer than twice the longest before it. */
function endOf(turns: Turns, last: number): number {
  return Math.min(last, turns.latest + 2 * turns.longest());
}

function share(history: SiteHistory, holds: (block: number) => boolean): number {
  let count = 0;
  for (let i = 0; i < history.blocks; i++) if (holds(i)) count++;
  return count / history.blocks;
}

/** The key with the largest value. */
function largest(values: ReadonlyMap<number, number>): number {
  let best = NONE;
  let most = -Infinity;
  for (const [key, value] of values) if (value > most) [best, most] = [key, value];
  return best;
}
