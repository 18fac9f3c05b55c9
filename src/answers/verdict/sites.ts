/** At the end of a replay: every site's features, verdict and row. */

import { NONE } from "../../base/brand.ts";
import { CONFIDENCES, UNITS, VERDICTS } from "../../tide/schema.ts";
import type { Row } from "../../tide/schema.ts";
import type { Program } from "../../views/blocks/codes.ts";
import { OWNER } from "../../views/blocks/sites.ts";
import type { Amounts, Sum } from "./amounts.ts";
import type { Births } from "./births.ts";
import type { Counts } from "./counts.ts";
import { Drivers } from "./drivers.ts";
import type { Driver } from "./drivers.ts";
import type { Ending } from "./ending.ts";
import type { SiteHistory } from "./history.ts";
import type { Milestones } from "./milestones.ts";
import type { Pending } from "./pending.ts";
import type { Places } from "./places.ts";
import { FEWEST_TURNS } from "./executions.ts";
import { heldByCalls } from "./recursion.ts";
import type { HeldByCalls } from "./recursion.ts";
import { FEWEST_SAMPLED, FLOOR, judge } from "./rules.ts";
import type { DriverFeatures, Judgement } from "./rules.ts";
import type { Sampling } from "./sampling.ts";
import { Windows } from "./survivors.ts";
import { trendOf } from "./trend.ts";
import type { ByteClock, Trend } from "./trend.ts";
import type { Turns } from "./turns.ts";

/** Sites of library code that never had as much at once have no row; the user's own always have. */
const SMALLEST = FLOOR / 4;
/** After the driver's last birth, its frame's blocks are gone within so many births. */
const AFTERWARDS = 64;

export interface Replayed {
  program: Program;
  process: number;
  places: Places;
  amounts: Amounts;
  histories: readonly (SiteHistory | undefined)[];
  births: Births;
  counts: Counts;
  sampling: Sampling;
  ending: Ending;
  milestones: Milestones;
  marks: ReadonlyMap<string, Turns>;
  /** Deaths after the program's last birth. */
  pending: Pending;
  /** By slot: birth number of the block there, 0: none. */
  survivors: Float64Array;
  siteOfSlot: (slot: number) => number;
}

/** A site whose bytes run ahead of, or behind, those of the process by this share of the driver's time does not make them in each turn. */
const UNSTEADY = 0.2;

/** After the last block that was sampled there may have been more: for about so many times the mean distance of two. */
const UNSEEN = 3;

/** Seconds. In a sample nothing is said to be over so shortly before the end: the program may just not have gone on. */
const MOMENT = 0.05;

/** Fewer blocks lie close together by chance: of five spread over a run, all fall into one fifth of it in one of a hundred runs. */
const FEWEST_BRIEF = 5;

/** What is known of a site that is large enough to be judged by its trend. */
interface Followed {
  history: SiteHistory;
  calls: HeldByCalls;
  driver: Driver | undefined;
  /** Blocks may be missing while the driver ran. */
  sampled: boolean;
  turns: number;
  trend: Trend | undefined;
  windows: Windows | undefined;
  /** Bytes that went when the last frames of the program ended. */
  freedAtExit: number;
}

export function judgeSites(run: Replayed): Row<"siteFeatures">[] {
  const followed = follow(run);
  const rows: Row<"siteFeatures">[] = [];
  for (let site = 0; site < run.program.siteCode.length; site++) {
    const made = run.amounts.madeSum(site);
    if (made.count === 0) continue;
    const peak = run.amounts.peakSum(site);
    const own = run.program.codeOwner[run.program.siteCode[site]!] === OWNER.user;
    if (own || peak.bytes >= SMALLEST) rows.push(rowOf(run, site, peak, made, followed.get(site)));
  }
  return rows;
}

function follow(run: Replayed): Map<number, Followed> {
  const { births, marks, places, ending } = run;
  const drivers = new Drivers({
    places,
    activations: births.activations,
    roots: births.roots,
    marks,
    isMainThread: (thread) => ending.isMain(thread),
    firstBirth: ending.firstBirth,
    lastBirth: ending.lastBirth,
  });
  const followed = new Map<number, Followed>();
  run.histories.forEach((history, site) => {
    if (!history || run.amounts.peakSum(site).bytes < FLOOR) return;
    const calls = heldByCalls(history, run.amounts.peakAt(site), places);
    const driver = drivers.find(history);
    const sampled = driver !== undefined && run.sampling.touches(driver.start, driver.last);
    const { turns, clock } =
      driver && sampled ? estimatedTurns(run, driver) : { turns: driver?.turns.count ?? 0, clock: undefined };
    const trend = driver && trendOf(history, driver, turns, clock);
    const windows = driver && trend && new Windows(driver, trend.boundaries, sampled);
    if (driver && windows) addKept(history, windows, driver, ending.lastBirth);
    followed.set(site, { history, calls, driver, sampled, turns, trend, windows, freedAtExit: 0 });
  });
  addSurvivors(run, followed);
  return followed;
}

