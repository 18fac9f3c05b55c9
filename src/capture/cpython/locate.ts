/**
 * Finds CPython in a process's memory: `_PyRuntime`, the version, the layout that fits, interpreters and threads. Nothing is believed unchecked:
 * a table of offsets is taken only when sys.__dict__ reads as a dict with the right `hexversion`, and the fingerprint of builtin types agrees.
 */

import type { Image } from "../image/image.ts";
import type { LoadedElf, Target } from "../image/target.ts";
import { Refusal } from "../run/refusal.ts";
import { ABSENT, KNOWN_MINORS, Layout, minorOf, versionText } from "./layouts.ts";
import { dictValue, intValue, looksLikeType } from "./peek.ts";

export interface Thread {
  /** address of the PyThreadState */
  address: number;
  /** pthread_self */
  ident: number;
  /** Linux thread id, 0 where the version does not keep it */
  tid: number;
  /** the interpreter's main thread, by its ident */
  isMain: boolean;
  /** the innermost frame (frame object up to 3.10, interpreter frame later), 0: none */
  frame: number;
}

export interface Interpreter {
  /** address of the PyInterpreterState */
  address: number;
  id: number;
  /** newest first, as the interpreter lists them */
  threads: Thread[];
  modules: number;
  sysdict: number;
  builtins: number;
  /** address of the collector's state */
  gc: number;
}

export interface Runtime {
  /** address of _PyRuntime; 0 where only the interpreter was found */
  address: number;
  /** PY_VERSION_HEX */
  hex: number;
  /** "3.11.7" */
  version: string;
  layout: Layout;
  /** the main interpreter first */
  interpreters: Interpreter[];
  /** the file that holds the interpreter's code and static data */
  elf: LoadedElf | undefined;
  /** sentences: what could not be checked or found */
  doubts: string[];
}

const COOKIE_LOW = 0x62656478; // "xdeb"
const COOKIE_HIGH = 0x79707567; // "ugpy"
const MANY = 100_000;

/** Throws a Refusal, one sentence, when the process runs no CPython that can be read. */
export function locate(target: Target): Runtime {
  const { image, elfs } = target;
  const candidates = elfs.filter((elf) => isPython(elf, target));
  let refused = "";
  for (const elf of candidates) {
    const address = runtimeAddress(image, elf);
    if (address === 0) continue;
    const found = runtimeAt(target, address, elf);
    if (typeof found !== "string") return found;
    refused = found;
  }
  for (const elf of elfs) {
    const found = byScan(target, elf);
    if (found !== undefined) return found;
  }
  const what = target.source === "core" ? "the core file" : `process ${target.pid}`;
  if (refused !== "") throw new Refusal(3, `${what}: ${refused}`);
  throw new Refusal(2, `${what} runs no CPython: nothing in its memory looks like an interpreter`);
}

function isPython(elf: LoadedElf, target: Target): boolean {
  const name = elf.path.slice(elf.path.lastIndexOf("/") + 1);
  return name.startsWith("libpython") || elf.path === target.exe || elf.file?.symbol("_PyRuntime") !== undefined;
}

function runtimeAddress(image: Image, { file, bias, start, end }: LoadedElf): number {
  const symbol = file?.symbol("_PyRuntime");
  if (symbol !== undefined) return symbol.address + bias;
  const section = file?.section(".PyRuntime");
  if (section !== undefined) return section.address + bias;
  for (const region of image.regions) {
    if (!region.writable || region.start < start || region.end > end) continue;
    for (let at = region.start; at + 16 <= region.end; at += 8)
      if (image.word32(at) === COOKIE_LOW && image.word32(at + 4) === COOKIE_HIGH) return at;
  }
  return 0;
}

/** The runtime at an address, or why it cannot be read. */
function runtimeAt(target: Target, address: number, elf: LoadedElf): Runtime | string {
  const { image } = target;
  const machine = machineOf(elf);
  if (image.word32(address) === COOKIE_LOW && image.word32(address + 4) === COOKIE_HIGH) {
    const hex = image.word32(address + 8);
    if (image.pointer(address + 16) !== 0)
      return `CPython ${versionText(hex)} without the GIL (free-threaded) keeps its objects in another way, which is not read yet`;
    if (!KNOWN_MINORS.includes(minorOf(hex)))
      return `CPython ${versionText(hex)} is newer than what this version knows (${KNOWN_MINORS[0]} to ${KNOWN_MINORS.at(-1)})`;
    const layout = new Layout(hex, machine);
    takeDebugOffsets(image, address, layout);
    return checked(target, address, layout, elf);
  }
  const symbol = elf.file?.symbol("Py_Version");
  const told = symbol === undefined ? 0 : image.word32(symbol.address + elf.bias);
  const tries = KNOWN_MINORS.includes(minorOf(told)) ? [told] : KNOWN_MINORS.map((minor) => hexOfMinor(minor));
  let reason = "no interpreter state was found behind _PyRuntime";
  for (const hex of tries) {
    const found = checked(target, address, new Layout(hex, machine), elf);
    if (typeof found !== "string") return found;
    reason = found;
  }
  return reason;
}

