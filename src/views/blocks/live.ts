/** Listens to the replay of one process and keeps what its tables need: live bytes over time, per stack and site, and at the peak. */

import { growable } from "../../base/grow.ts";
import { StackAmounts } from "./amounts.ts";
import type { Amount } from "./amounts.ts";
import type { Program } from "./codes.ts";
import type { Judge } from "./judge.ts";
import { PeakWatch } from "./peak.ts";
import type { BlockListener, Replay } from "./replay.ts";

/** Instants of a process in `checkpoints`, at most. */
const CHECKPOINTS = 100;
/** A process with few births needs fewer checkpoints. */
const BIRTHS_PER_CHECKPOINT = 2_000;
const FEWEST_CHECKPOINTS = 8;

export interface LiveInput {
  program: Program;
  replay: Replay;
  /** Told of every event before this listener. */
  judge: Judge;
  exact: boolean;
  /** Seconds since the start of the run between which events are expected. */
  start: number;
  end: number;
  /** Births expected, about. */
  births: number;
  /** At most so many in `liveCurve`. */
  rows: number;
  /** The RSS peak lies between these times. */
  window: { from: number; to: number };
  /** The parent's listener, standing at the fork. */
  parent?: LiveListener | undefined;
}

export interface CurveRow extends Amount {
  time: number;
}

export interface Checkpoints {
  time: Float64Array;
  site: Uint32Array;
  bytes: Float64Array;
  count: Float64Array;
}

export class LiveListener implements BlockListener {
  readonly amounts: StackAmounts;
  private readonly curve: CurveRow[] = [];
  readonly marks: { time: number; label: string }[] = [];
  private readonly replay: Replay;
  private readonly program: Program;
  private readonly judge: Judge;
  private readonly exact: boolean;
  private readonly window: { from: number; to: number };
  private readonly curveStep: number;
  private readonly checkpointStep: number;
  private nextRow: number;
  private nextCheckpoint: number;
  /** The next time at which something is to do. */
  private next = -Infinity;
  private peak: PeakWatch | undefined;
  private watching = false;
  /** Which half a sampled block belongs to, by slot. */
  private halves = new Uint8Array(0);
  private random = 0x2545_f491;
  private readonly checkpoints = {
    time: growable(Float64Array),
    site: growable(Uint32Array),
    bytes: growable(Float64Array),
    count: growable(Float64Array),
  };
  private readonly siteBytes: Float64Array;
  private readonly siteCount: Float64Array;

  constructor(input: LiveInput) {
    const { program, parent } = input;
    this.program = program;
    this.replay = input.replay;
    this.judge = input.judge;
    this.exact = input.exact;
    this.window = input.window;
    this.amounts = new StackAmounts(program.stackParent.length, parent?.amounts);
    if (parent) this.halves = parent.halves.slice();
    this.siteBytes = new Float64Array(program.siteCode.length);
    this.siteCount = new Float64Array(program.siteCode.length);
    const wanted = Math.floor(input.births / BIRTHS_PER_CHECKPOINT);
    const seconds = Math.max(0, input.end - input.start);
    // one row at the start, one at the end, one at the peak
    this.curveStep = seconds / (input.rows - 4);
    this.checkpointStep = seconds / (Math.min(Math.max(wanted, FEWEST_CHECKPOINTS), CHECKPOINTS) - 2);
    this.nextRow = input.start;
    this.nextCheckpoint = input.start + this.checkpointStep;
    this.passed(Math.max(input.start, this.replay.time));
  }

  born(slot: number, stack: number, _thread: number, size: number, weight: number): void {
    const { amounts } = this;
    if (weight === 1) amounts.add(stack, size, !this.replay.continues);
    else amounts.addSampled(stack, this.throwCoin(slot), size, weight, !this.replay.continues);
    if (this.isOwnBirth()) amounts.settle();
    else amounts.noteAfter(stack, size, weight, 1);
    if (this.watching) this.peak!.rose(stack, this.replay.time);
  }

  died(slot: number): void {
    const { amounts } = this;
    const { live } = this.replay;
    const stack = live.stackOf(slot);
    const size = live.sizeOf(slot);
    const weight = live.weightOf(slot);
    if (this.watching) this.peak!.falls(stack);
    if (weight === 1) amounts.remove(stack, size);
    else amounts.removeSampled(stack, this.halves[slot]!, size, weight);
    amounts.noteAfter(stack, size, weight, -1);
  }

