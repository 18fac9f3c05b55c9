/** Visits one object after the other: what it owns, and what it refers to. */

import { EdgeKind, packLabel } from "../../views/objects/heap.ts";
import { visitArray, visitBytearray, visitMemoryview, visitMmap, visitNdarray } from "./arrays.ts";
import { visitBytes, visitCode, visitFunction, visitModule, visitStr, visitType } from "./code.ts";
import {
  visitAttributes,
  visitDeque,
  visitDict,
  visitHamtArray,
  visitList,
  visitLruCache,
  visitOrderedDict,
  visitSet,
  visitSimpleQueue,
  visitTuple,
  visitVarItems,
} from "./containers.ts";
import { scan } from "./doubt.ts";
import { visitFrame, visitGenerator } from "./frames.ts";
import { Visit } from "./kinds.ts";
import { Role } from "./walk.ts";
import type { TypeInfo } from "./shapes.ts";
import type { Types } from "./types.ts";
import type { Walk } from "./walk.ts";

const TYPE_LABEL = packLabel(EdgeKind.type);
const MODULE_STATE = 1 << 20;

/** Visits every row from `from` on, also those that it finds. Returns the next row. */
export function visitRows(walk: Walk, types: Types, from: number): number {
  const { builder } = walk;
  let row = from;
  for (; row < builder.count; row++) {
    const address = walk.address[row]!;
    if (walk.isObject(row)) visitRow(walk, types, row, address, walk.infos[walk.typeOf[row]!]!);
  }
  return row;
}

function visitRow(walk: Walk, types: Types, row: number, address: number, info: TypeInfo): void {
  const { image } = walk;
  if (info.heap) walk.edge(row, info.address, TYPE_LABEL);
  const { fields, labels, doubtful } = info;
  for (let i = 0; i < fields.length; i++) {
    const value = image.pointer(address + fields[i]!);
    if (value !== 0) walk.edge(row, value, labels[i]!);
  }
  visitKind(walk, types, row, address, info);
  if (info.visit !== Visit.type && (info.managed || info.dictOffset !== 0)) visitAttributes(walk, row, address, info);
  for (let i = 0; i < doubtful.length; i++) {
    const word = image.pointer(address + doubtful[i]!);
    if (word >= 65_536 && ((word >>> 0) & 7) === 0) walk.later.push(row, doubtful[i]!, word);
  }
}

function visitKind(walk: Walk, types: Types, row: number, address: number, info: TypeInfo): void {
  const { image, layout } = walk;
  switch (info.visit) {
    case Visit.list:
      return visitList(walk, row, address);
    case Visit.tuple:
      return visitTuple(walk, row, address, info);
    case Visit.dict:
      return visitDict(walk, row, address);
    case Visit.odict:
      return visitOrderedDict(walk, row, address);
    case Visit.set:
      return visitSet(walk, row, address);
    case Visit.str:
      return visitStr(walk, row, address);
    case Visit.bytes:
      return visitBytes(walk, row, address);
    case Visit.type:
      return visitType(walk, types, row, address);
    case Visit.code:
      return visitCode(walk, row, address);
    case Visit.function:
      return visitFunction(walk, row, address);
    case Visit.frame:
      return visitFrame(walk, row, address);
    case Visit.generator:
      return visitGenerator(walk, row, address, info);
    case Visit.module: {
      visitModule(walk, row, address);
      // The state of a module written in C: only its own code knows what is in there.
      const state = image.pointer(address + layout.at("PyModuleObject", "md_state"));
      if (state === 0) return;
      const bytes = walk.blocks.liveSize(state) || stateSize(walk, address);
      if (walk.own(row, state, Role.table, bytes)) scan(walk, row, state, Math.min(bytes, MODULE_STATE));
      return;
    }
    case Visit.ndarray:
      return visitNdarray(walk, row, address, info.nativeSize);
    case Visit.array:
      return visitArray(walk, row, address);
    case Visit.bytearray:
      return visitBytearray(walk, row, address);
    case Visit.memoryview:
      return visitMemoryview(walk, row, address);
    case Visit.mmap:
      return visitMmap(walk, row, address);
    case Visit.lruCache:
      return visitLruCache(walk, row, address);
    case Visit.deque:
      return visitDeque(walk, row, address);
    case Visit.varItems:
      return visitVarItems(walk, row, address);
    case Visit.hamtArray:
      return visitHamtArray(walk, row, address);
    case Visit.simpleQueue:
      return visitSimpleQueue(walk, row, address);
    case Visit.buffered:
      walk.own(row, image.pointer(address + layout.at("buffered", "buffer")), Role.buffer);
      return;
    case Visit.stringio:
      walk.own(row, image.pointer(address + layout.at("stringio", "buf")), Role.buffer);
      return;
    default:
  }
}

/** What the module's definition asks for, where no allocator tells. */
function stateSize({ image, layout }: Walk, module: number): number {
  const own = layout.at("PyModuleObject", "md_state_size");
  if (own !== -1) return image.pointer(module + own);
  const definition = image.pointer(module + layout.at("PyModuleObject", "md_def"));
  return definition === 0 ? 0 : image.pointer(definition + layout.at("PyModuleDef", "m_size"));
}
