/**
 * Where references start, in the order in which a path from them reads best: modules, threads with their frames, the interpreter, and last
 * the writable static memory of the program and its libraries. All root rows are made before the first object.
 */

import { EdgeKind, MAX_ARGUMENT, NodeKind, packLabel } from "../../views/objects/heap.ts";
import type { LoadedElf, Target } from "../image/target.ts";
import { doubt } from "./doubt.ts";
import { frameEdges, framesOf } from "./frames.ts";
import type { Frame } from "./frames.ts";
import { ABSENT } from "./layouts.ts";
import type { Interpreter, Runtime, Thread } from "./locate.ts";
import { readKeys, strValue } from "./peek.ts";
import type { Walk } from "./walk.ts";

const FROM_SUPER_ROOT = packLabel(EdgeKind.other, MAX_ARGUMENT);

/** Fields of the interpreter's state that hold a reference, by the name under which they are shown. */
const INTERPRETER_FIELDS: readonly (readonly [shown: string, field: string, or?: string])[] = [
  ["sys.modules", "imports.modules", "modules"],
  ["sys.__dict__", "sysdict"],
  ["builtins.__dict__", "builtins"],
  ["modules_by_index", "imports.modules_by_index", "modules_by_index"],
  ["importlib", "imports.importlib", "importlib"],
  ["import_func", "imports.import_func", "import_func"],
  ["lazy_modules", "imports.lazy_modules"],
  ["interpreter dict", "dict"],
  ["sysdict_copy", "sysdict_copy"],
  ["builtins_copy", "builtins_copy"],
  ["codec search path", "codecs.search_path", "codec_search_path"],
  ["codec search cache", "codecs.search_cache", "codec_search_cache"],
  ["codec error registry", "codecs.error_registry", "codec_error_registry"],
  ["os.register_at_fork (before)", "before_forkers"],
  ["os.register_at_fork (parent)", "after_forkers_parent"],
  ["os.register_at_fork (child)", "after_forkers_child"],
  ["warnings filters", "warnings.filters"],
  ["warnings registry", "warnings.once_registry"],
  ["warnings default action", "warnings.default_action"],
  ["gc.garbage", "gc.garbage"],
  ["gc.callbacks", "gc.callbacks"],
  ["audit hooks", "audit_hooks"],
];

const THREAD_FIELDS: readonly (readonly [shown: string, field: string])[] = [
  ["thread state dict", "dict"],
  ["asynchronous exception", "async_exc"],
  ["current exception", "curexc_type"],
  ["current exception", "curexc_value"],
  ["current exception", "curexc_traceback"],
  ["current exception", "current_exception"],
  ["sys.setprofile", "c_profileobj"],
  ["sys.settrace", "c_traceobj"],
  ["context", "context"],
  ["async generator hook", "async_gen_firstiter"],
  ["async generator hook", "async_gen_finalizer"],
];

interface RootRow {
  row: number;
  /** adds the row's edges, once all root rows exist */
  fill: () => void;
}

/** Makes the root rows and returns what fills each, in order. */
export function makeRoots(walk: Walk, target: Target, runtime: Runtime): RootRow[] {
  const rows: RootRow[] = [];
  const add = (kind: NodeKind, name: string, fill: (row: number) => void, place?: Frame): number => {
    const row = walk.builder.addRoot(kind, name, place?.file ?? "", place?.line ?? 0);
    walk.addRow(row, 0);
    rows.push({ row, fill: () => fill(row) });
    return row;
  };
  const top: number[] = [];
  for (const interpreter of runtime.interpreters) {
    const prefix = interpreter.id === 0 ? "" : `sub-interpreter ${interpreter.id}: `;
    for (const [name, module] of modulesOf(walk, interpreter))
      top.push(
        add(NodeKind.module, prefix + name, (row) => {
          const to = walk.reach(module);
          if (to !== 0) walk.builder.addEdge(row, to, EdgeKind.instanceDict);
        }),
      );
  }
  for (const interpreter of runtime.interpreters)
    for (const thread of interpreter.threads) top.push(addThread(walk, target, interpreter, thread, add));
  for (const interpreter of runtime.interpreters) {
    const name = interpreter.id === 0 ? "the interpreter" : `sub-interpreter ${interpreter.id}`;
    top.push(add(NodeKind.interpreter, name, (row) => interpreterEdges(walk, interpreter, row)));
  }
  rows.unshift({
    row: 0,
    fill: () => {
      for (const row of top) walk.builder.addLabelled(0, row, FROM_SUPER_ROOT);
    },
  });
  return rows;
}

