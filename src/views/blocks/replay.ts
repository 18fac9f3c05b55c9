/**
 * Replays the events of one process: threads merged by order number, blocks followed from birth to death, listeners told in causal
 * order. A fork child is replayed when its parent's replay reaches the fork, on a copy of the parent's live blocks.
 *
 * This is the loop that a recording of 10^8 events goes through, so it makes no object per event, and each of the (at most two)
 * listeners is called at a place of its own, which lets the engine inline it.
 */

import { NONE } from "../../base/brand.ts";
import { BLOCK_TYPE, CHUNK_HEADER_BYTES, CONTROL, EVENT, LOCAL_DEATH, TYPE_TRANSIENTS } from "../../tide/events.ts";
import type { EventFile } from "../../tide/events.ts";
import { LiveTable } from "./livetable.ts";
import { Mappings } from "./mappings.ts";
import { Cursor, REALLOC, saneInterval, Schedule, UNDO_WORD } from "./threads.ts";

/** Blocks of this size and more are recorded whatever the interval. */
export const ALWAYS_RECORDED = 32_768;

/**
 * Told of every birth and death of one process. `slot` is the block's place in the live table: its own from birth to death, another
 * block's afterwards. What the replay and its table say (time, sequence, sizeOf(slot) …) is up to date in every call.
 */
export interface BlockListener {
  /**
   * @param stack StackIndex
   * @param size bytes
   * @param weight how many such blocks this one stands for: 1/p
   * @param replaces slot of the block that a realloc replaced, told as dead just before; it may be `slot` itself. Else NONE
   */
  born(slot: number, stack: number, thread: number, size: number, weight: number, replaces: number): void;
  died(slot: number): void;
  /** A small block was born and died at once. A listener that has this is told in one call, others of the birth and then of the death. */
  transient?(stack: number, thread: number, size: number, weight: number): void;
  /** That many more such births of weight 1, `bytes` in all, at some time before: they have no place in the order. */
  transients?(stack: number, thread: number, count: number, bytes: number): void;
  /** A block died that the process has from its parent, as it was at the fork: of its birth this process was not told. */
  inheritedDied?(slot: number): void;
  /** The clock moved on: comes before the events of the new time. Seconds since the start of the run, never falling. */
  passed?(time: number): void;
  marked?(label: string): void;
}

/** From ticks to seconds since the start of the run. */
export interface Clock {
  tick: number;
  seconds: number;
  secondsPerTick: number;
}

export interface ReplayInput {
  file: EventFile;
  /** Node id -> StackIndex; row 0 stands for unknown nodes. */
  stackOfNode: Uint32Array;
  clock: Clock;
  /** The parent's replay, standing at the fork. */
  parent?: Replay;
  /** Called when the replay reaches an order number: everything before it has been told. */
  forks?: readonly { order: number; reached: () => void }[];
}

const HEADER_WORDS = CHUNK_HEADER_BYTES / 8;

/** Ticks since a chunk's start that are none: a processor core whose clock is behind gives a negative number. */
const LATEST = 2 ** 55;

const NOBODY: BlockListener = { born: () => {}, died: () => {}, transient: () => {} };

export class Replay {
  readonly live: LiveTable;
  /** Seconds since the start of the run. */
  time: number;
  /** Births told so far, the one being told included (what is left of a mapping is told as one, too). */
  sequence = 0;
  deaths = 0;
  /** Transient births (each with its death) that the agent only counted: in no sequence. */
  counted = 0;
  /** The birth being told is what is left of a mapping of which a part went, not a new request. */
  continues = false;
  /** Births at an address that was alive: its death was not recorded, and is told as if it had been. */
  doubleBirths = 0;
  /** Deaths at an address that was not alive. */
  unmatchedDeaths = 0;
  /** Births with a weight above 1. */
  sampled = 0;
  /** Events that the agent says it left out (gap controls). */
  gaps = 0;
  /** Interval in force at the last event, bytes; 0: every block. */
  interval = 0;
  /** Births may be missing before the one being told: they were left out by chance, or only counted. */
  hasGaps = false;

  private readonly mappings: Mappings;
  private readonly clock: Clock;
  private readonly stackOfNode: Uint32Array;
  private readonly strings: readonly string[];
  private first = NOBODY;
  private second = NOBODY;
  private readonly schedule: Schedule;
  private readonly forks: { order: number; reached: () => void }[];
  /** 1: the slot's block is the parent's, or nobody has used the slot since the fork. */
  private readonly inherited: Uint8Array;

