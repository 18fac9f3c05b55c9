/**
 * glibc's malloc (malloc/malloc.c, 2.26 to 2.4x): arenas of chunks that lie one after the other. A chunk is in use when the next one says so
 * (PREV_INUSE), except those that wait in a thread's cache or a fastbin, which look used. Nothing here needs symbols: the main arena is found
 * by what it must look like.
 */

import type { Image, Region } from "../image/image.ts";
import type { Target } from "../image/target.ts";
import { Allocator } from "./blocks.ts";
import type { GranuleMap } from "./blocks.ts";

export interface GlibcArena {
  address: number;
  /** of all its heaps */
  bytes: number;
  usedBytes: number;
  freeBytes: number;
  /** of the free bytes, the last chunk, which can be given back */
  topBytes: number;
  /** free chunks that threads or fastbins keep for the next request */
  cachedBytes: number;
  /** of these, in threads' caches (tcache); mallinfo2 takes them as in use */
  threadBytes: number;
}

export interface GlibcTotals {
  arenas: GlibcArena[];
  mappedChunks: number;
  mappedBytes: number;
  /** chunk headers of live chunks */
  headerBytes: number;
  /** heaps whose chunks did not end at the top */
  badHeaps: number;
  /** ranges that were walked, sorted */
  ranges: [start: number, end: number][];
}

const HEADER = 16;
const PREV_INUSE = 1;
const FASTBINS = 10;
/** Offsets from the bins, which are the same in every version; what lies before `top` is not (2.43 has no fastbins). */
const TOP = -16;
const NEXT = 2048;
const SYSTEM_MEM = 2072;
const MAX_SYSTEM_MEM = 2080;
const STATE_END = 2088;
/** Where the bins lie in malloc_state: with fastbins, and the range to try for versions that are not known. */
const BINS = 112;
const LEAST_BINS = 16;
const HEAP_BYTES = 64 * 2 ** 20;
const HEAP_INFO = 48;
/** Of a thread's cache: from 2.42 on, 12 bins for larger chunks, and counts of what still fits instead of what is there. */
const CACHES = [
  { chunk: 0x290, bins: 64, countsFree: false },
  { chunk: 0x300, bins: 76, countsFree: true },
] as const;
const MOST_CACHED = 127;
const MOST = 50_000_000;
const HIGH = 2 ** 32;

/** skip: ranges of anonymous memory that belong to others (pymalloc's arenas), by start and length. */
export function walkGlibc(
  target: Target,
  map: GranuleMap,
  skip: { addresses: readonly number[]; bytes: number },
): GlibcTotals {
  const { image } = target;
  const totals: GlibcTotals = { arenas: [], mappedChunks: 0, mappedBytes: 0, headerBytes: 0, badHeaps: 0, ranges: [] };
  const main = mainArena(target);
  const caches: Cache[] = [];
  if (main !== undefined) {
    const { state, bins } = main;
    for (let at = state, i = 0; i < 4096 && at !== 0; i++, at = image.pointer(at + bins + NEXT)) {
      totals.arenas.push(walkArena(image, { state: at, bins }, at === state, map, caches, totals));
      if (image.pointer(at + bins + NEXT) === state) break;
    }
    for (const cache of caches) emptyCache(image, cache, map, totals);
    if (bins === BINS) for (const arena of totals.arenas) emptyFastbins(image, arena, map, totals);
  }
  walkMapped(image, map, skip, totals);
  totals.ranges.sort((a, b) => a[0] - b[0]);
  return totals;
}

interface Place {
  state: number;
  /** offset of the bins in it */
  bins: number;
}

interface Cache {
  at: number;
  kind: (typeof CACHES)[number];
}

/** libc's static memory holds it: where bins are empty they point at themselves, and the ring of arenas closes. */
function mainArena({ image, elfs }: Target): Place | undefined {
  const libc = elfs.filter(({ path }) => /(^|\/)(libc[.-][^/]*\.so|libc\.so)/.test(path));
  for (const elf of [...libc, ...elfs.filter((one) => !libc.includes(one))]) {
    for (const region of image.regions) {
      if (!region.writable || region.end <= elf.start || region.start >= elf.end) continue;
      for (let at = region.start; at + STATE_END <= region.end; at += 8) {
        const bins = areBins(image, at) ? offsetOfBins(image, at) : 0;
        if (bins !== 0) return { state: at - bins, bins };
      }
    }
  }
  return undefined;
}