function hexOfMinor(minor: string): number {
  return ((3 << 24) | (Number(minor.slice(2)) << 16)) >>> 0;
}

function machineOf(elf: LoadedElf): string {
  return elf.file?.machine === 183 ? "aarch64" : "x86_64";
}

/** What 3.13 and later tell of themselves, by the names of the tables. */
const DEBUG_OFFSETS: readonly [told: string, what: string][] = [
  ["runtime_state.interpreters_head", "_PyRuntimeState.interpreters.head"],
  ["interpreter_state.size", "PyInterpreterState"],
  ["interpreter_state.id", "PyInterpreterState.id"],
  ["interpreter_state.next", "PyInterpreterState.next"],
  ["interpreter_state.threads_head", "PyInterpreterState.threads.head"],
  ["interpreter_state.gc", "PyInterpreterState.gc"],
  ["interpreter_state.imports_modules", "PyInterpreterState.imports.modules"],
  ["interpreter_state.sysdict", "PyInterpreterState.sysdict"],
  ["interpreter_state.builtins", "PyInterpreterState.builtins"],
  ["thread_state.size", "PyThreadState"],
  ["thread_state.next", "PyThreadState.next"],
  ["thread_state.current_frame", "PyThreadState.current_frame"],
  ["thread_state.thread_id", "PyThreadState.thread_id"],
  ["thread_state.native_thread_id", "PyThreadState.native_thread_id"],
  ["thread_state.datastack_chunk", "PyThreadState.datastack_chunk"],
  ["interpreter_frame.previous", "_PyInterpreterFrame.previous"],
  ["interpreter_frame.executable", "_PyInterpreterFrame.f_executable"],
  ["interpreter_frame.instr_ptr", "_PyInterpreterFrame.instr_ptr"],
  ["interpreter_frame.localsplus", "_PyInterpreterFrame.localsplus"],
  ["interpreter_frame.owner", "_PyInterpreterFrame.owner"],
  ["interpreter_frame.stackpointer", "_PyInterpreterFrame.stackpointer"],
  ["gc.collecting", "_gc_runtime_state.collecting"],
];

/** Fields behind the collector's state, which grew by 24 in 3.14.5, and by 8 more behind what follows (measured between 3.14.0 and 3.14.8). */
const BEHIND_THE_COLLECTOR =
  /^(dict|codecs|before_|after_|warnings|atexit|obmalloc|audit|object_|types|callable|cached)/;

function takeDebugOffsets(image: Image, address: number, layout: Layout): void {
  const tableSysdict = layout.at("PyInterpreterState", "sysdict");
  for (const [told, what] of DEBUG_OFFSETS) {
    const at = layout.at("_Py_DebugOffsets", told);
    if (at === ABSENT) continue;
    const value = image.pointer(address + at);
    if (value >= 16_000_000) continue;
    const dot = what.indexOf(".");
    if (dot < 0) layout.replaceSize(what, value);
    else layout.replace(what.slice(0, dot), what.slice(dot + 1), value);
  }
  const shift = layout.at("PyInterpreterState", "sysdict") - tableSysdict;
  if (shift === 0) return;
  for (const field of layout.fields("PyInterpreterState")) {
    const base = layout.at("PyInterpreterState", field);
    if (field.startsWith("imports.") && field !== "imports.modules")
      layout.replace("PyInterpreterState", field, base + shift);
    else if (BEHIND_THE_COLLECTOR.test(field))
      layout.replace("PyInterpreterState", field, base + shift - (shift === -24 ? 8 : 0));
  }
}

function checked(target: Target, address: number, layout: Layout, elf: LoadedElf | undefined): Runtime | string {
  const head = target.image.pointer(address + layout.at("_PyRuntimeState", "interpreters.head"));
  return interpretersFrom(target, address, head, layout, elf);
}

function interpretersFrom(
  target: Target,
  address: number,
  head: number,
  layout: Layout,
  elf: LoadedElf | undefined,
): Runtime | string {
  const { image } = target;
  const next = layout.at("PyInterpreterState", "next");
  const states: number[] = [];
  for (let at = head; at !== 0 && states.length < 10_000; at = image.pointer(at + next)) {
    if (!image.has(at, 8)) return "its list of interpreters leads nowhere";
    states.push(at);
  }
  const main = states.at(-1);
  if (main === undefined) return "no interpreter has been started in it";
  const sysdict = image.pointer(main + layout.at("PyInterpreterState", "sysdict"));
  const hex = intValue(image, layout, dictValue(image, layout, sysdict, "hexversion"));
  if (minorOf(hex) !== layout.minor)
    return `its memory does not read as CPython ${layout.minor}: sys.__dict__ is not where it should be`;
  const doubts: string[] = [];
  const runtime: Runtime = {
    address,
    hex,
    version: versionText(hex),
    layout,
    interpreters: states.reverse().map((state) => interpreterAt(image, layout, state, address)),
    elf,
    doubts,
  };
  const misfit = fingerprint(image, runtime);
  if (misfit !== "")
    return `CPython ${runtime.version} of an unusual build: ${misfit} (a debug build, or changed by its vendor); its objects cannot be read`;
  return runtime;
}

