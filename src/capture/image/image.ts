/**
 * A process's memory as it was at one instant: its regions, and one buffer with the pages that were copied. Reads of absent memory answer 0
 * or null and never throw, since a walker follows pointers that may be anything.
 */

export interface Region {
  start: number;
  end: number;
  readable: boolean;
  writable: boolean;
  executable: boolean;
  shared: boolean;
  /** of the file at `start`, in bytes */
  offset: number;
  /** "" anonymous, "[heap]", "[stack]", or a file */
  path: string;
}

export const PAGE = 4096;
const HIGH = 2 ** 32;
const PER_HIGH = 1 / HIGH;
const decoder = new TextDecoder();

export class Image {
  /** Sorted, not overlapping. */
  readonly regions: Region[];
  readonly u8: Uint8Array;
  /** the same bytes; a word handle is an index into it */
  readonly u32: Uint32Array;
  /** by upper half of an address: number of its page table, or -1 */
  private readonly tableOf = new Int16Array(65536).fill(-1);
  /** 2^20 entries for each upper half: page in the buffer + 1 */
  private pages = new Int32Array(0);
  /** address of each page in the buffer */
  private readonly addressOf: Float64Array;
  private readonly residentPages: Float64Array[];
  private readonly skippedRanges: readonly (readonly [number, number])[];
  private readonly scratch = new DataView(new ArrayBuffer(8));

  /**
   * pages: page-aligned addresses, in the order of the pages in `buffer`. resident: for each region the addresses of its resident pages,
   * ascending, whether copied or not.
   */
  constructor(
    regions: Region[],
    buffer: ArrayBuffer,
    pages: Float64Array,
    resident: Float64Array[] = [],
    skipped: readonly (readonly [number, number])[] = [],
  ) {
    this.regions = regions;
    this.u8 = new Uint8Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.addressOf = pages;
    this.residentPages = resident;
    this.skippedRanges = skipped;
    const halves = [...new Set(Array.from(pages, (address) => Math.floor(address / HIGH)))];
    this.pages = new Int32Array(halves.length * 2 ** 20);
    halves.forEach((half, i) => (this.tableOf[half] = i));
    pages.forEach((address, i) => {
      this.pages[this.tableOf[Math.floor(address / HIGH)]! * 2 ** 20 + (address % HIGH) / PAGE] = i + 1;
    });
  }

  /** Handle of the 4-byte word at an address, or -1 when the byte is not in the image. */
  handle(address: number): number {
    const low = address >>> 0;
    const high = (address - low) * PER_HIGH;
    if (!(high >= 0 && high < 65536)) return -1;
    const table = this.tableOf[high]!;
    if (table < 0) return -1;
    const page = this.pages[table * 0x100000 + (low >>> 12)]!;
    return page === 0 ? -1 : (page - 1) * 1024 + ((low & 4095) >>> 2);
  }

  /** Address of a handle that exists. */
  address(handle: number): number {
    return this.addressOf[Math.floor(handle / 1024)]! + (handle % 1024) * 4;
  }

  has(address: number, bytes = 1): boolean {
    for (let at = address - (address % PAGE); at < address + bytes; at += PAGE) if (this.handle(at) < 0) return false;
    return true;
  }

  byte(address: number): number {
    const handle = this.handle(address);
    return handle < 0 ? 0 : this.u8[handle * 4 + (address % 4)]!;
  }

  u16(address: number): number {
    return this.byte(address) | (this.byte(address + 1) << 8);
  }

  i16(address: number): number {
    return (this.u16(address) << 16) >> 16;
  }

  word32(address: number): number {
    if (((address >>> 0) & 3) === 0) {
      const handle = this.handle(address);
      return handle < 0 ? 0 : this.u32[handle]!;
    }
    return (this.u16(address) | (this.u16(address + 2) << 16)) >>> 0;
  }

  i32(address: number): number {
    return this.word32(address) | 0;
  }

  /** 64 bits as a double; 0 when absent. */
  pointer(address: number): number {
    // Integer arithmetic on the low half: a remainder of doubles costs more than the read.
    if (((address >>> 0) & 7) === 0) {
      const handle = this.handle(address);
      return handle < 0 ? 0 : this.u32[handle]! + this.u32[handle + 1]! * HIGH;
    }
    return this.word32(address) + this.word32(address + 4) * HIGH;
  }

  i64(address: number): number {
    return this.word32(address) + this.i32(address + 4) * HIGH;
  }

  f64(address: number): number {
    this.scratch.setUint32(0, this.word32(address), true);
    this.scratch.setUint32(4, this.word32(address + 4), true);
    return this.scratch.getFloat64(0, true);
  }

  /** Text up to the next NUL; null when absent, or longer than `most` bytes. */
  cstring(address: number, most = 256): string | null {
    if (!this.has(address)) return null;
    const bytes: number[] = [];
    for (let at = address; bytes.length <= most; at++) {
      if (at % PAGE === 0 && !this.has(at)) return null;
      const byte = this.byte(at);
      if (byte === 0) return decoder.decode(Uint8Array.from(bytes));
      bytes.push(byte);
    }
    return null;
  }

  slice(address: number, bytes: number): Uint8Array | null {
    if (bytes < 0 || !this.has(address, bytes)) return null;
    const copy = new Uint8Array(bytes);
    for (let done = 0; done < bytes;) {
      const at = address + done;
      const from = this.handle(at) * 4 + (at % 4);
      const length = Math.min(bytes - done, PAGE - (at % PAGE));
      copy.set(this.u8.subarray(from, from + length), done);
      done += length;
    }
    return copy;
  }

  region(address: number): Region | undefined {
    const region = this.regions[this.regionIndex(address)];
    return region !== undefined && address < region.end ? region : undefined;
  }

  /** Index of the last region that begins at or before an address, or -1. */
  private regionIndex(address: number): number {
    let low = 0;
    let high = this.regions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.regions[middle]!.start <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Bytes resident in [start, end), by pagemap or core, whether or not copied. */
  residentBytes(start: number, end: number): number {
    let bytes = 0;
    for (let i = Math.max(0, this.regionIndex(start)); i < this.regions.length && this.regions[i]!.start < end; i++) {
      const pages = this.residentPages[i];
      if (pages === undefined) continue;
      for (let at = lowerBound(pages, start - PAGE + 1); at < pages.length && pages[at]! < end; at++)
        bytes += Math.min(end, pages[at]! + PAGE) - Math.max(start, pages[at]!);
    }
    return bytes;
  }

  /** Whether this address was left out on purpose, as the body of a numeric array. */
  skipped(address: number): boolean {
    return this.skippedRanges.some(([start, end]) => address >= start && address < end);
  }
}

function lowerBound(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
