/** The threads of one event file while they are replayed: where each stands, and which goes on next. */

import { NONE } from "../../base/brand.ts";
import { CONTROL, EVENT, TYPE_TRANSIENTS } from "../../tide/events.ts";
import type { EventFile, ThreadStream } from "../../tide/events.ts";

/** No interval of the agent comes near; a larger one is a damaged file. */
const LARGEST_INTERVAL = 2 ** 40;
/** A control word as the agent writes it right behind the death that it takes back. */
export const UNDO_WORD = EVENT.control | (CONTROL.undo << 3);
/** Lowest byte of births that were only counted: where there are any, they stand first in the chunk. */
const COUNTED_BYTE = EVENT.birthFull | (TYPE_TRANSIENTS << 3);
/** Lowest byte of an order control. */
const ORDER_BYTE = EVENT.control | (CONTROL.order << 3);

/** A realloc is told as three events: control, death, birth. */
export const REALLOC = { none: 0, begun: 1, dead: 2, unknown: 3 } as const;

export class Cursor {
  readonly thread: number;
  words: Uint32Array = new Uint32Array(0);
  /** Next word, and the number of words of the chunk. */
  at = 0;
  end = 0;
  /** Order number in force; Infinity when the stream is at its end. */
  order: number;
  /** Bytes; 0: every block is recorded. */
  interval = 0;
  base0 = 0;
  base1 = 0;
  /** Of the chunk's start; `isNew` until it was told. */
  tick = 0;
  isNew = false;
  /** Births are missing in this chunk: those of some stacks were only counted. */
  thinned = false;
  /** By word of the chunk: 1 + slot of the block that was born there and whose death will name the word. */
  locals = new Uint32Array(0);
  realloc: number = REALLOC.none;
  /** Slot of the block that a realloc has just given up, and the number of births at that moment. */
  replaced = NONE;
  replacedAt = 0;

  private readonly file: EventFile;
  private readonly stream: ThreadStream;
  private chunk = -1;

  constructor(file: EventFile, stream: ThreadStream) {
    this.file = file;
    this.stream = stream;
    this.thread = stream.thread;
    this.order = stream.chunks[0]?.order ?? Infinity;
  }

  /** Goes to the next chunk, or to the end of the stream. */
  nextChunk(): void {
    const chunk = this.stream.chunks[++this.chunk];
    if (!chunk) {
      this.order = Infinity;
      this.words = new Uint32Array(0);
      this.at = this.end = 0;
      return;
    }
    this.words = this.file.words(chunk);
    if (this.locals.length < this.words.length / 2) this.locals = new Uint32Array(this.words.length / 2);
    else this.locals.fill(0);
    this.at = 0;
    this.end = this.words.length;
    this.order = chunk.order;
    this.interval = saneInterval(chunk.interval);
    this.tick = chunk.tick;
    this.isNew = true;
    this.thinned = this.end > 0 && (this.words[0]! & 0x7f) === COUNTED_BYTE;
    [this.base0, this.base1] = chunk.bases;
    this.skipOrders();
  }

  /** A thread's first chunk begins under number 0, and its first event with the number that it got: only then is it this thread's turn. */
  private skipOrders(): void {
    const { words } = this;
    for (; this.at < this.end && (words[this.at]! & 0xff) === ORDER_BYTE; this.at += 2) {
      this.order = (words[this.at]! >>> 8) + words[this.at + 1]! * 0x100_0000;
    }
  }

  /** Whether the next chunk begins by taking back the death at the end of this one. */
  undone(): boolean {
    const next = this.stream.chunks[this.chunk + 1];
    return next !== undefined && next.bytes >= 8 && this.file.words({ ...next, bytes: 8 })[0] === UNDO_WORD;
  }
}

export function saneInterval(bytes: number): number {
  return bytes < LARGEST_INTERVAL ? bytes : 0;
}

/** The cursors by order number, smallest first (a binary heap: thousands of short threads are common). */
export class Schedule {
  private readonly heap: Cursor[] = [];

  constructor(cursors: Iterable<Cursor>) {
    for (const cursor of cursors) this.push(cursor);
  }

  get top(): Cursor | undefined {
    return this.heap[0];
  }

  /** The smallest order number of the cursors other than the top one. */
  get second(): number {
    return Math.min(this.heap[1]?.order ?? Infinity, this.heap[2]?.order ?? Infinity);
  }

  /** The top cursor went on: it sinks to its place, or leaves when it is at its end. */
  settle(): void {
    const { heap } = this;
    if (heap[0]!.order === Infinity) {
      const last = heap.pop()!;
      if (heap.length === 0) return;
      if (last !== heap[0]) heap[0] = last;
    }
    let at = 0;
    for (;;) {
      let least = at;
      if (2 * at + 1 < heap.length && precedes(heap[2 * at + 1]!, heap[least]!)) least = 2 * at + 1;
      if (2 * at + 2 < heap.length && precedes(heap[2 * at + 2]!, heap[least]!)) least = 2 * at + 2;
      if (least === at) return;
      swap(heap, at, least);
      at = least;
    }
  }

  private push(cursor: Cursor): void {
    if (cursor.order === Infinity) return;
    const { heap } = this;
    let at = heap.push(cursor) - 1;
    for (let up = (at - 1) >> 1; at > 0 && precedes(heap[at]!, heap[up]!); up = (at - 1) >> 1) {
      swap(heap, at, up);
      at = up;
    }
  }
}

/** Two threads never share a number in a whole file; in a broken one the lower thread goes first. */
function precedes(a: Cursor, b: Cursor): boolean {
  return a.order < b.order || (a.order === b.order && a.thread < b.thread);
}

function swap(heap: Cursor[], a: number, b: number): void {
  const cursor = heap[a]!;
  heap[a] = heap[b]!;
  heap[b] = cursor;
}
