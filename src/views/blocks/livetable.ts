/**
 * The blocks of one process that are alive, found by address. A block keeps its slot (a small number) from birth to death; the
 * slot of a dead block is the next one given out, so that a program that churns stays in a few cache lines.
 *
 * Every event comes through here, hence the layout: one typed array for the hash (two words an entry: key, slot + 1), one
 * buffer of half cache lines for the slots, no object per block. An address is (base, high): base = address >> 36, high = bits 4 to 35. The hash holds both
 * mixed into one word; the base is compared in the slot, which is read anyway.
 */

import { NONE } from "../../base/brand.ts";

const FIRST_ENTRIES = 1 << 12;
/** Linear probing: at most this share of the entries is in use. */
const FULL = 0.5;
const GOLDEN = 0x9e37_79b1;
/** Odd, so that blocks at the same place of different bases have different keys. */
const BASE_MIX = 0x85eb_ca6b;

/** A slot is 32 bytes: words stack, thread, base, high; doubles size, weight. */
const SLOT_BYTES = 32;
const WORDS = SLOT_BYTES / 4;
const DOUBLES = SLOT_BYTES / 8;
const SIZE = 2;
const WEIGHT = 3;

export class LiveTable {
  /** Blocks alive, mappings included. */
  count = 0;
  /** Slots ever in use: every slot is below. */
  slots = 0;
  /** Set by `insert`: the address was alive already, and the slot it gave is that block's. */
  existed = false;

  private entries: Uint32Array;
  private mask: number;
  private shift: number;
  private hashed = 0;
  /** Two views of the slots. */
  private words: Uint32Array;
  private doubles: Float64Array;
  private free: Uint32Array;
  private freeCount = 0;

  constructor(from?: LiveTable) {
    this.entries = from ? from.entries.slice() : new Uint32Array(2 * FIRST_ENTRIES);
    this.mask = from ? from.mask : FIRST_ENTRIES - 1;
    this.shift = from ? from.shift : 32 - Math.log2(FIRST_ENTRIES);
    this.words = from ? from.words.slice() : new Uint32Array(WORDS * FIRST_ENTRIES);
    this.doubles = new Float64Array(this.words.buffer);
    this.free = from ? from.free.slice() : new Uint32Array(FIRST_ENTRIES);
    if (!from) return;
    this.count = from.count;
    this.slots = from.slots;
    this.hashed = from.hashed;
    this.freeCount = from.freeCount;
  }

  stackOf(slot: number): number {
    return this.words[slot * WORDS]!;
  }

  threadOf(slot: number): number {
    return this.words[slot * WORDS + 1]!;
  }

  /** Bytes that were asked for. */
  sizeOf(slot: number): number {
    return this.doubles[slot * DOUBLES + SIZE]!;
  }

  /** 1/p: how many such blocks this one stands for. */
  weightOf(slot: number): number {
    return this.doubles[slot * DOUBLES + WEIGHT]!;
  }

  baseOf(slot: number): number {
    return this.words[slot * WORDS + 2]!;
  }

  highOf(slot: number): number {
    return this.words[slot * WORDS + 3]!;
  }

  /** Exact below 2^53, as every user-space address is; the low four bits are not kept. */
  addressOf(slot: number): number {
    return this.baseOf(slot) * 2 ** 36 + this.highOf(slot) * 16;
  }

  /** The slot for a block at this address: a new one, or with `existed` set that of the block which is there already. */
  insert(base: number, high: number): number {
    if (this.hashed >= (this.mask + 1) * FULL) this.growHash();
    const { entries, mask } = this;
    const key = (high ^ Math.imul(base, BASE_MIX)) >>> 0;
    let at = Math.imul(key, GOLDEN) >>> this.shift;
    for (let found = entries[2 * at + 1]!; found !== 0; found = entries[2 * at + 1]!) {
      if (entries[2 * at] === key && this.words[(found - 1) * WORDS + 2] === base) {
        this.existed = true;
        return found - 1;
      }
      at = (at + 1) & mask;
    }
    this.existed = false;
    const slot = this.take();
    entries[2 * at] = key;
    entries[2 * at + 1] = slot + 1;
    this.hashed++;
    this.place(slot, base, high);
    return slot;
  }

  place(slot: number, base: number, high: number): void {
    this.words[slot * WORDS + 2] = base;
    this.words[slot * WORDS + 3] = high;
  }

  fill(slot: number, stack: number, thread: number, size: number, weight: number): void {
    this.words[slot * WORDS] = stack;
    this.words[slot * WORDS + 1] = thread;
    this.doubles[slot * DOUBLES + SIZE] = size;
    this.doubles[slot * DOUBLES + WEIGHT] = weight;
  }

  /** Takes the block at this address out and gives its slot, whose values stay readable until the next birth; NONE: there is none. */
  remove(base: number, high: number): number {
    const { entries, mask } = this;
    const key = (high ^ Math.imul(base, BASE_MIX)) >>> 0;
    let at = Math.imul(key, GOLDEN) >>> this.shift;
    for (let found = entries[2 * at + 1]!; found !== 0; found = entries[2 * at + 1]!) {
      if (entries[2 * at] === key && this.words[(found - 1) * WORDS + 2] === base) {
        this.close(at);
        this.hashed--;
        this.release(found - 1);
        return found - 1;
      }
      at = (at + 1) & mask;
    }
    return NONE;
  }

  /** A slot outside the hash: for mappings, which are found by range. `place` says where they begin. */
  take(): number {
    this.count++;
    if (this.freeCount > 0) return this.free[--this.freeCount]!;
    if (this.slots * WORDS === this.words.length) this.growSlots();
    return this.slots++;
  }

  release(slot: number): void {
    this.count--;
    if (this.freeCount === this.free.length) this.free = grown(this.free);
    this.free[this.freeCount++] = slot;
  }

  /** Shifts later entries of the run back over the one that goes, so that no tombstones gather. */
  private close(gap: number): void {
    const { entries, mask, shift } = this;
    for (let at = (gap + 1) & mask; entries[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = Math.imul(entries[2 * at]!, GOLDEN) >>> shift;
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      entries[2 * gap] = entries[2 * at]!;
      entries[2 * gap + 1] = entries[2 * at + 1]!;
      gap = at;
    }
    entries[2 * gap + 1] = 0;
  }

  private growHash(): void {
    const old = this.entries;
    this.mask = this.mask * 2 + 1;
    this.shift--;
    this.entries = new Uint32Array(2 * (this.mask + 1));
    const { entries, mask, shift } = this;
    for (let from = 0; from < old.length; from += 2) {
      if (old[from + 1] === 0) continue;
      let at = Math.imul(old[from]!, GOLDEN) >>> shift;
      while (entries[2 * at + 1] !== 0) at = (at + 1) & mask;
      entries[2 * at] = old[from]!;
      entries[2 * at + 1] = old[from + 1]!;
    }
  }

  private growSlots(): void {
    this.words = grown(this.words);
    this.doubles = new Float64Array(this.words.buffer);
  }
}

function grown(array: Uint32Array): Uint32Array {
  const larger = new Uint32Array(array.length * 2);
  larger.set(array);
  return larger;
}
