/** Visitors of what programs are made of: code, functions, classes, modules, strings. */

import { EdgeKind, packLabel } from "../../views/objects/heap.ts";
import { ownSharedKeys } from "./containers.ts";
import { strState, strValue } from "./peek.ts";
import { Role } from "./walk.ts";
import type { Types } from "./types.ts";
import type { Walk } from "./walk.ts";

const CODE_FIELDS = [
  "co_code",
  "co_consts",
  "co_names",
  "co_varnames",
  "co_freevars",
  "co_cellvars",
  "co_localsplusnames",
  "co_localspluskinds",
  "co_filename",
  "co_name",
  "co_qualname",
  "co_lnotab",
  "co_linetable",
  "co_exceptiontable",
  "_co_code",
] as const;

export function visitCode(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  for (const name of CODE_FIELDS) {
    const at = layout.at("PyCodeObject", name);
    if (at !== -1) walk.field(row, address + at, walk.named(EdgeKind.attribute, name));
  }
  const cached = layout.at("PyCodeObject", "_co_cached");
  if (cached !== -1 && layout.since(12)) {
    const block = image.pointer(address + cached);
    if (walk.own(row, block, Role.table, 32))
      for (let i = 0; i < 4; i++) walk.field(row, block + i * 8, packLabel(EdgeKind.cfield, cached + i * 8));
  }
  const { name, file, line } = codePlace(walk, address);
  walk.builder.nameRow(row, name, file, line);
}

/** Name, file and first line of a code object. */
export function codePlace(walk: Walk, code: number): { name: string; file: string; line: number } {
  const known = walk.places.get(code);
  if (known !== undefined) return known;
  const { image, layout } = walk;
  const at = (field: string, or?: string): number => layout.at("PyCodeObject", field, or);
  const place = {
    name: walk.text(image.pointer(code + at("co_qualname", "co_name"))) ?? "?",
    file: walk.text(image.pointer(code + at("co_filename"))) ?? "",
    line: image.i32(code + at("co_firstlineno")),
  };
  walk.places.set(code, place);
  return place;
}

export function visitFunction(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const code = image.pointer(address + layout.at("PyFunctionObject", "func_code"));
  const closure = image.pointer(address + layout.at("PyFunctionObject", "func_closure"));
  if (closure !== 0) {
    const tuple = walk.reach(closure);
    if (tuple !== 0) walk.closures.set(tuple, code);
  }
  const name = image.pointer(address + layout.at("PyFunctionObject", "func_qualname"));
  const { file, line } = codePlace(walk, code);
  walk.builder.nameRow(row, walk.text(name) ?? "?", file, line);
}

export function visitModule(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const name = image.pointer(address + layout.at("PyModuleObject", "md_name"));
  const text = strValue(image, layout, name, 200);
  if (text !== null) walk.builder.nameRow(row, text);
}

const HEAP_TYPE_FIELDS = ["ht_name", "ht_slots", "ht_qualname", "ht_module"] as const;
const TYPE_FIELDS = [
  ["tp_bases", "__bases__"],
  ["tp_mro", "__mro__"],
  ["tp_base", "__base__"],
  ["tp_cache", "tp_cache"],
] as const;

export function visitType(walk: Walk, types: Types, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => layout.at("PyTypeObject", field);
  const heap = (image.word32(address + at("tp_flags")) & 512) !== 0;
  const state = types.staticStates.get(address);
  const dict = state ?? address + at("tp_dict");
  walk.field(row, dict, packLabel(EdgeKind.instanceDict));
  const subclasses = state === undefined ? address + at("tp_subclasses") : state + 8;
  const held = image.pointer(subclasses);
  if (held > 65_536) walk.edge(row, held, walk.named(EdgeKind.attribute, "tp_subclasses"));
  for (const [field, shown] of TYPE_FIELDS) walk.field(row, address + at(field), walk.named(EdgeKind.attribute, shown));
  const index = types.indexOf(walk, address);
  if (index >= 0) walk.builder.nameRow(row, walk.infos[index]!.name);
  if (!heap) return;
  for (const field of HEAP_TYPE_FIELDS) {
    const offset = layout.at("PyHeapTypeObject", field);
    if (offset !== -1) walk.field(row, address + offset, packLabel(EdgeKind.cfield, offset));
  }
  const keys = image.pointer(address + layout.at("PyHeapTypeObject", "ht_cached_keys"));
  if (keys !== 0) ownSharedKeys(walk, row, keys);
  const tpName = layout.at("PyHeapTypeObject", "_ht_tpname");
  if (tpName !== -1) walk.own(row, image.pointer(address + tpName), Role.table);
  walk.own(row, image.pointer(address + layout.at("PyTypeObject", "tp_doc")), Role.table);
}

/** A string owns its characters when they are not behind its header, and the encodings it remembers. */
export function visitStr(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const { kind, compact, ascii } = strState(image, layout, address);
  if (compact && walk.hashes) {
    const at = address + layout.size(ascii ? "PyASCIIObject" : "PyCompactUnicodeObject");
    walk.builder.setHash(row, contentHash(walk, at, image.pointer(address + 16) * kind));
  }
  if (compact && ascii) return;
  const header = layout.size("PyASCIIObject");
  const data = compact ? 0 : image.pointer(address + layout.size("PyCompactUnicodeObject"));
  const utf8 = image.pointer(address + header + 8);
  walk.own(row, data, Role.table);
  if (utf8 !== data) walk.own(row, utf8, Role.table);
  const wide = layout.at("PyASCIIObject", "wstr");
  if (wide === -1) return;
  const text = image.pointer(address + wide);
  if (text !== data) walk.own(row, text, Role.table);
}

export function visitBytes(walk: Walk, row: number, address: number): void {
  if (walk.hashes) walk.builder.setHash(row, contentHash(walk, address + 32, walk.image.pointer(address + 16)));
}

/** Longer values are told apart by their length and their first bytes. */
const MOST_HASHED = 1 << 16;
const PAGE = 4096;

/** FNV-1a over bytes, a page at a time. */
function contentHash({ image }: Walk, start: number, bytes: number): number {
  const { u8 } = image;
  const count = Math.min(bytes, MOST_HASHED);
  let hash = (0x811c9dc5 ^ count) | 0;
  for (let done = 0; done < count;) {
    const at = start + done;
    const handle = image.handle(at);
    const length = Math.min(count - done, PAGE - (at % PAGE));
    const from = handle * 4 + (at % 4);
    if (handle >= 0) for (let i = 0; i < length; i++) hash = Math.imul(hash ^ u8[from + i]!, 0x01000193);
    done += length;
  }
  return hash >>> 0;
}
