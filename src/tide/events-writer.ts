/**
 * Writes event files as the agent does (docs/format.md section 2), for tests and benchmarks: programs of births and deaths without
 * a program. Order numbers, address bases and chunk changes are written as they become necessary.
 *
 *     const w = eventsWriter();
 *     const main = w.node(0, w.code({ qualname: "main", file: "/app/main.py" }), 10);
 *     w.thread().birth(0x7f0000001000, 48, main).death(0x7f0000001000);
 *     const file = w.finish();
 */

import {
  BLOCK_TYPE,
  CHUNK_HEADER_BYTES,
  CHUNK_MAGIC,
  CONTROL,
  EVENT,
  EVENTS_MAGIC,
  EVENTS_VERSION,
  FLAG,
  KIND_DICTIONARY,
  KIND_EVENTS,
  LOCAL_DEATH,
  MODES,
  RECORD,
  SLOT_BYTES,
  STATE,
  TYPE_TRANSIENTS,
} from "./events.ts";
import type { ClockTriple, CodeRecord, EventHeader } from "./events.ts";
import { view, writeU64 } from "./container.ts";

export type BlockType = keyof typeof BLOCK_TYPE;

export interface WriterOptions extends Partial<EventHeader> {
  /** Bytes of events in a chunk before the next one begins; small values make many chunks. */
  chunkBytes?: number;
  /** Write an order control whenever another thread goes on (default), or only where `order()` asks. */
  autoOrder?: boolean;
  /** Takes each slot when it is full, header last, at its offset; nothing is kept then and `finish` gives an empty array. */
  sink?: (slot: Uint8Array, offset: number) => void;
}

/** Every method returns the thread, so that programs read as one sentence. */
export interface ThreadWriter {
  readonly index: number;
  birth(address: number, size: number, node: number, type?: BlockType): ThreadWriter;
  death(address: number, type?: BlockType): ThreadWriter;
  /** A small block that is born and dies at once, in the one word that the agent makes of both. */
  transient(address: number, size: number, node: number): ThreadWriter;
  /** A small block that dies in this chunk; gives its word, which `localDeath` names. */
  local(address: number, size: number, node: number): number;
  localDeath(word: number): ThreadWriter;
  /** Transient births that were only counted. */
  transients(node: number, count: number, bytes: number): ThreadWriter;
  map(address: number, size: number, node: number): ThreadWriter;
  unmap(address: number, size: number): ThreadWriter;
  /** An mremap that moved or resized: control, death, birth. */
  remap(from: number, fromSize: number, to: number, size: number, node: number): ThreadWriter;
  /** A realloc that moved or resized: control, death, birth. `between`: what other threads do before the birth. */
  realloc(from: number, to: number, size: number, node: number, between?: () => void): ThreadWriter;
  /** A realloc that returned NULL: control, death, undo. */
  failedRealloc(address: number): ThreadWriter;
  time(tick: number): ThreadWriter;
  order(number: number): ThreadWriter;
  /** Bytes; 0: every block from here on. */
  interval(bytes: number): ThreadWriter;
  mark(label: string): ThreadWriter;
  gap(events: number): ThreadWriter;
  /** Ends the chunk here, although it is not full. */
  flush(): ThreadWriter;
}

export interface EventsWriter {
  code(code: Partial<Omit<CodeRecord, "kind">>): number;
  native(address: number): number;
  node(parent: number, code: number, offset: number): number;
  string(text: string): number;
  mappings(text: string): void;
  thread(tid?: number): ThreadWriter;
  /** The number that the next order control gets: what the header of a fork child names. */
  readonly order: number;
  readonly nodes: number;
  readonly codes: number;
  /** Header fields that are known only now. */
  header(fields: Partial<EventHeader>): void;
  finish(): Uint8Array;
}

const SLOT_ROOM = SLOT_BYTES - CHUNK_HEADER_BYTES;
const NO_CLOCK: ClockTriple = { tick: 0, monotonic: 0, realtime: 0 };
const encoder = new TextEncoder();

export function eventsWriter(options: WriterOptions = {}): EventsWriter {
  return new Writer(options);
}

/** What is filled at the moment: the slot's bytes, and its words for speed. */
interface OpenChunk {
  bytes: Uint8Array;
  words: Uint32Array;
  /** Next word. */
  at: number;
}

class Writer implements EventsWriter {
  order = 0;
  nodes: number;
  codes: number;
  lastThread = -1;
  readonly autoOrder: boolean;
  readonly room: number;
  readonly startInterval: number;
  private readonly fields: Partial<EventHeader>;
  private readonly sink: WriterOptions["sink"];
  private readonly slots: Uint8Array[] = [];
  private slotCount = 1;
  private readonly threads: Thread[] = [];
  private dictionary: OpenChunk | undefined;
  private dictionarySerial = 0;
  private strings = 0;

