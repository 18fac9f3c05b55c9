/** Visitors of lists, tuples, dicts, sets and the other containers of CPython. */

import { EdgeKind, BoundKind, packLabel } from "../../views/objects/heap.ts";
import { strValue, readKeys } from "./peek.ts";
import type { TypeInfo } from "./shapes.ts";
import { Role } from "./walk.ts";
import type { Walk } from "./walk.ts";

/** Containers below this are too many, and too small to advise on. */
const LARGE = 1024;
const SANE = 2 ** 33;
/** Keys of larger dicts are data rather than names; spelling them out would take longer than the walk. */
const MOST_NAMED = 4096;

export function visitList(walk: Walk, row: number, address: number): void {
  const { image } = walk;
  const length = image.pointer(address + 16);
  const items = image.pointer(address + 24);
  if (items === 0 || length > SANE) return;
  const slots = image.pointer(address + 32);
  if (!walk.own(row, items, Role.table, slots * 8)) return;
  walk.items(row, items, length);
  if (slots * 8 >= LARGE) walk.builder.addContainer(row, length, slots);
}

export function visitTuple(walk: Walk, row: number, address: number, info: TypeInfo): void {
  const length = walk.image.pointer(address + 16);
  const code = walk.closures.get(row);
  if (code !== undefined) return closureCells(walk, row, address, code, length);
  if (length > SANE) return;
  const first = tupleItems(walk);
  if (info.fields.length === 0) return walk.items(row, address + first, length);
  // The fields of a struct sequence have names, and have been followed by them.
  for (let i = 0; i < length; i++)
    if (!info.fields.includes(first + i * 8)) walk.field(row, address + first + i * 8, packLabel(EdgeKind.item, i));
}

function tupleItems(walk: Walk): number {
  return walk.layout.since(14) ? 32 : 24;
}

/** The cells of a closure have the names of the free variables. */
function closureCells(walk: Walk, row: number, address: number, code: number, length: number): void {
  const names = freeNames(walk, code);
  for (let i = 0; i < length; i++) {
    const name = names[i];
    const label = name === undefined ? packLabel(EdgeKind.item, i) : walk.named(EdgeKind.closure, name);
    walk.field(row, address + tupleItems(walk) + i * 8, label);
  }
}

function freeNames(walk: Walk, code: number): string[] {
  let names = walk.freeNames.get(code);
  if (names === undefined) walk.freeNames.set(code, (names = readFreeNames(walk, code)));
  return names;
}

function readFreeNames(walk: Walk, code: number): string[] {
  const { image, layout } = walk;
  const free = layout.at("PyCodeObject", "co_freevars");
  if (free !== -1) return texts(walk, image.pointer(code + free));
  const all = texts(walk, image.pointer(code + layout.at("PyCodeObject", "co_localsplusnames")));
  const kinds = image.pointer(code + layout.at("PyCodeObject", "co_localspluskinds"));
  return all.filter((_, i) => (image.byte(kinds + 32 + i) & 0x80) !== 0);
}

/** The strings of a tuple of str objects. */
export function texts(walk: Walk, tuple: number): string[] {
  const { image, layout } = walk;
  if (tuple === 0) return [];
  const length = Math.min(image.pointer(tuple + 16), 65_536);
  return Array.from(
    { length },
    (_, i) => strValue(image, layout, image.pointer(tuple + tupleItems(walk) + i * 8), 200) ?? "?",
  );
}

export function visitDict(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const keys = image.pointer(address + 32);
  if (keys === 0 || keys % 8 !== 0 || !image.has(keys, 32)) return;
  const values = image.pointer(address + 40);
  if (values !== 0) return splitDict(walk, row, keys, values);
  const { entries, count, stride, key: keyAt } = readKeys(image, layout, keys);
  if (count > SANE) return;
  const slots = Math.floor((2 * (layout.since(11) ? 2 ** image.byte(keys + 8) : image.pointer(keys + 8))) / 3);
  if (!walk.own(row, keys, Role.table, entries - keys + slots * stride)) return;
  if (isInterned(walk, entries + keyAt, count, stride)) return visitInterned(walk, row, entries + keyAt, count, stride);
  const spelled = count <= MOST_NAMED || walk.values;
  for (let i = 0, entry = entries + keyAt; i < count; i++, entry += stride) {
    const value = image.pointer(entry + 8);
    if (value === 0) continue;
    const key = image.pointer(entry);
    const keyRow = walk.edge(row, key, packLabel(EdgeKind.dictKey, i));
    const name = spelled ? walk.nameOf(key) : -1;
    walk.edge(row, value, name < 0 ? packLabel(EdgeKind.key, keyRow) : packLabel(EdgeKind.nameKey, name));
  }
  if (slots * stride >= LARGE) walk.builder.addContainer(row, image.pointer(address + 16), slots);
}