/** Where turns may have been missed: how many there were, and what tells their time. */
function estimatedTurns(run: Replayed, driver: Driver): { turns: number; clock: ByteClock } {
  const seen = driver.turns.count;
  if (driver.stack === NONE) return { turns: seen, clock: run.milestones };
  if (run.sampling.interval === 0) {
    const whole = run.sampling.wholeTurns(driver.turns);
    const times = run.counts.timesWhole(driver.stack, run.places);
    if (whole >= FEWEST_TURNS && times >= 1) return { turns: Math.max(seen, whole * times), clock: run.milestones };
  }
  const historyOf = (stack: number): SiteHistory | undefined => run.histories[run.program.stackSite[stack]!];
  const isSteady = (stack: number): boolean => {
    const history = historyOf(stack);
    return history !== undefined && isSteadily(history, driver, run.milestones);
  };
  const { turns, stack } = run.counts.turnsBelow(driver.stack, seen, run.places, isSteady);
  return { turns, clock: (stack === NONE ? undefined : historyOf(stack)) ?? run.milestones };
}

/** A site made its blocks all the time while the driver ran: measured by what the whole process made. */
function isSteadily(history: SiteHistory, { start, last }: Driver, milestones: Milestones): boolean {
  const [from, to] = [milestones.bytesOf(start), milestones.bytesOf(last)];
  const [first, all] = [history.bytesOf(start), history.bytesOf(last)];
  if (!(to > from && all > first)) return false;
  return [0.25, 0.5, 0.75].every((share) => {
    const made = history.bytesOf(milestones.birthOfBytes(from + share * (to - from)));
    return Math.abs((made - first) / (all - first) - share) < UNSTEADY;
  });
}

/** Of the blocks that a history kept: those that outlived the driver and died later in the run. */
function addKept(history: SiteHistory, windows: Windows, driver: Driver, lastBirth: number): void {
  for (let i = 0; i < history.blocks; i++) {
    const died = history.died[i]!;
    if (died >= driver.last && died < lastBirth) windows.add(history.born[i]!);
  }
}

/** The blocks alive at the end of the program: those never told as dead, and those told as dead after its last birth. */
function addSurvivors(run: Replayed, followed: ReadonlyMap<number, Followed>): void {
  const { survivors, pending, ending } = run;
  for (let slot = 0; slot < survivors.length; slot++) {
    const born = survivors[slot]!;
    if (born > 0) followed.get(run.siteOfSlot(slot))?.windows?.add(born);
  }
  for (let i = 0; i < pending.count; i++) {
    const site = followed.get(pending.sites[i]!);
    if (!site) continue;
    site.windows?.add(pending.bornAt[i]!);
    if (i < ending.waitingAtExit) site.freedAtExit += pending.sizes[i]! * pending.weights[i]!;
  }
}

function rowOf(run: Replayed, site: number, peak: Sum, made: Sum, followed: Followed | undefined): Row<"siteFeatures"> {
  const { amounts, births } = run;
  const live = amounts.liveSum(site);
  const features = followed && driverFeatures(run, site, followed);
  const calls = made.sampled > 0 ? NaN : births.calls[site]!;
  const judgement = judge({
    peak: peak.bytes,
    live: live.bytes,
    left: followed && knowsExit(run) ? live.bytes - followed.freedAtExit : live.bytes,
    made: made.bytes,
    heldByCalls: followed?.calls.share ?? 0,
    depth: followed?.calls.depth ?? 0,
    calls,
    driver: features,
    thin: isThin(made),
    isBrief: followed !== undefined && isBrief(run, followed.history),
  });
  return {
    process: run.process,
    site,
    verdict: VERDICTS.indexOf(judgement.verdict),
    confidence: CONFIDENCES.indexOf(judgement.confidence),
    ...prefixed("live", live),
    ...prefixed("peak", peak),
    ...prefixed("allocated", made),
    peakAt: amounts.peakTime(site),
    ...driverColumns(run, followed, features, judgement),
    heldByCalls: followed?.calls.share ?? NaN,
    depth: followed?.calls.depth ?? NaN,
    calls,
    maxAtOnce: peak.count,
  };
}

/** So few blocks were sampled that what they did is no pattern. */
function isThin(made: Sum): boolean {
  return isMostlySampled(made) && made.sampled < FEWEST_SAMPLED;
}

/** Made before the program began, or within a fifth of its time and not at its end: nothing that went on. */
function isBrief({ ending, milestones }: Replayed, { born, blocks }: SiteHistory): boolean {
  if (blocks === 0 || born[blocks - 1]! < ending.firstBirth) return true;
  if (blocks < FEWEST_BRIEF) return false;
  const begin = milestones.timeOf(ending.firstBirth);
  const duration = milestones.timeOf(ending.lastBirth) - begin;
  const share = (birth: number): number => (milestones.timeOf(birth) - begin) / duration;
  const first = Math.max(0, share(born[0]!));
  const last = share(born[blocks - 1]!);
  const isOver = last + (UNSEEN * (last - first)) / blocks < 0.8 && duration * (1 - last) > MOMENT;
  return duration > 0 && isOver && last - first < 0.2;
}

