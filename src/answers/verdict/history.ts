/**
 * What is remembered of one site while a run is replayed, in bounded memory: its live bytes over time as slices, and some of its blocks.
 *
 * Slices. The birth number is the time. A slice knows the least that was alive in it, so that scratch memory inside a turn does not
 * show however coarse the slices are; while there are few events a slice is one event, and nothing is lost.
 *
 * Blocks. Which are kept is decided by a hash of the birth number: the same in every run, blind to any rhythm of the program.
 */

const MOST_SLICES = 768;
const MOST_BLOCKS = 1024;

/** A death time of blocks that are alive. */
export const ALIVE = Infinity;

export class SiteHistory {
  /** Slices, in order. */
  slices = 0;
  /** Birth number at which the slice began. */
  begin = new Float64Array(16);
  /** Live bytes just after its first event, and the least from there to the next slice. */
  first = new Float64Array(16);
  least = new Float64Array(16);
  /** Variance of the live bytes at its end. */
  variance = new Float64Array(16);
  /** Bytes made before the slice began. */
  made = new Float64Array(16);
  /** 1: the slice began with a death. */
  byDeath = new Uint8Array(16);

  /** Blocks kept, by birth number. */
  blocks = 0;
  born = new Float64Array(16);
  died = new Float64Array(16);
  bytes = new Float64Array(16);
  stack = new Uint32Array(16);
  thread = new Uint32Array(16);
  /** 1: grew out of another block. */
  moved = new Uint8Array(16);
  /** One block in this many is kept. */
  oneIn = 1;
  /** Bytes made so far. */
  private total = 0;

  /** At the site's highest live bytes: what each thread was running (birth numbers at which its activations began). */
  atPeak: ReadonlyMap<number, Float64Array> | undefined;

  private span = 0;
  private births = 0;
  private mostBirths = 1;
  private mask = 0;

  /** A block was born: `live` bytes of the site with it. */
  birth(
    sequence: number,
    live: number,
    variance: number,
    made: number,
    bytes: number,
    stack: number,
    thread: number,
    moved: boolean,
  ): void {
    const last = this.slices - 1;
    if (last < 0 || this.births >= this.mostBirths || sequence - this.begin[last]! > this.span) {
      this.addSlice(sequence, live, variance, made, 0);
    } else if (live < this.least[last]!) this.least[last] = live;
    this.births++;
    this.total = made + bytes;
    if ((scramble(sequence) & this.mask) === 0) this.keep(sequence, bytes, stack, thread, moved);
  }

  /** A block was born and died at once; `live` without it. */
  transient(
    sequence: number,
    live: number,
    variance: number,
    made: number,
    bytes: number,
    stack: number,
    thread: number,
  ): void {
    this.birth(sequence, live + bytes, variance, made, bytes, stack, thread, false);
    const last = this.slices - 1;
    if (live < this.least[last]!) this.least[last] = live;
    if (this.blocks > 0 && this.born[this.blocks - 1] === sequence) this.died[this.blocks - 1] = sequence;
  }

  /** The block with this birth number died before the birth after `sequence`; `live` bytes of the site are left. */
  death(bornAt: number, sequence: number, live: number, variance: number, made: number): void {
    const last = this.slices - 1;
    if (sequence - this.begin[last]! > this.span) this.addSlice(sequence, live, variance, made, 1);
    else if (live < this.least[last]!) {
      this.least[last] = live;
      this.variance[last] = variance;
    }
    if ((scramble(bornAt) & this.mask) === 0) {
      const at = this.find(bornAt);
      if (at >= 0) this.died[at] = sequence;
    }
  }

  /** A slice is one event: what is read is exact. */
  get isFine(): boolean {
    return this.span === 0;
  }

  /** Bytes made up to and with this birth. */
  bytesOf(sequence: number): number {
    const next = this.sliceAt(sequence) + 1;
    return next < this.slices ? this.made[next]! : this.total;
  }

  /** The birth up to which so many bytes had been made. */
  birthOfBytes(bytes: number): number {
    return this.begin[Math.max(0, lastNotAbove(this.made, this.slices, bytes))]!;
  }

