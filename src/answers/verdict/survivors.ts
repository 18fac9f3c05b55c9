/**
 * Which turns left something behind: the blocks of a site that were alive at the end of what drives it, by the turn that made them.
 * The blocks alive at the end of the program are all known; of those that died in between, the ones that the history kept.
 */

import type { Driver } from "./drivers.ts";
import { lastNotAbove } from "./history.ts";
import type { SiteHistory } from "./history.ts";
import type { Boundary } from "./trend.ts";

const INSTANTS = 10;
/** A block that lived this many turns was kept beyond the turn that made it. */
const OLD = 2;

/** Of the bytes that went after a while: this share lived no longer than what is called their lifetime. */
const MOST_LIVES = 0.9;
/** A trend needs so many lifetimes of turns: then each of the ten groups of the envelope is a level of its own. */
const LIFETIMES = 10;
/** Survivors older than a lifetime, as a share of all: fewer are what any level has by chance. */
const OLDER = 0.25;
/** Lives that grow longer by this factor are a backlog, not a level that is reached. */
const LONGER = 1.6;

/** Turns as a row of windows; a sampled recording has equal parts of the run instead. */
export class Windows {
  readonly count: number;
  private readonly starts: ArrayLike<number>;
  private readonly turnOf: (window: number) => number;
  private readonly isSingle: (window: number) => boolean;
  private readonly hit: Uint8Array;
  private readonly last: number;
  /** Blocks that were alive at the end of the driver and were made below it. */
  survivors = 0;

  constructor(driver: Driver, boundaries: readonly Boundary[], sampled: boolean) {
    const { turns } = driver;
    this.starts = sampled ? [driver.start, ...boundaries.slice(0, -1).map(({ at }) => at + 1)] : turns.starts;
    this.turnOf = sampled
      ? (window) => (window === 0 ? 0 : boundaries[window - 1]!.turn)
      : (window) => turns.numbers[window]!;
    this.isSingle = (window) => turns.isSingle(window);
    this.count = this.starts.length;
    this.last = driver.last;
    this.hit = new Uint8Array(this.count);
  }

  /** A block made at this birth outlived the driver. */
  add(born: number): void {
    const window = this.windowOf(born);
    if (window < 0 || born > this.last) return;
    this.survivors++;
    this.hit[window] = 1;
  }

  windowOf(born: number): number {
    return lastNotAbove(this.starts, this.count, born);
  }

  /** Turns between two births. */
  age(born: number, died: number): number {
    const [from, to] = [this.windowOf(born), this.windowOf(died)];
    return to < 0 ? 0 : this.turnOf(to) - (from < 0 ? 0 : this.turnOf(from));
  }

  /** Windows with a survivor. */
  get generations(): number {
    return this.hit.reduce((sum, hit) => sum + hit, 0);
  }

  /** Share of the turns that left something behind. */
  get growingShare(): number {
    let hits = 0;
    let singles = 0;
    for (let window = 0; window < this.count; window++) {
      if (!this.isSingle(window)) continue;
      singles++;
      hits += this.hit[window]!;
    }
    return singles === 0 ? 0 : hits / singles;
  }

  /** Most generations alive at one of ten instants of the driver's life, as far as kept blocks tell. */
  mostGenerations(history: SiteHistory, start: number): number {
    let most = this.generations;
    for (let instant = 1; instant <= INSTANTS; instant++) {
      const at = start + ((this.last - start) * instant) / INSTANTS;
      const alive = new Set<number>();
      for (let i = 0; i < history.blocks && history.born[i]! <= at; i++) {
        const window = history.died[i]! > at ? this.windowOf(history.born[i]!) : -1;
        if (window >= 0) alive.add(window);
      }
      most = Math.max(most, alive.size);
    }
    return most;
  }

  /**
   * The run was too short to tell growth from a level that is still being reached: blocks go after a lifetime that does not change, the driver had
   * fewer than ten of those, and what it left behind is no older. A backlog, whose blocks wait longer and longer, is none of this.
   */
  isFilling(history: SiteHistory, turns: number): boolean {
    const { ages, bytes, total } = this.lives(history);
    if (!(total > 0)) return false;
    const lifetime = quantile(ages, bytes, MOST_LIVES * total);
    if (turns >= LIFETIMES * lifetime || isRising(ages, bytes, total)) return false;
    let left = 0;
    let older = 0;
    for (let i = 0; i < history.blocks; i++) {
      const born = history.born[i]!;
      if (born > this.last || history.died[i]! < this.last) continue;
      left += history.bytes[i]!;
      if (this.age(born, this.last) > lifetime) older += history.bytes[i]!;
    }
    return older < OLDER * left;
  }

  /** Blocks that went while the driver ran, after at least two turns, in the order of their deaths. */
  private lives(history: SiteHistory): { ages: number[]; bytes: number[]; total: number } {
    const gone: number[] = [];
    for (let i = 0; i < history.blocks; i++) {
      const died = history.died[i]!;
      if (died < this.last && this.age(history.born[i]!, died) >= OLD) gone.push(i);
    }
    gone.sort((a, b) => history.died[a]! - history.died[b]!);
    const bytes = gone.map((i) => history.bytes[i]!);
    const ages = gone.map((i) => this.age(history.born[i]!, history.died[i]!));
    return { ages, bytes, total: bytes.reduce((sum, size) => sum + size, 0) };
  }

  /** Of the bytes made after an instant: how many were replaced, that is, died after at least two turns. */
  replacedShare(history: SiteHistory, from: number): number {
    let made = 0;
    let replaced = 0;
    for (let i = 0; i < history.blocks; i++) {
      const born = history.born[i]!;
      const died = history.died[i]!;
      if (born > from && born <= this.last) made += history.bytes[i]!;
      if (died > from && died < this.last && this.age(born, died) >= OLD) replaced += history.bytes[i]!;
    }
    return made > 0 ? replaced / made : 0;
  }
}

/** The smallest age that is not passed by more than what remains above so many bytes. */
function quantile(ages: readonly number[], bytes: readonly number[], wanted: number): number {
  const order = ages.map((_, i) => i).sort((a, b) => ages[a]! - ages[b]!);
  let sum = 0;
  for (const i of order) if ((sum += bytes[i]!) >= wanted) return ages[i]!;
  return ages[order.at(-1)!]!;
}

/** The mean age of the later half of the bytes is well above that of the earlier half. */
function isRising(ages: readonly number[], bytes: readonly number[], total: number): boolean {
  const means = [0, 0];
  const weights = [0, 0];
  let sum = 0;
  ages.forEach((age, i) => {
    const half = sum < total / 2 ? 0 : 1;
    sum += bytes[i]!;
    means[half]! += age * bytes[i]!;
    weights[half]! += bytes[i]!;
  });
  return weights[1]! > 0 && means[1]! / weights[1]! > LONGER * (means[0]! / weights[0]!);
}