/** How far into its malloc_state the bins are, told by the ring of arenas that closes only for the right one; 0: for none. */
function offsetOfBins(image: Image, bins: number): number {
  for (let offset = BINS; offset >= LEAST_BINS; offset -= 8) {
    const state = bins - offset;
    let next = image.pointer(bins + NEXT);
    for (let i = 0; i < 4096 && next !== state && image.handle(next) >= 0; i++)
      next = image.pointer(next + offset + NEXT);
    if (next === state) return offset;
  }
  return 0;
}

function areBins(image: Image, at: number): boolean {
  const system = image.pointer(at + SYSTEM_MEM);
  if (system === 0 || system > image.pointer(at + MAX_SYSTEM_MEM) || system % 4096 !== 0) return false;
  const top = image.pointer(at + TOP);
  if (top === 0 || top % 16 !== 0 || image.handle(top) < 0) return false;
  let empty = 0;
  for (let bin = 0; bin < 127; bin++) {
    const pair = at + bin * 16;
    if (image.pointer(pair) === pair - 16 && image.pointer(pair + 8) === pair - 16) empty++;
  }
  return empty >= 40;
}

function walkArena(
  image: Image,
  { state, bins }: Place,
  isMain: boolean,
  map: GranuleMap,
  caches: Cache[],
  totals: GlibcTotals,
): GlibcArena {
  const arena: GlibcArena = {
    address: state,
    bytes: 0,
    usedBytes: 0,
    freeBytes: 0,
    topBytes: 0,
    cachedBytes: 0,
    threadBytes: 0,
  };
  const top = image.pointer(state + bins + TOP);
  const walk = (start: number, end: number, last: number): void => {
    arena.bytes += end - start;
    totals.ranges.push([start, end]);
    if (!walkChunks(image, start, end, last, arena, { map, caches, totals })) totals.badHeaps++;
  };
  if (isMain) {
    const region = image.region(top);
    if (region === undefined) return arena;
    const bytes = image.pointer(state + bins + SYSTEM_MEM);
    const end = top + chunkBytes(image, top);
    // The heap begins where the program break was; it is as long as the books say, unless something else moved the break.
    const start = Math.max(firstOf(image, region).start, end - bytes);
    walk(Math.ceil(start / 16) * 16, end, top);
    return arena;
  }
  for (let heap = top - (top % HEAP_BYTES), i = 0; heap !== 0 && i < 4096 && image.handle(heap) >= 0; i++) {
    const size = image.pointer(heap + 16);
    const isFirst = image.pointer(heap) === heap + HEAP_INFO && state === heap + HEAP_INFO;
    const start = isFirst ? Math.ceil((state + bins + STATE_END) / 16) * 16 : heap + HEAP_INFO;
    walk(start, heap + Math.min(size, HEAP_BYTES), i === 0 ? top : 0);
    heap = image.pointer(heap + 8);
  }
  return arena;
}

/** The first of the regions that lie without a gap before this one. */
function firstOf(image: Image, region: Region): Region {
  let first = region;
  for (let i = image.regions.indexOf(region) - 1; i >= 0; i--) {
    const before = image.regions[i]!;
    if (before.end !== first.start || before.path !== region.path) break;
    first = before;
  }
  return first;
}

function chunkBytes(image: Image, chunk: number): number {
  const size = image.pointer(chunk + 8);
  return size - (size % 8);
}

interface Around {
  map: GranuleMap;
  caches: Cache[];
  totals: GlibcTotals;
}

/** Whether the chunks lead to the top (or, in a heap that is full, to its end). */
function walkChunks(image: Image, start: number, end: number, top: number, arena: GlibcArena, around: Around): boolean {
  const { map, caches, totals } = around;
  let chunk = start;
  for (let i = 0; i < MOST; i++) {
    const bytes = chunkBytes(image, chunk);
    if (chunk === top) {
      arena.topBytes += bytes;
      arena.freeBytes += bytes;
      return true;
    }
    // A heap that is not the newest ends in two chunks of a header each.
    if (bytes <= HEADER || bytes % 16 !== 0 || chunk + bytes > end) return top === 0 && end - chunk <= 4 * HEADER;
    const used = (image.word32(chunk + bytes + 8) & PREV_INUSE) !== 0;
    if (used) {
      const kind = CACHES.find((one) => one.chunk === bytes);
      if (kind !== undefined && isCache(image, chunk + HEADER, kind)) caches.push({ at: chunk + HEADER, kind });
      map.add(chunk + HEADER, bytes - 8, Allocator.glibc);
      arena.usedBytes += bytes;
      totals.headerBytes += 8;
    } else arena.freeBytes += bytes;
    chunk += bytes;
  }
  return false;
}

