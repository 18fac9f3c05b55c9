/**
 * Columns of whole numbers in as few bits as they need (docs/format.md section 5): blocks of 128 values, each value as its distance from the
 * block's least one, in as many bits as the largest distance takes. A block of width w takes 4 w words exactly, so every place can be
 * computed, and decoding is a loop without a branch on data. First the heads of all blocks (two words: least value, width), then their bits.
 */

import { damaged } from "./container.ts";

const BLOCK = 128;

/** Packs values of 32 bits. */
export function pack(values: Uint32Array): Uint32Array {
  const blocks = Math.ceil(values.length / BLOCK);
  const heads = new Uint32Array(blocks * 2);
  let words = heads.length;
  for (let block = 0; block < blocks; block++) {
    let least = 0xffffffff;
    let most = 0;
    for (let i = block * BLOCK, end = Math.min(i + BLOCK, values.length); i < end; i++) {
      const value = values[i]!;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    const width = most === least ? 0 : 32 - Math.clz32(most - least);
    heads[block * 2] = least;
    heads[block * 2 + 1] = width;
    words += width * 4;
  }
  const packed = new Uint32Array(words);
  packed.set(heads);
  let word = heads.length;
  for (let block = 0; block < blocks; block++) {
    const least = heads[block * 2]!;
    const width = heads[block * 2 + 1]!;
    if (width === 0) continue;
    for (let i = block * BLOCK, end = Math.min(i + BLOCK, values.length), bit = 0; i < end; i++, bit += width) {
      const value = values[i]! - least;
      const at = word + (bit >>> 5);
      const shift = bit & 31;
      packed[at] = packed[at]! | (value << shift);
      if (shift + width > 32) packed[at + 1] = value >>> (32 - shift);
    }
    word += width * 4;
  }
  return packed;
}

/** The `length` values of packed words; `what` names the column in the error when they do not fit. */
export function unpack(packed: Uint32Array, length: number, what: string): Uint32Array {
  const blocks = Math.ceil(length / BLOCK);
  let words = blocks * 2;
  if (packed.length < words) throw damaged(`${what} has the wrong length`);
  for (let block = 0; block < blocks; block++) {
    const width = packed[block * 2 + 1]!;
    if (width > 32) throw damaged(`${what} has an impossible width`);
    words += width * 4;
  }
  if (packed.length !== words) throw damaged(`${what} has the wrong length`);
  const values = new Uint32Array(length);
  let word = blocks * 2;
  for (let block = 0; block < blocks; block++) {
    const from = block * BLOCK;
    const width = packed[block * 2 + 1]!;
    unpackBlock(packed, word, packed[block * 2]!, width, values, from, Math.min(from + BLOCK, length));
    word += width * 4;
  }
  return values;
}

function unpackBlock(
  packed: Uint32Array,
  word: number,
  least: number,
  width: number,
  values: Uint32Array,
  from: number,
  to: number,
): void {
  if (width === 0) {
    values.fill(least, from, to);
    return;
  }
  const mask = width === 32 ? -1 : (1 << width) - 1;
  for (let i = from, bit = 0; i < to; i++, bit += width) {
    const at = word + (bit >>> 5);
    const shift = bit & 31;
    let value = packed[at]! >>> shift;
    if (shift + width > 32) value |= packed[at + 1]! << (32 - shift);
    values[i] = least + ((value & mask) >>> 0);
  }
}

/** Numbers by how often they come: values as indexes into `distinct`, the most frequent first, so that most take few bits. */
export function dictionary(values: ArrayLike<number>): { index: Uint32Array; distinct: Float64Array } {
  const seen = new Map<number, number>();
  const index = new Uint32Array(values.length);
  const counts: number[] = [];
  let lastValue = NaN;
  let last = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value !== lastValue) {
      lastValue = value;
      const known = seen.get(value);
      last = known ?? counts.push(0) - 1;
      if (known === undefined) seen.set(value, last);
    }
    counts[last]!++;
    index[i] = last;
  }
  const order = counts.map((_, at) => at).sort((a, b) => counts[b]! - counts[a]! || a - b);
  const place = new Uint32Array(order.length);
  order.forEach((at, to) => (place[at] = to));
  const distinct = new Float64Array(order.length);
  for (const [value, at] of seen) distinct[place[at]!] = value;
  for (let i = 0; i < index.length; i++) index[i] = place[index[i]!]!;
  return { index, distinct };
}
