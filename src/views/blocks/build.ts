/** From the event files of a run to the tables about blocks: every process replayed, fork children from where their parents stood. */

import { NONE } from "../../base/brand.ts";
import type { EventFile } from "../../tide/events.ts";
import type { Row, Tables } from "../../tide/schema.ts";
import { tableBuilder } from "../../tide/writer.ts";
import type { TableBuilder } from "../../tide/writer.ts";
import type { Amount } from "./amounts.ts";
import type { Program } from "./codes.ts";
import { StackRows } from "./fold.ts";
import type { JudgeFactory } from "./judge.ts";
import { LiveListener } from "./live.ts";
import { Replay } from "./replay.ts";
import type { Clock } from "./replay.ts";
import { saneInterval } from "./threads.ts";

/** A site that never had as much at once has no checkpoints. */
const CHECKPOINT_FLOOR = 16 * 1024;
/** A stack with less than this share of the process's bytes is told at its caller. Runs of hundreds of processes need fewer rows of each. */
const ROOT_SHARE = 1e-4;
const OTHER_SHARE = 1e-3;
/** Rows of a process in `liveCurve`, at most. */
const ROOT_CURVE = 400;
const OTHER_CURVE = 100;

/** One process image with its events, ready to be replayed. Times are seconds since the start of the run. */
export interface ProcessBlocks {
  /** Row of `processes`. */
  process: number;
  file: EventFile;
  stackOfNode: Uint32Array;
  clock: Clock;
  start: number;
  end: number;
  /** Between which times the process's RSS was highest. */
  window: { from: number; to: number };
  /** Index, in the list that holds this one, of the parent that the process was forked from; NONE: it started afresh. */
  parent: number;
}

/** What the replay of one process found beside its table rows. */
export interface ReplayFacts {
  exact: boolean;
  /** Bytes; 0: every block was recorded to the end. */
  interval: number;
  births: number;
  deaths: number;
  /** Events that the agent left out, and chunks that are not in the file. */
  dropped: number;
  lostChunks: number;
  doubleBirths: number;
  unmatchedDeaths: number;
  peakTime: number;
}

type BlockTable =
  | "marks"
  | "liveCurve"
  | "peakStacks"
  | "endStacks"
  | "allocatedStacks"
  | "checkpoints"
  | "siteFeatures";

export interface BlockTables {
  tables: Pick<Tables, BlockTable>;
  /** One for each of the processes given. */
  facts: ReplayFacts[];
  /** By site: the stack that stands for it, heaviest at a process's peak, else over the run. NONE: the site had no block. */
  heaviestStack: Uint32Array;
}

export function buildBlocks(program: Program, processes: readonly ProcessBlocks[], judge: JudgeFactory): BlockTables {
  const build = new BlockBuild(program, processes, judge);
  processes.forEach(({ parent }, i) => {
    if (parent === NONE) build.replay(i);
  });
  return build.finish();
}

class BlockBuild {
  private readonly builders: { [N in BlockTable]: TableBuilder<N> };
  private readonly facts: ReplayFacts[] = [];
  private readonly rows: StackRows;
  private readonly heaviest: HeaviestStacks;
  private readonly program: Program;
  private readonly processes: readonly ProcessBlocks[];
  private readonly judge: JudgeFactory;

  constructor(program: Program, processes: readonly ProcessBlocks[], judge: JudgeFactory) {
    this.program = program;
    this.processes = processes;
    this.judge = judge;
    this.builders = {
      marks: tableBuilder("marks"),
      liveCurve: tableBuilder("liveCurve"),
      peakStacks: tableBuilder("peakStacks"),
      endStacks: tableBuilder("endStacks"),
      allocatedStacks: tableBuilder("allocatedStacks"),
      checkpoints: tableBuilder("checkpoints"),
      siteFeatures: tableBuilder("siteFeatures"),
    };
    this.rows = new StackRows(program);
    this.heaviest = new HeaviestStacks(program);
  }

  /** The process, and below it every process forked from it, each when this one's replay reaches the fork. */
  replay(index: number, parent?: { replay: Replay; live: LiveListener; exact: boolean }): void {
    const { process, file, stackOfNode, clock, start, end, window } = this.processes[index]!;
    const exact = isExact(file) && (parent?.exact ?? true);
    const forks = this.processes.flatMap((child, i) =>
      child.parent === index
        ? [{ order: child.file.header.fork!.order, reached: () => this.replay(i, { replay, live, exact }) }]
        : [],
    );
    const replay = new Replay({ file, stackOfNode, clock, forks, ...(parent && { parent: parent.replay }) });
    const { program } = this;
    const births = expectedBirths(file);
    const judge = this.judge();
    const rows = process === 0 ? ROOT_CURVE : OTHER_CURVE;
    const live = new LiveListener({
      program,
      replay,
      judge,
      exact,
      start,
      end,
      births,
      window,
      rows,
      parent: parent?.live,
    });
    replay.run(judge.start(program, { process, exact, foldAt: file.header.foldAt, replay, start, end }), live);
    const endTime = Math.max(end, replay.time);
    live.finish(endTime);
    const features = judge.finish(endTime);
    this.writeTables(process, live, features);
    this.facts[index] = factsOf(file, replay, live, exact);
  }

