/**
 * What a type object says about its instances: size, header, where attributes live, which visitor reads them. Looked up once a type.
 * A class made in Python is read as its nearest base that is written in C, plus its slots; a type of which nothing is known
 * by name is read through the members that it publishes (PyMemberDef) and, for the rest, as words that may be pointers.
 */

import { EdgeKind, packLabel } from "../../views/objects/heap.ts";
import { KINDS, Visit } from "./kinds.ts";
import { ABSENT } from "./layouts.ts";
import type { Layout } from "./layouts.ts";
import type { Interpreter } from "./locate.ts";
import { dictValue, strValue } from "./peek.ts";
import type { TypeInfo } from "./shapes.ts";
import type { Walk } from "./walk.ts";

const FLAG = { inline: 4, managedWeakref: 8, managedDict: 16, heap: 512, ready: 4096, gc: 0x4000 } as const;
const SUBCLASS = { int: 24, list: 25, tuple: 26, bytes: 27, str: 28, dict: 29, exception: 30, type: 31 } as const;
const MEMBER_OBJECT = 6;
const MEMBER_OBJECT_EX = 16;
const LARGEST = 1 << 20;
const CACHE = 4096;

/** The types seen so far, by address. */
export class Types {
  private readonly index = new Map<number, number>();
  private readonly cacheKey = new Float64Array(CACHE);
  private readonly cacheValue = new Int32Array(CACHE);
  private readonly layout: Layout;
  /** tp_dealloc of every class that a `class` statement made */
  private readonly pythonDealloc: number;
  /** 3.12 on: where the interpreter keeps the dicts of static builtin types */
  readonly staticStates: Map<number, number>;

  private readonly flagsAt: number;

  constructor(walkImage: Walk["image"], layout: Layout, interpreter: Interpreter) {
    this.layout = layout;
    this.flagsAt = layout.at("PyTypeObject", "tp_flags");
    this.staticStates = staticStates(walkImage, layout, interpreter.address);
    const importlib = layout.at("PyInterpreterState", "imports.importlib", "importlib");
    const module = walkImage.pointer(interpreter.address + importlib);
    const dict = walkImage.pointer(module + layout.at("PyModuleObject", "md_dict"));
    const known = dictValue(walkImage, layout, dict, "ModuleSpec");
    this.pythonDealloc = known === 0 ? 0 : walkImage.pointer(known + layout.at("PyTypeObject", "tp_dealloc"));
  }

  /** Index of a type in walk.infos, -1 when the address is no type. */
  indexOf(walk: Walk, address: number): number {
    const slot = (address / 16) & (CACHE - 1);
    if (this.cacheKey[slot] === address) return this.cacheValue[slot]!;
    let index = this.index.get(address);
    if (index === undefined) {
      index = this.isType(walk, address) ? this.describe(walk, address) : -1;
      // Words that are no types are many and differ: only what is one is kept.
      if (index >= 0) this.index.set(address, index);
      else return -1;
    }
    this.cacheKey[slot] = address;
    this.cacheValue[slot] = index;
    return index;
  }

  private isType({ image }: Walk, address: number): boolean {
    if (address < 4096 || address % 8 !== 0 || image.handle(address) < 0) return false;
    const meta = image.pointer(address + 8);
    if (meta % 8 !== 0 || image.handle(meta) < 0 || image.word32(meta + this.flagsAt) >>> SUBCLASS.type !== 1)
      return false;
    if (image.pointer(meta + 8) % 8 !== 0) return false;
    const size = image.pointer(address + this.layout.at("PyTypeObject", "tp_basicsize"));
    const flags = image.word32(address + this.flagsAt);
    // Some static types of 3.8 and 3.9 are used without having been made ready.
    const isReady =
      (flags & FLAG.ready) !== 0 || image.pointer(address + this.layout.at("PyTypeObject", "tp_dealloc")) > 65_536;
    return (
      size >= 16 && size < LARGEST && isReady && /^[\w.<>\- ]+$/.test(image.cstring(image.pointer(address + 24)) ?? "")
    );
  }

