/**
 * CPython's own allocator for blocks of up to 512 bytes (Objects/obmalloc.c): arenas of pools, a pool holds blocks of one size. A block below
 * `nextoffset` has been handed out at least once; those of them in the pool's free list are free, the others live; their number must be
 * the pool's `ref.count`, which checks every pool.
 */

import type { Image } from "../image/image.ts";
import type { Runtime } from "../cpython/locate.ts";
import { Allocator } from "./blocks.ts";
import type { GranuleMap } from "./blocks.ts";

export interface SizeClass {
  /** of one block */
  bytes: number;
  liveBlocks: number;
  freeBlocks: number;
  pools: number;
}

export interface PymallocTotals {
  arenas: number;
  arenaBytes: number;
  /** start of each arena */
  addresses: number[];
  liveBytes: number;
  /** in free lists and never handed out, of pools in use */
  freeBytes: number;
  /** pools without a live block, or never used */
  freePoolBytes: number;
  /** pool headers, and what is left at the end of pools and arenas */
  overheadBytes: number;
  classes: SizeClass[];
  /** pools whose books do not agree */
  badPools: number;
}

const ARENA_OBJECT = 48;
const POOL_HEADER = 48;
const MOST_ARENAS = 1 << 22;
const FIRST_SLOTS = 16;

export function walkPymalloc(image: Image, runtime: Runtime, map: GranuleMap): PymallocTotals {
  const modern = runtime.layout.since(10);
  const arenaBytes = modern ? 2 ** 20 : 2 ** 18;
  const poolBytes = modern ? 16384 : 4096;
  const totals: PymallocTotals = {
    arenas: 0,
    arenaBytes: 0,
    addresses: [],
    liveBytes: 0,
    freeBytes: 0,
    freePoolBytes: 0,
    overheadBytes: 0,
    classes: Array.from({ length: 32 }, (_, i) => ({ bytes: 16 * (i + 1), liveBlocks: 0, freeBlocks: 0, pools: 0 })),
    badPools: 0,
  };
  const seen = new Set<number>();
  for (const { address: table, slots } of arenaTables(image, runtime, arenaBytes)) {
    for (let i = 0; i < slots; i++) {
      const entry = table + i * ARENA_OBJECT;
      if (!image.has(entry, ARENA_OBJECT)) break;
      const address = image.pointer(entry);
      if (address === 0 || seen.has(address)) continue;
      if (!isArena(image, entry, arenaBytes)) continue;
      seen.add(address);
      totals.arenas++;
      totals.arenaBytes += arenaBytes;
      totals.addresses.push(address);
      walkArena(image, address, image.pointer(entry + 8), { arenaBytes, poolBytes, map, totals });
    }
  }
  totals.addresses.sort((a, b) => a - b);
  return totals;
}

interface Around {
  arenaBytes: number;
  poolBytes: number;
  map: GranuleMap;
  totals: PymallocTotals;
}

function walkArena(image: Image, arena: number, carved: number, around: Around): void {
  const { arenaBytes, poolBytes, totals } = around;
  const first = Math.ceil(arena / poolBytes) * poolBytes;
  const pools = Math.floor((arena + arenaBytes - first) / poolBytes);
  totals.overheadBytes += arenaBytes - pools * poolBytes;
  for (let i = 0; i < pools; i++) {
    const pool = first + i * poolBytes;
    if (pool >= carved || image.word32(pool) === 0) totals.freePoolBytes += poolBytes;
    else walkPool(image, pool, around);
  }
}

