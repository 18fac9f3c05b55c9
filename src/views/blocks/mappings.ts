/**
 * The program's own mappings that are alive, by address range: munmap may take the middle of one, or several at once. They are few
 * next to the other blocks, so an ordered list with binary search is enough.
 */

/** What is left of a mapping after a part of it went: the block's slot, and the pieces before and behind the hole (0: none). */
export interface Cut {
  slot: number;
  before: number;
  behind: number;
  /** Where the piece behind begins. */
  behindAt: number;
  /** Where the mapping began: the piece before the hole begins there too. */
  start: number;
}

export class Mappings {
  /** Parallel, by start; ranges do not overlap. */
  private readonly starts: number[];
  private readonly ends: number[];
  private readonly slots: number[];

  constructor(from?: Mappings) {
    this.starts = from ? [...from.starts] : [];
    this.ends = from ? [...from.ends] : [];
    this.slots = from ? [...from.slots] : [];
  }

  /** The range must be free: `cut` it first. */
  add(start: number, size: number, slot: number): void {
    const at = this.firstEndingAbove(start);
    this.starts.splice(at, 0, start);
    this.ends.splice(at, 0, start + size);
    this.slots.splice(at, 0, slot);
  }

  /** Takes every mapping that the range touches out and tells what is left of it; the caller adds the remainders again. */
  cut(start: number, size: number): Cut[] {
    const end = start + size;
    const first = this.firstEndingAbove(start);
    let last = first;
    while (last < this.starts.length && this.starts[last]! < end) last++;
    const cuts: Cut[] = [];
    for (let i = first; i < last; i++) {
      const before = Math.max(0, start - this.starts[i]!);
      const behind = Math.max(0, this.ends[i]! - end);
      cuts.push({ slot: this.slots[i]!, before, behind, behindAt: end, start: this.starts[i]! });
    }
    for (const list of [this.starts, this.ends, this.slots]) list.splice(first, last - first);
    return cuts;
  }

  private firstEndingAbove(address: number): number {
    let low = 0;
    let high = this.ends.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.ends[middle]! > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
