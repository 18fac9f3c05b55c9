/** The live bytes of a site read between turns, and what their lower envelope did. docs/verdicts.md defines every number. */

import type { Driver } from "./drivers.ts";
import type { SiteHistory } from "./history.ts";

/** Readings at most. */
const READINGS = 200;
const GROUPS = 10;
/** Two-sided 90 % quantiles of Student's t, by degrees of freedom from 1 on. */
const STUDENT = [6.314, 2.92, 2.353, 2.132, 2.015, 1.943, 1.895, 1.86, 1.833];
const NORMAL = 1.645;

/** An instant between turns. */
export interface Boundary {
  /** Number of the birth after whose deaths it is. */
  at: number;
  /** Turns before it, from the driver's first on. */
  turn: number;
}

/** Bytes made as a clock: those of the whole process, or of a site that makes the same in each turn. */
export interface ByteClock {
  bytesOf(birth: number): number;
  birthOfBytes(bytes: number): number;
}

export interface Reading extends Boundary {
  bytes: number;
  variance: number;
}

export interface Trend {
  boundaries: Boundary[];
  /** Live bytes at the last boundary. */
  final: number;
  /** The lowest reading of each of at most ten equal groups, in order. */
  envelope: Reading[];
  /** Share of the steps of the envelope that go up, warm-up left out. */
  up: number;
  /** Bytes a group: the rise before the last third, and in it. */
  early: number;
  late: number;
  /** Bytes from the third group to the last. */
  growth: number;
  /** `growth` a turn, and its 90 % interval. */
  perTurn: number;
  low: number;
  high: number;
}

/**
 * @param turns how many there were (estimated in a sampled recording)
 * @param clock for sampled recordings, where silence is no evidence and not every turn is seen: then the readings are spread by bytes
 */
export function trendOf(history: SiteHistory, driver: Driver, turns: number, clock?: ByteClock): Trend {
  const boundaries = clock ? evenly(driver, turns, clock) : betweenTurns(driver);
  const last = boundaries.length - 1;
  const readings = boundaries.map((boundary, i) => ({
    ...boundary,
    ...(i === last ? readLast : read)(history, boundary.at),
  }));
  return { boundaries, final: readings[last]!.bytes, ...envelopeOf(readings) };
}

/** Before every turn but the first, and just after the last birth below the driver: its return would free what it holds. */
function betweenTurns({ turns, last }: Driver): Boundary[] {
  const kept = turns.starts.length;
  const wanted = Math.min(kept - 1, READINGS - 1);
  const boundaries: Boundary[] = [];
  for (let i = 0; i < wanted; i++) {
    const index = wanted === 1 ? 1 : 1 + Math.round((i * (kept - 2)) / (wanted - 1));
    boundaries.push({ at: turns.starts[index]! - 1, turn: turns.numbers[index]! });
  }
  boundaries.push({ at: Math.max(last, turns.starts[kept - 1]!), turn: turns.count });
  return boundaries;
}

function evenly({ start, last }: Driver, turns: number, clock: ByteClock): Boundary[] {
  const from = clock.bytesOf(start);
  const to = clock.bytesOf(last);
  const boundaries: Boundary[] = [];
  for (let i = 1; i < READINGS; i++) {
    const share = i / READINGS;
    boundaries.push({ at: Math.floor(clock.birthOfBytes(from + share * (to - from))), turn: share * turns });
  }
  boundaries.push({ at: last, turn: turns });
  return boundaries;
}

/** What was alive after the deaths that followed a birth. */
function read(history: SiteHistory, at: number): { bytes: number; variance: number } {
  const slice = history.sliceAt(at);
  return slice < 0 ? { bytes: 0, variance: 0 } : { bytes: history.least[slice]!, variance: history.variance[slice]! };
}

/** What was alive after a birth and before any death that followed it. */
function readLast(history: SiteHistory, at: number): { bytes: number; variance: number } {
  const slice = history.sliceAt(at);
  if (slice < 0) return { bytes: 0, variance: 0 };
  const isDeathsOnly = history.begin[slice] === at && history.byDeath[slice] === 1;
  if (isDeathsOnly) return read(history, at - 1);
  const isWhole = history.begin[slice]! < at && history.isFine;
  return { bytes: (isWhole ? history.least : history.first)[slice]!, variance: history.variance[slice]! };
}

function envelopeOf(readings: readonly Reading[]): Omit<Trend, "boundaries" | "final"> {
  const count = Math.min(GROUPS, readings.length);
  const envelope: Reading[] = [];
  for (let group = 0; group < count; group++) {
    const from = Math.floor((group * readings.length) / count);
    const to = Math.floor(((group + 1) * readings.length) / count);
    envelope.push(readings.slice(from, to).reduce((least, reading) => (reading.bytes < least.bytes ? reading : least)));
  }
  const bytes = (group: number): number => envelope[group - 1]!.bytes; // groups count from 1
  const third = Math.max(2, Math.floor(count / 3));
  const warm = Math.min(3, count);
  const growth = bytes(count) - bytes(warm);
  return {
    envelope,
    up: risingShare(envelope.slice(count < 6 ? 0 : 2)),
    late: (bytes(count) - bytes(Math.max(1, count - third))) / third,
    early: (bytes(Math.max(1, count - third)) - bytes(Math.min(2, count))) / Math.max(1, count - 2 - third),
    growth,
    ...perTurn(envelope.slice(warm - 1), growth),
  };
}

function risingShare(envelope: readonly Reading[]): number {
  let up = 0;
  for (let i = 1; i < envelope.length; i++) if (envelope[i]!.bytes > envelope[i - 1]!.bytes) up++;
  return envelope.length < 2 ? 0 : up / (envelope.length - 1);
}

/** Growth a turn: its spread from group to group, and what sampling adds. */
function perTurn(envelope: readonly Reading[], growth: number): { perTurn: number; low: number; high: number } {
  const [first, last] = [envelope[0]!, envelope.at(-1)!];
  const turns = last.turn - first.turn;
  if (!(turns > 0)) return { perTurn: NaN, low: NaN, high: NaN };
  const mean = growth / turns;
  const rates: number[] = [];
  for (let i = 1; i < envelope.length; i++) {
    const width = envelope[i]!.turn - envelope[i - 1]!.turn;
    if (width > 0) rates.push((envelope[i]!.bytes - envelope[i - 1]!.bytes) / width);
  }
  const spread = Math.sqrt(
    rates.reduce((sum, rate) => sum + (rate - mean) ** 2, 0) / Math.max(1, rates.length - 1) / rates.length,
  );
  const student = STUDENT[Math.max(0, Math.min(rates.length - 2, STUDENT.length - 1))]!;
  const sampling = Math.sqrt(Math.max(0, last.variance - first.variance)) / turns;
  const half = Math.hypot(student * spread, NORMAL * sampling);
  return { perTurn: mean, low: mean - half, high: mean + half };
}
