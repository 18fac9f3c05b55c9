/**
 * Bytecode taken apart: where instructions start, where each can go next. Memory holds quickened code (specialised and instrumented
 * opcodes, inline caches filled with data), so opcodes are mapped back by the table of the version (opcodes.json, made by scripts/opcodes.py).
 */

import { lastNotAbove } from "./linetable.ts";
import opcodes from "./opcodes.json" with { type: "json" };

/** What one minor version's bytecode looks like; opcodes by number. */
interface Version {
  /** Bytes that 1 in the argument of a jump stands for. */
  argumentUnit: number;
  extendedArg: number;
  forIter: number;
  endFor: number;
  send: number;
  noInterrupt: number;
  popBlock: number;
  /** 3.8 calls the body of a `finally` and comes back from its end. */
  callFinally: number;
  endFinally: number;
  endAsyncFor: number;
  enterExecutor: number;
  /** Opcodes that stand for another one which cannot be seen. */
  hidden: ReadonlySet<number>;
  jumpsForward: ReadonlySet<number>;
  jumpsBackward: ReadonlySet<number>;
  jumpsAbsolute: ReadonlySet<number>;
  pushesHandler: ReadonlySet<number>;
  /** Control does not go on to the next instruction. */
  ends: ReadonlySet<number>;
  /** Code units of inline cache, by opcode; and the counts that occur, ascending. */
  caches: Uint8Array;
  cacheCounts: number[];
  /** The plain opcode of every opcode. */
  base: Uint8Array;
}

const NOWHERE = -1;

/** Instructions in order; one array a field, index = instruction. */
export interface Instructions {
  readonly count: number;
  /** Offsets in bytes, ascending. */
  readonly starts: Uint32Array;
  /** Plain opcodes. */
  readonly opcodes: Uint8Array;
  /** Index of the instruction that it may jump to, the one where an exception raised in it is handled; -1: none. */
  readonly jump: Int32Array;
  readonly handler: Int32Array;
  /** 1: control may go on to the next instruction. */
  readonly fallsThrough: Uint8Array;
  /** Some opcode was hidden by a tracer's instrument: jumps may be missing. */
  readonly hidden: boolean;
}

const versions = new Map<string, Version | undefined>();

function versionOf(pythonHex: number): Version | undefined {
  const name = `${pythonHex >>> 24}.${(pythonHex >>> 16) & 255}`;
  if (!versions.has(name)) versions.set(name, loadVersion(name));
  return versions.get(name);
}

function loadVersion(name: string): Version | undefined {
  if (!Object.hasOwn(opcodes, name)) return undefined;
  const raw = opcodes[name as keyof typeof opcodes];
  const base = Uint8Array.from({ length: 256 }, (_, opcode) => opcode);
  for (const [opcode, plain] of Object.entries(raw.base)) base[Number(opcode)] = plain;
  const caches = new Uint8Array(256);
  for (const [opcode, count] of Object.entries(raw.caches)) caches[Number(opcode)] = count;
  return {
    ...raw,
    hidden: new Set<number>(raw.hidden),
    jumpsForward: new Set<number>(raw.jumpsForward),
    jumpsBackward: new Set<number>(raw.jumpsBackward),
    jumpsAbsolute: new Set<number>(raw.jumpsAbsolute),
    pushesHandler: new Set<number>(raw.pushesHandler),
    ends: new Set<number>(raw.ends),
    caches,
    cacheCounts: [...new Set<number>([0, ...caches])].sort((a, b) => a - b),
    base,
  };
}

/** Offsets at which instructions start, ascending; none when the version is not known or there is no bytecode. */
export function instructionStarts(
  pythonHex: number,
  bytecode: Uint8Array,
  locations: Uint8Array = new Uint8Array(0),
): Uint32Array {
  const version = versionOf(pythonHex);
  return version ? walk(version, bytecode, bytecode.length & ~1, locations).starts : new Uint32Array(0);
}

/**
 * Decodes the bytecode of one code object.
 * @param locations `co_linetable` of 3.11 and later; only used to find the end of an instruction whose opcode a tracer hid
 * @returns undefined when the version is not known or there is no bytecode
 */
