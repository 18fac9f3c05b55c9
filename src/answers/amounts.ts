/** Amounts of memory with their intervals: sums over stacks, by site, and the interval in force. */
import type { Interval } from "../base/format.ts";
import { intervalOf } from "../base/interval.ts";
import type { Estimate } from "../base/interval.ts";
import type { Recording } from "../tide/recording.ts";

/** Bytes with their 90 % interval (low = high = bytes when exact) and the number of blocks behind them. */
export interface Amount extends Interval {
  readonly count: number;
}

/** A sum in the making: what the AMOUNT columns hold. */
export interface Sum extends Estimate {
  readonly count: number;
}

const NOTHING: Sum = { bytes: 0, count: 0, variance: 0, sampled: 0, exactBytes: 0 };

/** Blocks of different sites and processes were sampled independently: estimates and variances add. */
export function add(a: Sum, b: Sum): Sum {
  return {
    bytes: a.bytes + b.bytes,
    count: a.count + b.count,
    variance: a.variance + b.variance,
    sampled: a.sampled + b.sampled,
    exactBytes: a.exactBytes + b.exactBytes,
  };
}

export function amountOf(sum: Sum, interval: number): Amount {
  return { ...intervalOf(sum, interval), count: sum.count };
}

type StackTable = "peakStacks" | "endStacks" | "allocatedStacks";

/** Sums a table of amounts per stack by site; of one process, or of all when `process` is undefined. */
export function sumBySite(r: Recording, name: StackTable, process?: number): Map<number, Sum> {
  const table = r.table(name);
  const siteOfStack = r.table("stacks").site;
  const sums = new Map<number, Sum>();
  for (let row = 0; row < table.length; row++) {
    if (process !== undefined && table.process[row] !== process) continue;
    const site = siteOfStack[table.stack[row]];
    sums.set(site, add(sums.get(site) ?? NOTHING, rowSum(table, row)));
  }
  return sums;
}

export function total(sums: Iterable<Sum>): Sum {
  let result = NOTHING;
  for (const sum of sums) result = add(result, sum);
  return result;
}

/** The amount columns of a row, as a sum. */
export function rowSum(table: { readonly [K in keyof Sum]: Float64Array }, row: number): Sum {
  return {
    bytes: table.bytes[row],
    count: table.count[row],
    variance: table.variance[row],
    sampled: table.sampled[row],
    exactBytes: table.exactBytes[row],
  };
}

const intervals = new WeakMap<Recording, Map<number | undefined, number>>();

/**
 * T, the mean bytes between two samples, of a process, or the largest of all processes; 0 when every block was recorded.
 * The tables keep the last interval only. Where an adaptive recording had a longer one before, what a sample stood for
 * on average over the run says so.
 */
export function samplingInterval(r: Recording, process?: number): number {
  const known = intervals.get(r) ?? new Map<number | undefined, number>();
  intervals.set(r, known);
  const interval = known.get(process) ?? findInterval(r, process);
  known.set(process, interval);
  return interval;
}

function findInterval(r: Recording, process?: number): number {
  const { intervalBytes, recorded } = r.table("processes");
  let last = 0;
  for (let row = 0; row < recorded.length; row++) {
    if (process === undefined ? recorded[row] : row === process) last = Math.max(last, intervalBytes[row] || 0);
  }
  const allocated = total(sumBySite(r, "allocatedStacks", process).values());
  const mean = allocated.sampled > 0 ? (allocated.bytes - allocated.exactBytes) / allocated.sampled : 0;
  // The mean scatters about the interval: only a clear difference says that there was another one.
  return mean > 1.25 * last ? mean : last;
}
