/**
 * Names of functions in ELF files: which symbol a file offset lies in. Reads headers and symbol tables only, each file once. A file that
 * is gone, stripped or no ELF file has no names; nothing here throws.
 */

import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";

interface Functions {
  /** Where loadable segments lie: in the file, in bytes, and in memory. */
  segments: { offset: number; size: number; address: number }[];
  /** By address, ascending; sizes in bytes. */
  addresses: Float64Array;
  sizes: Float64Array;
  nameOf: (index: number) => string;
}

/** Symbol tables beyond this many bytes are left alone: reading one must not cost more than the whole analysis. */
const LARGEST_TABLE = 128 * 2 ** 20;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const PT_LOAD = 1;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const SYMBOL_BYTES = 24;

/** A resolver that remembers what it read: `(library, offset in the file)` to the name of the function there, undefined when unknown. */
export function symbolResolver(): (library: string, offset: number) => string | undefined {
  const known = new Map<string, Functions | undefined>();
  return (library, offset) => {
    if (!known.has(library)) known.set(library, readFunctions(library));
    const functions = known.get(library);
    return functions && nameAt(functions, offset);
  };
}

function nameAt(functions: Functions, offset: number): string | undefined {
  const segment = functions.segments.find((one) => offset >= one.offset && offset < one.offset + one.size);
  if (!segment) return undefined;
  const address = offset - segment.offset + segment.address;
  let low = 0;
  let high = functions.addresses.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (functions.addresses[middle]! <= address) low = middle + 1;
    else high = middle;
  }
  // An alias or a part of the same function may begin at the same address: the largest of them stands last.
  const at = low - 1;
  return at >= 0 && address < functions.addresses[at]! + functions.sizes[at]! ? functions.nameOf(at) : undefined;
}

function readFunctions(path: string): Functions | undefined {
  let file: number | undefined;
  try {
    if (!statSync(path).isFile()) return undefined; // opening a pipe would wait for a writer
    file = openSync(path, "r");
    return parse(reader(file));
  } catch {
    return undefined; // gone, cut short, or its headers point outside of it
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

type Read = (offset: number, length: number) => DataView;

function reader(file: number): Read {
  const { size } = fstatSync(file);
  return (offset, length) => {
    if (!(offset >= 0 && length <= LARGEST_TABLE && offset + length <= size)) throw new RangeError("outside the file");
    const bytes = Buffer.alloc(length);
    if (readSync(file, bytes, 0, length, offset) < length) throw new RangeError("cut short");
    return new DataView(bytes.buffer, bytes.byteOffset, length);
  };
}

interface Section {
  type: number;
  offset: number;
  size: number;
  link: number;
}

function parse(read: Read): Functions | undefined {
  const header = read(0, 64);
  // 0x7f E L F, 64 bits, little-endian
  if (header.getUint32(0) !== 0x7f454c46 || header.getUint8(4) !== 2 || header.getUint8(5) !== 1) return undefined;
  const sections = readSections(read, header);
  const table = sections.find(({ type }) => type === SHT_SYMTAB) ?? sections.find(({ type }) => type === SHT_DYNSYM);
  const texts = table && sections[table.link];
  if (!table || !texts) return undefined;
  return {
    segments: readSegments(read, header),
    ...readSymbols(read(table.offset, table.size), read(texts.offset, texts.size)),
  };
}

function readSections(read: Read, header: DataView): Section[] {
  const [at, each, count] = [u64(header, 0x28), header.getUint16(0x3a, true), header.getUint16(0x3c, true)];
  const rows = read(at, each * count);
  return Array.from({ length: count }, (_, i) => ({
    type: rows.getUint32(i * each + 4, true),
    offset: u64(rows, i * each + 0x18),
    size: u64(rows, i * each + 0x20),
    link: rows.getUint32(i * each + 0x28, true),
  }));
}

function readSegments(read: Read, header: DataView): Functions["segments"] {
  const [at, each, count] = [u64(header, 0x20), header.getUint16(0x36, true), header.getUint16(0x38, true)];
  const rows = read(at, each * count);
  return Array.from({ length: count }, (_, i) => i * each)
    .filter((row) => rows.getUint32(row, true) === PT_LOAD)
    .map((row) => ({ offset: u64(rows, row + 8), address: u64(rows, row + 16), size: u64(rows, row + 32) }));
}

function readSymbols(symbols: DataView, texts: DataView): Omit<Functions, "segments"> {
  const found: { address: number; size: number; name: number }[] = [];
  for (let at = 0; at + SYMBOL_BYTES <= symbols.byteLength; at += SYMBOL_BYTES) {
    const type = symbols.getUint8(at + 4) & 15;
    const address = u64(symbols, at + 8);
    if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || address === 0) continue;
    found.push({ address, size: u64(symbols, at + 16), name: symbols.getUint32(at, true) });
  }
  found.sort((a, b) => a.address - b.address || a.size - b.size);
  return {
    addresses: Float64Array.from(found, (one) => one.address),
    sizes: Float64Array.from(found, (one) => one.size),
    nameOf: (index) => plainName(text(texts, found[index]!.name)),
  };
}

function text(texts: DataView, at: number): string {
  let end = at;
  while (end < texts.byteLength && texts.getUint8(end) !== 0) end++;
  return Buffer.from(texts.buffer, texts.byteOffset + at, Math.max(0, end - at)).toString("latin1");
}

/** Without what the compiler hangs on to parts and copies of a function. */
function plainName(name: string): string {
  return name.replace(/\.(?:cold|part|constprop|isra|lto_priv|localalias)\b.*$/, "");
}

function u64(fields: DataView, at: number): number {
  return Number(fields.getBigUint64(at, true));
}