export function decodeInstructions(
  pythonHex: number,
  bytecode: Uint8Array,
  exceptionTable: Uint8Array,
  locations: Uint8Array = new Uint8Array(0),
): Instructions | undefined {
  const version = versionOf(pythonHex);
  const length = bytecode.length & ~1;
  if (!version || length === 0) return undefined;
  const { starts, arguments: args, opcodes: plain, hidden } = walk(version, bytecode, length, locations);
  if (hidden) guessHidden(version, starts, args, plain);
  const count = starts.length;
  const jump = new Int32Array(count).fill(NOWHERE);
  const fallsThrough = new Uint8Array(count).fill(1);
  for (let i = 0; i < count; i++) {
    const opcode = plain[i]!;
    if (version.ends.has(opcode)) fallsThrough[i] = 0;
    const next = i + 1 < count ? starts[i + 1]! : length;
    const target = targetOf(version, opcode, args[i]!, next);
    if (target !== NOWHERE) jump[i] = indexOfStart(starts, target);
  }
  if (version.enterExecutor >= 0) guessExecutors(version, plain, jump, fallsThrough);
  if (version.callFinally >= 0) returnFromFinally(version, plain, jump);
  dropWaiting(version, plain, jump);
  const handler =
    version.popBlock >= 0
      ? handlersBySetup(version, plain, jump, fallsThrough)
      : handlersByTable(starts, exceptionTable);
  return { count, starts, opcodes: plain, jump, handler, fallsThrough, hidden };
}

function walk(version: Version, bytecode: Uint8Array, length: number, locations: Uint8Array) {
  const starts = new Uint32Array(length / 2);
  const args = new Float64Array(length / 2);
  const plain = new Uint8Array(length / 2);
  let count = 0;
  let extended = 0;
  let hidden = false;
  let ends: Set<number> | undefined;
  for (let at = 0; at < length; count++) {
    const opcode = version.base[bytecode[at]!]!;
    const argument = extended * 256 + bytecode[at + 1]!;
    extended = opcode === version.extendedArg ? argument % 0x1000000 : 0;
    starts[count] = at;
    plain[count] = opcode;
    args[count] = argument;
    let cache = version.caches[opcode]!;
    if (version.hidden.has(opcode)) {
      hidden = true;
      ends ??= entryEnds(locations);
      if (isRestingCounter(bytecode, at + 2)) cache = cachesOfHidden(version, at, ends);
    }
    at += 2 + 2 * cache;
  }
  return { starts: starts.slice(0, count), arguments: args, opcodes: plain.slice(0, count), hidden };
}

/**
 * An instrument lets the instruction below it specialise no more: a cache begins with a counter that rests at one of these. The same word is no
 * common instruction.
 */
function isRestingCounter(bytecode: Uint8Array, at: number): boolean {
  const low = bytecode[at];
  return bytecode[at + 1] === 0 && (low === 17 || low === 9 || low === 1);
}

/**
 * Where an entry of the location table begins with the instruction, the instruction ends where an entry does: one with a long cache has a place
 * in the source of its own. One that shares its entry with those before it belongs to a `for` or an `await` and has a short cache.
 */
function cachesOfHidden(version: Version, at: number, ends: Set<number>): number {
  const SHORT = 1;
  if (at > 0 && !ends.has(at)) return SHORT;
  return version.cacheCounts.find((count) => count > 0 && ends.has(at + 2 + 2 * count)) ?? SHORT;
}

/** Of the instructions that an instrument hid, those that make loops: a FOR_ITER goes on to an END_FOR, a backward jump to a FOR_ITER. */
function guessHidden(version: Version, starts: Uint32Array, args: Float64Array, plain: Uint8Array): void {
  const [backward] = version.jumpsBackward;
  const lands = (i: number, direction: number, opcode: number): boolean => {
    const target = starts[i]! + 4 + direction * 2 * args[i]!;
    const index = indexOfStart(starts, target);
    return index >= 0 && starts[index] === target && plain[index] === opcode;
  };
  for (const [direction, aim, opcode] of [
    [1, version.endFor, version.forIter],
    [-1, version.forIter, backward!],
  ] as const) {
    for (let i = 0; i + 1 < plain.length; i++) {
      const length = starts[i + 1]! - starts[i]!;
      if (version.hidden.has(plain[i]!) && length === 4 && lands(i, direction, aim)) plain[i] = opcode;
    }
  }
}

/** Offsets at which an entry of a location table (3.11 and later) ends. */
function entryEnds(locations: Uint8Array): Set<number> {
  const ends = new Set<number>();
  let offset = 0;
  for (const byte of locations) {
    if (byte < 128) continue; // only the first byte of an entry has bit 7 set
    offset += ((byte & 7) + 1) * 2;
    ends.add(offset);
  }
  return ends;
}

function targetOf(version: Version, opcode: number, argument: number, next: number): number {
  const distance = argument * version.argumentUnit;
  if (version.jumpsForward.has(opcode)) return next + distance;
  if (version.jumpsBackward.has(opcode)) return next - distance;
  if (version.jumpsAbsolute.has(opcode)) return distance;
  return NOWHERE;
}