/** The modules of sys.modules, the main program first. */
function modulesOf(walk: Walk, { modules }: Interpreter): [name: string, address: number][] {
  const { image, layout } = walk;
  if (modules === 0) return [];
  const { entries, count, stride, key } = readKeys(image, layout, image.pointer(modules + 32));
  const found: [string, number][] = [];
  for (let i = 0; i < Math.min(count, 1_000_000); i++) {
    const entry = entries + i * stride + key;
    const module = image.pointer(entry + 8);
    const name = strValue(image, layout, image.pointer(entry), 200);
    if (module !== 0 && name !== null) found.push([name, module]);
  }
  return found.sort(([a], [b]) => Number(b === "__main__") - Number(a === "__main__"));
}

function addThread(
  walk: Walk,
  target: Target,
  interpreter: Interpreter,
  thread: Thread,
  add: (kind: NodeKind, name: string, fill: (row: number) => void, place?: Frame) => number,
): number {
  const frames = framesFor(walk, thread);
  const rows: number[] = [];
  const row = add(NodeKind.thread, threadName(target, interpreter, thread), (own) => {
    rows.forEach((frame, depth) => walk.builder.addEdge(own, frame, EdgeKind.frame, depth));
    threadEdges(walk, thread, own);
  });
  for (const frame of frames) {
    rows.push(add(NodeKind.frame, frame.name, (own) => frameEdges(walk, own, frame.address, frame.code), frame));
    walk.executing.add(frame.address);
  }
  return row;
}

function framesFor(walk: Walk, thread: Thread): Frame[] {
  return thread.frame === 0 ? [] : framesOf(walk, thread.frame);
}

/** "MainThread", the thread's id and the name that the kernel knows, or pthread_self where the version keeps no id (up to 3.10). */
function threadName({ pid, status }: Target, interpreter: Interpreter, { tid, ident, isMain }: Thread): string {
  if (interpreter.id === 0 && (tid === pid || isMain)) return "MainThread";
  if (tid === 0) return `0x${ident.toString(16)}`;
  const name = status.threads?.find((thread) => thread.tid === tid)?.name ?? "";
  return name === "" || name.startsWith("python") ? String(tid) : `${tid} (${name})`;
}

function threadEdges(walk: Walk, thread: Thread, row: number): void {
  const { image, layout } = walk;
  for (const [shown, field] of THREAD_FIELDS) {
    const at = layout.at("PyThreadState", field);
    if (at !== ABSENT) walk.field(row, thread.address + at, walk.named(EdgeKind.global, shown));
  }
  const exceptions = layout.since(11) ? 1 : 3;
  let item = image.pointer(thread.address + layout.at("PyThreadState", "exc_info"));
  for (let depth = 0; item !== 0 && depth < 100_000; depth++, item = image.pointer(item + exceptions * 8)) {
    // The exception states of generators belong to the generators.
    if (item !== thread.address + layout.at("PyThreadState", "exc_state")) continue;
    for (let i = 0; i < exceptions; i++)
      walk.field(row, item + i * 8, walk.named(EdgeKind.global, "handled exception"));
  }
}

function interpreterEdges(walk: Walk, interpreter: Interpreter, row: number): void {
  const { layout } = walk;
  const isMain = interpreter.id === 0;
  for (const [shown, field, or] of INTERPRETER_FIELDS) {
    const at = layout.at("PyInterpreterState", field, or);
    if (at !== ABSENT) walk.field(row, interpreter.address + at, walk.named(EdgeKind.global, shown));
  }
  if (!isMain || layout.since(9)) return;
  // 3.8 keeps the collector's lists of garbage and callbacks in the runtime: found by the scan of static memory.
}