  private describe(walk: Walk, address: number): number {
    const { image } = walk;
    const { layout } = this;
    const at = (field: string): number => layout.at("PyTypeObject", field);
    const flags = image.word32(address + this.flagsAt);
    const heap = (flags & FLAG.heap) !== 0;
    const since11 = layout.since(11);
    const gc = (flags & FLAG.gc) !== 0;
    const managed = since11 && (flags & FLAG.managedDict) !== 0;
    const before = managed || (layout.since(12) && (flags & FLAG.managedWeakref) !== 0);
    const names = this.namesOf(walk, address, heap);
    const bit = (subclass: number): boolean => ((flags >>> subclass) & 1) === 1;
    const info: TypeInfo = {
      address,
      row: walk.builder.addType(names.name, names.module),
      name: names.module === "builtins" ? names.name : `${names.module}.${names.name}`,
      visit: Visit.plain,
      size: image.pointer(address + at("tp_basicsize")),
      item: image.pointer(address + at("tp_itemsize")),
      prefix: (gc ? 16 : 0) + (gc && before ? 16 : 0),
      gc,
      heap,
      isMeta: bit(SUBCLASS.type),
      isStr: bit(SUBCLASS.str),
      isInt: bit(SUBCLASS.int),
      dictOffset: managed ? 0 : image.i64(address + at("tp_dictoffset")),
      managed,
      inline: layout.since(13) && (flags & FLAG.inline) !== 0,
      keys: heap ? image.pointer(address + layout.at("PyHeapTypeObject", "ht_cached_keys")) : 0,
      fields: new Int32Array(0),
      labels: new Uint32Array(0),
      doubtful: new Int32Array(0),
      nativeSize: 16,
      frameAt: 0,
    };
    const index = walk.infos.push(info) - 1;
    this.fieldsOf(walk, info);
    return index;
  }

  /** Made by a `class` statement (or type()): its instances are those of a base, with slots. */
  private isPython({ image }: Walk, type: number): boolean {
    if ((image.word32(type + this.flagsAt) & FLAG.heap) === 0) return false;
    return image.pointer(type + this.layout.at("PyTypeObject", "tp_dealloc")) === this.pythonDealloc;
  }

  /** Follows the bases down to a type that is known by name, and gathers fields on the way. */
  private fieldsOf(walk: Walk, info: TypeInfo): void {
    const { image } = walk;
    const { layout } = this;
    const fields = new Map<number, number>();
    const at = (field: string): number => layout.at("PyTypeObject", field);
    const skipped = new Set<number>([info.dictOffset]);
    let doubtTo = 0;
    let size = 16;
    let known = false;
    for (
      let type = info.address, depth = 0;
      type !== 0 && depth < 200;
      type = image.pointer(type + at("tp_base")), depth++
    ) {
      const python = this.isPython(walk, type);
      skipped.add(image.i64(type + at("tp_dictoffset"))).add(image.i64(type + at("tp_weaklistoffset")));
      const kind = python ? undefined : KINDS[image.cstring(image.pointer(type + 24)) ?? ""];
      if (kind !== undefined) {
        const [visit, struct, names = ""] = kind;
        info.visit = visit;
        size = Math.max(16, struct === "" ? 0 : image.pointer(type + at("tp_basicsize")));
        for (const name of names.split(" ")) this.addField(walk, fields, struct, name);
        if (visit === Visit.ndarray) size = image.pointer(type + at("tp_basicsize"));
        known = true;
        break;
      }
      this.addMembers(walk, fields, type);
      // The words of a C type of which nothing is known.
      if (!python && doubtTo === 0) doubtTo = image.pointer(type + at("tp_basicsize"));
    }
    if (!known) size = 16;
    fields.delete(info.dictOffset); // some types publish their dict as a member, too
    info.nativeSize = Math.max(size, doubtTo);
    if (info.isMeta) info.visit = Visit.type;
    if (info.visit === Visit.generator && layout.since(11)) info.frameAt = layout.at("PyGenObject", "gi_iframe");
    if (info.visit === Visit.frame && layout.since(11)) info.frameAt = layout.at("PyFrameObject", "_f_frame_data");
    const doubtful: number[] = [];
    const first = info.item > 0 && size < 24 ? 24 : size;
    for (let offset = first; offset + 8 <= doubtTo; offset += 8)
      if (!fields.has(offset) && !skipped.has(offset)) doubtful.push(offset);
    info.fields = Int32Array.from(fields.keys());
    info.labels = Uint32Array.from(fields.values());
    info.doubtful = Int32Array.from(info.isMeta ? [] : doubtful);
  }

