/**
 * Numbers pairs of u32 values in the order in which they first come: the key of every tree of stacks and table of frames.
 * Open addressing over typed arrays, since millions of pairs as strings or objects would cost seconds and gigabytes.
 */
export class PairIndex {
  private slots = new Uint32Array(64); // index + 1; 0: free
  private firsts = new Uint32Array(32);
  private seconds = new Uint32Array(32);
  private count = 0;

  get length(): number {
    return this.count;
  }

  /** The index of a pair; a new one gets `length`. */
  add(first: number, second: number): number {
    if (this.count * 2 >= this.slots.length) this.grow();
    const mask = this.slots.length - 1;
    for (let slot = hash(first, second) & mask; ; slot = (slot + 1) & mask) {
      const index = this.slots[slot]! - 1;
      if (index < 0) return this.append(slot, first, second);
      if (this.firsts[index] === first >>> 0 && this.seconds[index] === second >>> 0) return index;
    }
  }

  /** The pairs by index, as two columns (copies). */
  finish(): { first: Uint32Array; second: Uint32Array } {
    return { first: this.firsts.slice(0, this.count), second: this.seconds.slice(0, this.count) };
  }

  private append(slot: number, first: number, second: number): number {
    this.firsts[this.count] = first;
    this.seconds[this.count] = second;
    this.slots[slot] = ++this.count;
    return this.count - 1;
  }

  /** Twice the slots; room for half as many pairs. */
  private grow(): void {
    const size = this.slots.length * 2;
    const firsts = new Uint32Array(size / 2);
    const seconds = new Uint32Array(size / 2);
    firsts.set(this.firsts);
    seconds.set(this.seconds);
    this.firsts = firsts;
    this.seconds = seconds;
    this.slots = new Uint32Array(size);
    for (let index = 0; index < this.count; index++) {
      let slot = hash(firsts[index]!, seconds[index]!) & (size - 1);
      while (this.slots[slot] !== 0) slot = (slot + 1) & (size - 1);
      this.slots[slot] = index + 1;
    }
  }
}

function hash(first: number, second: number): number {
  let mixed = Math.imul(first ^ (first >>> 15), 0x2c1b3c6d) ^ Math.imul(second ^ (second >>> 13), 0x297a2d39);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x45d9f3b);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
