/**
 * The state of one walk over a process's objects: which address is which row, what was found of each, and the few operations that every
 * visitor is made of. Hot: a heap of five million objects passes through `reach` some ten million times, so the map from addresses to
 * rows is one Int32Array with an entry for every 16 bytes of the image (objects and blocks are aligned to 16; only static ones are not).
 */

import { EdgeKind, NodeFlag, NodeKind, packLabel } from "../../views/objects/heap.ts";
import type { HeapBuilder } from "../../views/objects/build.ts";
import type { BlockMap } from "../allocators/blocks.ts";
import type { Image } from "../image/image.ts";
import type { Layout } from "./layouts.ts";
import { strState, strValue } from "./peek.ts";
import type { PendingArray, TypeInfo } from "./shapes.ts";

/** What a block of memory is to the objects. */
export const Role = { none: 0, object: 1, table: 2, buffer: 3, native: 4 } as const;
export type Role = (typeof Role)[keyof typeof Role];

const HIGH = 2 ** 32;
const PAGE = 4096;
/** Refcounts of this and more say nothing (a static object, or garbage). */
const MOST_REFERENCES = 0x3fff_ffff;
const NOT_SHOWN = -1;
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_.-]*$/;
const LONGEST_NAME = 40;

export class Walk {
  readonly image: Image;
  readonly layout: Layout;
  readonly builder: HeapBuilder;
  readonly blocks: BlockMap;
  /** a granule of 16 bytes of the image: row of the object that starts there, minus the row that owns the block that starts there, 0: neither */
  readonly owner: Int32Array;
  /** Role of the block that starts at a granule */
  readonly role: Uint8Array;
  /** rows of objects that are not aligned to 16 bytes (static ones) */
  private readonly odd = new Map<number, number>();
  /** owners of blocks that are not in the image (numeric bodies) or not aligned to 16 bytes */
  readonly far = new Map<number, number>();
  /** by row: address, index of the type, references found so far, references counted */
  address = new Float64Array(1 << 16);
  typeOf = new Uint32Array(1 << 16);
  found = new Int32Array(1 << 16);
  counted = new Int32Array(1 << 16);
  /** by row: 0 a root, 1 an object, 2 a native block */
  private objects = new Uint8Array(1 << 16);
  /** by row of a str: 0 not looked at, NOT_SHOWN, or name + 1 */
  private nameOfRow = new Int32Array(1 << 16);
  readonly infos: TypeInfo[] = [];
  /** precise references whose target was no object */
  broken = 0;
  /** rows of closure tuples and the code object that names their cells */
  readonly closures = new Map<number, number>();
  /** keys objects that are shared by instances: their names, by position */
  readonly sharedNames = new Map<number, Uint32Array>();
  readonly freeNames = new Map<number, string[]>();
  /** what code objects say of themselves, and strings that many rows share */
  readonly places = new Map<number, { name: string; file: string; line: number }>();
  private readonly texts = new Map<number, string | null>();
  /** frame objects whose locals a thread's frame shows */
  readonly executing = new Set<number>();
  readonly values: boolean;
  /** keep a hash of the content of strings */
  readonly hashes: boolean;
  /** starts of the regions in which the allocators know live blocks */
  private readonly coveredRegions: ReadonlySet<number>;
  readonly pendingArrays: PendingArray[] = [];
  /** by type of dtype: where the size of an element is */
  readonly elementSizeAt = new Map<number, number>();
  /** words that may be references: row, offset, word; followed when all precise references are known (doubt.ts) */
  readonly later: number[] = [];

  private readonly u32: Uint32Array;
  private readonly immortalBit: boolean;
  private readonly linkedFreeLists: boolean;
  private readonly indexOfType: (address: number) => number;