function interpreterAt(image: Image, layout: Layout, address: number, runtime: number): Interpreter {
  const field = (name: string, or?: string): number => {
    const at = layout.at("PyInterpreterState", name, or);
    return at === ABSENT ? 0 : image.pointer(address + at);
  };
  const gc = layout.at("PyInterpreterState", "gc");
  const mainThread = runtime === 0 ? 0 : image.pointer(runtime + layout.at("_PyRuntimeState", "main_thread"));
  return {
    address,
    id: field("id"),
    modules: field("imports.modules", "modules"),
    sysdict: field("sysdict"),
    builtins: field("builtins"),
    gc: gc === ABSENT ? collectorOfRuntime(layout, runtime) : address + gc,
    threads: threadsOf(image, layout, field("threads.head", "tstate_head"), mainThread),
  };
}

/** 3.8 has one collector, in _PyRuntime. */
function collectorOfRuntime(layout: Layout, runtime: number): number {
  const gc = layout.at("_PyRuntimeState", "gc");
  return gc === ABSENT || runtime === 0 ? 0 : runtime + gc;
}

function threadsOf(image: Image, layout: Layout, head: number, main: number): Thread[] {
  const at = (name: string, or?: string): number => layout.at("PyThreadState", name, or);
  const tid = at("native_thread_id");
  const cframe = layout.has("_PyCFrame") && at("cframe") !== ABSENT && layout.since(11);
  const threads: Thread[] = [];
  for (let state = head; state !== 0 && threads.length < MANY; state = image.pointer(state + at("next"))) {
    if (!image.has(state, 8)) break;
    const holder = cframe ? image.pointer(state + at("cframe")) : 0;
    threads.push({
      address: state,
      ident: image.pointer(state + at("thread_id")),
      isMain: image.pointer(state + at("thread_id")) === main,
      tid: tid === ABSENT ? 0 : image.pointer(state + tid),
      frame: cframe
        ? image.pointer(holder + layout.at("_PyCFrame", "current_frame"))
        : image.pointer(state + at("current_frame", "frame")),
    });
  }
  return threads;
}

/** Sizes that builtin types publish of themselves against the tables: "" when they agree. */
function fingerprint(image: Image, { layout, interpreters }: Runtime): string {
  const { builtins } = interpreters[0]!;
  const basicsize = layout.at("PyTypeObject", "tp_basicsize");
  const expected: readonly [name: string, struct: string][] = [
    ["dict", "PyDictObject"],
    ["list", "PyListObject"],
    ["set", "PySetObject"],
    ["property", "propertyobject"],
    ["slice", "PySliceObject"],
    ["type", "PyHeapTypeObject"],
    ["BaseException", "PyBaseExceptionObject"],
    ["memoryview", "PyMemoryViewObject"],
  ];
  for (const [name, struct] of expected) {
    const type = dictValue(image, layout, builtins, name);
    if (type === 0 || !looksLikeType(image, layout, type)) continue; // a program may rebind a builtin name
    const size = image.pointer(type + basicsize);
    // The memoryview's arrays are part of its basic size up to their first element.
    const known = layout.size(struct) - (name === "memoryview" ? 8 : 0);
    if (size !== known && layout.size(struct) !== ABSENT) return `its ${name} objects have ${size} bytes, not ${known}`;
  }
  return "";
}

/** Up to 3.12, without symbols: a word of static data that leads to an interpreter whose first thread leads back to it. */
function byScan(target: Target, elf: LoadedElf): Runtime | undefined {
  const { image } = target;
  const layouts = KNOWN_MINORS.map((minor) => new Layout(hexOfMinor(minor), machineOf(elf)));
  const shapes = layouts.map((layout) => ({
    layout,
    head: layout.at("PyInterpreterState", "threads.head", "tstate_head"),
    interp: layout.at("PyThreadState", "interp"),
  }));
  for (const region of image.regions) {
    if (!region.writable || region.start < elf.start || region.end > elf.end) continue;
    for (let at = region.start; at + 8 <= region.end; at += 8) {
      const state = image.pointer(at);
      if (state < 4096 || state % 8 !== 0 || !image.has(state, 8)) continue;
      for (const { layout, head, interp } of shapes) {
        const thread = image.pointer(state + head);
        if (thread === 0 || image.pointer(thread + interp) !== state) continue;
        const found = interpretersFrom(target, 0, state, layout, elf);
        if (typeof found !== "string") return found;
      }
    }
  }
  return undefined;
}