function walkPool(image: Image, pool: number, { poolBytes, map, totals }: Around): void {
  const count = image.word32(pool);
  const sizeClass = totals.classes[image.word32(pool + 36)];
  const next = image.word32(pool + 40);
  if (sizeClass === undefined || next > poolBytes || next < POOL_HEADER) {
    totals.badPools++;
    return;
  }
  const { bytes } = sizeClass;
  let carved = 0;
  for (let at = POOL_HEADER; at + bytes <= next; at += bytes) {
    map.add(pool + at, bytes, Allocator.pymalloc);
    carved++;
  }
  let free = 0;
  for (let block = image.pointer(pool + 8); block !== 0 && free < carved; block = image.pointer(block)) {
    if (block < pool || block >= pool + poolBytes || !map.remove(block)) break;
    free++;
  }
  if (carved - free !== count) totals.badPools++;
  const capacity = Math.floor((poolBytes - POOL_HEADER) / bytes);
  sizeClass.pools++;
  sizeClass.liveBlocks += carved - free;
  sizeClass.freeBlocks += capacity - carved + free;
  totals.liveBytes += (carved - free) * bytes;
  totals.freeBytes += (capacity - carved + free) * bytes;
  totals.overheadBytes += poolBytes - capacity * bytes;
}

/** Whether the entry of an arena table is one in use. */
function isArena(image: Image, entry: number, arenaBytes: number): boolean {
  const address = image.pointer(entry);
  const carved = image.pointer(entry + 8);
  const total = image.word32(entry + 20);
  return (
    address % 4096 === 0 &&
    carved >= address &&
    carved <= address + arenaBytes &&
    (total === 63 || total === 64) &&
    image.word32(entry + 16) <= total
  );
}

/** The arrays of arena_object, one for each state of the allocator. */
function arenaTables(image: Image, runtime: Runtime, arenaBytes: number): { address: number; slots: number }[] {
  const { layout, interpreters, elf } = runtime;
  if (layout.since(12)) {
    return interpreters.map(({ address }) => {
      const field = address + layout.at("PyInterpreterState", "obmalloc");
      const state = layout.since(13) ? image.pointer(field) : field;
      const arenas = state + layout.at("_obmalloc_state", "mgmt.arenas");
      return { address: image.pointer(arenas), slots: Math.min(MOST_ARENAS, image.word32(arenas + 8)) };
    });
  }
  const [arenas, most] = ["arenas", "maxarenas"].map((name) => elf?.file?.symbol(name));
  if (elf !== undefined && arenas !== undefined && most !== undefined) {
    const slots = Math.min(MOST_ARENAS, image.word32(most.address + elf.bias));
    const address = image.pointer(arenas.address + elf.bias);
    return address === 0 ? [] : [{ address, slots }];
  }
  return elf === undefined ? [] : byScan(image, elf.start, elf.end, arenaBytes);
}

/** Without symbols: a pointer in the interpreter's static memory to what looks like a table of arenas. Its length is that of what fits. */
function byScan(image: Image, start: number, end: number, arenaBytes: number): { address: number; slots: number }[] {
  for (const region of image.regions) {
    if (!region.writable || region.end <= start || region.start >= end) continue;
    for (let at = region.start; at < Math.min(region.end, end); at += 8) {
      const table = image.pointer(at);
      if (table === 0 || table % 8 !== 0 || image.handle(table) < 0) continue;
      if (!isTable(image, table, arenaBytes)) continue;
      let slots = 0;
      while (slots < MOST_ARENAS && fits(image, table + slots * ARENA_OBJECT, arenaBytes)) slots++;
      return [{ address: table, slots }];
    }
  }
  return [];
}

function isTable(image: Image, table: number, arenaBytes: number): boolean {
  let used = 0;
  for (let i = 0; i < FIRST_SLOTS; i++) {
    const entry = table + i * ARENA_OBJECT;
    if (!fits(image, entry, arenaBytes)) return false;
    if (image.pointer(entry) !== 0) used++;
  }
  return used > 0;
}

function fits(image: Image, entry: number, arenaBytes: number): boolean {
  if (!image.has(entry, ARENA_OBJECT)) return false;
  const address = image.pointer(entry);
  return address === 0
    ? image.pointer(entry + 32) % 8 === 0
    : // Not "its first page was copied": up to three pages before the first pool of 16 KiB are never touched.
      isArena(image, entry, arenaBytes) && image.region(address) !== undefined;
}