  constructor(input: ReplayInput) {
    const { file, parent } = input;
    this.live = new LiveTable(parent?.live);
    this.mappings = new Mappings(parent?.mappings);
    this.inherited = new Uint8Array(this.live.slots).fill(1);
    this.clock = input.clock;
    this.stackOfNode = input.stackOfNode;
    this.strings = file.dictionary.strings;
    this.schedule = new Schedule(file.threads.map((stream) => new Cursor(file, stream)));
    this.forks = (input.forks ?? []).toSorted((a, b) => a.order - b.order);
    this.time = Math.max(this.seconds(file.header.start.tick), parent?.time ?? -Infinity);
  }

  /** Runs to the end and tells one or two listeners. */
  run(first: BlockListener, second: BlockListener = NOBODY): void {
    this.first = first;
    this.second = second;
    for (let cursor = this.schedule.top; cursor; cursor = this.schedule.top) {
      while (this.forks.length > 0 && this.forks[0]!.order <= cursor.order) this.forks.shift()!.reached();
      this.runUntil(cursor, Math.min(this.schedule.second, this.forks[0]?.order ?? Infinity));
      this.schedule.settle();
    }
    for (const fork of this.forks) fork.reached();
  }

  /** One thread goes on until its order number reaches the limit, or its end. */
  private runUntil(cursor: Cursor, limit: number): void {
    do {
      if (cursor.at < cursor.end) this.decode(cursor, limit);
      else cursor.nextChunk();
    } while (cursor.order < limit);
  }

  private decode(c: Cursor, limit: number): void {
    const { words, end } = c;
    let at = c.at;
    this.hasGaps = c.thinned || c.interval !== 0;
    if (c.isNew) {
      c.isNew = false;
      this.interval = c.interval;
      this.passTo(c.tick);
    }
    while (at < end) {
      const low = words[at]!;
      const high = words[at + 1]!;
      const kind = low & 7;
      at += 2;
      if (kind === EVENT.birth) {
        this.birth(c, (low & 8) === 0 ? c.base0 : c.base1, high, ((low >>> 5) & 511) + 1, low >>> 14);
      } else if (kind === EVENT.death) {
        const undone = at < end ? words[at] === UNDO_WORD : c.undone();
        if ((low & LOCAL_DEATH) !== 0) this.localDeath(c, high - HEADER_WORDS);
        else if (!undone) this.death(c, (low & 8) === 0 ? c.base0 : c.base1, high);
        else c.realloc = REALLOC.none;
      } else if (kind === EVENT.transient) {
        this.transient(c, (low & 8) === 0 ? c.base0 : c.base1, high, ((low >>> 5) & 511) + 1, low >>> 14);
      } else if (kind === EVENT.local) {
        this.localBirth(
          c,
          (at >>> 1) - 1,
          (low & 8) === 0 ? c.base0 : c.base1,
          high,
          ((low >>> 5) & 511) + 1,
          low >>> 14,
        );
      } else if (kind === EVENT.control) {
        this.control(c, (low >>> 3) & 31, (low >>> 8) + high * 0x100_0000);
        if (c.order >= limit) break;
      } else {
        const size = kind === EVENT.medium ? 2 : 4;
        if (at + size > end) {
          at = end; // torn or unknown: what follows in this chunk cannot be told apart
          break;
        }
        if (kind === EVENT.medium) {
          const bytes = words[at]! + words[at + 1]! * 0x1_0000_0000;
          this.birth(c, (low & 8) === 0 ? c.base0 : c.base1, high, bytes, low >>> 5);
        } else this.full(c, kind, (low >>> 3) & 15, high, at);
        at += size;
      }
    }
    c.at = at;
  }

  private birth(c: Cursor, base: number, high: number, size: number, node: number): void {
    const { live } = this;
    const slot = live.insert(base, high);
    if (live.existed) {
      this.doubleBirths++;
      this.tellDeath(slot);
    }
    this.tellBirth(c, slot, this.stackOfNode[node] ?? this.stackOfNode[0]!, size, this.weightOf(c, size));
  }