/** The table of interned strings maps each string to itself and counts neither reference: it keeps nothing alive. */
function isInterned({ image }: Walk, first: number, count: number, stride: number): boolean {
  if (count < 256) return false;
  let same = 0;
  for (let i = 0, entry = first; i < count && same < 32; i++, entry += stride) {
    const value = image.pointer(entry + 8);
    if (value === 0) continue;
    if (image.pointer(entry) !== value) return false;
    same++;
  }
  return same > 0;
}

/** Interned strings that are immortal (3.12 on) may have nobody else. */
function visitInterned(walk: Walk, row: number, first: number, count: number, stride: number): void {
  for (let i = 0, entry = first; i < count; i++, entry += stride) {
    const key = walk.image.pointer(entry);
    const to = key === 0 ? 0 : walk.reach(key);
    if (to !== 0 && walk.counted[to]! < 0) walk.edge(row, key, packLabel(EdgeKind.dictKey, i));
  }
}

/** The dict of an instance whose class keeps the keys. */
function splitDict(walk: Walk, row: number, keys: number, values: number): void {
  const { image, layout } = walk;
  const names = sharedNames(walk, keys, EdgeKind.nameKey);
  const first = layout.since(13) ? values + 8 : values;
  for (let i = 0; i < names.length; i++) walk.field(row, first + i * 8, names[i]!);
  if (layout.since(13) && image.byte(values + 2) === 1) return; // part of the instance
  walk.own(row, valuesBlock(walk, values), Role.table, names.length * 8);
}

/** Where the block begins that an array of attribute values lies in: 3.11 and 3.12 keep the order of insertion before it. */
export function valuesBlock({ layout, image }: Walk, values: number): number {
  return layout.since(11) && !layout.since(13) ? values - image.byte(values - 1) : values;
}

/** Labels of the values that go with a keys object of a class, by position. */
export function sharedNames(walk: Walk, keys: number, kind: EdgeKind): Uint32Array {
  const known = walk.sharedNames.get(keys * 16 + kind);
  if (known !== undefined) return known;
  const { image, layout } = walk;
  const { entries, count, stride, key } = readKeys(image, layout, keys);
  const labels = new Uint32Array(Math.min(count, 65_536));
  for (let i = 0; i < labels.length; i++) {
    const name = walk.nameOf(image.pointer(entries + i * stride + key));
    labels[i] = name < 0 ? walk.named(kind, "…") : packLabel(kind, name);
  }
  walk.sharedNames.set(keys * 16 + kind, labels);
  return labels;
}

/** Keys objects of classes belong to the class. */
export function ownSharedKeys(walk: Walk, row: number, keys: number): void {
  const { image, layout } = walk;
  const { entries, count, stride, key } = readKeys(image, layout, keys);
  const slots = Math.floor((2 * (layout.since(11) ? 2 ** image.byte(keys + 8) : image.pointer(keys + 8))) / 3);
  if (!walk.own(row, keys, Role.table, entries - keys + slots * stride)) return;
  for (let i = 0; i < Math.min(count, 65_536); i++) {
    walk.field(row, entries + i * stride + key, packLabel(EdgeKind.dictKey, i));
  }
}

export function visitOrderedDict(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  visitDict(walk, row, address);
  const fast = layout.at("PyODictObject", "od_fast_nodes");
  walk.own(row, image.pointer(address + fast), Role.table, image.pointer(address + fast + 8) * 8);
  let node = image.pointer(address + layout.at("PyODictObject", "od_first"));
  for (let i = 0; node !== 0 && i < SANE; i++, node = image.pointer(node + 16)) {
    if (!walk.own(row, node, Role.table, 32)) return;
    walk.field(row, node, packLabel(EdgeKind.dictKey, i));
  }
}

export function visitSet(walk: Walk, row: number, address: number): void {
  const { image } = walk;
  const slots = image.pointer(address + 32) + 1;
  const table = image.pointer(address + 40);
  if (table === 0 || slots > SANE) return;
  if (table !== address + 64 && !walk.own(row, table, Role.table, slots * 16)) return;
  for (let i = 0; i < slots; i++) {
    const key = image.pointer(table + i * 16);
    if (key !== 0) walk.edge(row, key, packLabel(EdgeKind.dictKey, i));
  }
  if (slots * 16 >= LARGE) walk.builder.addContainer(row, image.pointer(address + 24), slots);
}

