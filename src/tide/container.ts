/**
 * The `.tide` container: header, chunks, footer index, trailer (docs/format.md section 4). This file and the two beside it,
 * writer.ts and recording.ts, are the only ones that know byte positions of a recording. Nothing read from a file is trusted:
 * every offset and length is checked against the size of the source before a byte is read.
 */

import { crc32 } from "../base/checksum.ts";

/** Where the bytes of a recording come from: a file, a buffer in the report. `read` may return fewer bytes at the end. */
export interface ByteSource {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

/** A recording that cannot be read; the message is one sentence for the user. */
export class TideError extends Error {
  override name = "TideError";
}

export const FORMAT_MAJOR = 1;
/** How many minor versions back still open. */
const MINORS_BACK = 2;

export const MAGIC = Uint8Array.from([0x54, 0x49, 0x44, 0x45, 0x0d, 0x0a, 0x1a, 0x0a]); // "TIDE\r\n\x1a\n": text-mode transfers break it visibly
export const END_MAGIC = Uint8Array.from([0x0a, 0x54, 0x49, 0x44, 0x45, 0x45, 0x4e, 0x44]); // "\nTIDEEND"

export const HEADER_BYTES = 16;
export const CHUNK_HEADER_BYTES = 16;
export const ENTRY_BYTES = 64;
export const NAME_BYTES = 32;
export const TRAILER_BYTES = 32;

/** Chunk kinds; a reader skips those that it does not know. */
export const KIND_TABLE = 1;
export const KIND_STRINGS = 2;
export const KIND_FOOTER = 3;

/** One line of the footer index. offset and length are those of the payload, in bytes; rows: of a table, number of strings. */
export interface ChunkEntry {
  kind: number;
  name: string;
  offset: number;
  length: number;
  checksum: number;
  rows: number;
}

export interface Container {
  minor: number;
  entries: ChunkEntry[];
}

/** A source over bytes in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}

/**
 * Reads header, trailer and footer, nothing else. Throws a TideError on anything that does not fit.
 * @param newest the newest minor version that the caller can read
 */
export function openContainer(source: ByteSource, newest: number): Container {
  if (source.size === 0)
    throw new TideError("The recording is empty (0 bytes): the run that should have written it did not finish.");
  const header = source.read(0, Math.min(HEADER_BYTES, source.size));
  if (!startsWith(header, MAGIC.subarray(0, Math.min(MAGIC.length, header.length)))) {
    throw new TideError("This is not a Tidegauge recording: it does not begin as one.");
  }
  if (header.length < HEADER_BYTES || source.size < HEADER_BYTES + TRAILER_BYTES) throw cutShort();
  const minor = checkVersion(view(header), newest);
  return { minor, entries: readFooter(source) };
}

function checkVersion(header: DataView, newest: number): number {
  const major = header.getUint16(8, true);
  const minor = header.getUint16(10, true);
  const mine = `${FORMAT_MAJOR}.${newest}`;
  if (major > FORMAT_MAJOR || (major === FORMAT_MAJOR && minor > newest)) {
    throw new TideError(
      `The recording was written by a newer Tidegauge (format ${major}.${minor}; this one reads up to ${mine}): update Tidegauge to open it.`,
    );
  }
  if (major < FORMAT_MAJOR || minor < newest - MINORS_BACK) {
    throw new TideError(
      `The recording has the old format ${major}.${minor}, which this Tidegauge (format ${mine}) no longer reads: open it with the version that wrote it, or record again.`,
    );
  }
  return minor;
}

function readFooter(source: ByteSource): ChunkEntry[] {
  const trailerAt = source.size - TRAILER_BYTES;
  const trailer = source.read(trailerAt, TRAILER_BYTES);
  if (trailer.length < TRAILER_BYTES || !startsWith(trailer.subarray(TRAILER_BYTES - END_MAGIC.length), END_MAGIC))
    throw cutShort();
  const fields = view(trailer);
  const entry: ChunkEntry = {
    kind: KIND_FOOTER,
    name: "",
    offset: readU64(fields, 0),
    length: readU64(fields, 8),
    checksum: fields.getUint32(16, true),
    rows: fields.getUint32(20, true),
  };
  if (entry.offset < HEADER_BYTES + CHUNK_HEADER_BYTES || entry.offset + entry.length > trailerAt)
    throw damaged("its index lies outside the file");
  if (entry.length !== entry.rows * ENTRY_BYTES) throw damaged("its index has the wrong length");
  const payload = readChunk(source, entry, "its index");
  const entries = Array.from({ length: entry.rows }, (_, i) => readEntry(payload, i * ENTRY_BYTES));
  checkEntries(entries, entry.offset - CHUNK_HEADER_BYTES);
  return entries;
}

function readEntry(payload: Uint8Array, at: number): ChunkEntry {
  const fields = view(payload);
  return {
    kind: fields.getUint32(at, true),
    checksum: fields.getUint32(at + 4, true),
    offset: readU64(fields, at + 8),
    length: readU64(fields, at + 16),
    rows: fields.getUint32(at + 24, true),
    name: readName(payload, at + 32),
  };
}

/** Chunks lie between header and footer and do not overlap, so that all of them together cannot ask for more than the file holds. */
function checkEntries(entries: ChunkEntry[], end: number): void {
  let from = HEADER_BYTES;
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset)) {
    if (entry.offset - CHUNK_HEADER_BYTES < from || entry.offset + entry.length > end) {
      throw damaged("its index names places outside the file or twice");
    }
    from = entry.offset + entry.length;
  }
}

