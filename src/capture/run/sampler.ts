/**
 * Reads the memory of every process of the run at a rate that follows need and cost: every few milliseconds while a program starts, then
 * more and more rarely, and never for more than about 1 % of a core. A row is written when it says something new.
 */
import type { TimelineSample } from "../../tide/runfolder.ts";
import type { CgroupWatch } from "./cgroup-watch.ts";
import type { Journal } from "./journal.ts";
import type { Look, ProcessTree } from "./tree.ts";

const SHORTEST_SECONDS = 0.005;
const LONGEST_SECONDS = 0.1;
/** After LONG_RUN_SECONDS once in this time is enough. */
const LONGEST_LATER_SECONDS = 0.25;
const LONG_RUN_SECONDS = 600;
/** The time between two looks grows with the age of the run: so many looks a doubling. */
const SHARE_OF_AGE = 0.05;
/** Share of one core that sampling may take, and what it may take beyond that at the start. */
const CORE_SHARE = 0.007;
const START_ALLOWANCE_SECONDS = 0.01;
/** What one wake-up costs outside of the measured part. */
const WAKE_SECONDS = 40e-6;

const ROLLUP_FIRST_SECONDS = 0.25;
const ROLLUP_SHORTEST_SECONDS = 1;
/** A process is held up at most one part in this by reading its PSS. */
const ROLLUP_PARTS = 500;

/** A change of RSS that is worth a row. */
const CHANGE_BYTES = 65536;
const CHANGE_SHARE = 0.005;
const QUIET_SECONDS = 5;

/** What the status line shows. */
export interface Level {
  seconds: number;
  /** RSS of all processes together, and the largest seen, bytes. */
  rss: number;
  peak: number;
  processes: number;
  /** PID of the program. */
  root: number;
}

export class Sampler {
  readonly #tree: ProcessTree;
  readonly #journal: Journal;
  readonly #root: number;
  readonly #now: () => number;
  readonly #onLook: (level: Level) => void;
  readonly #cgroup: CgroupWatch;
  readonly #written = new Map<number, TimelineSample>();
  readonly #skipped = new Map<number, TimelineSample>();
  readonly #rollups = new Map<number, number>();
  #timer: NodeJS.Timeout | undefined;
  #cpu = 0;
  #cost = 100e-6;
  #peak = 0;
  #looks = 0;

  /** `now`: seconds since the start of the run. */
  constructor(
    tree: ProcessTree,
    journal: Journal,
    root: number,
    cgroup: CgroupWatch,
    now: () => number,
    onLook: (level: Level) => void,
  ) {
    this.#tree = tree;
    this.#journal = journal;
    this.#root = root;
    this.#now = now;
    this.#onLook = onLook;
    this.#cgroup = cgroup;
  }

  get looks(): number {
    return this.#looks;
  }

  start(): void {
    this.#step();
  }

  /** Ends the sampling and writes what was held back. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const row of [...this.#skipped.values()].toSorted((a, b) => a.time - b.time)) this.#journal.sample(row);
    this.#journal.flush(this.#now());
  }

  /** One look at everything, without a next one. */
  look(): void {
    const time = this.#now();
    this.#looks++;
    let looks = this.#tree.look(time);
    const fresh = this.#tree.discover(time, this.#journal.fileNames());
    if (fresh.length > 0) looks = [...looks, ...this.#tree.look(time, fresh)];
    const usage = this.#cgroup.usage(time);
    let rss = 0;
    let hwm = 0;
    for (const one of looks) {
      rss += one.status.rss;
      hwm = Math.max(hwm, one.status.hwm);
      this.#record(one, time, one.pid === this.#root ? usage : NaN, looks.length);
    }
    this.#peak = Math.max(this.#peak, rss, hwm);
    this.#onLook({ seconds: time, rss, peak: this.#peak, processes: looks.length, root: this.#root });
  }

  #step(): void {
    const before = process.cpuUsage();
    this.look();
    const { user, system } = process.cpuUsage(before);
    const cost = (user + system) / 1e6 + WAKE_SECONDS;
    this.#cpu += cost;
    this.#cost += (cost - this.#cost) * 0.1;
    this.#timer = setTimeout(() => this.#step(), this.#pause(this.#now()) * 1000);
  }

  /** Seconds until the next look. */
  #pause(age: number): number {
    const longest = age > LONG_RUN_SECONDS ? LONGEST_LATER_SECONDS : LONGEST_SECONDS;
    const wanted = Math.min(Math.max(age * SHARE_OF_AGE, SHORTEST_SECONDS), longest);
    const inBudget = this.#cpu < START_ALLOWANCE_SECONDS + age * CORE_SHARE;
    return inBudget ? wanted : Math.max(wanted, this.#cost / CORE_SHARE);
  }

  #record(look: Look, time: number, cgroupUsage: number, processes: number): void {
    const { pid, status } = look;
    const { pss, uss } = this.#rollup(pid, time, processes);
    const row = { pid, time, rss: status.rss, hwm: status.hwm, pss, uss, swap: status.swap, cgroupUsage };
    const last = this.#written.get(pid);
    if (last && !saysMore(row, last)) {
      this.#skipped.set(pid, row);
      return;
    }
    // The last of the skipped rows says how long the level stayed.
    const skipped = this.#skipped.get(pid);
    if (skipped) this.#journal.sample(skipped);
    this.#skipped.delete(pid);
    this.#written.set(pid, row);
    this.#journal.sample(row);
  }

  /** PSS and USS when they are due, else NaN. The next time depends on what this one cost. */
  #rollup(pid: number, time: number, processes: number): { pss: number; uss: number } {
    const due = this.#rollups.get(pid) ?? time + ROLLUP_FIRST_SECONDS;
    if (time < due) {
      this.#rollups.set(pid, due);
      return { pss: NaN, uss: NaN };
    }
    const before = this.#now();
    const figures = this.#tree.rollup(pid);
    const took = this.#now() - before;
    this.#rollups.set(pid, time + Math.max(ROLLUP_SHORTEST_SECONDS, took * ROLLUP_PARTS) * Math.max(1, processes / 4));
    return figures ?? { pss: NaN, uss: NaN };
  }
}

function saysMore(row: TimelineSample, last: TimelineSample): boolean {
  const change = Math.abs(row.rss - last.rss);
  return (
    change >= Math.max(CHANGE_BYTES, last.rss * CHANGE_SHARE) ||
    row.hwm !== last.hwm ||
    !Number.isNaN(row.pss) ||
    Math.abs((row.swap || 0) - (last.swap || 0)) >= CHANGE_BYTES ||
    row.time - last.time >= QUIET_SECONDS
  );
}