const DEQUE_BLOCK = 528;

export function visitDeque(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const length = image.pointer(address + 16);
  const limit = image.i64(address + layout.at("dequeobject", "maxlen"));
  walk.builder.addBound(row, BoundKind.deque, limit < 0 ? Number.NaN : limit, length);
  let block = image.pointer(address + 24);
  let at = image.pointer(address + 40);
  if (length > SANE || at > 64) return;
  walk.own(row, block, Role.table, DEQUE_BLOCK);
  for (let index = 0; index < length && block !== 0; index++) {
    walk.field(row, block + 8 + at * 8, packLabel(EdgeKind.item, index));
    if (++at < 64) continue;
    at = 0;
    block = image.pointer(block + 520);
    walk.own(row, block, Role.table, DEQUE_BLOCK);
  }
  const spare = layout.at("dequeobject", "numfreeblocks");
  if (spare === -1) return;
  for (let i = 0; i < Math.min(image.pointer(address + spare), 16); i++)
    walk.own(row, image.pointer(address + spare + 8 + i * 8), Role.table, DEQUE_BLOCK);
}

export function visitLruCache(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const limit = image.i64(address + layout.at("lru_cache_object", "maxsize"));
  const cache = image.pointer(address + layout.at("lru_cache_object", "cache"));
  const fill = cache === 0 ? 0 : image.pointer(cache + 16);
  walk.builder.addBound(row, BoundKind.lruCache, limit < 0 ? Number.NaN : limit, fill);
  let element = image.pointer(address + 24);
  for (let i = 0; element !== address && element !== 0 && i < SANE; i++, element = image.pointer(element + 24))
    if (walk.edge(row, element, packLabel(EdgeKind.item, i)) === 0) return;
}

/** Objects inline in a variable-sized object, from its last field on. */
export function visitVarItems(walk: Walk, row: number, address: number): void {
  walk.items(row, address + 32, Math.min(walk.image.pointer(address + 16), 65_536));
}

export function visitHamtArray(walk: Walk, row: number, address: number): void {
  walk.items(row, address + 16, 32);
}

export function visitSimpleQueue(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const items = layout.at("simplequeueobject", "buf.items");
  if (items === -1) return;
  const capacity = image.pointer(address + layout.at("simplequeueobject", "buf.items_cap"));
  const table = image.pointer(address + items);
  if (capacity < SANE && walk.own(row, table, Role.table, capacity * 8)) walk.items(row, table, capacity);
}

/** The attributes that an instance keeps, wherever its version keeps them. */
export function visitAttributes(walk: Walk, row: number, address: number, info: TypeInfo): void {
  const { image, layout } = walk;
  const label = packLabel(EdgeKind.instanceDict);
  if (!info.managed) {
    const { dictOffset } = info;
    if (dictOffset > 0) walk.field(row, address + dictOffset, label);
    else if (dictOffset < 0) {
      const end = walk.formula(address, info);
      walk.field(row, address + end + dictOffset, label);
    }
    return;
  }
  if (layout.since(13)) {
    const dict = image.pointer(address - 24);
    const values = address + info.size;
    if (dict !== 0) walk.edge(row, dict, label);
    if (!info.inline || image.byte(values + 3) !== 1) return;
    if (dict === 0 || image.pointer(dict + 40) !== values) attributeValues(walk, row, values + 8, info.keys);
    return;
  }
  if (layout.since(12)) {
    const word = image.pointer(address - 24);
    if (word % 2 === 0) {
      if (word !== 0) walk.edge(row, word, label);
      return;
    }
    attributeValues(walk, row, word + 1, info.keys);
    walk.own(row, valuesBlock(walk, word + 1), Role.table);
    return;
  }
  const values = image.pointer(address - 32);
  if (values === 0) {
    walk.field(row, address - 24, label);
    return;
  }
  attributeValues(walk, row, values, info.keys);
  walk.own(row, valuesBlock(walk, values), Role.table);
}

function attributeValues(walk: Walk, row: number, values: number, keys: number): void {
  if (keys === 0) return;
  const labels = sharedNames(walk, keys, EdgeKind.attribute);
  for (let i = 0; i < labels.length; i++) {
    const value = walk.image.pointer(values + i * 8);
    if (value !== 0) walk.edge(row, value, labels[i]!);
  }
}
