/**
 * Reads the objects of a CPython process out of a copy of its memory: the one door of this room. The order matters: precise references from
 * the roots first, then words that may be references, then what only the collector's lists or the allocator's blocks still show.
 */

import { HeapBuilder } from "../../views/objects/build.ts";
import { EdgeKind, MAX_ARGUMENT, NodeKind, packLabel } from "../../views/objects/heap.ts";
import type { HeapTable } from "../../views/objects/heap.ts";
import type { BlockMap } from "../allocators/blocks.ts";
import type { Target } from "../image/target.ts";
import { finishArrays } from "./arrays.ts";
import { followDoubts, objectAt } from "./doubt.ts";
import { locate } from "./locate.ts";
import type { Interpreter, Runtime } from "./locate.ts";
import { interpreterRest, libraryEdges, libraryRanges, makeRoots } from "./roots.ts";
import { Types } from "./types.ts";
import { visitRows } from "./visit.ts";
import { Role, Walk } from "./walk.ts";

export { locate } from "./locate.ts";
export type { Interpreter, Runtime, Thread } from "./locate.ts";
export { Role } from "./walk.ts";

export interface ReadOptions {
  /** spell out names and keys of any form */
  values?: boolean;
  /** keep a hash of the content of strings, which tells duplicates; true unless said otherwise */
  hashes?: boolean;
  /** what `locate` found before, when it was asked before */
  runtime?: Runtime;
}

/** How far the reading can be trusted. */
export interface HeapAudit {
  /** objects with a reference count that means something */
  counted: number;
  /** of these, those of which exactly the counted references were found */
  explained: number;
  /** of these, those of which fewer or more were found */
  fewer: number;
  more: number;
  /** precise references that led to no object */
  broken: number;
  /** objects in the collector's lists, and those of them that no root reached */
  tracked: number;
  unreached: number;
  /** a collection was running when the memory was copied: what is garbage cannot be told */
  collecting: boolean;
}

/** Which block belongs to whom, by granule of 16 bytes of the image (index: word handle / 4). */
export interface Ownership {
  /** row of the object or, negated, of the owner of the block that starts there; 0: none */
  owner: Int32Array;
  /** Role of the block that starts there */
  role: Uint8Array;
  /** owners of blocks that are not in the image, by address */
  far: ReadonlyMap<number, number>;
}

export interface ReadResult {
  table: HeapTable;
  audit: HeapAudit;
  runtime: Runtime;
  ownership: Ownership;
}

const LONGEST_LIST = 500_000_000;

/** Throws a Refusal, one sentence, when the target runs no CPython that can be read. */
export function readHeap(target: Target, blocks: BlockMap, options: ReadOptions = {}): ReadResult {
  const { image } = target;
  const runtime = options.runtime ?? locate(target);
  const { layout, interpreters } = runtime;
  const hashes = options.hashes !== false;
  const expected = Math.max(20_000, blocks.liveCount);
  const builder = new HeapBuilder({ nodes: Math.ceil(expected * 1.1), edges: expected * 2, hashes });
  const types = new Types(image, layout, interpreters[0]!);
  const walk = new Walk(image, layout, builder, blocks, {
    values: options.values === true,
    hashes,
    indexOfType: (self, address) => types.indexOf(self, address),
  });
  let next = 0;
  const run = (): void => {
    next = visitRows(walk, types, next);
  };

  const libraries = libraryRanges(target);
  const roots = makeRoots(walk, target, runtime);
  const rest = addGroup(walk, NodeKind.interpreter, "the interpreter, other fields");
  const libraryRows = libraries.map(({ name }) => addGroup(walk, NodeKind.library, name));
  for (const { address, threads } of interpreters) {
    walk.reserve(address, rest);
    for (const thread of threads) walk.reserve(thread.address, rest);
  }
  for (const root of roots) root.fill();
  for (const row of [rest, ...libraryRows]) builder.addLabelled(0, row, packLabel(EdgeKind.other, MAX_ARGUMENT));
  run();
  followDoubts(walk, run);
  for (const type of types.staticStates.keys()) walk.edge(rest, type, walk.named(EdgeKind.global, "builtin types"));
  interpreterRest(walk, runtime, rest);
  run();
  followDoubts(walk, run);
  libraries.forEach(({ ranges }, i) => {
    libraryEdges(walk, libraryRows[i]!, ranges, interpreters);
    run();
  });
  followDoubts(walk, run);

  const reached = builder.count;
  const tracked = collectorLists(walk, interpreters);
  const unreached = builder.count - reached;
  run();
  followDoubts(walk, run);
  sweep(walk);
  run();
  followDoubts(walk, run);
  finishArrays(walk);

  const collecting = interpreters.some(
    ({ gc }) => gc !== 0 && image.i32(gc + layout.at("_gc_runtime_state", "collecting")) !== 0,
  );
  const audit: HeapAudit = { ...counts(walk), broken: walk.broken, tracked, unreached, collecting };
  const ownership = { owner: walk.owner, role: walk.role, far: walk.far };
  return { table: builder.finish(), audit, runtime, ownership };
}

function addGroup(walk: Walk, kind: NodeKind, name: string): number {
  const row = walk.builder.addRoot(kind, name);
  walk.addRow(row, 0);
  return row;
}

/** Every object in the collector's lists gets a row. Returns how many there are. */
function collectorLists(walk: Walk, interpreters: readonly Interpreter[]): number {
  const { image } = walk;
  let tracked = 0;
  for (const { gc } of interpreters) {
    if (gc === 0) continue;
    for (const head of listHeads(walk, gc)) {
      let node = pointerOf(image.pointer(head));
      for (let i = 0; node !== head && i < LONGEST_LIST; i++) {
        if (node === 0 || image.handle(node) < 0) break;
        tracked++;
        walk.reach(node + 16);
        node = pointerOf(image.pointer(node));
      }
    }
  }
  return tracked;
}

/** The low bits of a link are the collector's. */
function pointerOf(link: number): number {
  return link - (link % 4);
}

function listHeads({ image, layout }: Walk, gc: number): number[] {
  const at = (field: string, or?: string): number => layout.at("_gc_runtime_state", field, or);
  const permanent = gc + at("permanent_generation");
  // This pointer tells where the heads are, which the alignment of a patch release moved by 4. 3.14.0 to 3.14.4 have no such field.
  const told = image.pointer(gc + at("generation0"));
  const first = told > gc && told < gc + 256 ? told : gc + at("generations", "young");
  return [first, first + 24, first + 48, permanent];
}

/** Live blocks of the allocator that nobody reached but that hold an object: a reference to it was lost, or is out of sight. */
function sweep(walk: Walk): void {
  walk.blocks.forEachLive((start) => {
    if (walk.roleAt(start) !== Role.none || walk.ownerOf(start) !== 0) return;
    for (let before = 0; before <= 32; before += 16) {
      const handle = walk.image.handle(start + before);
      if (handle < 0 || walk.u32At(handle) === 0) continue;
      if (objectAt(walk, start + before) !== 0) return;
    }
  });
}

function counts(walk: Walk): Pick<HeapAudit, "counted" | "explained" | "fewer" | "more"> {
  const sums = { counted: 0, explained: 0, fewer: 0, more: 0 };
  for (let row = 0; row < walk.builder.count; row++) {
    if (!walk.isObject(row) || walk.counted[row]! <= 0) continue;
    sums.counted++;
    const over = walk.found[row]! - walk.counted[row]!;
    if (over === 0) sums.explained++;
    else if (over < 0) sums.fewer++;
    else sums.more++;
  }
  return sums;
}
