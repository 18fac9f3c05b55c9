/**
 * Reader of event files (docs/format.md section 2): header, index of chunks, dictionary. The events themselves stay in the file
 * and are handed out chunk by chunk as words, because a long run has more of them than memory should hold.
 * A program may have died at any instruction, so whatever is whole is read and the rest left out; only a file whose header says
 * nothing useful is refused (TideError). Every length and id is checked: no file makes the reader allocate more than a small
 * multiple of its own size.
 */

import { readU64, TideError, view } from "./container.ts";
import type { ByteSource } from "./container.ts";

export const SLOT_BYTES = 65_536;
export const CHUNK_HEADER_BYTES = 64;
export const EVENTS_HEADER_BYTES = 4_096;
export const CHUNK_MAGIC = 0x4b48_4354;
export const EVENTS_MAGIC = "TIDEEVT1";
export const EVENTS_VERSION = 1;
export const KIND_EVENTS = 1;
export const KIND_DICTIONARY = 2;

/** Low three bits of an event's first word. */
export const EVENT = {
  local: 0,
  birth: 1,
  death: 2,
  medium: 3,
  birthFull: 4,
  deathFull: 5,
  control: 6,
  transient: 7,
} as const;
export const CONTROL = { time: 1, order: 2, interval: 3, base: 4, undo: 5, mark: 6, gap: 7, realloc: 8 } as const;
export const BLOCK_TYPE = { malloc: 0, pymalloc: 1, mmap: 2, arena: 3 } as const;
/** A full birth of this type stands for many transient births of one node. */
export const TYPE_TRANSIENTS = 5;
/** In the first word of a death: the second names the word of the birth in the same chunk, counted from the chunk header. */
export const LOCAL_DEATH = 1 << 5;
/** Slots that one chunk may span. */
const MOST_SLOTS = 64;
export const RECORD = { node: 1, code: 2, string: 3, native: 4, thread: 5, mappings: 6 } as const;
export const STATE = { running: 0, exited: 1, exec: 2, off: 3 } as const;
export const FLAG = { hooks: 1, late: 2, fork: 4, throughMalloc: 8, otherMalloc: 16 } as const;
export const MODES = ["exact", "interval", "adaptive"] as const;

/** Offsets of nodes that stand for no instruction. */
export const OFFSET_UNKNOWN = 0xffff_ffff;
export const OFFSET_CUT = 0xffff_fffe;
/** `nodes.code` of an id that has no record (a torn file, or a node of the parent of a fork). */
export const NO_RECORD = 0xffff_ffff;

/** Ids that an untrusted header may claim for the parent of a fork; the agent stops far below. */
const MOST_FORK_NODES = 1 << 22;
const MOST_CODES = 1 << 22;

/** The same instant on three clocks: ticks of the processor, CLOCK_MONOTONIC and CLOCK_REALTIME in nanoseconds. */
export interface ClockTriple {
  tick: number;
  monotonic: number;
  realtime: number;
}

/** Where a fork child stood in its parent: the parent's order number, node count and code count at the fork. */
export interface ForkPoint {
  pid: number;
  ordinal: number;
  order: number;
  nodes: number;
  codes: number;
}

export interface EventHeader {
  pid: number;
  parentPid: number;
  ordinal: number;
  state: number;
  reason: number;
  pythonHex: number;
  mode: (typeof MODES)[number];
  flags: number;
  /** Bytes, at the start; 0: every block is recorded. */
  interval: number;
  start: ClockTriple;
  /** All zero when the agent never flushed. */
  last: ClockTriple;
  births: number;
  deaths: number;
  dropped: number;
  intervalChanges: number;
  nodes: number;
  codes: number;
  ownBytes: number;
  ownCpuNs: number;
  fork: ForkPoint | undefined;
  /** VmHWM and VmRSS when the process left; 0: not read. */
  hwmBytes: number;
  rssBytes: number;
  /** Round of a recursion from which on its frames share a node; 0: they never do. */
  foldAt: number;
  exe: string;
  cwd: string;
  argv: string[];
}

/** A committed piece of one thread's events. Addresses of the small events are base * 2^36 + 16 * hi. */
export interface EventChunk {
  /** Of the first word, in the file; bytes of whole words. */
  offset: number;
  bytes: number;
  serial: number;
  order: number;
  interval: number;
  tick: number;
  bases: [number, number];
}

