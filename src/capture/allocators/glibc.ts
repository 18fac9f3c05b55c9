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
const TOP = 96;
const BINS = 112;
const NEXT = 2160;
const SYSTEM_MEM = 2184;
const MAX_SYSTEM_MEM = 2192;
const STATE_BYTES = 2200;
const HEAP_BYTES = 64 * 2 ** 20;
const HEAP_INFO = 48;
const TCACHE_CHUNK = 0x290;
const TCACHE_BINS = 64;
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
  const caches: number[] = [];
  if (main !== 0) {
    for (let at = main, i = 0; i < 4096 && at !== 0; i++, at = image.pointer(at + NEXT)) {
      totals.arenas.push(walkArena(image, at, at === main, map, caches, totals));
      if (image.pointer(at + NEXT) === main) break;
    }
    for (const cache of caches) emptyCache(image, cache, map, totals);
    for (const arena of totals.arenas) emptyFastbins(image, arena, map, totals);
  }
  walkMapped(image, map, skip, totals);
  totals.ranges.sort((a, b) => a[0] - b[0]);
  return totals;
}

/** Its own static memory holds it: where bins are empty they point at themselves, and the ring of arenas closes. */
function mainArena({ image, elfs }: Target): number {
  const libc = elfs.filter(({ path }) => /(^|\/)(libc[.-][^/]*\.so|libc\.so)/.test(path));
  for (const elf of [...libc, ...elfs.filter((one) => !libc.includes(one))]) {
    for (const region of image.regions) {
      if (!region.writable || region.end <= elf.start || region.start >= elf.end) continue;
      for (let at = region.start; at + STATE_BYTES <= region.end; at += 8) if (isMainArena(image, at)) return at;
    }
  }
  return 0;
}

function isMainArena(image: Image, at: number): boolean {
  const system = image.pointer(at + SYSTEM_MEM);
  if (system === 0 || system > image.pointer(at + MAX_SYSTEM_MEM) || system % 4096 !== 0) return false;
  const top = image.pointer(at + TOP);
  if (top === 0 || top % 16 !== 0 || image.handle(top) < 0) return false;
  let next = image.pointer(at + NEXT);
  for (let i = 0; next !== at; i++, next = image.pointer(next + NEXT))
    if (i > 4096 || image.handle(next) < 0) return false;
  let empty = 0;
  for (let bin = 0; bin < 127; bin++) {
    const pair = at + BINS + bin * 16;
    if (image.pointer(pair) === pair - 16 && image.pointer(pair + 8) === pair - 16) empty++;
  }
  return empty >= 40;
}

function walkArena(
  image: Image,
  state: number,
  isMain: boolean,
  map: GranuleMap,
  caches: number[],
  totals: GlibcTotals,
): GlibcArena {
  const arena: GlibcArena = { address: state, bytes: 0, usedBytes: 0, freeBytes: 0, topBytes: 0, cachedBytes: 0 };
  const top = image.pointer(state + TOP);
  const walk = (start: number, end: number, last: number): void => {
    arena.bytes += end - start;
    totals.ranges.push([start, end]);
    if (!walkChunks(image, start, end, last, arena, { map, caches, totals })) totals.badHeaps++;
  };
  if (isMain) {
    const region = image.region(top);
    if (region === undefined) return arena;
    const bytes = image.pointer(state + SYSTEM_MEM);
    const end = top + chunkBytes(image, top);
    // The heap begins where the program break was; it is as long as the books say, unless something else moved the break.
    const start = Math.max(firstOf(image, region).start, end - bytes);
    walk(Math.ceil(start / 16) * 16, end, top);
    return arena;
  }
  for (let heap = top - (top % HEAP_BYTES), i = 0; heap !== 0 && i < 4096 && image.handle(heap) >= 0; i++) {
    const size = image.pointer(heap + 16);
    const isFirst = image.pointer(heap) === heap + HEAP_INFO && state === heap + HEAP_INFO;
    const start = isFirst ? Math.ceil((state + STATE_BYTES) / 16) * 16 : heap + HEAP_INFO;
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
  caches: number[];
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
      if (bytes === TCACHE_CHUNK && isCache(image, chunk + HEADER)) caches.push(chunk + HEADER);
      map.add(chunk + HEADER, bytes - 8, Allocator.glibc);
      arena.usedBytes += bytes;
      totals.headerBytes += 8;
    } else arena.freeBytes += bytes;
    chunk += bytes;
  }
  return false;
}

/** A thread's cache: 64 counts of at most 7 by default, and a list for each that is not 0. */
function isCache(image: Image, at: number): boolean {
  let any = false;
  for (let bin = 0; bin < TCACHE_BINS; bin++) {
    const count = image.u16(at + bin * 2);
    const entry = image.pointer(at + 128 + bin * 8);
    if (count > 127 || (count === 0) !== (entry === 0)) return false;
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

function emptyCache(image: Image, cache: number, map: GranuleMap, totals: GlibcTotals): void {
  for (let bin = 0; bin < TCACHE_BINS; bin++) {
    const count = image.u16(cache + bin * 2);
    let entry = image.pointer(cache + 128 + bin * 8);
    for (let i = 0; i < count && entry !== 0; i++) {
      cached(entry, map, totals);
      entry = linkAt(image, entry);
    }
  }
}

function emptyFastbins(image: Image, { address }: GlibcArena, map: GranuleMap, totals: GlibcTotals): void {
  for (let bin = 0; bin < FASTBINS; bin++) {
    let chunk = image.pointer(address + 16 + bin * 8);
    for (let i = 0; chunk !== 0 && i < MOST && image.handle(chunk) >= 0; i++) {
      if (!cached(chunk + HEADER, map, totals)) break;
      chunk = linkAt(image, chunk + HEADER);
    }
  }
}

/** Moves a chunk that looks used to the free ones. */
function cached(block: number, map: GranuleMap, totals: GlibcTotals): boolean {
  const bytes = map.liveSize(block);
  if (bytes === 0 || !map.remove(block)) return false;
  const at = totals.arenas.find(({ address }) => sameHeap(totals, address, block)) ?? totals.arenas[0];
  if (at) {
    at.usedBytes -= bytes + 8;
    at.freeBytes += bytes + 8;
    at.cachedBytes += bytes + 8;
  }
  totals.headerBytes -= 8;
  return true;
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
      const bytes = size - (size % 8);
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