/** The payload of a chunk, checked against its checksum. `what` names it in the error. */
export function readChunk(source: ByteSource, entry: ChunkEntry, what: string): Uint8Array {
  const whole = source.read(entry.offset - CHUNK_HEADER_BYTES, CHUNK_HEADER_BYTES + entry.length);
  if (whole.length < CHUNK_HEADER_BYTES + entry.length) throw cutShort();
  const header = view(whole);
  const payload = whole.subarray(CHUNK_HEADER_BYTES);
  if (
    header.getUint32(0, true) !== entry.kind ||
    header.getUint32(4, true) !== entry.checksum ||
    readU64(header, 8) !== entry.length ||
    crc32(payload) !== entry.checksum
  ) {
    throw damaged(`${what} does not have the bytes that were written`);
  }
  return payload;
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return bytes.length >= prefix.length && prefix.every((byte, i) => bytes[i] === byte);
}

export function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** A u64 as a number: exact below 2^53, and any larger one fails every check against a file size. */
export function readU64(fields: DataView, at: number): number {
  return fields.getUint32(at, true) + fields.getUint32(at + 4, true) * 0x1_0000_0000;
}

export function writeU64(fields: DataView, at: number, value: number): void {
  fields.setUint32(at, value >>> 0, true);
  fields.setUint32(at + 4, Math.floor(value / 0x1_0000_0000), true);
}

/** A name field: ASCII, padded with NUL to NAME_BYTES. */
export function readName(bytes: Uint8Array, at: number): string {
  let name = "";
  for (let i = at; i < at + NAME_BYTES && bytes[i] !== 0; i++) name += String.fromCharCode(bytes[i]!);
  return name;
}

export function writeName(bytes: Uint8Array, at: number, name: string): void {
  if (name.length >= NAME_BYTES) throw new RangeError(`name too long for the format: ${name}`);
  for (let i = 0; i < name.length; i++) bytes[at + i] = name.charCodeAt(i);
}

export function damaged(how: string): TideError {
  return new TideError(`The recording is damaged: ${how}.`);
}

export function cutShort(): TideError {
  return new TideError(
    "The recording is cut short: its end is missing, so it was copied incompletely or the disk was full.",
  );
}