  constructor(
    image: Image,
    layout: Layout,
    builder: HeapBuilder,
    blocks: BlockMap,
    options: { values: boolean; hashes: boolean; indexOfType: (walk: Walk, address: number) => number },
  ) {
    this.image = image;
    this.layout = layout;
    this.builder = builder;
    this.blocks = blocks;
    this.u32 = image.u32;
    this.owner = new Int32Array((image.u32.length >>> 2) + 1);
    this.role = new Uint8Array((image.u32.length >>> 2) + 1);
    this.coveredRegions = regionsOf(image, blocks);
    this.immortalBit = layout.since(12);
    this.linkedFreeLists = layout.since(14);
    this.values = options.values;
    this.hashes = options.hashes;
    this.indexOfType = (address) => options.indexOfType(this, address);
  }

  /** Row of the object at an address; 0 when there is none. A new object gets a row, to be visited later. */
  reach(address: number): number {
    const handle = this.image.handle(address);
    if (handle < 0 || ((address >>> 0) & 7) !== 0) return 0;
    if ((handle & 3) !== 0) return this.odd.get(address) ?? this.discover(address, handle);
    const row = this.owner[handle >>> 2]!;
    if (row > 0) return row;
    return row < 0 ? 0 : this.discover(address, handle);
  }

  /** Row of an object that has one already, else 0. */
  known(address: number): number {
    const handle = this.image.handle(address);
    if (handle < 0 || ((address >>> 0) & 7) !== 0) return 0;
    if ((handle & 3) !== 0) return this.odd.get(address) ?? 0;
    const row = this.owner[handle >>> 2]!;
    return row > 0 ? row : 0;
  }

  private discover(address: number, handle: number): number {
    const type = this.image.pointer(address + 8);
    const index = this.indexOfType(type);
    if (index < 0) return 0;
    const counted = this.references(handle);
    if (counted === 0) return 0; // a member of a free list
    const info = this.infos[index]!;
    return this.add(address, handle, index, info, counted);
  }

  /** The reference count: -1 immortal or not counted, 0 dead. */
  private references(handle: number): number {
    const low = this.u32[handle]!;
    const high = this.u32[handle + 1]!;
    if (this.immortalBit) {
      // Free lists of 3.14 on link through the first word, whose bits 32 to 47 are 0 in an object that lives.
      if (this.linkedFreeLists && (high & 0xffff) !== 0) return 0;
      return low >>> 31 === 1 ? -1 : low;
    }
    return high !== 0 || low > MOST_REFERENCES ? -1 : low;
  }

  private add(address: number, handle: number, index: number, info: TypeInfo, counted: number): number {
    let { prefix } = info;
    if (info.isMeta && !this.isHeapType(address)) prefix = 0; // only heap types have the collector's header
    let bytes = this.blocks.liveSize(address - prefix);
    let count = counted;
    if (bytes === 0) {
      bytes = this.formula(address, info) + prefix;
      if (counted > 0 && this.isStatic(address)) count = -1;
    }
    let flags = count < 0 && counted < 0 ? NodeFlag.immortal : 0;
    if (prefix !== 0 && info.gc && this.image.pointer(address - 16) !== 0) flags |= NodeFlag.tracked;
    const row = this.builder.addNode(NodeKind.object, address, info.row, bytes, count, flags);
    if (row >= this.address.length) this.growTo(row);
    this.address[row] = address;
    this.typeOf[row] = index;
    this.objects[row] = 1;
    this.counted[row] = count;
    if ((handle & 3) === 0) {
      this.owner[handle >>> 2] = row;
      this.markBlock(address - prefix, Role.object);
    } else this.odd.set(address, row);
    return row;
  }

  private markBlock(start: number, role: Role): void {
    const handle = this.image.handle(start);
    if (handle >= 0 && (handle & 3) === 0) this.role[handle >>> 2] = role;
  }

  private isHeapType(address: number): boolean {
    return (this.image.word32(address + 168) & 512) !== 0;
  }

  /** A block whose content is read by its layout: nothing else may take it for its own. */
  reserve(address: number, row: number): void {
    const handle = this.image.handle(address);
    if (handle < 0 || (handle & 3) !== 0) this.far.set(address, row);
    else {
      this.owner[handle >>> 2] = -row;
      this.role[handle >>> 2] = Role.table;
    }
  }

