/**
 * References that only look like some: words of C structures whose layout is not known. A word counts when an object of a known type
 * starts there, in a live block of its own, or when it is the start of a live block that nothing else owns (a native block, which
 * is then scanned itself).
 */

import { EdgeKind, NodeKind, packLabel } from "../../views/objects/heap.ts";
import { Role } from "./walk.ts";
import type { Walk } from "./walk.ts";

/** Blocks beyond this are scanned up to here: what is that large is data. */
const MOST_SCANNED = 1 << 22;

/** Follows what was put off, with what that brings up; `run` visits the objects that were found. */
export function followDoubts(walk: Walk, run: () => void): void {
  const { later } = walk;
  for (let done = 0; done < later.length;) {
    for (; done < later.length; done += 3) doubt(walk, later[done]!, later[done + 1]!, later[done + 2]!);
    run();
  }
  later.length = 0;
}

/** One word that may be a reference. `needed`: only where references are missing. */
export function doubt(walk: Walk, row: number, offset: number, word: number, needed = false): void {
  const target = objectAt(walk, word);
  if (target !== 0) {
    if (target === row || (needed && !isMissing(walk, target))) return;
    walk.builder.addLabelled(row, target, packLabel(EdgeKind.conservative, offset));
    walk.found[target]!++;
    return;
  }
  const native = nativeBlock(walk, word);
  if (native !== 0 && native !== row) walk.builder.addLabelled(row, native, packLabel(EdgeKind.conservative, offset));
}

/** Fewer references were found than are counted. */
function isMissing(walk: Walk, row: number): boolean {
  const found = walk.found[row]!;
  return found === 0 || found < walk.counted[row]!;
}

/** Row of the object at an address that came from anywhere; 0 when it is none for certain. */
export function objectAt(walk: Walk, address: number): number {
  if (address < 4096 || address % 8 !== 0) return 0;
  const known = walk.known(address);
  if (known !== 0) return known;
  if (walk.image.handle(address) < 0) return 0;
  const type = walk.image.pointer(address + 8);
  if (type < 4096 || type % 8 !== 0) return 0;
  const index = walk.types(type);
  if (index < 0) return 0;
  const { prefix } = walk.infos[index]!;
  // An object begins its block, or lies in static data, or where no allocator's books are known.
  if (walk.blocks.liveSize(address - prefix) === 0 && walk.isCovered(address) && !walk.isStatic(address)) return 0;
  // A count beyond all memory is none: allocators link free blocks through their first word.
  if (!walk.layout.since(14) && walk.image.word32(address + 4) !== 0) return 0;
  return walk.reach(address);
}

/** Row of a live block that is no object and belongs to none; 0: no such block. */
function nativeBlock(walk: Walk, address: number): number {
  const bytes = walk.blocks.liveSize(address);
  if (bytes === 0) return 0;
  const owner = walk.ownerOf(address);
  if (owner !== 0) return walk.isNative(owner) ? owner : 0;
  if (walk.roleAt(address) !== Role.none) return 0;
  // A link of the collector's lists points before an object, to where its block begins.
  if (objectAt(walk, address + 16) !== 0 || objectAt(walk, address + 32) !== 0) return 0;
  const row = walk.builder.addNode(NodeKind.native, address, 0, bytes, -1, 0);
  walk.addRow(row, address);
  walk.claim(address, row);
  scan(walk, row, address, Math.min(bytes, MOST_SCANNED));
  return row;
}

/** Puts off all the words of a piece of memory. */
export function scan(walk: Walk, row: number, start: number, bytes: number): void {
  const { image, later } = walk;
  for (let at = start; at + 8 <= start + bytes; at += 8) {
    const word = image.pointer(at);
    if (word >= 65_536 && ((word >>> 0) & 7) === 0 && image.handle(word) >= 0) later.push(row, at - start, word);
  }
}
