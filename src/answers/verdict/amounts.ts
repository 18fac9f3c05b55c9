/** Running sums of every site: live, at its peak, over the run. Side by side per site, since an event touches all of them. */

import { scramble } from "./history.ts";

/** One of the sums as the recording keeps it (docs/format.md, "Estimates"). */
export interface Sum {
  bytes: number;
  count: number;
  variance: number;
  sampled: number;
  exactBytes: number;
}

const COLUMNS = 8;
const LIVE = 0;
const COUNT = 1;
const MADE = 2;
const MADE_COUNT = 3;
const PEAK = 4;
const PEAK_COUNT = 5;
const PEAK_AT = 6;
const PEAK_TIME = 7;

/** What sampled recordings need besides. */
const EXTRA = 16;
const VARIANCE = 0;
const SAMPLED = 1;
const EXACT = 2;
const MADE_VARIANCE = 3;
const MADE_SAMPLED = 4;
const MADE_EXACT = 5;
const PEAK_VARIANCE = 6;
const PEAK_SAMPLED = 7;
const PEAK_EXACT = 8;
/** Two halves of the sample, two columns each: what each estimates, its maximum, and what the other said at that instant. */
const HALF = 9;
const TOP = 11;
const OTHER = 13;

export class Amounts {
  private readonly sums: Float64Array;
  private readonly extra: Float64Array;
  private readonly exact: boolean;

  constructor(sites: number, exact: boolean) {
    this.exact = exact;
    this.sums = new Float64Array(sites * COLUMNS);
    this.extra = new Float64Array(exact ? 0 : sites * EXTRA);
  }

  add(site: number, size: number, weight: number, bornAt: number): void {
    const { sums } = this;
    const at = site * COLUMNS;
    const bytes = size * weight;
    sums[at + LIVE]! += bytes;
    sums[at + COUNT]! += weight;
    sums[at + MADE]! += bytes;
    sums[at + MADE_COUNT]! += weight;
    if (!this.exact) this.addSample(site, size, weight, bornAt);
  }

  remove(site: number, size: number, weight: number, bornAt: number): void {
    const { sums } = this;
    const at = site * COLUMNS;
    sums[at + LIVE]! -= size * weight;
    sums[at + COUNT]! -= weight;
    if (!this.exact) this.removeSample(site, size, weight, bornAt);
  }

  /** A block that was born and died at once: part of what was made, and alive for a moment. */
  addTransient(site: number, size: number, weight: number, sequence: number, time: number): void {
    const { sums } = this;
    const at = site * COLUMNS;
    if (this.exact && sums[at + LIVE]! + size <= sums[at + PEAK]!) {
      sums[at + MADE]! += size;
      sums[at + MADE_COUNT]! += 1;
      return;
    }
    this.add(site, size, weight, sequence);
    this.notePeak(site, sequence, time);
    this.remove(site, size, weight, sequence);
  }

  /** Transient blocks that were only counted. */
  addCounted(site: number, count: number, bytes: number): void {
    this.sums[site * COLUMNS + MADE]! += bytes;
    this.sums[site * COLUMNS + MADE_COUNT]! += count;
  }

  /** After a birth: is it the most so far? */
  notePeak(site: number, sequence: number, time: number): void {
    const { sums } = this;
    const at = site * COLUMNS;
    if (sums[at + LIVE]! <= sums[at + PEAK]!) return;
    sums[at + PEAK] = sums[at + LIVE]!;
    sums[at + PEAK_COUNT] = sums[at + COUNT]!;
    sums[at + PEAK_AT] = sequence;
    sums[at + PEAK_TIME] = time;
    if (this.exact) return;
    const { extra } = this;
    const more = site * EXTRA;
    extra[more + PEAK_VARIANCE] = extra[more + VARIANCE]!;
    extra[more + PEAK_SAMPLED] = extra[more + SAMPLED]!;
    extra[more + PEAK_EXACT] = extra[more + EXACT]!;
  }