  /** Born and dead before anything that matters: needs no place in the table of addresses. */
  private transient(c: Cursor, base: number, high: number, size: number, node: number): void {
    const weight = this.weightOf(c, size);
    const stack = this.stackOfNode[node] ?? this.stackOfNode[0]!;
    if (c.realloc === REALLOC.none && this.first.transient && this.second.transient) {
      this.sequence++;
      this.deaths++;
      this.first.transient(stack, c.thread, size, weight);
      this.second.transient(stack, c.thread, size, weight);
      return;
    }
    this.tellInTwo(c, base, high, stack, size, weight);
  }

  /** A transient block for listeners of which one at least wants to hear of its birth and of its death. */
  private tellInTwo(c: Cursor, base: number, high: number, stack: number, size: number, weight: number): void {
    const slot = this.live.take();
    this.live.place(slot, base, high);
    this.tellBirth(c, slot, stack, size, weight);
    this.deaths++;
    this.tellDeath(slot);
    this.live.release(slot);
  }

  /** Its death names its word, so that it needs no place in the table of addresses. */
  private localBirth(c: Cursor, word: number, base: number, high: number, size: number, node: number): void {
    const slot = this.live.take();
    this.live.place(slot, base, high);
    c.locals[word] = slot + 1;
    this.tellBirth(c, slot, this.stackOfNode[node] ?? this.stackOfNode[0]!, size, this.weightOf(c, size));
  }

  /** `word`: of the birth. A program killed between the two words' writing leaves a plain birth there, which goes by its address. */
  private localDeath(c: Cursor, word: number): void {
    const slot = (c.locals[word] ?? 0) - 1;
    if (slot >= 0) {
      c.locals[word] = 0;
      this.deaths++;
      this.tellDeath(slot);
      this.live.release(slot);
      return;
    }
    const low = c.words[2 * word] ?? 0;
    if ((low & 7) === EVENT.birth) this.death(c, (low & 8) === 0 ? c.base0 : c.base1, c.words[2 * word + 1]!);
    else this.unmatchedDeaths++;
  }

  /** Transient births that the agent only counted. */
  private transients(c: Cursor, node: number, count: number, bytes: number): void {
    const stack = this.stackOfNode[node] ?? this.stackOfNode[0]!;
    this.counted += count;
    this.first.transients?.(stack, c.thread, count, bytes);
    this.second.transients?.(stack, c.thread, count, bytes);
  }

  private weightOf(c: Cursor, size: number): number {
    if (c.interval === 0 || size >= ALWAYS_RECORDED || size <= 0) return 1;
    this.sampled++;
    return -1 / Math.expm1(-size / c.interval);
  }

  private tellBirth(c: Cursor, slot: number, stack: number, size: number, weight: number): void {
    this.live.fill(slot, stack, c.thread, size, weight);
    if (slot < this.inherited.length) this.inherited[slot] = 0;
    let replaces = NONE;
    if (c.realloc !== REALLOC.none) replaces = this.endRealloc(c);
    this.sequence++;
    this.first.born(slot, stack, c.thread, size, weight, replaces);
    this.second.born(slot, stack, c.thread, size, weight, replaces);
  }

  private death(c: Cursor, base: number, high: number): void {
    const slot = this.live.remove(base, high);
    if (slot === NONE) {
      this.unmatchedDeaths++;
      c.realloc = REALLOC.none;
      return;
    }
    this.deaths++;
    if (c.realloc !== REALLOC.none) this.dieInRealloc(c, slot);
    this.tellDeath(slot);
  }

  private tellDeath(slot: number): void {
    if (slot < this.inherited.length && this.inherited[slot] === 1) {
      this.inherited[slot] = 0;
      this.first.inheritedDied?.(slot);
      this.second.inheritedDied?.(slot);
      return;
    }
    this.first.died(slot);
    this.second.died(slot);
  }

  private dieInRealloc(c: Cursor, slot: number): void {
    const known = c.realloc === REALLOC.begun && !(slot < this.inherited.length && this.inherited[slot] === 1);
    c.realloc = known ? REALLOC.dead : REALLOC.none;
    c.replaced = slot;
    c.replacedAt = this.sequence;
  }

  /** The slot that the realloc gave up, unless another thread's birth may have taken it meanwhile. */
  private endRealloc(c: Cursor): number {
    const replaces = c.realloc === REALLOC.dead && c.replacedAt === this.sequence ? c.replaced : NONE;
    c.realloc = REALLOC.none;
    return replaces;
  }