  /** Index of a type in `infos`, -1 when the address is none. */
  types(address: number): number {
    return this.indexOfType(address);
  }

  /** The row is an object (not a root, not a native block). */
  isObject(row: number): boolean {
    return this.objects[row] === 1;
  }

  isNative(row: number): boolean {
    return this.objects[row] === 2;
  }

  roleAt(address: number): Role {
    const handle = this.image.handle(address);
    return handle >= 0 && (handle & 3) === 0 ? (this.role[handle >>> 2] as Role) : Role.none;
  }

  /** A native block with a row of its own. */
  claim(address: number, row: number): void {
    this.objects[row] = 2;
    const handle = this.image.handle(address);
    if (handle < 0 || (handle & 3) !== 0) {
      this.far.set(address, row);
      return;
    }
    this.owner[handle >>> 2] = -row;
    this.role[handle >>> 2] = Role.native;
  }

  /** The allocators' books tell of this piece of memory: what is no live block in it is free. */
  isCovered(address: number): boolean {
    const region = this.image.region(address);
    return region !== undefined && this.coveredRegions.has(region.start);
  }

  /** In the writable data of a file: made by the compiler or the linker, not by an allocator. */
  isStatic(address: number): boolean {
    const region = this.image.region(address);
    return region !== undefined && region.path !== "" && !region.path.startsWith("[heap");
  }

  /** Size of an object by its type, for objects that no allocator that is understood handed out. */
  formula(address: number, info: TypeInfo): number {
    if (info.isMeta && !this.isHeapType(address)) return this.layout.size("PyTypeObject");
    if (info.isStr) return this.strSize(address, info);
    if (info.item === 0) return info.size;
    if (info.frameAt > 0) return info.size + this.frameItems(address + info.frameAt) * 8;
    const length = Math.abs(this.image.i64(address + 16));
    const items = info.isInt && this.layout.since(12) ? Math.floor(length / 8) : length;
    const bytes = info.size + info.item * Math.min(items, 2 ** 40);
    return Math.ceil(bytes / 8) * 8;
  }

  private strSize(address: number, info: TypeInfo): number {
    const { kind, compact, ascii } = strState(this.image, this.layout, address);
    if (!compact) return info.size;
    const header = this.layout.size(ascii ? "PyASCIIObject" : "PyCompactUnicodeObject");
    return header + (this.image.pointer(address + 16) + 1) * (ascii ? 1 : kind);
  }

  /** Locals and stack of the frame inside a generator, coroutine or frame object, less the one that its type counts. */
  private frameItems(frame: number): number {
    const { image, layout } = this;
    const executable = image.pointer(frame + layout.at("_PyInterpreterFrame", "f_executable", "f_code"));
    const code = executable - (executable % 4);
    if (!image.has(code, 8)) return 0;
    const items =
      image.i32(code + layout.at("PyCodeObject", "co_nlocalsplus")) +
      image.i32(code + layout.at("PyCodeObject", "co_stacksize"));
    return items > 0 && items < 1e6 ? items - 1 : 0;
  }

  private growTo(row: number): void {
    const length = Math.max(row + 1, this.address.length * 2);
    this.address = larger(new Float64Array(length), this.address);
    this.typeOf = larger(new Uint32Array(length), this.typeOf);
    this.found = larger(new Int32Array(length), this.found);
    this.counted = larger(new Int32Array(length), this.counted);
    this.objects = larger(new Uint8Array(length), this.objects);
    this.nameOfRow = larger(new Int32Array(length), this.nameOfRow);
  }

  /** A word of the image by its handle. */
  u32At(handle: number): number {
    return this.u32[handle]!;
  }

  /** A row that is no object: a root, or a native block. */
  addRow(row: number, address: number): void {
    if (row >= this.address.length) this.growTo(row);
    this.address[row] = address;
    this.counted[row] = -1;
  }

