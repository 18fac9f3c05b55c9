/** From the event files of a run to the tables about blocks: every process replayed, fork children from where their parents stood. */

import { NONE } from "../../base/brand.ts";
import type { EventFile } from "../../tide/events.ts";
import type { Row, Tables } from "../../tide/schema.ts";
import { tableBuilder } from "../../tide/writer.ts";
import type { TableBuilder } from "../../tide/writer.ts";
import type { Amount } from "./amounts.ts";
import type { Program } from "./codes.ts";
import type { JudgeFactory } from "./judge.ts";
import { LiveListener } from "./live.ts";
import { Replay } from "./replay.ts";
import type { Clock } from "./replay.ts";
import { saneInterval } from "./threads.ts";

/** A site that never had as much at once has no checkpoints. */
const CHECKPOINT_FLOOR = 16 * 1024;

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
  private readonly heaviestStack: Uint32Array;
  /** Bytes of the heaviest stack, and whether they were live at a peak (then bytes allocated by others do not count). */
  private readonly heaviestBytes: Float64Array;
  private readonly heaviestIsPeak: Uint8Array;
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
    const sites = program.siteCode.length;
    this.heaviestStack = new Uint32Array(sites).fill(NONE);
    this.heaviestBytes = new Float64Array(sites);
    this.heaviestIsPeak = new Uint8Array(sites);
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
    const { births } = file.header;
    const judge = this.judge();
    const live = new LiveListener({ program, replay, judge, exact, start, end, births, window, parent: parent?.live });
    replay.run(judge.start(program, { process, exact, replay, start, end }), live);
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
    return { tables, facts: this.facts, heaviestStack: this.heaviestStack };
  }

  private writeTables(process: number, live: LiveListener, features: Row<"siteFeatures">[]): void {
    const { builders } = this;
    const peak: Amount = { bytes: 0, count: 0, variance: 0, sampled: 0, exactBytes: 0 };
    for (let stack = 0; stack < live.amounts.stacks; stack++) {
      if (live.isUntouched(stack)) continue;
      const atPeak = live.peakAmount(stack);
      const atEnd = live.amounts.atEnd(stack);
      const born = live.amounts.allocated(stack);
      if (atPeak.count > 0) builders.peakStacks.push({ process, stack, ...atPeak });
      if (atEnd.count > 0) builders.endStacks.push({ process, stack, ...atEnd });
      if (born.count > 0) builders.allocatedStacks.push({ process, stack, ...born });
      this.weigh(stack, atPeak.bytes, born.bytes);
      for (const column of AMOUNT_COLUMNS) peak[column] += atPeak[column];
    }
    for (const row of live.curveRows(peak)) builders.liveCurve.push({ process, ...row });
    for (const mark of live.marks) builders.marks.push({ process, ...mark });
    for (const row of features) builders.siteFeatures.push(row);
    this.writeCheckpoints(process, live, features);
  }

  private weigh(stack: number, peakBytes: number, bornBytes: number): void {
    const site = this.program.stackSite[stack]!;
    const isPeak = peakBytes > 0 ? 1 : 0;
    const bytes = isPeak === 1 ? peakBytes : bornBytes;
    const known = this.heaviestIsPeak[site]!;
    if (isPeak < known || (isPeak === known && bytes <= this.heaviestBytes[site]!)) return;
    this.heaviestStack[site] = stack;
    this.heaviestBytes[site] = bytes;
    this.heaviestIsPeak[site] = isPeak;
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

const AMOUNT_COLUMNS = ["bytes", "count", "variance", "sampled", "exactBytes"] as const satisfies (keyof Amount)[];

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
    births: replay.sequence,
    deaths: replay.deaths,
    dropped: Math.max(file.header.dropped, replay.gaps),
    lostChunks: file.threads.reduce((sum, { lost }) => sum + lost, 0),
    doubleBirths: replay.doubleBirths,
    unmatchedDeaths: replay.unmatchedDeaths,
    peakTime: live.peakTime,
  };
}
