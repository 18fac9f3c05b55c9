/** Frames: of threads, of generators and coroutines, and frame objects; their locals by name. */

import { EdgeKind, packLabel } from "../../views/objects/heap.ts";
import { lineTable } from "../../views/blocks/linetable.ts";
import { codePlace } from "./code.ts";
import { texts } from "./containers.ts";
import { ABSENT } from "./layouts.ts";
import type { TypeInfo } from "./shapes.ts";
import type { Walk } from "./walk.ts";

const DEEPEST = 1_000_000;

/** A running call. */
export interface Frame {
  /** address of the frame object (up to 3.10) or the interpreter's frame */
  address: number;
  code: number;
  name: string;
  file: string;
  line: number;
}

/** The frames of a thread, innermost first; what the interpreter itself needs between them is left out. */
export function framesOf(walk: Walk, innermost: number): Frame[] {
  const { image, layout } = walk;
  const frames: Frame[] = [];
  const old = !layout.since(11);
  const back = old ? layout.at("PyFrameObject", "f_back") : layout.at("_PyInterpreterFrame", "previous");
  for (let at = innermost, depth = 0; at !== 0 && depth < DEEPEST; at = image.pointer(at + back), depth++) {
    if (!image.has(at, 64)) break;
    const code = codeOf(walk, at, old);
    if (code === 0) continue;
    const { name, file, line } = codePlace(walk, code);
    if (name === "<interpreter trampoline>") continue;
    frames.push({ address: at, code, name, file, line: lineOf(walk, at, code, old) ?? line });
  }
  return frames;
}

function codeOf(walk: Walk, frame: number, old: boolean): number {
  const { image, layout } = walk;
  const at = old ? layout.at("PyFrameObject", "f_code") : layout.at("_PyInterpreterFrame", "f_executable", "f_code");
  const code = object(walk, image.pointer(frame + at));
  // No row is made for it: root rows come before the first object.
  const type = code === 0 || code % 8 !== 0 ? -1 : walk.types(walk.image.pointer(code + 8));
  return type >= 0 && walk.infos[type]!.name === "code" ? code : 0;
}

function lineOf(walk: Walk, frame: number, code: number, old: boolean): number | undefined {
  const { image, layout } = walk;
  const table = image.pointer(code + layout.at("PyCodeObject", "co_linetable", "co_lnotab"));
  const bytes = image.slice(table + 32, Math.min(image.pointer(table + 16), 1 << 22));
  if (bytes === null) return undefined;
  const first = image.i32(code + layout.at("PyCodeObject", "co_firstlineno"));
  let offset: number;
  if (old) {
    const last = image.i32(frame + layout.at("PyFrameObject", "f_lasti"));
    offset = layout.since(10) ? last * 2 : last;
  } else {
    const next = image.pointer(frame + layout.at("_PyInterpreterFrame", "instr_ptr", "prev_instr"));
    offset = next - (code + layout.at("PyCodeObject", "co_code_adaptive"));
  }
  return offset < 0 ? first : lineTable(layout.hex, first, bytes)(offset);
}

/** 3.14 on, a frame's words carry a tag in their low bits; 3 says that it is no object but a small int. */
function object(walk: Walk, word: number): number {
  if (!walk.layout.since(14)) return word;
  const tag = word % 4;
  return tag === 3 ? 0 : word - tag;
}

const localNames = new WeakMap<Walk, Map<number, Uint32Array>>();

/** Labels of a code object's local variables, cells and free variables, in the order of the frame. */
function localsOf(walk: Walk, code: number): Uint32Array {
  let all = localNames.get(walk);
  if (all === undefined) localNames.set(walk, (all = new Map()));
  const known = all.get(code);
  if (known !== undefined) return known;
  const { image, layout } = walk;
  const tuple = (field: string): string[] => texts(walk, image.pointer(code + layout.at("PyCodeObject", field)));
  const names = layout.since(11)
    ? tuple("co_localsplusnames")
    : [...tuple("co_varnames"), ...tuple("co_cellvars"), ...tuple("co_freevars")];
  const labels = Uint32Array.from(names, (name) => walk.named(EdgeKind.local, name));
  all.set(code, labels);
  return labels;
}

/** What a frame holds. */
export function frameEdges(walk: Walk, row: number, frame: number, code: number): void {
  if (walk.layout.since(11)) return newFrame(walk, row, frame, code);
  const { layout } = walk;
  localEdges(walk, row, frame + layout.at("PyFrameObject", "f_localsplus"), code);
}

function localEdges(walk: Walk, row: number, start: number, code: number): number {
  const labels = localsOf(walk, code);
  for (let i = 0; i < labels.length; i++) {
    const value = object(walk, walk.image.pointer(start + i * 8));
    if (value !== 0) walk.edge(row, value, labels[i]!);
  }
  return labels.length;
}

const FRAME_FIELDS = [
  ["f_executable", "code"],
  ["f_code", "code"],
  ["f_func", "function"],
  ["f_funcobj", "function"],
  ["f_locals", "f_locals"],
  ["frame_obj", "frame object"],
] as const;