  private addField(walk: Walk, fields: Map<number, number>, struct: string, text: string): void {
    const [name, shown] = text.split("=");
    const offset = name!.startsWith("@") ? Number(name!.slice(1)) : this.layout.at(struct, name!);
    if (name === "" || offset === ABSENT) return;
    fields.set(
      offset,
      shown === undefined ? packLabel(EdgeKind.cfield, offset) : walk.named(EdgeKind.attribute, shown),
    );
  }

  /** Members that hold an object: the slots of a class, and what C types publish. */
  private addMembers(walk: Walk, fields: Map<number, number>, type: number): void {
    const { image } = walk;
    let member = image.pointer(type + this.layout.at("PyTypeObject", "tp_members"));
    for (let count = 0; member !== 0 && count < 5000; count++, member += 40) {
      const name = image.pointer(member);
      if (name === 0) return;
      const code = image.i32(member + 8);
      const offset = image.pointer(member + 16);
      if ((code !== MEMBER_OBJECT && code !== MEMBER_OBJECT_EX) || offset >= LARGEST || offset < 16) continue;
      if (!fields.has(offset)) fields.set(offset, walk.named(EdgeKind.attribute, image.cstring(name) ?? "?"));
    }
  }

  private namesOf(walk: Walk, type: number, heap: boolean): { name: string; module: string } {
    const { image } = walk;
    const { layout } = this;
    const own = image.cstring(image.pointer(type + 24)) ?? "?";
    const dot = own.lastIndexOf(".");
    let name = own.slice(dot + 1);
    let module = dot < 0 ? "builtins" : own.slice(0, dot);
    if (!heap) return { name, module };
    name = strValue(image, layout, image.pointer(type + layout.at("PyHeapTypeObject", "ht_qualname")), 200) ?? name;
    const dict = image.pointer(type + layout.at("PyTypeObject", "tp_dict"));
    const told = strValue(image, layout, dictValue(image, layout, dict, "__module__"), 200);
    if (told !== null) module = told;
    return { name, module };
  }
}

/** 3.12 on: type -> address of the pointer to its dict, for static builtin types (interp.types.builtins). */
function staticStates(image: Walk["image"], layout: Layout, interpreter: number): Map<number, number> {
  const states = new Map<number, number>();
  const types = layout.at("PyInterpreterState", "types");
  if (types === ABSENT || !layout.since(12)) return states;
  const stride = layout.since(13) ? 48 : 40;
  const dict = layout.since(13) ? 24 : 16;
  const arrays: [start: number, count: number][] = [
    [layout.at("types_state", "builtins.initialized", "builtins"), 203],
  ];
  const extensions = layout.at("types_state", "for_extensions.initialized");
  if (extensions !== ABSENT) arrays.push([extensions, 10]);
  for (const [start, count] of arrays) {
    for (let i = 0; i < count; i++) {
      const entry = interpreter + types + start + i * stride;
      const type = image.pointer(entry);
      if (type !== 0 && type % 8 === 0 && image.has(type, 8)) states.set(type, entry + dict);
    }
  }
  return states;
}