  /** An edge to the object at an address, when there is one. Returns its row, or 0. */
  edge(from: number, address: number, label: number): number {
    if (address === 0) return 0;
    const to = this.reach(address);
    if (to === 0) {
      this.broken++;
      return 0;
    }
    this.builder.addLabelled(from, to, label);
    this.found[to]!++;
    return to;
  }

  /** The edge of a field of an object. */
  field(from: number, at: number, label: number): number {
    return this.edge(from, this.image.pointer(at), label);
  }

  /** Edges to `count` objects whose addresses stand one after the other. NULLs are left out. */
  items(from: number, start: number, count: number, kind: EdgeKind = EdgeKind.item): void {
    const { image, u32 } = this;
    let index = 0;
    for (let at = start; index < count;) {
      const room = Math.min(count - index, (PAGE - (at % PAGE)) / 8);
      const handle = image.handle(at);
      if (handle >= 0 && Number.isInteger(room)) {
        for (let k = 0; k < room; k++) {
          const word = handle + 2 * k;
          const address = u32[word]! + u32[word + 1]! * HIGH;
          if (address !== 0) this.edge(from, address, packLabel(kind, index + k));
        }
      }
      const step = Math.ceil(room);
      index += step;
      at += step * 8;
    }
  }

  /** Counts a block as part of a row. False when something else owns it already, or it is no address. */
  own(row: number, address: number, role: Role, otherwise = 0): boolean {
    if (address === 0) return false;
    const handle = this.image.handle(address);
    if (handle >= 0 && (handle & 3) === 0) {
      if (this.owner[handle >>> 2] !== 0) return false;
      this.owner[handle >>> 2] = -row;
      this.role[handle >>> 2] = role;
    } else {
      if (this.far.has(address)) return false;
      this.far.set(address, row);
    }
    this.builder.addBytes(row, this.blocks.liveSize(address) || otherwise);
    return true;
  }

  /** Row that owns the block at an address or is the object there, 0: none. */
  ownerOf(address: number): number {
    const handle = this.image.handle(address);
    if (handle < 0 || (handle & 3) !== 0) return this.far.get(address) ?? 0;
    return Math.abs(this.owner[handle >>> 2]!);
  }

  /** Index of the name that a str object spells, when it may be shown: an identifier of at most 40 characters. -1: not shown. */
  nameOf(address: number): number {
    const row = this.reach(address);
    if (row === 0) return NOT_SHOWN;
    const known = this.nameOfRow[row]!;
    if (known !== 0) return known > 0 ? known - 1 : NOT_SHOWN;
    const name = this.spell(address, row);
    this.nameOfRow[row] = name < 0 ? NOT_SHOWN : name + 1;
    return name;
  }

  /** Characters of a str object, at most 1000; null when it is none. */
  text(address: number): string | null {
    let text = this.texts.get(address);
    if (text === undefined) this.texts.set(address, (text = strValue(this.image, this.layout, address, 1000)));
    return text;
  }

  private spell(address: number, row: number): number {
    if (!this.infos[this.typeOf[row]!]!.isStr) return NOT_SHOWN;
    const length = this.image.pointer(address + 16);
    if (length > LONGEST_NAME || !strState(this.image, this.layout, address).ascii) return NOT_SHOWN;
    const text = strValue(this.image, this.layout, address);
    if (text === null || (!this.values && !IDENTIFIER.test(text))) return NOT_SHOWN;
    return this.builder.addName(text);
  }

  /** The label of an edge with a name in words. */
  named(kind: EdgeKind, text: string): number {
    return packLabel(kind, this.builder.addName(text));
  }
}

function larger<A extends Float64Array | Uint32Array | Int32Array | Uint8Array>(to: A, from: A): A {
  to.set(from);
  return to;
}

function regionsOf(image: Image, blocks: BlockMap): Set<number> {
  const starts = new Set<number>();
  let end = 0;
  blocks.forEachLive((address) => {
    if (address < end) return;
    const region = image.region(address);
    if (region === undefined) return;
    starts.add(region.start);
    end = region.end;
  });
  return starts;
}