function newFrame(walk: Walk, row: number, frame: number, code: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => layout.at("_PyInterpreterFrame", field);
  const start = frame + at("localsplus");
  const locals = localEdges(walk, row, start, code);
  for (const [field, shown] of FRAME_FIELDS) {
    const offset = at(field);
    if (offset === ABSENT) continue;
    const value = object(walk, image.pointer(frame + offset));
    if (value !== 0) walk.edge(row, value, walk.named(EdgeKind.other, shown));
  }
  const pointer = at("stackpointer");
  const most = image.i32(code + layout.at("PyCodeObject", "co_stacksize"));
  let depth = -1;
  if (pointer !== ABSENT) {
    const top = image.pointer(frame + pointer);
    if (top !== 0) depth = (top - start) / 8 - locals;
  } else {
    const top = image.i32(frame + at("stacktop"));
    if (top >= 0) depth = top - locals;
  }
  const exact = depth >= 0 && depth <= most;
  for (let i = 0; i < (exact ? depth : most); i++) {
    const value = object(walk, image.pointer(start + (locals + i) * 8));
    if (value === 0) continue;
    // Above the top of the stack, and in a frame that does not say where its top is, lie values of before.
    if (exact) walk.edge(row, value, packLabel(EdgeKind.stack, i));
    else walk.later.push(row, (locals + i) * 8, value);
  }
}

export function visitGenerator(walk: Walk, row: number, address: number, info: TypeInfo): void {
  const { image, layout } = walk;
  const at = (field: string): number => layout.at("PyGenObject", field);
  const name = (text: string): number => walk.named(EdgeKind.attribute, text);
  for (const field of ["gi_frame", "gi_code", "gi_name", "gi_qualname"] as const)
    if (at(field) !== ABSENT) walk.field(row, address + at(field), name(field));
  const exc = address + at("gi_exc_state");
  for (let i = 0; i < (layout.since(11) ? 1 : 3); i++) walk.field(row, exc + i * 8, name("handled exception"));
  const origin = at("gi_origin_or_finalizer");
  if (origin !== ABSENT) walk.field(row, address + origin, name("gi_origin"));
  else if (info.size >= exc - address + 40) walk.field(row, exc + 32, name("gi_origin"));
  if (!layout.since(11)) {
    const frame = image.pointer(address + at("gi_frame"));
    if (frame !== 0) nameGenerator(walk, row, frame, image.pointer(frame + layout.at("PyFrameObject", "f_code")), true);
    return;
  }
  const state = image.byte(address + at("gi_frame_state"));
  const over = layout.since(15) ? state >= 5 : state < 128 && state >= 1;
  if (over) return;
  const frame = address + at("gi_iframe");
  const code = codeOf(walk, frame, false);
  if (code === 0) return;
  nameGenerator(walk, row, frame, code, false);
  if (!walk.executing.has(frame)) newFrame(walk, row, frame, code);
}

function nameGenerator(walk: Walk, row: number, frame: number, code: number, old: boolean): void {
  const { name, file, line } = codePlace(walk, code);
  walk.builder.nameRow(row, name, file, lineOf(walk, frame, code, old) ?? line);
}

export function visitFrame(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => layout.at("PyFrameObject", field);
  const fields = ["f_back", "f_code", "f_builtins", "f_globals", "f_locals", "f_trace"];
  for (const field of [...fields, "f_extra_locals", "f_locals_cache", "f_overwritten_fast_locals"])
    if (at(field) !== ABSENT) walk.field(row, address + at(field), walk.named(EdgeKind.attribute, field));
  if (layout.since(11)) {
    const frame = image.pointer(address + at("f_frame"));
    if (image.byte(frame + layout.at("_PyInterpreterFrame", "owner")) !== 2) return;
    const code = codeOf(walk, frame, false);
    if (code === 0) return;
    const { name, file, line } = codePlace(walk, code);
    walk.builder.nameRow(row, name, file, lineOf(walk, frame, code, false) ?? line);
    newFrame(walk, row, frame, code);
    return;
  }
  oldFrame(walk, row, address);
}

function oldFrame(walk: Walk, row: number, address: number): void {
  const { image, layout } = walk;
  const at = (field: string): number => layout.at("PyFrameObject", field);
  const code = codeOf(walk, address, true);
  if (code === 0) return;
  const { name, file, line } = codePlace(walk, code);
  walk.builder.nameRow(row, name, file, lineOf(walk, address, code, true) ?? line);
  if (!walk.executing.has(address)) frameEdges(walk, row, address, code);
  const stack = image.pointer(address + at("f_valuestack"));
  let depth: number;
  if (layout.since(10)) depth = image.i32(address + at("f_stackdepth"));
  else {
    const top = image.pointer(address + at("f_stacktop"));
    depth = top === 0 ? -1 : (top - stack) / 8;
  }
  const most = image.i32(code + layout.at("PyCodeObject", "co_stacksize"));
  const exact = depth >= 0 && depth <= most;
  if (!exact && !walk.executing.has(address)) return; // it has ended, its stack is empty
  for (let i = 0; i < (exact ? depth : most); i++) {
    const value = image.pointer(stack + i * 8);
    if (value === 0) continue;
    if (exact) walk.edge(row, value, packLabel(EdgeKind.stack, i));
    else walk.later.push(row, stack + i * 8 - address, value);
  }
}