/** A thread's cache: a count for each bin, at most 7 by default, and a list for each that holds something. */
function isCache(image: Image, at: number, { bins, countsFree }: Cache["kind"]): boolean {
  let any = false;
  for (let bin = 0; bin < bins; bin++) {
    const count = image.u16(at + bin * 2);
    const entry = image.pointer(at + bins * 2 + bin * 8);
    if (count > MOST_CACHED || (!countsFree && (count === 0) !== (entry === 0))) return false;
    if (entry !== 0 && (entry % 16 !== 0 || image.handle(entry) < 0)) return false;
    any ||= entry !== 0;
  }
  return any;
}

/** Links of lists are stored as the address of the link, shifted, exclusive-or the target (2.32 on); plain before. */
function linkAt(image: Image, at: number): number {
  const low = image.word32(at);
  const high = image.word32(at + 4);
  const shifted = Math.floor(at / 4096);
  const plain = low + high * HIGH;
  const target = ((low ^ shifted) >>> 0) + ((high ^ Math.floor(shifted / HIGH)) >>> 0) * HIGH;
  if (target === 0) return 0;
  return target % 16 === 0 && image.handle(target) >= 0
    ? target
    : plain % 16 === 0 && image.handle(plain) >= 0
      ? plain
      : 0;
}

function emptyCache(image: Image, { at, kind }: Cache, map: GranuleMap, totals: GlibcTotals): void {
  for (let bin = 0; bin < kind.bins; bin++) {
    const most = kind.countsFree ? MOST_CACHED : image.u16(at + bin * 2);
    let entry = image.pointer(at + kind.bins * 2 + bin * 8);
    for (let i = 0; i < most && entry !== 0; i++) {
      const arena = cached(entry, map, totals);
      if (arena === undefined) break;
      arena.arena.threadBytes += arena.bytes;
      entry = linkAt(image, entry);
    }
  }
}

function emptyFastbins(image: Image, { address }: GlibcArena, map: GranuleMap, totals: GlibcTotals): void {
  for (let bin = 0; bin < FASTBINS; bin++) {
    let chunk = image.pointer(address + 16 + bin * 8);
    for (let i = 0; chunk !== 0 && i < MOST && image.handle(chunk) >= 0; i++) {
      if (cached(chunk + HEADER, map, totals) === undefined) break;
      chunk = linkAt(image, chunk + HEADER);
    }
  }
}

/** Moves a chunk that looks used to the free ones of its arena; undefined: there is no such chunk. */
function cached(block: number, map: GranuleMap, totals: GlibcTotals): { arena: GlibcArena; bytes: number } | undefined {
  const usable = map.liveSize(block);
  const arena = totals.arenas.find(({ address }) => sameHeap(totals, address, block)) ?? totals.arenas[0];
  if (usable === 0 || arena === undefined || !map.remove(block)) return undefined;
  const bytes = usable + 8;
  arena.usedBytes -= bytes;
  arena.freeBytes += bytes;
  arena.cachedBytes += bytes;
  totals.headerBytes -= 8;
  return { arena, bytes };
}

function sameHeap(totals: GlibcTotals, arena: number, block: number): boolean {
  return arena !== totals.arenas[0]?.address && Math.floor(arena / HEAP_BYTES) === Math.floor(block / HEAP_BYTES);
}

/** Large requests get a mapping of their own: a chunk at the start of a page, previous size 0, flag 2. Neighbours share one region. */
function walkMapped(
  image: Image,
  map: GranuleMap,
  skip: { addresses: readonly number[]; bytes: number },
  totals: GlibcTotals,
): void {
  const others = new Set(skip.addresses);
  for (let i = 0; i < image.regions.length; i++) {
    const region = image.regions[i]!;
    if (region.path !== "" || !region.writable || region.shared) continue;
    let { end } = region;
    while (image.regions[i + 1]?.start === end && image.regions[i + 1]!.path === "" && image.regions[i + 1]!.writable)
      end = image.regions[++i]!.end;
    for (let at = region.start; at < end;) {
      if (others.has(at)) {
        at += skip.bytes;
        continue;
      }
      const size = image.pointer(at + 8);
      // From 2.43 on the header does not count.
      const bytes = size - (size % 8) + ((size - (size % 8) + HEADER) % 4096 === 0 ? HEADER : 0);
      if (
        image.handle(at) >= 0 &&
        size % 8 === 2 &&
        bytes % 4096 === 0 &&
        bytes > 0 &&
        image.pointer(at) === 0 &&
        at + bytes <= end
      ) {
        map.add(at + HEADER, bytes - HEADER, Allocator.mapped);
        totals.mappedChunks++;
        totals.mappedBytes += bytes;
        totals.ranges.push([at, at + bytes]);
        at += bytes;
      } else at += 4096;
    }
  }
}