  /** Events with a whole address: mappings, and blocks that the short forms cannot hold. */
  private full(c: Cursor, kind: number, type: number, node: number, at: number): void {
    const { words } = c;
    const address = words[at]! + words[at + 1]! * 0x1_0000_0000;
    const size = words[at + 2]! + words[at + 3]! * 0x1_0000_0000;
    const base = Math.floor(address / 2 ** 36);
    const high = (address / 16) >>> 0;
    if (type === TYPE_TRANSIENTS) {
      if (kind === EVENT.birthFull) this.transients(c, node, address, size);
    } else if (type === BLOCK_TYPE.mmap) {
      if (kind === EVENT.birthFull) this.map(c, address, size, node);
      else this.unmapped(c, this.unmap(address, size));
    } else if (type <= BLOCK_TYPE.pymalloc) {
      if (kind === EVENT.birthFull) this.birth(c, base, high, size, node);
      else this.death(c, base, high);
    } // arenas hold blocks and are none
  }

  /** Mappings are recorded whatever the interval: weight 1. */
  private map(c: Cursor, address: number, size: number, node: number): void {
    this.unmap(address, size); // MAP_FIXED, or an munmap that the wrapper did not see
    const isOthers = c.realloc === REALLOC.unknown; // mremap of a file's mapping or a reservation
    const replaces = this.endRealloc(c);
    if (isOthers) return;
    const stack = this.stackOfNode[node] ?? this.stackOfNode[0]!;
    this.bornMapping(address, size, stack, c.thread, replaces);
  }

  private bornMapping(address: number, size: number, stack: number, thread: number, replaces: number): void {
    const slot = this.live.take();
    this.live.place(slot, Math.floor(address / 2 ** 36), (address / 16) >>> 0);
    this.live.fill(slot, stack, thread, size, 1);
    if (slot < this.inherited.length) this.inherited[slot] = 0;
    this.mappings.add(address, size, slot);
    this.sequence++;
    this.first.born(slot, stack, thread, size, 1, replaces);
    this.second.born(slot, stack, thread, size, 1, replaces);
  }

  /** mremap is told as a realloc. `slot`: of the mapping that went, NONE when there was none of the program's own. */
  private unmapped(c: Cursor, slot: number): void {
    if (c.realloc !== REALLOC.begun) return;
    if (slot === NONE) c.realloc = REALLOC.unknown;
    else this.dieInRealloc(c, slot);
  }

  /** munmap of what the wrapper did not see mapped (a file, another allocator's) is no event of ours. Gives the slot of the last mapping it touched. */
  private unmap(address: number, size: number): number {
    let touched = NONE;
    for (const { slot, start, before, behind, behindAt } of this.mappings.cut(address, size)) {
      const stack = this.live.stackOf(slot);
      const thread = this.live.threadOf(slot);
      const own = !(slot < this.inherited.length && this.inherited[slot] === 1);
      this.tellDeath(slot);
      this.live.release(slot);
      if (before + behind === 0) this.deaths++;
      this.continues = true;
      if (before > 0) this.bornMapping(start, before, stack, thread, own ? slot : NONE);
      if (behind > 0) this.bornMapping(behindAt, behind, stack, thread, own && before === 0 ? slot : NONE);
      this.continues = false;
      touched = slot;
    }
    return touched;
  }

  private control(c: Cursor, code: number, payload: number): void {
    if (code === CONTROL.time) this.passTo(payload < LATEST ? c.tick + payload : c.tick); // cores disagree a little: a step back wraps
    else if (code === CONTROL.order) c.order = payload;
    else if (code === CONTROL.interval) {
      c.interval = this.interval = saneInterval(payload);
      this.hasGaps = c.thinned || c.interval !== 0;
    } else if (code === CONTROL.base) {
      if ((payload & 0xff) === 0) c.base0 = Math.floor(payload / 256);
      else c.base1 = Math.floor(payload / 256);
    } else if (code === CONTROL.realloc) c.realloc = REALLOC.begun;
    else if (code === CONTROL.gap) this.gaps += payload;
    else if (code === CONTROL.mark) {
      const label = this.strings[payload] ?? "";
      this.first.marked?.(label);
      this.second.marked?.(label);
    }
  }

  private seconds(tick: number): number {
    return this.clock.seconds + (tick - this.clock.tick) * this.clock.secondsPerTick;
  }

  /** Threads tell the time now and then; for all of them it is at least what another has told. */
  private passTo(tick: number): void {
    const time = this.seconds(tick);
    if (!(time > this.time)) return;
    this.time = time;
    this.first.passed?.(time);
    this.second.passed?.(time);
  }
}