  live(site: number): number {
    return this.sums[site * COLUMNS + LIVE]!;
  }

  made(site: number): number {
    return this.sums[site * COLUMNS + MADE]!;
  }

  /** Of the live bytes. */
  variance(site: number): number {
    return this.exact ? 0 : Math.max(0, this.extra[site * EXTRA + VARIANCE]!);
  }

  /** Number of the birth at which the site had most, and when. */
  peakAt(site: number): number {
    return this.sums[site * COLUMNS + PEAK_AT]!;
  }

  peakTime(site: number): number {
    return this.sums[site * COLUMNS + PEAK_TIME]!;
  }

  liveSum(site: number): Sum {
    return this.sum(site, LIVE, COUNT, VARIANCE, SAMPLED, EXACT);
  }

  madeSum(site: number): Sum {
    return this.sum(site, MADE, MADE_COUNT, MADE_VARIANCE, MADE_SAMPLED, MADE_EXACT);
  }

  /**
   * The site's own maximum. Of a sampled site the highest estimate would be too high on average, for it is the maximum of a noisy curve: there
   * each half of the sample tells what lived when the other half stood highest.
   */
  peakSum(site: number): Sum {
    const sum = this.sum(site, PEAK, PEAK_COUNT, PEAK_VARIANCE, PEAK_SAMPLED, PEAK_EXACT);
    if (this.exact || sum.sampled === 0) return sum;
    const at = site * EXTRA + OTHER;
    const bytes = Math.max((this.extra[at]! + this.extra[at + 1]!) / 2, sum.exactBytes, this.live(site));
    return { ...sum, bytes, count: sum.bytes > 0 ? (sum.count * bytes) / sum.bytes : 0 };
  }

  private sum(site: number, bytes: number, count: number, variance: number, sampled: number, exactBytes: number): Sum {
    const { sums, extra } = this;
    const at = site * COLUMNS;
    const more = site * EXTRA;
    const value = Math.max(0, sums[at + bytes]!);
    return {
      bytes: value,
      count: Math.max(0, sums[at + count]!),
      variance: this.exact ? 0 : Math.max(0, extra[more + variance]!),
      sampled: this.exact ? 0 : extra[more + sampled]!,
      exactBytes: this.exact ? value : Math.min(value, extra[more + exactBytes]!),
    };
  }

  private addSample(site: number, size: number, weight: number, bornAt: number): void {
    const { extra } = this;
    const at = site * EXTRA;
    if (weight === 1) {
      extra[at + EXACT]! += size;
      extra[at + MADE_EXACT]! += size;
      extra[at + HALF]! += size;
      extra[at + HALF + 1]! += size;
    } else {
      const variance = size * size * weight * (weight - 1);
      extra[at + VARIANCE]! += variance;
      extra[at + SAMPLED]! += 1;
      extra[at + MADE_VARIANCE]! += variance;
      extra[at + MADE_SAMPLED]! += 1;
      extra[at + HALF + (scramble(bornAt) & 1)]! += 2 * size * weight;
    }
    for (let half = 0; half < 2; half++) {
      if (extra[at + HALF + half]! <= extra[at + TOP + half]!) continue;
      extra[at + TOP + half] = extra[at + HALF + half]!;
      extra[at + OTHER + half] = extra[at + HALF + 1 - half]!;
    }
  }

  private removeSample(site: number, size: number, weight: number, bornAt: number): void {
    const { extra } = this;
    const at = site * EXTRA;
    if (weight === 1) {
      extra[at + EXACT]! -= size;
      extra[at + HALF]! -= size;
      extra[at + HALF + 1]! -= size;
    } else {
      extra[at + VARIANCE]! -= size * size * weight * (weight - 1);
      extra[at + SAMPLED]! -= 1;
      extra[at + HALF + (scramble(bornAt) & 1)]! -= 2 * size * weight;
    }
  }
}