  finish(): BlockTables {
    const tables = Object.fromEntries(
      Object.entries(this.builders).map(([name, builder]) => [name, builder.finish()]),
    ) as unknown as Pick<Tables, BlockTable>;
    return { tables, facts: this.facts, heaviestStack: this.heaviest.stack };
  }

  private writeTables(process: number, live: LiveListener, features: Row<"siteFeatures">[]): void {
    const { builders, heaviest } = this;
    const share = process === 0 ? ROOT_SHARE : OTHER_SHARE;
    const peak = this.fillRows((stack) => (live.isUntouched(stack) ? undefined : live.peakAmount(stack)), share);
    this.rows.forEach((stack, amount) => {
      builders.peakStacks.push({ process, stack, ...amount });
      heaviest.weigh(stack, amount.bytes, true);
    });
    this.fillRows((stack) => (live.isUntouched(stack) ? undefined : live.amounts.atEnd(stack)), share);
    this.rows.forEach((stack, amount) => builders.endStacks.push({ process, stack, ...amount }));
    this.fillRows((stack) => (live.isUntouched(stack) ? undefined : live.amounts.allocated(stack)), share);
    this.rows.forEach((stack, amount) => {
      builders.allocatedStacks.push({ process, stack, ...amount });
      heaviest.weigh(stack, amount.bytes, false);
    });
    for (const row of live.curveRows(peak)) builders.liveCurve.push({ process, ...row });
    for (const mark of live.marks) builders.marks.push({ process, ...mark });
    for (const row of features) builders.siteFeatures.push(row);
    this.writeCheckpoints(process, live, features);
  }

  /** Fills `rows`, folds them, and gives their sum. */
  private fillRows(amountOf: (stack: number) => Amount | undefined, share: number): Amount {
    const { rows } = this;
    rows.clear();
    for (let stack = 0; stack < this.program.stackParent.length; stack++) {
      const amount = amountOf(stack);
      if (amount) rows.set(stack, amount);
    }
    const total = rows.total();
    rows.fold(total.bytes * share);
    return total;
  }

  private writeCheckpoints(process: number, live: LiveListener, features: Row<"siteFeatures">[]): void {
    const { time, site, bytes, count } = live.checkpointColumns();
    const most = new Float64Array(this.program.siteCode.length);
    for (const row of features) most[row.site] = row.peakBytes;
    site.forEach((s, i) => (most[s] = Math.max(most[s]!, bytes[i]!)));
    for (let i = 0; i < site.length; i++) {
      if (most[site[i]!]! < CHECKPOINT_FLOOR) continue;
      this.builders.checkpoints.push({ process, time: time[i]!, site: site[i]!, bytes: bytes[i]!, count: count[i]! });
    }
  }
}

/** By site: its heaviest stack at some process's peak, else over the run. */
class HeaviestStacks {
  readonly stack: Uint32Array;
  private readonly bytes: Float64Array;
  /** 1: the bytes were alive at a peak; then bytes that others only allocated do not count. */
  private readonly isPeak: Uint8Array;
  private readonly stackSite: Uint32Array;

  constructor(program: Program) {
    const sites = program.siteCode.length;
    this.stackSite = program.stackSite;
    this.stack = new Uint32Array(sites).fill(NONE);
    this.bytes = new Float64Array(sites);
    this.isPeak = new Uint8Array(sites);
  }

  weigh(stack: number, bytes: number, isPeak: boolean): void {
    const site = this.stackSite[stack]!;
    const rank = isPeak ? 1 : 0;
    const known = this.isPeak[site]!;
    if (this.stack[site] !== NONE && (rank < known || (rank === known && bytes <= this.bytes[site]!))) return;
    this.stack[site] = stack;
    this.bytes[site] = bytes;
    this.isPeak[site] = rank;
  }
}

/** About: most events are words of 8 bytes, and more than half of them births. */
function expectedBirths({ threads }: EventFile): number {
  let bytes = 0;
  for (const { chunks } of threads) for (const chunk of chunks) bytes += chunk.bytes;
  return bytes / 14;
}

/** Whether every block of the file was recorded: no interval was in force when it began, at any chunk, or was set between. */
function isExact({ header, threads }: EventFile): boolean {
  if (header.mode === "exact") return true;
  if (header.intervalChanges > 0) return false;
  return threads.every(({ chunks }) => chunks.every(({ interval }) => saneInterval(interval) === 0));
}

function factsOf(file: EventFile, replay: Replay, live: LiveListener, exact: boolean): ReplayFacts {
  return {
    exact,
    interval: replay.interval,
    births: replay.sequence + replay.counted,
    deaths: replay.deaths + replay.counted,
    dropped: Math.max(file.header.dropped, replay.gaps),
    lostChunks: file.threads.reduce((sum, { lost }) => sum + lost, 0),
    doubleBirths: replay.doubleBirths,
    unmatchedDeaths: replay.unmatchedDeaths,
    peakTime: live.peakTime,
  };
}