/** What lies in the interpreter's and its threads' own structures besides, where references are missing. */
export function interpreterRest(walk: Walk, { interpreters, layout }: Runtime, row: number): void {
  const known = new Set(THREAD_FIELDS.map(([, field]) => layout.at("PyThreadState", field)));
  for (const interpreter of interpreters) {
    const size = layout.size("PyInterpreterState");
    const types = layout.at("PyInterpreterState", "types");
    const cache = layout.at("PyInterpreterState", "type_cache");
    // Borrowed: the cache of looked-up attributes. The dicts of static types belong to the types.
    const skipFrom = types !== ABSENT ? types : cache;
    const skipTo = skipFrom + (types === ABSENT ? 98_304 : layout.size("types_state"));
    if (skipFrom !== ABSENT) cachedNames(walk, row, interpreter.address + skipFrom + (types === ABSENT ? 0 : 8));
    const interned = layout.at("PyInterpreterState", "cached_objects.interned_strings");
    const read = new Set<number>([interned]);
    for (const [, field, or] of INTERPRETER_FIELDS) read.add(layout.at("PyInterpreterState", field, or));
    scanMissing(
      walk,
      row,
      interpreter.address,
      size,
      (offset) => (offset >= skipFrom && offset < skipTo) || read.has(offset),
    );
    for (const thread of interpreter.threads)
      scanMissing(walk, row, thread.address, layout.size("PyThreadState"), (offset) => known.has(offset));
  }
}

const CACHED_ATTRIBUTES = 4096;

/** The cache of looked-up attributes counts a reference to each name, none to the values. */
function cachedNames(walk: Walk, row: number, cache: number): void {
  const label = walk.named(EdgeKind.global, "cache of attributes");
  for (let i = 0; i < CACHED_ATTRIBUTES; i++) {
    const name = walk.image.pointer(cache + i * 24 + 8);
    if (name >= 65_536) walk.edge(row, name, label);
  }
}

function scanMissing(walk: Walk, row: number, start: number, bytes: number, skip: (offset: number) => boolean): void {
  const { image } = walk;
  for (let offset = 0; offset + 8 <= bytes; offset += 8) {
    if (skip(offset)) continue;
    const word = image.pointer(start + offset);
    if (word >= 65_536 && word % 8 === 0 && image.handle(word) >= 0) doubt(walk, row, offset, word, true);
  }
}

/** A row for each file with writable static memory, and the ranges of that memory. */
export function libraryRanges(target: Target): { name: string; ranges: [start: number, end: number][] }[] {
  return target.elfs
    .map((elf) => ({ name: elf.path.slice(elf.path.lastIndexOf("/") + 1), ranges: writableRanges(target, elf) }))
    .filter(({ ranges }) => ranges.length > 0);
}

function writableRanges({ image }: Target, elf: LoadedElf): [number, number][] {
  return image.regions
    .filter(({ start, end, writable, path }) => writable && !path.startsWith("[") && start < elf.end && end > elf.start)
    .map(({ start, end }): [number, number] => [Math.max(start, elf.start), Math.min(end, elf.end)]);
}

/** References from static memory to objects of which references are missing: CPython and extensions keep objects in C variables. */
export function libraryEdges(
  walk: Walk,
  row: number,
  ranges: readonly [start: number, end: number][],
  skip: Interpreter[],
): void {
  const size = walk.layout.size("PyInterpreterState");
  const typeSize = walk.layout.size("PyTypeObject");
  const metatype = walk.infos.find(({ name, heap }) => name === "type" && !heap)?.address ?? 0;
  for (const [start, end] of ranges) {
    for (let at = start; at + 8 <= end; at += 8) {
      // The main interpreter's state is static from 3.12 on, and has been scanned.
      const inside = skip.find(({ address }) => at >= address && at < address + size);
      if (inside !== undefined) {
        at = inside.address + size - 8;
        continue;
      }
      // A static type is an object of its own; what it holds is found by its layout.
      if (walk.image.pointer(at + 8) === metatype && walk.types(at) >= 0) {
        if (walk.known(at) === 0) doubt(walk, row, at - start, at);
        at += typeSize - 8;
        continue;
      }
      const word = walk.image.pointer(at);
      if (word < 65_536 || word % 8 !== 0 || walk.image.handle(word) < 0) continue;
      doubt(walk, row, at - start, word, true);
    }
  }
}