  /** The slice that was running at this birth number; -1: before the first. */
  sliceAt(sequence: number): number {
    return lastNotAbove(this.begin, this.slices, sequence);
  }

  private addSlice(sequence: number, live: number, variance: number, made: number, byDeath: number): void {
    if (this.slices === MOST_SLICES) this.mergeSlices();
    if (this.slices === this.begin.length) this.growSlices();
    const at = this.slices++;
    this.begin[at] = sequence;
    this.first[at] = live;
    this.least[at] = live;
    this.variance[at] = variance;
    this.made[at] = made;
    this.byDeath[at] = byDeath;
    this.births = 0;
  }

  private mergeSlices(): void {
    const half = this.slices >> 1;
    for (let to = 0; to < half; to++) {
      const from = to * 2;
      this.begin[to] = this.begin[from]!;
      this.first[to] = this.first[from]!;
      this.least[to] = Math.min(this.least[from]!, this.least[from + 1]!);
      this.variance[to] = this.variance[from + 1]!;
      this.made[to] = this.made[from]!;
      this.byDeath[to] = this.byDeath[from]!;
    }
    this.slices = half;
    this.mostBirths *= 2;
    this.span = Math.max(1, (this.begin[half - 1]! - this.begin[0]!) / half);
  }

  private keep(sequence: number, bytes: number, stack: number, thread: number, moved: boolean): void {
    if (this.blocks === MOST_BLOCKS) {
      this.thin();
      if ((scramble(sequence) & this.mask) !== 0) return;
    }
    if (this.blocks === this.born.length) this.growBlocks();
    const at = this.blocks++;
    this.born[at] = sequence;
    this.died[at] = ALIVE;
    this.bytes[at] = bytes;
    this.stack[at] = stack;
    this.thread[at] = thread;
    this.moved[at] = moved ? 1 : 0;
  }

  private thin(): void {
    while (this.blocks > MOST_BLOCKS * 0.75) {
      this.mask = this.mask * 2 + 1;
      this.oneIn *= 2;
      let kept = 0;
      for (let at = 0; at < this.blocks; at++) {
        if ((scramble(this.born[at]!) & this.mask) !== 0) continue;
        this.born[kept] = this.born[at]!;
        this.died[kept] = this.died[at]!;
        this.bytes[kept] = this.bytes[at]!;
        this.stack[kept] = this.stack[at]!;
        this.thread[kept] = this.thread[at]!;
        this.moved[kept] = this.moved[at]!;
        kept++;
      }
      this.blocks = kept;
    }
  }

  private find(bornAt: number): number {
    const at = lastNotAbove(this.born, this.blocks, bornAt);
    return at >= 0 && this.born[at] === bornAt ? at : -1;
  }

  private growSlices(): void {
    this.begin = doubled(this.begin, Float64Array);
    this.first = doubled(this.first, Float64Array);
    this.least = doubled(this.least, Float64Array);
    this.variance = doubled(this.variance, Float64Array);
    this.made = doubled(this.made, Float64Array);
    this.byDeath = doubled(this.byDeath, Uint8Array);
  }

  private growBlocks(): void {
    this.born = doubled(this.born, Float64Array);
    this.died = doubled(this.died, Float64Array);
    this.bytes = doubled(this.bytes, Float64Array);
    this.stack = doubled(this.stack, Uint32Array);
    this.thread = doubled(this.thread, Uint32Array);
    this.moved = doubled(this.moved, Uint8Array);
  }
}

/** Bits of a birth number, well mixed. */
export function scramble(sequence: number): number {
  let mixed = Math.imul(sequence ^ (sequence >>> 16), 0x45d9_f3b);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x2c1b_3c6d);
  return mixed ^ (mixed >>> 15);
}

/** Index of the last of the first `length` values that is not above `value`; -1: all are. */
export function lastNotAbove(values: ArrayLike<number>, length: number, value: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function doubled<A extends Uint8Array | Uint32Array | Float64Array>(from: A, kind: new (length: number) => A): A {
  const larger = new kind(from.length * 2);
  larger.set(from);
  return larger;
}