  constructor(options: WriterOptions) {
    const { chunkBytes, autoOrder, sink, ...fields } = options;
    this.fields = fields;
    this.sink = sink;
    this.autoOrder = autoOrder ?? true;
    this.room = Math.min(chunkBytes ?? SLOT_ROOM, SLOT_ROOM);
    this.startInterval = fields.interval ?? 0;
    this.nodes = fields.fork?.nodes ?? 1;
    this.codes = fields.fork?.codes ?? 1;
  }

  code(code: Partial<Omit<CodeRecord, "kind">>): number {
    const name = code.name ?? (code.qualname ?? "f").split(".").at(-1)!;
    const parts = [
      encoder.encode(name),
      encoder.encode(code.qualname ?? name),
      encoder.encode(code.file ?? "/app/main.py"),
      code.lineTable ?? new Uint8Array(),
      code.bytecode ?? new Uint8Array(),
      code.exceptionTable ?? new Uint8Array(),
    ];
    const id = this.codes++;
    this.record(
      RECORD.code,
      [id, code.firstLine ?? 1, code.flags ?? 0, ...parts.map((part) => part.length)],
      concatenate(parts),
    );
    return id;
  }

  native(address: number): number {
    const id = this.codes++;
    this.record(RECORD.native, [id, 0, address >>> 0, Math.floor(address / 0x1_0000_0000)]);
    return id;
  }

  node(parent: number, code: number, offset: number): number {
    const id = this.nodes++;
    this.record(RECORD.node, [id, parent, code, offset]);
    return id;
  }

  string(text: string): number {
    const id = this.strings++;
    this.record(RECORD.string, [id, 0], encoder.encode(text));
    return id;
  }

  mappings(text: string): void {
    this.record(RECORD.mappings, [], encoder.encode(text));
  }

  thread(tid = 1_000 + this.threads.length): ThreadWriter {
    const thread = new Thread(this, this.threads.length, tid);
    this.threads.push(thread);
    this.record(RECORD.thread, [thread.index, tid, 0, 0], encoder.encode(`thread ${thread.index}`));
    return thread;
  }

  header(fields: Partial<EventHeader>): void {
    Object.assign(this.fields, fields);
  }

  finish(): Uint8Array {
    for (const thread of this.threads) thread.flush();
    this.endDictionary();
    this.put(encodeHeader(this.fields, this.slotCount, this.nodes, this.codes), 0);
    const file = new Uint8Array(this.slots.length * SLOT_BYTES);
    this.slots.forEach((slot, i) => file.set(slot, i * SLOT_BYTES));
    return file;
  }

  /** A dictionary record: words, then bytes, padded to 8. */
  private record(type: number, words: number[], bytes: Uint8Array = new Uint8Array()): void {
    const length = words.length * 4 + bytes.length;
    const padded = (length + 7) & ~7;
    if (this.dictionary && this.dictionary.at * 4 + 8 + padded > SLOT_BYTES) this.endDictionary();
    const chunk = (this.dictionary ??= newChunk(KIND_DICTIONARY));
    chunk.words.set([type, length, ...words], chunk.at);
    chunk.bytes.set(bytes, (chunk.at + 2 + words.length) * 4);
    chunk.at += (8 + padded) / 4;
  }

  private endDictionary(): void {
    if (!this.dictionary) return;
    writeU64(view(this.dictionary.bytes), 16, this.dictionarySerial++);
    this.putChunk(this.dictionary);
    this.dictionary = undefined;
  }

  putChunk(chunk: OpenChunk): void {
    chunk.words[3] = chunk.at * 4 - CHUNK_HEADER_BYTES;
    this.put(chunk.bytes, this.slotCount++ * SLOT_BYTES);
  }

  private put(slot: Uint8Array, offset: number): void {
    if (this.sink) this.sink(slot, offset);
    else this.slots[offset / SLOT_BYTES] = slot;
  }
}

class Thread implements ThreadWriter {
  readonly index: number;
  private readonly writer: Writer;
  private readonly tid: number;
  private chunk: OpenChunk | undefined;
  private serial = 0;
  private held = 0;
  private every: number;
  private now = 0;
  private chunkTick = 0;
  private readonly bases: [number, number] = [0, 0];
  private nextBase = 0;

  constructor(writer: Writer, index: number, tid: number) {
    this.writer = writer;
    this.index = index;
    this.tid = tid;
    this.every = writer.startInterval;
  }

