/** Births on their way to the activation clock, a chunk at a time: read once to learn, once to tell calls and turns. */

import { NONE } from "../../base/brand.ts";
import type { Amounts } from "./amounts.ts";
import { Clock } from "./clock.ts";
import type { Activation } from "./clock.ts";
import type { SiteHistory } from "./history.ts";
import type { Path } from "./path.ts";
import { Patterns } from "./patterns.ts";
import type { Places } from "./places.ts";
import { usefulActivations } from "./useful.ts";
import type { Turns } from "./turns.ts";

/** A short program is read as one chunk, so that its first turn profits from its last. Later chunks fit a processor's cache. */
const FIRST_CHUNK = 1 << 18;
const CHUNK = 1 << 13;
/** Births that are all learned from, and of the chunks after them one in so many. */
const LEARNED = 1 << 19;
const LEARNED_LATER = 16;
const FIRST_ROOM = 1 << 12;
const ROW = 4;
/** Activations kept before those that can drive no site are dropped. */
const MOST_ACTIVATIONS = 8192;
/** Threads whose running calls are written down at the peak of a site. */
const MOST_THREADS = 64;

export class Births {
  readonly activations: Activation[] = [];
  /** By site: calls of its function that made blocks there. */
  readonly calls: Uint32Array;
  private readonly lastCall: Float64Array;
  private readonly places: Places;
  private readonly histories: readonly (SiteHistory | undefined)[];
  private readonly amounts: Amounts;
  private readonly learner: Clock;
  private readonly clock: Clock;
  private readonly patterns: Patterns;
  /** ROW words a birth: stack, thread, size, 1 when sampled. One row, since four columns would be four places in memory. */
  private rows = new Uint32Array(FIRST_ROOM * ROW);
  private count = 0;
  private room = FIRST_ROOM;
  private chunks = 0;
  /** Births in earlier chunks. */
  private before = 0;
  private keepAtMost = MOST_ACTIVATIONS;

  constructor(places: Places, histories: readonly (SiteHistory | undefined)[], amounts: Amounts) {
    const { program } = places;
    this.places = places;
    this.histories = histories;
    this.amounts = amounts;
    this.calls = new Uint32Array(program.siteCode.length);
    this.lastCall = new Float64Array(program.siteCode.length);
    const patterns = new Patterns(program.stackParent.length, program.codeName.length);
    this.patterns = patterns;
    const ended = (activation: Activation): void => void this.activations.push(activation);
    this.learner = new Clock({ places, patterns, learning: true, ended });
    this.clock = new Clock({ places, patterns, learning: false, ended });
  }

  /** The next birth of the process. NONE for the stack: no request was made, it is what is left of a mapping. */
  add(stack: number, thread: number, size: number, sampled: boolean): void {
    if (this.count === this.room) this.makeRoom();
    const { rows } = this;
    const at = this.count++ * ROW;
    rows[at] = stack;
    rows[at + 1] = thread;
    rows[at + 2] = size < NONE ? size : NONE;
    rows[at + 3] = sampled ? 1 : 0;
  }

  finish(): void {
    this.read();
    this.clock.finish();
  }

  get roots(): ReadonlyMap<number, Turns> {
    return this.clock.roots;
  }

  private makeRoom(): void {
    if (this.room === (this.before < LEARNED ? FIRST_CHUNK : CHUNK)) {
      this.read();
      if (this.before >= LEARNED) this.room = CHUNK;
      return;
    }
    this.room *= 2;
    const larger = new Uint32Array(this.room * ROW);
    larger.set(this.rows);
    this.rows = larger;
  }

  private read(): void {
    // What the program does at first it mostly goes on doing: then a sample of chunks is enough.
    if (this.before < LEARNED || this.chunks++ % LEARNED_LATER === 0) this.learn();
    this.tell();
    this.before += this.count;
    this.count = 0;
    if (this.activations.length > this.keepAtMost) this.dropUseless();
  }

  private learn(): void {
    const { rows, learner } = this;
    const { clockStack } = this.places;
    for (let i = 0; i < this.count; i++) {
      const stack = rows[i * ROW]!;
      if (stack === NONE || clockStack[stack] === NONE) continue;
      learner.birth(
        this.before + i + 1,
        rows[i * ROW + 1]!,
        clockStack[stack]!,
        rows[i * ROW + 2]!,
        rows[i * ROW + 3] === 1,
      );
    }
    this.patterns.settle();
  }

  private tell(): void {
    const { rows, clock, calls, lastCall } = this;
    const { clockStack, siteDepth, program } = this.places;
    const { stackSite } = program;
    const peaks = this.peaksInChunk();
    let peak = 0;
    let nextPeak = peaks.length > 0 ? peaks[0]!.at : Infinity;
    const { count, before } = this;
    for (let i = 0; i < count; i++) {
      const sequence = before + i + 1;
      const stack = rows[i * ROW]!;
      if (stack !== NONE && clockStack[stack] !== NONE) {
        const path = clock.birth(
          sequence,
          rows[i * ROW + 1]!,
          clockStack[stack]!,
          rows[i * ROW + 2]!,
          rows[i * ROW + 3] === 1,
        );
        const site = stackSite[stack]!;
        const depth = siteDepth[stack]!;
        const call = path.start[depth < path.depth ? depth : path.depth - 1]!;
        if (lastCall[site] !== call) {
          lastCall[site] = call;
          calls[site]!++;
        }
      }
      if (sequence < nextPeak) continue;
      const running = runningCalls(clock.allPaths());
      for (; peak < peaks.length && peaks[peak]!.at === sequence; peak++) peaks[peak]!.history.atPeak = running;
      nextPeak = peak < peaks.length ? peaks[peak]!.at : Infinity;
    }
  }

  /** The sites whose highest moment so far lies in this chunk, in order. */
  private peaksInChunk(): { at: number; history: SiteHistory }[] {
    const peaks: { at: number; history: SiteHistory }[] = [];
    this.histories.forEach((history, site) => {
      const at = this.amounts.peakAt(site);
      if (history && at > this.before) peaks.push({ at, history });
    });
    return peaks.sort((a, b) => a.at - b.at);
  }

  private dropUseless(): void {
    const kept = usefulActivations(this.activations, this.histories, MOST_ACTIVATIONS / 2);
    this.activations.length = 0;
    for (const activation of kept) this.activations.push(activation);
    this.keepAtMost = Math.max(MOST_ACTIVATIONS, kept.length * 2);
  }
}

/** By thread: when each running activation was first seen, outermost first. */
function runningCalls(paths: Iterable<Path>): ReadonlyMap<number, Float64Array> {
  const running = new Map<number, Float64Array>();
  for (const path of paths) {
    if (running.size < MOST_THREADS) running.set(path.thread, path.start.slice(0, path.depth));
  }
  return running;
}
