/** Damage to a recording: what broken disks, broken copies and malice do. With `reseal` the checksums fit again, so that the damage is not found by them. */

import fc from "fast-check";

import { crc32 } from "../../src/base/checksum.ts";
import { CHUNK_HEADER_BYTES, ENTRY_BYTES, TRAILER_BYTES, readU64, view, writeU64 } from "../../src/tide/container.ts";

export interface Mutation {
  kind: "flip" | "cut" | "drop" | "repeat" | "number" | "length" | "index";
  /** Where, as a share of the file; and a second place for those that need one. */
  at: number;
  to: number;
  value: number;
}

/** Numbers that lengths, counts and offsets break on. */
const EDGES = [
  0, 1, 2, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_fffe, 0xffff_ffff,
];

export const arbitraryMutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom("flip", "cut", "drop", "repeat", "number", "length", "index"),
  at: fc.nat({ max: 0xffff_ffff }),
  to: fc.nat({ max: 0xffff_ffff }),
  value: fc.nat({ max: 0xffff_ffff }),
});

export function damaged(file: Uint8Array, mutations: readonly Mutation[], reseal: boolean): Uint8Array {
  let bytes: Uint8Array = file.slice();
  for (const mutation of mutations) bytes = mutate(bytes, mutation);
  if (reseal) sealAgain(bytes);
  return bytes;
}

function mutate(bytes: Uint8Array, { kind, at, to, value }: Mutation): Uint8Array {
  if (bytes.length < 8) return bytes;
  const from = at % bytes.length;
  const until = from + (to % Math.min(bytes.length - from, 1 + (value % 64)));
  const number = value % 2 === 0 ? EDGES[value % EDGES.length]! : value;
  switch (kind) {
    case "flip":
      bytes[from] = bytes[from]! ^ (1 << (value % 8));
      return bytes;
    case "cut":
      return bytes.slice(0, from);
    case "drop":
      return join(bytes.subarray(0, from), bytes.subarray(until));
    case "repeat":
      return join(bytes.subarray(0, until), bytes.subarray(from));
    case "number":
      view(bytes).setUint32(Math.min(from, bytes.length - 4) & ~3, number, true);
      return bytes;
    case "length":
      writeU64(view(bytes), Math.min(from, bytes.length - 8) & ~7, number * (to % 3 === 0 ? 0x1_0000_0000 : 1));
      return bytes;
    case "index": // aims at footer and trailer, which are a small part of the file
      view(bytes).setUint32(Math.max(0, bytes.length - 4 - 4 * (from % 330)) & ~3, number, true);
      return bytes;
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const joined = new Uint8Array(a.length + b.length);
  joined.set(a);
  joined.set(b, a.length);
  return joined;
}

/** Makes checksums right wherever the index still points into the file. */
export function sealAgain(bytes: Uint8Array): void {
  const fields = view(bytes);
  const trailer = bytes.length - TRAILER_BYTES;
  if (trailer < 0) return;
  const footer = { offset: readU64(fields, trailer), length: readU64(fields, trailer + 8) };
  const isInside = (offset: number, length: number): boolean =>
    offset >= CHUNK_HEADER_BYTES && offset + length <= trailer;
  if (!isInside(footer.offset, footer.length)) return;
  for (let at = footer.offset; at + ENTRY_BYTES <= footer.offset + footer.length; at += ENTRY_BYTES) {
    const [offset, length] = [readU64(fields, at + 8), readU64(fields, at + 16)];
    if (!isInside(offset, length)) continue;
    fields.setUint32(at + 4, seal(bytes, fields, offset, length, fields.getUint32(at, true)), true);
  }
  fields.setUint32(trailer + 16, seal(bytes, fields, footer.offset, footer.length, 3), true);
}

/** Writes the chunk header that fits a payload; answers its checksum. */
function seal(bytes: Uint8Array, fields: DataView, offset: number, length: number, kind: number): number {
  const checksum = crc32(bytes.subarray(offset, offset + length));
  fields.setUint32(offset - CHUNK_HEADER_BYTES, kind, true);
  fields.setUint32(offset - CHUNK_HEADER_BYTES + 4, checksum, true);
  writeU64(fields, offset - CHUNK_HEADER_BYTES + 8, length);
  return checksum;
}