export interface ThreadStream {
  thread: number;
  tid: number;
  /** By serial; a missing serial means lost events. */
  chunks: EventChunk[];
  /** Serials below the last one that are in no slot. */
  lost: number;
}

export interface CodeRecord {
  kind: "python";
  firstLine: number;
  flags: number;
  name: string;
  qualname: string;
  file: string;
  lineTable: Uint8Array;
  bytecode: Uint8Array;
  exceptionTable: Uint8Array;
}

export interface NativeRecord {
  kind: "native";
  address: number;
}

export interface Dictionary {
  /** Index = node id (0 is no node). `code` is NO_RECORD where the file has no record of the id. A parent is always a smaller id. */
  nodes: { parent: Uint32Array; code: Uint32Array; offset: Uint32Array };
  /** Index = code id. */
  codes: (CodeRecord | NativeRecord | undefined)[];
  /** Index = string id. */
  strings: string[];
  threads: { index: number; tid: number; tick: number; name: string }[];
  /** Each a text of `START-END OFFSET PATH` lines, in the order written. */
  mappings: string[];
}

export interface EventFile {
  header: EventHeader;
  dictionary: Dictionary;
  /** By thread index. */
  threads: ThreadStream[];
  /** The words of a chunk; shorter than the chunk says when the source shrank meanwhile. */
  words(chunk: EventChunk): Uint32Array;
}

/** Reads header, chunk headers and dictionary. Throws a TideError when this is no event file, or one of a newer format. */
export function openEvents(source: ByteSource): EventFile {
  const header = readHeader(source);
  const streams = indexChunks(source);
  return {
    header,
    dictionary: readDictionary(source, streams.dictionary, header.fork),
    threads: streams.threads,
    words: (chunk) => readWords(source, chunk),
  };
}

function readHeader(source: ByteSource): EventHeader {
  const bytes = source.read(0, EVENTS_HEADER_BYTES);
  if (ascii(bytes.subarray(0, 8)) !== EVENTS_MAGIC) {
    throw new TideError("This is not an event file of the agent: it does not begin as one.");
  }
  if (bytes.length < EVENTS_HEADER_BYTES)
    throw new TideError("The event file is cut short inside its header: nothing of it can be read.");
  const fields = view(bytes);
  const version = fields.getUint32(8, true);
  if (version > EVENTS_VERSION) {
    throw new TideError(
      `The event file has the newer format ${version} (this one reads ${EVENTS_VERSION}): update Tidegauge to read it.`,
    );
  }
  if (version === 0 || fields.getUint32(12, true) !== SLOT_BYTES)
    throw new TideError("The event file is damaged: its header contradicts itself.");
  const u32 = (at: number): number => fields.getUint32(at, true);
  const u64 = (at: number): number => readU64(fields, at);
  const clock = (at: number): ClockTriple => ({ tick: u64(at), monotonic: u64(at + 8), realtime: u64(at + 16) });
  const fork = { pid: u32(176), ordinal: u32(180), order: u64(184), nodes: u64(192), codes: u64(200) };
  if (fork.nodes > MOST_FORK_NODES || fork.codes > MOST_CODES)
    throw new TideError("The event file is damaged: its header names an impossible fork.");
  return {
    pid: u32(16),
    parentPid: u32(20),
    ordinal: u32(24),
    state: u32(28),
    reason: u32(32),
    pythonHex: u32(36),
    mode: MODES[u32(40)] ?? "adaptive",
    flags: u32(44),
    interval: u64(48),
    start: clock(64),
    last: clock(88),
    births: u64(112),
    deaths: u64(120),
    dropped: u64(128),
    intervalChanges: u64(136),
    nodes: u64(144),
    codes: u64(152),
    ownBytes: u64(160),
    ownCpuNs: u64(168),
    fork: fork.pid === 0 ? undefined : fork,
    hwmBytes: u64(208),
    rssBytes: u64(216),
    foldAt: u32(248),
    exe: countedText(bytes, 512, 1_020),
    cwd: countedText(bytes, 1_536, 508),
    argv: argvOf(countedText(bytes, 2_048, 2_044)),
  };
}

const decoder = new TextDecoder();