  birth(address: number, size: number, node: number, type: BlockType = "malloc"): ThreadWriter {
    const code = BLOCK_TYPE[type];
    if (code > 1 || address % 16 !== 0 || size < 1 || size >= 2 ** 36 || node >= 2 ** 27)
      return this.full(EVENT.birthFull, code, node, address, size);
    this.begin();
    const base = this.base(address);
    const high = (address / 16) >>> 0;
    if (size <= 512 && node < 2 ** 18)
      this.words(EVENT.birth | (base << 3) | (code << 4) | ((size - 1) << 5) | (node << 14), high);
    else
      this.words(EVENT.medium | (base << 3) | (code << 4) | (node << 5), high, size >>> 0, Math.floor(size / 2 ** 32));
    return this;
  }

  transient(address: number, size: number, node: number): ThreadWriter {
    this.begin();
    const base = this.base(address);
    this.words(EVENT.transient | (base << 3) | ((size - 1) << 5) | (node << 14), (address / 16) >>> 0);
    return this;
  }

  local(address: number, size: number, node: number): number {
    this.begin();
    const base = this.base(address);
    this.words(EVENT.local | (base << 3) | ((size - 1) << 5) | (node << 14), (address / 16) >>> 0);
    return this.chunk!.at / 2 - 1;
  }

  localDeath(word: number): ThreadWriter {
    this.begin();
    this.words(EVENT.death | LOCAL_DEATH, word);
    return this;
  }

  transients(node: number, count: number, bytes: number): ThreadWriter {
    return this.full(EVENT.birthFull, TYPE_TRANSIENTS, node, count, bytes);
  }

  death(address: number, type: BlockType = "malloc"): ThreadWriter {
    const code = BLOCK_TYPE[type];
    if (code > 1 || address % 16 !== 0) return this.full(EVENT.deathFull, code, 0, address, 0);
    this.begin();
    const base = this.base(address);
    this.words(EVENT.death | (base << 3) | (code << 4), (address / 16) >>> 0);
    return this;
  }

  map(address: number, size: number, node: number): ThreadWriter {
    return this.full(EVENT.birthFull, BLOCK_TYPE.mmap, node, address, size);
  }

  unmap(address: number, size: number): ThreadWriter {
    return this.full(EVENT.deathFull, BLOCK_TYPE.mmap, 0, address, size);
  }

  remap(from: number, fromSize: number, to: number, size: number, node: number): ThreadWriter {
    this.begin();
    this.control(CONTROL.realloc, 0);
    this.unmap(from, fromSize);
    return this.map(to, size, node);
  }

  realloc(from: number, to: number, size: number, node: number, between?: () => void): ThreadWriter {
    this.begin();
    this.control(CONTROL.realloc, 0);
    this.death(from);
    between?.();
    return this.birth(to, size, node);
  }

  failedRealloc(address: number): ThreadWriter {
    this.begin();
    this.control(CONTROL.realloc, 0);
    this.death(address);
    this.control(CONTROL.undo, 0);
    return this;
  }

  time(tick: number): ThreadWriter {
    this.begin();
    this.now = tick;
    this.room(2);
    this.control(CONTROL.time, tick - this.chunkTick);
    return this;
  }

  order(number: number): ThreadWriter {
    this.held = number;
    this.control(CONTROL.order, number);
    return this;
  }

  interval(bytes: number): ThreadWriter {
    this.begin();
    this.every = bytes;
    this.control(CONTROL.interval, bytes);
    return this;
  }

  mark(label: string): ThreadWriter {
    const id = this.writer.string(label);
    this.begin();
    this.control(CONTROL.mark, id);
    return this;
  }

  gap(events: number): ThreadWriter {
    this.begin();
    this.control(CONTROL.gap, events);
    return this;
  }

  flush(): ThreadWriter {
    if (this.chunk) this.writer.putChunk(this.chunk);
    this.chunk = undefined;
    return this;
  }

  /** Whoever finds another thread's name in "last recorder" takes the next number. */
  private begin(): void {
    const { writer } = this;
    if (writer.lastThread === this.index || !writer.autoOrder) return;
    writer.lastThread = this.index;
    this.held = ++writer.order;
    this.control(CONTROL.order, this.held);
  }

  private full(kind: number, type: number, node: number, address: number, size: number): ThreadWriter {
    this.begin();
    this.words(
      kind | (type << 3),
      node,
      address >>> 0,
      Math.floor(address / 2 ** 32),
      size >>> 0,
      Math.floor(size / 2 ** 32),
    );
    return this;
  }

  private control(code: number, payload: number): void {
    this.words(EVENT.control | (code << 3) | ((payload & 0xff_ffff) << 8), Math.floor(payload / 2 ** 24));
  }

