/**
 * Where the control flow of a code object can go: what decides whether two births belong to one activation of a function
 * and whether a loop turned between them. A backward jump alone does not make a loop (from 3.12 on handlers stand at the end
 * and jump back), so the graph is built and its cycles are found.
 */

import { lastNotAbove } from "./linetable.ts";
import { decodeInstructions, instructionStarts } from "./instructions.ts";
import type { Instructions } from "./instructions.ts";

/** Offsets are bytes of bytecode; every method moves them back to the start of their instruction first. */
export interface CodeFlow {
  /** Start of the instruction that the offset lies in: inline caches belong to the instruction before them. */
  instructionStart(offset: number): number;
  /** A frame stands at p: can it come to q without returning? Of p itself: only when it lies in a loop. */
  reachable(p: number, q: number): boolean;
  /** The instruction lies in a loop of its own code object. The waiting loop of `await` and `yield from` is none. */
  inLoop(offset: number): boolean;
}

/** Without bytecode: forward is reachable, nothing is in a loop. */
const UNKNOWN_FLOW: CodeFlow = {
  instructionStart: (offset) => offset,
  reachable: (p, q) => q > p,
  inLoop: () => false,
};

/**
 * The flow of one code object; cheap to call for what is never asked (a few passes over the bytecode).
 * @param locations `co_linetable` of 3.11 and later, see decodeInstructions
 */
export function decodeCode(
  pythonHex: number,
  bytecode: Uint8Array,
  exceptionTable: Uint8Array,
  locations?: Uint8Array,
): CodeFlow {
  const starts = instructionStarts(pythonHex, bytecode, locations);
  if (starts.length === 0) return UNKNOWN_FLOW;
  const indexOf = (offset: number): number => (offset < bytecode.length ? lastNotAbove(starts, offset) : -1);
  let cycles: Flow | undefined;
  const flow = (): Flow =>
    (cycles ??= followControl(decodeInstructions(pythonHex, bytecode, exceptionTable, locations)!));
  return {
    instructionStart(offset) {
      const index = indexOf(offset);
      return index < 0 ? offset : starts[index]!;
    },
    reachable(p, q) {
      const from = indexOf(p);
      const to = indexOf(q);
      return from < 0 || to < 0 ? q > p : flow().reachable(from, to);
    },
    inLoop(offset) {
      const index = indexOf(offset);
      return index >= 0 && flow().inLoop(index);
    },
  };
}

/** The same questions about indexes of instructions. */
interface Flow {
  reachable(from: number, to: number): boolean;
  inLoop(index: number): boolean;
}

function followControl(code: Instructions): Flow {
  const graph = buildGraph(code);
  const cyclic = findCycles(graph);
  const reached: (Uint8Array | undefined)[] = []; // by block: 1 for every block that can be come to
  return {
    reachable(from, to) {
      if (code.hidden && to > from) return true; // jumps may be missing: never invent a new activation
      const block = graph.blockOf[from]!;
      if (graph.blockOf[to] === block && to > from) return true;
      return (reached[block] ??= reachedFrom(graph, block))[graph.blockOf[to]!] === 1;
    },
    inLoop: (index) => cyclic[graph.blockOf[index]!] === 1,
  };
}

/** Basic blocks; every block has at most three ways on: `next[3 * block + k]`, -1 where there is none. */
interface Graph {
  count: number;
  blockOf: Uint32Array;
  next: Int32Array;
}

function buildGraph(code: Instructions): Graph {
  const { count, jump, handler, fallsThrough } = code;
  const leads = new Uint8Array(count);
  leads[0] = 1;
  for (let i = 0; i < count; i++) {
    if (jump[i]! >= 0) leads[jump[i]!] = 1;
    if (handler[i]! >= 0) leads[handler[i]!] = 1;
    const endsBlock = jump[i]! >= 0 || !fallsThrough[i] || (i + 1 < count && handler[i] !== handler[i + 1]);
    if (endsBlock && i + 1 < count) leads[i + 1] = 1;
  }
  const blockOf = new Uint32Array(count);
  let blocks = 0;
  for (let i = 0; i < count; i++) {
    blocks += leads[i]!;
    blockOf[i] = blocks - 1;
  }
  const next = new Int32Array(blocks * 3).fill(-1);
  for (let i = 0; i < count; i++) {
    if (i + 1 < count && !leads[i + 1]) continue;
    const at = blockOf[i]! * 3;
    if (fallsThrough[i] && i + 1 < count) next[at] = blockOf[i + 1]!;
    if (jump[i]! >= 0) next[at + 1] = blockOf[jump[i]!]!;
    if (handler[i]! >= 0) next[at + 2] = blockOf[handler[i]!]!;
  }
  return { count: blocks, blockOf, next };
}

/** 1 for every block on a cycle: strongly connected components by Tarjan's algorithm, with a stack of its own. */
function findCycles(graph: Graph): Uint8Array {
  const { count, next } = graph;
  const cyclic = new Uint8Array(count);
  const order = new Int32Array(count).fill(-1);
  const low = new Int32Array(count);
  const open = new Uint8Array(count);
  const edge = new Uint8Array(count); // the next way on to follow
  const component: number[] = [];
  const path: number[] = [];
  let seen = 0;
  for (let root = 0; root < count; root++) {
    if (order[root] === -1) path.push(root);
    while (path.length > 0) {
      const block = path.at(-1)!;
      if (order[block] === -1) {
        order[block] = low[block] = seen++;
        open[block] = 1;
        component.push(block);
      }
      if (edge[block]! < 3) {
        const to = next[block * 3 + edge[block]!++]!;
        if (to === -1) continue;
        if (to === block) cyclic[block] = 1;
        if (order[to] === -1) path.push(to);
        else if (open[to]) low[block] = Math.min(low[block]!, low[to]!);
        continue;
      }
      path.pop();
      if (path.length > 0) low[path.at(-1)!] = Math.min(low[path.at(-1)!]!, low[block]!);
      if (low[block] === order[block]) closeComponent(component, block, open, cyclic);
    }
  }
  return cyclic;
}

function closeComponent(component: number[], root: number, open: Uint8Array, cyclic: Uint8Array): void {
  const several = component.at(-1) !== root;
  for (;;) {
    const block = component.pop()!;
    open[block] = 0;
    if (several) cyclic[block] = 1;
    if (block === root) return;
  }
}

/** 1 for every block that can be come to from the end of this one; the block itself only over a cycle. */
function reachedFrom(graph: Graph, start: number): Uint8Array {
  const reached = new Uint8Array(graph.count);
  const work = [start];
  while (work.length > 0) {
    const block = work.pop()!;
    for (let k = 0; k < 3; k++) {
      const to = graph.next[block * 3 + k]!;
      if (to >= 0 && !reached[to]) {
        reached[to] = 1;
        work.push(to);
      }
    }
  }
  return reached;
}