/** /proc's cmdline ends every argument with a NUL. */
function argvOf(cmdline: string): string[] {
  return cmdline === "" ? [] : cmdline.replace(/\0$/, "").split("\0");
}

function countedText(bytes: Uint8Array, at: number, most: number): string {
  const length = Math.min(view(bytes).getUint32(at, true), most);
  return decoder.decode(bytes.subarray(at + 4, at + 4 + length));
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

interface Streams {
  threads: ThreadStream[];
  dictionary: EventChunk[];
}

/** Chunk headers of all slots. A staging region and its copy hold the same (stream, serial): the longer one counts. */
function indexChunks(source: ByteSource): Streams {
  const streams = new Map<number, { tid: number; chunks: Map<number, EventChunk> }>();
  const dictionary = new Map<number, EventChunk>();
  for (let slot = SLOT_BYTES, slots = 1; slot + CHUNK_HEADER_BYTES <= source.size; slot += slots * SLOT_BYTES) {
    slots = 1;
    const bytes = source.read(slot, CHUNK_HEADER_BYTES);
    if (bytes.length < CHUNK_HEADER_BYTES) break;
    const fields = view(bytes);
    if (fields.getUint32(0, true) !== CHUNK_MAGIC) continue;
    slots = slotsOf(fields);
    const kind = fields.getUint32(4, true);
    const chunk = readChunkHeader(fields, slot + CHUNK_HEADER_BYTES, source.size);
    if (kind === KIND_DICTIONARY) keepLonger(dictionary, chunk);
    if (kind !== KIND_EVENTS) continue;
    const thread = fields.getUint32(8, true);
    const stream = streams.get(thread) ?? { tid: fields.getUint32(56, true), chunks: new Map() };
    streams.set(thread, stream);
    keepLonger(stream.chunks, chunk);
  }
  const threads = [...streams]
    .toSorted(([a], [b]) => a - b)
    .map(([thread, { tid, chunks }]) => threadStream(thread, tid, bySerial(chunks)));
  return { threads, dictionary: bySerial(dictionary) };
}

/** 0 stands for 1. */
function slotsOf(fields: DataView): number {
  return Math.max(1, Math.min(fields.getUint32(60, true), MOST_SLOTS));
}

function readChunkHeader(fields: DataView, offset: number, size: number): EventChunk {
  const used = Math.min(fields.getUint32(12, true), slotsOf(fields) * SLOT_BYTES - CHUNK_HEADER_BYTES, size - offset);
  return {
    offset,
    bytes: used & ~7,
    serial: readU64(fields, 16),
    order: readU64(fields, 24),
    interval: readU64(fields, 32),
    tick: readU64(fields, 40),
    bases: [fields.getUint32(48, true), fields.getUint32(52, true)],
  };
}

function keepLonger(chunks: Map<number, EventChunk>, chunk: EventChunk): void {
  const known = chunks.get(chunk.serial);
  if (!known || known.bytes < chunk.bytes) chunks.set(chunk.serial, chunk);
}

function bySerial(chunks: Map<number, EventChunk>): EventChunk[] {
  return [...chunks.values()].toSorted((a, b) => a.serial - b.serial);
}

function threadStream(thread: number, tid: number, chunks: EventChunk[]): ThreadStream {
  return { thread, tid, chunks, lost: chunks.at(-1)!.serial + 1 - chunks.length };
}

/** In place where the bytes happen to be aligned, else a copy. */
function readWords(source: ByteSource, chunk: EventChunk): Uint32Array {
  const bytes = source.read(chunk.offset, chunk.bytes);
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Uint32Array(aligned.buffer, aligned.byteOffset, (aligned.length & ~7) / 4);
}

function readDictionary(source: ByteSource, chunks: EventChunk[], fork: ForkPoint | undefined): Dictionary {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  const nodes = new NodeColumns(fork?.nodes ?? 1, bytes / 24);
  const dictionary: Dictionary = { nodes, codes: [], strings: [], threads: [], mappings: [] };
  for (const chunk of chunks) readRecords(readWords(source, chunk), nodes, dictionary);
  return { ...dictionary, nodes: nodes.finish() };
}

function readRecords(words: Uint32Array, nodes: NodeColumns, dictionary: Dictionary): void {
  const bytes = new Uint8Array(words.buffer, words.byteOffset, words.length * 4);
  for (let at = 0; at + 2 <= words.length;) {
    const type = words[at]!;
    const length = words[at + 1]!;
    const start = (at + 2) * 4;
    if (type === 0 || length > bytes.length - start) return;
    if (type === RECORD.node) {
      if (length >= 16) nodes.set(words[at + 2]!, words[at + 3]!, words[at + 4]!, words[at + 5]!);
    } else {
      readRecord(
        type,
        words.subarray(at + 2, at + 2 + (length >>> 2)),
        bytes.subarray(start, start + length),
        dictionary,
      );
    }
    at += 2 + ((length + 7) >>> 3) * 2;
  }
}

function readRecord(type: number, words: Uint32Array, payload: Uint8Array, dictionary: Dictionary): void {
  if (type === RECORD.mappings) {
    dictionary.mappings.push(decoder.decode(payload));
    return;
  }
  if (words.length < 2) return;
  const id = words[0]!;
  if (type === RECORD.thread) {
    if (words.length < 4) return;
    const tick = words[2]! + words[3]! * 0x1_0000_0000;
    dictionary.threads.push({ index: id, tid: words[1]!, tick, name: decoder.decode(payload.subarray(16)) });
  } else if (id < MOST_CODES) {
    if (type === RECORD.string) dictionary.strings[id] = decoder.decode(payload.subarray(8));
    else if (type === RECORD.native && words.length >= 4) {
      dictionary.codes[id] = { kind: "native", address: words[2]! + words[3]! * 0x1_0000_0000 };
    } else if (type === RECORD.code) dictionary.codes[id] = readCode(words, payload);
  }
}

const CODE_FIELDS = 9;
const LEFT_OUT = 0xffff_ffff;

function readCode(words: Uint32Array, payload: Uint8Array): CodeRecord | undefined {
  if (words.length < CODE_FIELDS) return undefined;
  let at = CODE_FIELDS * 4;
  const parts = Array.from({ length: 6 }, (_, i) => {
    const length = words[3 + i] === LEFT_OUT ? 0 : words[3 + i]!;
    at += length;
    return payload.subarray(at - length, at);
  });
  if (at > payload.length) return undefined;
  const [name, qualname, file, lineTable, bytecode, exceptionTable] = parts as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  return {
    kind: "python",
    firstLine: words[1]!,
    flags: words[2]!,
    name: decoder.decode(name),
    qualname: decoder.decode(qualname),
    file: decoder.decode(file),
    lineTable,
    bytecode,
    exceptionTable,
  };
}

/** The nodes while they are read. Ids are given out one after the other, so none can be larger than the records that fit in the file. */
class NodeColumns {
  readonly most: number;
  parent: Uint32Array;
  code: Uint32Array;
  offset: Uint32Array;
  private length: number;

  /** @param first ids below are the parent's, and rows of the arrays all the same */
  constructor(first: number, records: number) {
    this.length = Math.max(first, 1);
    this.most = this.length + Math.floor(records);
    this.parent = new Uint32Array(this.most);
    this.code = new Uint32Array(this.most).fill(NO_RECORD);
    this.offset = new Uint32Array(this.most).fill(OFFSET_UNKNOWN);
  }

  set(id: number, parent: number, code: number, offset: number): void {
    if (id === 0 || id >= this.most || parent >= id) return;
    this.parent[id] = parent;
    this.code[id] = code;
    this.offset[id] = offset;
    if (id >= this.length) this.length = id + 1;
  }

  finish(): Dictionary["nodes"] {
    const cut = (column: Uint32Array): Uint32Array => column.subarray(0, this.length);
    return { parent: cut(this.parent), code: cut(this.code), offset: cut(this.offset) };
  }
}

const RELEASE_LEVELS: Record<number, string> = { 0xa: "a", 0xb: "b", 0xc: "rc" };

/** "CPython 3.11.7" for PY_VERSION_HEX 0x030b07f0, "CPython 3.15.0a2" for 0x030f00a2; "" for 0. */
export function pythonName(hex: number): string {
  if (hex === 0) return "";
  const level = RELEASE_LEVELS[(hex >>> 4) & 0xf];
  const suffix = level === undefined ? "" : `${level}${hex & 0xf}`;
  return `CPython ${hex >>> 24}.${(hex >>> 16) & 0xff}.${(hex >>> 8) & 0xff}${suffix}`;
}