  transient(stack: number, _thread: number, size: number, weight: number): void {
    if (weight === 1) this.amounts.addBorn(stack, size);
    else this.amounts.addSampledBorn(stack, size, weight);
    if (this.isOwnBirth()) this.amounts.settle();
  }

  transients(stack: number, _thread: number, count: number, bytes: number): void {
    this.amounts.addBorn(stack, bytes, count);
  }

  /** The judge, told first, says whose birth it was; without one the end is the end of the events. */
  private isOwnBirth(): boolean {
    return this.judge.lastBirth === this.replay.sequence;
  }

  inheritedDied(slot: number): void {
    this.died(slot);
  }

  marked(label: string): void {
    this.marks.push({ time: this.replay.time, label });
  }

  passed(time: number): void {
    if (time < this.next) return;
    if (time > this.window.to) this.closeWindow();
    else if (time >= this.window.from && !this.peak) {
      this.peak = new PeakWatch(this.amounts, this.exact, time);
      this.watching = true;
    }
    if (time >= this.nextRow) {
      this.curve.push({ time, ...this.amounts.total() });
      this.nextRow = time + this.curveStep;
    }
    if (time >= this.nextCheckpoint) {
      this.writeCheckpoint(time);
      this.nextCheckpoint = time + this.checkpointStep;
    }
    this.next = Math.min(
      this.nextRow,
      this.nextCheckpoint,
      this.watching ? this.window.to : this.peak ? Infinity : this.window.from,
    );
  }

  /** After the last event. `time`: when the process ended. */
  finish(time: number): void {
    this.closeWindow();
    this.curve.push({ time, ...this.amounts.total() });
    this.writeCheckpoint(time);
    if (this.judge.lastBirth === undefined) this.amounts.settle();
  }

  /** The curve has a row every so often, and the peak may lie between two of them: `peak` is its sum over the stacks. */
  curveRows(peak: Amount): CurveRow[] {
    const time = this.peakTime;
    const at = this.curve.findIndex((row) => row.time > time);
    return this.curve.toSpliced(at < 0 ? this.curve.length : at, 0, { time, ...peak });
  }

  /** No block was ever born on this stack, nor inherited. */
  isUntouched(stack: number): boolean {
    return this.amounts.isUntouched(stack) && this.peak!.isEmpty(stack);
  }

  /** Live at the process's RSS peak, and when that was. */
  get peakTime(): number {
    return this.peak!.time;
  }

  peakAmount(stack: number): Amount {
    return this.peak!.amount(stack);
  }

  checkpointColumns(): Checkpoints {
    const { time, site, bytes, count } = this.checkpoints;
    return { time: time.finish(), site: site.finish(), bytes: bytes.finish(), count: count.finish() };
  }

  /** A window that no event fell into still has its end: what lives then is what lives now. */
  private closeWindow(): void {
    this.peak ??= new PeakWatch(this.amounts, this.exact, Math.min(this.replay.time, this.window.to));
    this.peak.close();
    this.watching = false;
  }

  private writeCheckpoint(time: number): void {
    const { amounts, program, siteBytes, siteCount } = this;
    for (let stack = 0; stack < amounts.stacks; stack++) {
      const bytes = amounts.liveBytes(stack);
      if (bytes < 1) continue;
      const site = program.stackSite[stack]!;
      siteBytes[site]! += bytes;
      siteCount[site]! += amounts.liveCount(stack);
    }
    for (let site = 0; site < siteBytes.length; site++) {
      if (siteBytes[site] === 0) continue;
      this.checkpoints.time.push(time);
      this.checkpoints.site.push(site);
      this.checkpoints.bytes.push(siteBytes[site]!);
      this.checkpoints.count.push(siteCount[site]!);
    }
    siteBytes.fill(0);
    siteCount.fill(0);
  }

  /** Xorshift: the halves must not follow any pattern of the program. The same recording gives the same halves. */
  private throwCoin(slot: number): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    if (slot >= this.halves.length) {
      const larger = new Uint8Array(Math.max(1024, slot * 2));
      larger.set(this.halves);
      this.halves = larger;
    }
    return (this.halves[slot] = x & 1);
  }
}
