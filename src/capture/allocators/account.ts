/**
 * Where the resident memory is: every resident page of the process falls in one region, and what the allocators' books and the objects say about
 * that region splits it. Only pages that are there are counted, so an untouched part of a large array counts nothing.
 */

import type { LedgerNode } from "../../views/objects/snapshot.ts";
import { Role } from "../cpython/read.ts";
import type { Ownership } from "../cpython/read.ts";
import type { Region } from "../image/image.ts";
import type { Target } from "../image/target.ts";
import { Allocator } from "./blocks.ts";
import type { GranuleMap } from "./blocks.ts";
import type { GlibcTotals } from "./glibc.ts";
import type { PymallocTotals } from "./pymalloc.ts";

/** Blocks of this size and more may have pages that were never touched. */
const LARGE = 64 * 1024;
const GIB = 2 ** 30;

interface Books {
  blocks: GranuleMap;
  small: PymallocTotals;
  large: GlibcTotals;
  ownership: Ownership;
}

/** The ledger, whose children sum to VmRSS, the last one "unexplained", and the bytes of live blocks that belong to an object. */
export function account(
  target: Target,
  { blocks, small, large, ownership }: Books,
): { ledger: LedgerNode; found: number; live: number } {
  const { image } = target;
  const sums = { object: 0, buffer: 0, native: 0, unknown: 0 };
  const live = { [Allocator.pymalloc]: 0, [Allocator.glibc]: 0, [Allocator.mapped]: 0 } as Record<number, number>;
  blocks.forEachLive((address, bytes, allocator) => {
    const there = bytes >= LARGE ? image.residentBytes(address, address + bytes) : bytes;
    live[allocator] = (live[allocator] ?? 0) + there;
    const handle = image.handle(address);
    const role = handle >= 0 ? ownership.role[handle >>> 2]! : ownership.far.has(address) ? Role.buffer : Role.none;
    if (role === Role.object || role === Role.table) sums.object += there;
    else if (role === Role.buffer) sums.buffer += there;
    else if (role === Role.native) sums.native += there;
    else sums.unknown += there;
  });
  const arenaBytes = small.arenas === 0 ? 0 : small.arenaBytes / small.arenas;
  const pymalloc = sumOf(small.addresses, (start) => image.residentBytes(start, start + arenaBytes));
  const glibc = sumOf(large.ranges, ([start, end]) => image.residentBytes(start, end));
  const freeSmall = pymalloc - live[Allocator.pymalloc]!;
  const freeLarge = Math.max(0, glibc - live[Allocator.glibc]! - live[Allocator.mapped]!);
  const byPlace = placesOf(target);
  const children: LedgerNode[] = [
    leaf("Python objects", sums.object),
    leaf("array buffers", sums.buffer),
    node("native blocks", [
      leaf("that objects reach", sums.native),
      leaf("that nothing in sight reaches", sums.unknown),
    ]),
    node("free inside pymalloc", smallParts(small, freeSmall)),
    node("free inside glibc", glibcParts(large, freeLarge), freeLarge),
    leaf("libraries and files", byPlace.files),
    leaf("stacks", byPlace.stacks),
  ].filter(({ bytes }) => bytes > 0);
  const { vmRss } = target.status;
  const known = sumOf(children, ({ bytes }) => bytes);
  children.push(leaf("unexplained", vmRss - known));
  return {
    ledger: { name: "RSS", bytes: vmRss, children },
    found: sums.object + sums.buffer + sums.native,
    live: sums.object + sums.buffer + sums.native + sums.unknown,
  };
}

function leaf(name: string, bytes: number): LedgerNode {
  return { name, bytes, children: [] };
}

/** A node whose children sum to it: what they leave goes into one of their own. */
function node(name: string, children: LedgerNode[], bytes = sumOf(children, (child) => child.bytes)): LedgerNode {
  const rest = bytes - sumOf(children, (child) => child.bytes);
  return { name, bytes, children: rest === 0 || children.length === 0 ? children : [...children, leaf("other", rest)] };
}

/** Free bytes by size class; the rest of the arenas' resident pages is free pools and headers. */
function smallParts({ classes }: PymallocTotals, free: number): LedgerNode[] {
  const parts = classes
    .filter(({ freeBlocks }) => freeBlocks > 0)
    .map(({ bytes, freeBlocks }) => leaf(`blocks of ${bytes} B`, bytes * freeBlocks))
    .sort((a, b) => b.bytes - a.bytes);
  const listed = sumOf(parts, ({ bytes }) => bytes);
  // Free blocks on pages that were never touched take no memory.
  if (listed > free) return [leaf("blocks and pools", free)];
  return [...parts, leaf("unused pools, headers", free - listed)];
}

function glibcParts({ arenas }: GlibcTotals, free: number): LedgerNode[] {
  const parts = arenas
    .map((arena, i) => leaf(i === 0 ? "main arena" : `arena ${i}`, arena.freeBytes))
    .filter(({ bytes }) => bytes > 0);
  // Free chunks on pages that were given back take no memory.
  return sumOf(parts, ({ bytes }) => bytes) > free ? [] : parts;
}

function sumOf<T>(items: readonly T[], bytes: (item: T) => number): number {
  return items.reduce((sum, item) => sum + bytes(item), 0);
}

/**
 * Resident bytes of a library's variables that start as zero (.bss), in anonymous memory behind its file. The kernel may have joined
 * them with other anonymous memory, so they end where the file's headers say.
 */
function zeroedBytes({ image, elfs }: Target, { path, start, end }: Region): number {
  if (path !== "") return 0;
  const owner = elfs.find((elf) => start >= elf.start && start < elf.end);
  return owner === undefined ? 0 : image.residentBytes(start, Math.min(end, owner.end));
}

function placesOf(target: Target): { files: number; stacks: number } {
  const { image } = target;
  const places = { files: 0, stacks: 0 };
  image.regions.forEach((region, i) => {
    const bytes = image.residentBytes(region.start, region.end);
    if (region.path.startsWith("/")) places.files += bytes;
    else if (region.path === "[stack]" || isThreadStack(region, image.regions[i - 1])) places.stacks += bytes;
    else places.files += zeroedBytes(target, region);
  });
  return places;
}

/** glibc maps a thread's stack with an inaccessible guard below it (nptl/allocatestack.c), 8 MiB by default. */
function isThreadStack({ path, start, end, writable }: Region, before: Region | undefined): boolean {
  if (path !== "" || !writable || before === undefined) return false;
  const guard = before.end === start && !before.readable && before.path === "" && before.end - before.start <= 65536;
  return guard && end - start >= 65536 && end - start < GIB;
}