  /** Which of the two bases in force the address has; the older one gives way to a new one. */
  private base(address: number): number {
    const base = Math.floor(address / 2 ** 36);
    if (this.bases[0] === base) return 0;
    if (this.bases[1] === base) return 1;
    const which = this.nextBase;
    this.nextBase = 1 - which;
    this.control(CONTROL.base, which + base * 256);
    this.bases[which] = base;
    return which;
  }

  /** Appends one event of 2, 4 or 6 words; it never crosses into another chunk. */
  private words(a: number, b: number, c?: number, d?: number, e?: number, f?: number): void {
    const count = c === undefined ? 2 : e === undefined ? 4 : 6;
    const chunk = this.room(count);
    const { words, at } = chunk;
    words[at] = a;
    words[at + 1] = b;
    if (count > 2) {
      words[at + 2] = c!;
      words[at + 3] = d!;
    }
    if (count > 4) {
      words[at + 4] = e!;
      words[at + 5] = f!;
    }
    chunk.at += count;
  }

  /** The chunk that has room for so many words. */
  private room(count: number): OpenChunk {
    if (this.chunk && (this.chunk.at + count) * 4 - CHUNK_HEADER_BYTES > this.writer.room) this.flush();
    return (this.chunk ??= this.open());
  }

  private open(): OpenChunk {
    const chunk = newChunk(KIND_EVENTS);
    this.chunkTick = this.now;
    const fields = view(chunk.bytes);
    fields.setUint32(8, this.index, true);
    writeU64(fields, 16, this.serial++);
    writeU64(fields, 24, this.held);
    writeU64(fields, 32, this.every);
    writeU64(fields, 40, this.chunkTick);
    fields.setUint32(48, this.bases[0], true);
    fields.setUint32(52, this.bases[1], true);
    fields.setUint32(56, this.tid, true);
    return chunk;
  }
}

function newChunk(kind: number): OpenChunk {
  const bytes = new Uint8Array(SLOT_BYTES);
  const words = new Uint32Array(bytes.buffer);
  words[0] = CHUNK_MAGIC;
  words[1] = kind;
  return { bytes, words, at: CHUNK_HEADER_BYTES / 4 };
}

function encodeHeader(fields: Partial<EventHeader>, slots: number, nodes: number, codes: number): Uint8Array {
  const bytes = new Uint8Array(SLOT_BYTES);
  const out = view(bytes);
  const u32 = (at: number, value: number): void => out.setUint32(at, value, true);
  const u64 = (at: number, value: number): void => writeU64(out, at, value);
  const clock = (at: number, { tick, monotonic, realtime }: ClockTriple): void =>
    [tick, monotonic, realtime].forEach((value, i) => u64(at + 8 * i, value));
  bytes.set(encoder.encode(EVENTS_MAGIC));
  [EVENTS_VERSION, SLOT_BYTES, fields.pid ?? 100, fields.parentPid ?? 1, fields.ordinal ?? 0].forEach((value, i) =>
    u32(8 + 4 * i, value),
  );
  u32(28, fields.state ?? STATE.exited);
  u32(32, fields.reason ?? 0);
  u32(36, fields.pythonHex ?? 0x030b_07f0);
  u32(40, MODES.indexOf(fields.mode ?? "exact"));
  u32(44, fields.flags ?? (fields.fork ? FLAG.hooks | FLAG.fork : FLAG.hooks));
  u64(48, fields.interval ?? 0);
  u64(56, slots);
  clock(64, fields.start ?? NO_CLOCK);
  clock(88, fields.last ?? NO_CLOCK);
  const { births = 0, deaths = 0, dropped = 0, intervalChanges = 0, ownBytes = 0, ownCpuNs = 0 } = fields;
  [births, deaths, dropped, intervalChanges, nodes, codes, ownBytes, ownCpuNs].forEach((value, i) =>
    u64(112 + 8 * i, value),
  );
  u32(176, fields.fork?.pid ?? 0);
  u32(180, fields.fork?.ordinal ?? 0);
  [fields.fork?.order ?? 0, fields.fork?.nodes ?? 0, fields.fork?.codes ?? 0].forEach((value, i) =>
    u64(184 + 8 * i, value),
  );
  u64(208, fields.hwmBytes ?? 0);
  u64(216, fields.rssBytes ?? 0);
  u32(248, fields.foldAt ?? 0);
  const text = (at: number, most: number, value: string): void => {
    const encoded = encoder.encode(value).subarray(0, most);
    u32(at, encoded.length);
    bytes.set(encoded, at + 4);
  };
  text(512, 1_020, fields.exe ?? "/usr/bin/python3");
  text(1_536, 508, fields.cwd ?? "/app");
  text(2_048, 2_044, (fields.argv ?? ["python3", "main.py"]).map((argument) => `${argument}\0`).join(""));
  return bytes;
}

function concatenate(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
