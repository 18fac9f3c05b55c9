/** What is needed of an ELF file: its segments, symbols and sections by name. Everything is checked against the file's size. */

export interface Segment {
  type: number;
  /** bit 0 executable, 1 writable, 2 readable */
  flags: number;
  offset: number;
  address: number;
  fileBytes: number;
  memoryBytes: number;
}

export interface Symbol {
  name: string;
  /** before the load bias is added */
  address: number;
  size: number;
}

interface Section {
  name: number;
  type: number;
  address: number;
  offset: number;
  size: number;
  link: number;
}

export const PT_LOAD = 1;
const SHT_SYMTAB = 2;
const SHT_DYNSYM = 11;
const SYMBOL_BYTES = 24;
const HEADER = 64;
const MAGIC = 0x464c457f;

export class ElfFile {
  readonly machine: number;
  readonly type: number;
  readonly segments: Segment[];
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly sections: Section[];
  private readonly names: number;
  private symbols: Map<string, Symbol> | undefined;

  /** Throws a RangeError when the bytes are no ELF file of 64 bits, little-endian. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length < HEADER || this.view.getUint32(0, true) !== MAGIC || bytes[4] !== 2 || bytes[5] !== 1)
      throw new RangeError("no ELF file of 64 bits");
    this.type = this.view.getUint16(16, true);
    this.machine = this.view.getUint16(18, true);
    const programs = this.u64(32);
    const count = this.view.getUint16(56, true);
    this.segments = Array.from({ length: count }, (_, i) => this.segment(programs + i * 56));
    const at = this.u64(40);
    const sections = this.view.getUint16(60, true);
    this.sections = at === 0 ? [] : Array.from({ length: sections }, (_, i) => this.sectionAt(at + i * 64));
    this.names = this.sections[this.view.getUint16(62, true)]?.offset ?? 0;
  }

  private u64(at: number): number {
    return this.view.getUint32(at, true) + this.view.getUint32(at + 4, true) * 2 ** 32;
  }

  private segment(at: number): Segment {
    return {
      type: this.view.getUint32(at, true),
      flags: this.view.getUint32(at + 4, true),
      offset: this.u64(at + 8),
      address: this.u64(at + 16),
      fileBytes: this.u64(at + 32),
      memoryBytes: this.u64(at + 40),
    };
  }

  private sectionAt(at: number): Section {
    return {
      name: this.view.getUint32(at, true),
      type: this.view.getUint32(at + 4, true),
      address: this.u64(at + 16),
      offset: this.u64(at + 24),
      size: this.u64(at + 32),
      link: this.view.getUint32(at + 40, true),
    };
  }

  private text(at: number): string {
    let end = at;
    while (end < this.bytes.length && this.bytes[end] !== 0) end++;
    return Buffer.from(this.bytes.buffer, this.bytes.byteOffset + at, end - at).toString("latin1");
  }

  section(name: string): { address: number; size: number; offset: number } | undefined {
    return this.sections.find((section) => this.text(this.names + section.name) === name);
  }

  symbol(name: string): Symbol | undefined {
    return (this.symbols ??= this.readSymbols()).get(name);
  }

  /** Data and functions by name; a table that lies outside the file counts as absent. */
  private readSymbols(): Map<string, Symbol> {
    const found = new Map<string, Symbol>();
    for (const table of this.sections) {
      if (table.type !== SHT_SYMTAB && table.type !== SHT_DYNSYM) continue;
      const strings = this.sections[table.link];
      if (strings === undefined || table.offset + table.size > this.bytes.length) continue;
      for (let at = table.offset; at + SYMBOL_BYTES <= table.offset + table.size; at += SYMBOL_BYTES) {
        const address = this.u64(at + 8);
        const kind = this.bytes[at + 4]! & 15;
        if (address === 0 || kind > 2) continue;
        const name = this.text(strings.offset + this.view.getUint32(at, true));
        if (name !== "") found.set(name, { name, address, size: this.u64(at + 16) });
      }
    }
    return found;
  }

  /** End of what the file takes in memory, .bss included, before the bias. */
  get memoryEnd(): number {
    return Math.max(0, ...this.segments.filter(({ type }) => type === PT_LOAD).map((s) => s.address + s.memoryBytes));
  }
}