function isMostlySampled({ bytes, exactBytes, sampled }: Sum): boolean {
  return sampled > 0 && exactBytes < 0.5 * bytes;
}

function driverFeatures(run: Replayed, site: number, followed: Followed): DriverFeatures | undefined {
  const { history, driver, trend, windows, turns } = followed;
  if (!driver || !trend || !windows) return undefined;
  const { envelope, boundaries } = trend;
  const made = run.amounts.made(site);
  const late = boundaries[Math.floor((boundaries.length - 1) * (2 / 3))]!.at;
  const { firstBirth, lastBirth } = run.ending;
  const time = (birth: number): number => run.milestones.timeOf(birth);
  const duration = time(lastBirth) - time(firstBirth);
  const unseen = followed.sampled ? (UNSEEN * (time(driver.last) - time(driver.start))) / history.blocks : 0;
  const isLast = followed.sampled && time(lastBirth) - time(driver.last) < MOMENT;
  const end = isLast ? time(lastBirth) : time(driver.last) + unseen;
  return {
    turns,
    level: envelope.at(-1)!.bytes,
    before: envelope.slice(-3, -1).map(({ bytes }) => bytes),
    most: Math.max(...envelope.map(({ bytes }) => bytes), trend.final),
    up: trend.up,
    early: trend.early,
    late: trend.late,
    growth: trend.growth,
    low: trend.low,
    generations: windows.generations,
    generationsMax: windows.mostGenerations(history, driver.start),
    allocLate: made > 0 ? (history.bytesOf(driver.last) - history.bytesOf(late)) / made : 0,
    replaced: windows.replacedShare(history, late),
    filling: windows.isFilling(history, turns),
    end: duration > 0 ? Math.min(1, Math.max(0, (end - time(firstBirth)) / duration)) : 1,
    released: releasedShare(run, followed, envelope.at(-1)!.bytes, run.amounts.live(site)),
    survivors: windows.survivors,
    sampledSurvivors: isMostlySampled(run.amounts.liveSum(site)),
    lateSamples: followed.sampled ? history.bytesOf(late) / 2 / run.sampling.interval : Infinity,
  };
}

/**
 * It is known what went as the program's last frames ended. In a sample the interpreter's own births come late, when it has already freed what
 * the modules held.
 */
function knowsExit({ ending, sampling }: Replayed): boolean {
  return ending.waitingAtExit >= 0 && !sampling.touches(ending.lastBirth, Infinity);
}

/** Of the level that the driver left: the share that went right after its last birth. */
function releasedShare(run: Replayed, followed: Followed, level: number, live: number): number {
  const { ending } = run;
  const { history, driver, freedAtExit } = followed;
  if (!driver || !(level > 0)) return 0;
  const gone = (left: number): number => Math.min(1, Math.max(0, 1 - left / level));
  if (driver.last + AFTERWARDS >= ending.lastBirth) return knowsExit(run) ? gone(live - freedAtExit) : 0;
  const from = history.sliceAt(driver.last);
  const to = history.sliceAt(driver.last + AFTERWARDS);
  let least = Infinity;
  for (let slice = from; slice <= to; slice++) least = Math.min(least, history.least[slice]!);
  return gone(least);
}

function driverColumns(
  run: Replayed,
  followed: Followed | undefined,
  features: DriverFeatures | undefined,
  judgement: Judgement,
) {
  const { driver, trend, windows, turns } = followed ?? {};
  const known = driver !== undefined && trend !== undefined && features !== undefined;
  const grows = known && judgement.growing;
  return {
    driverFrame: known && driver.stack !== NONE ? run.program.stackFrame[driver.stack]! : NONE,
    driverStack: known ? driver.stack : NONE,
    unit: known ? driver.unit : UNITS.indexOf("none"),
    units: known ? Math.round(turns!) : NaN,
    growth: trend?.growth ?? NaN,
    growthPerUnit: grows ? trend.perTurn : NaN,
    growthLow: grows ? trend.low : NaN,
    growthHigh: grows ? trend.high : NaN,
    growingUnits: known && !followed!.sampled ? windows!.growingShare : NaN,
    up: features?.up ?? NaN,
    early: features?.early ?? NaN,
    late: features?.late ?? NaN,
    generations: features?.generations ?? NaN,
    generationsMax: features?.generationsMax ?? NaN,
    allocLate: features?.allocLate ?? NaN,
    replaced: features?.replaced ?? NaN,
    driverEnd: features?.end ?? NaN,
    released: features?.released ?? NaN,
  };
}

type Prefixed<P extends string> = Record<
  `${P}Bytes` | `${P}Count` | `${P}Variance` | `${P}Sampled` | `${P}ExactBytes`,
  number
>;

function prefixed<P extends string>(prefix: P, sum: Sum): Prefixed<P> {
  return {
    [`${prefix}Bytes`]: sum.bytes,
    [`${prefix}Count`]: sum.count,
    [`${prefix}Variance`]: sum.variance,
    [`${prefix}Sampled`]: sum.sampled,
    [`${prefix}ExactBytes`]: sum.exactBytes,
  } as Prefixed<P>;
}