/** The loop of an `await` or `yield from` waits inside one instruction of the source: it is no turn, so it has no edge. */
function dropWaiting(version: Version, plain: Uint8Array, jump: Int32Array): void {
  for (let i = 0; i < plain.length; i++) {
    if (plain[i] !== version.noInterrupt || jump[i] === NOWHERE) continue;
    const target = plain[jump[i]!]!;
    const isNear = jump[i]! >= i - 3; // SEND, YIELD_VALUE, RESUME, this
    if (target === version.send || (isNear && version.hidden.has(target))) jump[i] = NOWHERE;
  }
}

/**
 * In 3.8 `return` and `continue` call the body of a `finally`; its end goes on after the call, besides falling through.
 * Of several calls only the first is gone back to: each of the others can be come to from its call already.
 */
function returnFromFinally(version: Version, plain: Uint8Array, jump: Int32Array): void {
  for (let i = 0; i + 1 < plain.length; i++) {
    if (plain[i] !== version.callFinally || jump[i]! < 0) continue;
    let depth = 0;
    for (let k = jump[i]!; k < plain.length; k++) {
      if (version.pushesHandler.has(plain[k]!) && plain[jump[k]!] !== version.endAsyncFor) depth++;
      else if (plain[k] === version.endFinally && depth-- === 0) {
        if (jump[k] === NOWHERE) jump[k] = i + 1;
        break;
      }
    }
  }
}

/**
 * The optimiser put ENTER_EXECUTOR over a backward jump and took its argument. The loop's head is then guessed: the innermost FOR_ITER
 * whose exit lies beyond, else the first test that leaves beyond, else the start. At the very start it stands over RESUME and goes on.
 */
function guessExecutors(version: Version, plain: Uint8Array, jump: Int32Array, fallsThrough: Uint8Array): void {
  for (let i = 4; i < plain.length; i++) {
    if (plain[i] !== version.enterExecutor) continue;
    let head = NOWHERE;
    for (let k = i - 1; k >= 0; k--) {
      if (jump[k]! <= i) continue;
      head = k;
      if (plain[k] === version.forIter) break;
    }
    jump[i] = Math.max(head, 0);
    fallsThrough[i] = 0;
  }
}

/** 3.11 on: entries of four big-endian varints with 6 bits a byte (start, length, handler, depth), the first byte of an entry has bit 7 set. */
function handlersByTable(starts: Uint32Array, table: Uint8Array): Int32Array {
  const handler = new Int32Array(starts.length).fill(NOWHERE);
  let at = 0;
  const varint = (): number => {
    let value = 0;
    while (at < table.length) {
      const byte = table[at++]!;
      value = (value % 0x2000000) * 64 + (byte & 63);
      if ((byte & 64) === 0) break;
    }
    return value;
  };
  let filled = 0; // ranges are disjoint and in order, so a table that is not cannot make this quadratic
  while (at < table.length) {
    const start = varint() * 2;
    const end = start + varint() * 2;
    const target = indexOfStart(starts, varint() * 2);
    varint();
    if (target === NOWHERE) continue;
    for (let i = Math.max(filled, lastNotAbove(starts, start)); i < starts.length && starts[i]! < end; i++) {
      if (starts[i]! >= start) handler[i] = target;
      filled = i + 1;
    }
  }
  return handler;
}

/** Up to 3.10 the interpreter keeps a stack of handlers while it runs; here it is followed along the control flow, each instruction once. */
function handlersBySetup(version: Version, plain: Uint8Array, jump: Int32Array, fallsThrough: Uint8Array): Int32Array {
  const UNSEEN = -1;
  const targets = [NOWHERE]; // stacks as a tree: 0 is the empty one
  const outer = [0];
  const inForce = new Int32Array(plain.length).fill(UNSEEN);
  const work: number[] = [];
  const visit = (instruction: number, stack: number): void => {
    if (instruction < 0 || instruction >= plain.length || inForce[instruction] !== UNSEEN) return;
    inForce[instruction] = stack;
    work.push(instruction);
  };
  visit(0, 0);
  while (work.length > 0) {
    const i = work.pop()!;
    const before = inForce[i]!;
    let after = before;
    if (version.pushesHandler.has(plain[i]!)) {
      after = targets.push(jump[i]!) - 1;
      outer.push(before);
    } else if (plain[i] === version.popBlock) after = outer[before]!;
    if (fallsThrough[i]) visit(i + 1, after);
    visit(jump[i]!, version.pushesHandler.has(plain[i]!) ? before : after);
  }
  return inForce.map((stack) => (stack === UNSEEN ? NOWHERE : targets[stack]!));
}

/** Index of the instruction that contains an offset; -1 outside the code. */
function indexOfStart(starts: Uint32Array, offset: number): number {
  if (offset < 0 || starts.length === 0 || offset > starts[starts.length - 1]! + 1) return NOWHERE;
  return lastNotAbove(starts, offset);
}
