/** Visitors of objects that are buffers or show one: numpy arrays, array.array, bytearray, memoryview, mmap. */

import { NONE } from "../../base/brand.ts";
import { EdgeKind, packLabel } from "../../views/objects/heap.ts";
import { Role } from "./walk.ts";
import type { Walk } from "./walk.ts";

/** PyArrayObject (numpy's ndarraytypes.h; the same in 1.x and 2.x). */
const ND = { data: 16, dimensions: 32, count: 24, strides: 40, base: 48, dtype: 56, flags: 64, handler: 88 } as const;
const OWNS_DATA = 4;
const MOST_DIMENSIONS = 64;
const OBJECT = 17;
const TYPE_NAMES: Readonly<Record<number, string>> = {
  0: "bool", 1: "int8", 2: "uint8", 3: "int16", 4: "uint16", 5: "int32", 6: "uint32", 7: "int64", 8: "uint64", 9: "int64",
  10: "uint64", 11: "float32", 12: "float64", 13: "longdouble", 14: "complex64", 15: "complex128", 16: "clongdouble",
  17: "object", 18: "bytes", 19: "str", 20: "void", 21: "datetime64", 22: "timedelta64", 23: "float16", 2056: "StringDType",
}; // prettier-ignore

export function visitNdarray(walk: Walk, row: number, address: number, size: number): void {
  const { image } = walk;
  const label = (text: string): number => walk.named(EdgeKind.attribute, text);
  const dtype = image.pointer(address + ND.dtype);
  walk.edge(row, dtype, label("dtype"));
  const base = image.pointer(address + ND.base);
  if (base !== 0) walk.edge(row, base, packLabel(EdgeKind.base));
  if (size >= 96) walk.field(row, address + ND.handler, label("mem_handler"));
  const dimensions = image.pointer(address + ND.dimensions);
  walk.own(row, dimensions, Role.table);
  const count = image.i32(address + ND.count);
  if (count < 0 || count > MOST_DIMENSIONS) return;
  const shape = Array.from({ length: count }, (_, i) => image.pointer(dimensions + i * 8));
  const elements = shape.reduce((product, length) => product * length, 1);
  const kind = image.i32(dtype + 28);
  const bytes = elements * elementSize(walk, dtype);
  const data = image.pointer(address + ND.data);
  const owns = (image.i32(address + ND.flags) & OWNS_DATA) !== 0;
  if (owns) walk.own(row, data, Role.buffer, bytes);
  if (owns && kind === OBJECT) walk.items(row, data, Math.min(elements, 2 ** 32));
  walk.pendingArrays.push({ row, dtype: TYPE_NAMES[kind] ?? `type ${kind}`, shape, bytes, base: owns ? 0 : base });
}

/** numpy 1.x keeps the size of an element as an int at 32, 2.x as 8 bytes at 40; the dtype's own members tell which. */
function elementSize(walk: Walk, dtype: number): number {
  const { image } = walk;
  const row = walk.reach(dtype);
  if (row === 0) return 0;
  const type = walk.infos[walk.typeOf[row]!]!.address;
  const known = walk.elementSizeAt.get(type);
  if (known !== undefined) return sized(walk, dtype, known);
  let at = -1;
  for (let base = type; base !== 0 && at < 0; base = image.pointer(base + 256)) {
    let member = image.pointer(base + 240);
    for (let i = 0; member !== 0 && i < 100 && image.pointer(member) !== 0; i++, member += 40)
      if (image.cstring(image.pointer(member)) === "itemsize") at = image.pointer(member + 16);
  }
  // `itemsize` became a computed attribute of some releases: float64, whose size is known, tells the place then.
  if (at < 0)
    at = image.i32(dtype + 32) > 0 && image.i32(dtype + 32) < 65_536 && image.pointer(dtype + 40) > 2 ** 32 ? 32 : 40;
  walk.elementSizeAt.set(type, at);
  return sized(walk, dtype, at);
}

function sized({ image }: Walk, dtype: number, at: number): number {
  return at === 32 ? image.i32(dtype + at) : image.pointer(dtype + at);
}

const ARRAY_TYPES: Readonly<Record<string, string>> = {
  b: "int8", B: "uint8", h: "int16", H: "uint16", i: "int32", I: "uint32", l: "int64", L: "uint64", q: "int64", Q: "uint64",
  f: "float32", d: "float64", u: "wchar", w: "ucs4",
}; // prettier-ignore

export function visitArray(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => address + layout.at("arrayobject", field);
  const length = image.pointer(address + 16);
  const descriptor = image.pointer(at("ob_descr"));
  const typecode = String.fromCharCode(image.byte(descriptor));
  const size = image.i32(descriptor + 4);
  const allocated = image.pointer(at("allocated"));
  walk.own(row, image.pointer(at("ob_item")), Role.buffer, allocated * size);
  walk.pendingArrays.push({
    row,
    dtype: ARRAY_TYPES[typecode] ?? typecode,
    shape: [length],
    bytes: length * size,
    base: 0,
  });
}

export function visitBytearray(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => address + layout.at("PyByteArrayObject", field);
  const length = image.pointer(address + 16);
  if (layout.at("PyByteArrayObject", "ob_bytes_object") !== -1)
    walk.field(row, at("ob_bytes_object"), walk.named(EdgeKind.other, "buffer"));
  else walk.own(row, image.pointer(at("ob_bytes")), Role.buffer, image.pointer(at("ob_alloc")));
  walk.pendingArrays.push({ row, dtype: "uint8", shape: [length], bytes: length, base: 0 });
}

export function visitMemoryview(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => address + layout.at("PyMemoryViewObject", field);
  // The buffer is held by way of a managed buffer, which several views share; `obj` is a copy that counts no reference.
  const base = image.pointer(at("view.obj"));
  walk.field(row, at("mbuf"), packLabel(EdgeKind.base));
  const count = image.i32(at("view.ndim"));
  const shapes = image.pointer(at("view.shape"));
  const shape = Array.from({ length: Math.max(0, Math.min(count, MOST_DIMENSIONS)) }, (_, i) =>
    image.pointer(shapes + i * 8),
  );
  const format = image.cstring(image.pointer(at("view.format")), 16) ?? "B";
  walk.pendingArrays.push({
    row,
    dtype: ARRAY_TYPES[format] ?? format,
    shape,
    bytes: image.pointer(at("view.len")),
    base,
  });
}

/** The pages of an mmap object are no block of an allocator: they are shown, not counted as the object's bytes. */
export function visitMmap(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const bytes = image.pointer(address + layout.at("mmap_object", "size"));
  walk.pendingArrays.push({ row, dtype: "uint8", shape: [bytes], bytes, base: 0 });
}

/** Follows views of views to the object that owns the memory. */
export function finishArrays(walk: Walk): void {
  const bases = new Map(walk.pendingArrays.map(({ row, base }) => [row, base === 0 ? 0 : walk.known(base)]));
  for (const { row, dtype, shape, bytes } of walk.pendingArrays) {
    let owner = bases.get(row) ?? 0;
    for (let i = 0; i < 100; i++) {
      const next = bases.get(owner) ?? 0;
      if (next === 0) break;
      owner = next;
    }
    const text = `(${shape.join(", ")}${shape.length === 1 ? "," : ""})`;
    walk.builder.addArray(row, dtype, text, bytes, owner === 0 ? NONE : owner);
  }
}
