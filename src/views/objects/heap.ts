/**
 * The heap of one process at one instant: objects, native blocks that they reach, and the roots that keep them, as typed
 * columns, one row a node, with the references as edges in compressed sparse rows (the edges of row r are
 * firstEdge[r] .. firstEdge[r + 1]). Written by a HeapBuilder (build.ts); everything else in this room only reads it.
 *
 * Row 0 is the super-root, row 1 gathers what nobody in sight keeps but a reference count says is held, row 2 gathers the
 * garbage that waits for the collector (both filled by the builder, orphans.ts), then come the root nodes (modules,
 * threads, frames, interpreters, libraries), rows <= `roots`; every row after them is an object or a native block.
 */

import type { HeapColumns } from "../../tide/snapshot.ts";

export { NONE } from "../../base/brand.ts";

export const SUPER_ROOT = 0;
export const NATIVE_ROOT = 1;
export const GARBAGE_ROOT = 2;

/** What a row is. */
export const NodeKind = {
  superRoot: 0,
  /** gathers what is alive only because of references that were not found: orphans, and what native code holds out of sight */
  nativelyHeld: 1,
  /** gathers what the collector would free */
  garbage: 2,
  /** a module of sys.modules; its one edge (instanceDict) leads to the module object */
  module: 3,
  thread: 4,
  /** an executing frame; edges `local` */
  frame: 5,
  /** fields of the interpreter and thread states */
  interpreter: 6,
  /** writable static memory of one library or of the program, conservative edges */
  library: 7,
  object: 8,
  /** a block of the allocator that is no object, reached by a pointer */
  native: 9,
} as const;
export type NodeKind = (typeof NodeKind)[keyof typeof NodeKind];

/** Bits of `flags`. The ones marked (builder) are found by the builder when it finishes, a reader leaves them 0. */
export const NodeFlag = {
  /** in a list of the cyclic collector */
  tracked: 1,
  /** (builder) only garbage refers to it, and every counted reference was found there */
  garbage: 2,
  /** (builder) counts more references than were found: native code holds it, or lost it */
  nativelyHeld: 4,
  /** (builder) nobody refers to it, although its reference count is not 0 */
  orphan: 8,
  immortal: 16,
  /** (builder) no path of precise edges leads to it from a root */
  conservative: 32,
} as const;

/** What an edge is; the comment says what its argument is. */
export const EdgeKind = {
  /** name: an attribute that the object stores itself (slot, inline value, C member with a public name) */
  attribute: 0,
  /** index in a list, tuple, deque … */
  item: 1,
  /** row of the key object: the value of a dict entry */
  key: 2,
  /** position: the key itself of a dict entry or the element of a set */
  dictKey: 3,
  /** name: a local variable of a frame, generator, coroutine */
  local: 4,
  /** none: what owns the memory of a view */
  base: 5,
  /** name: a free variable of a function, through its cell */
  closure: 6,
  /** offset in bytes: a precise field of a C structure without a public name */
  cfield: 7,
  /** offset in bytes: a word that looks like a pointer to the target */
  conservative: 8,
  /** none: the type of an object */
  type: 9,
  /** none: the __dict__ of an object or module; not shown in paths */
  instanceDict: 10,
  /** name: a global variable where the holder is no dict (library symbol, field of the interpreter) */
  global: 11,
  /** depth, 0 innermost: a frame of a thread */
  frame: 12,
  /** position: an unnamed value on a frame's stack */
  stack: 13,
  /** name: any other relation, said in words */
  other: 14,
  /** name: the value of a dict entry whose key is a str that may be shown; attributes where the dict is an instanceDict */
  nameKey: 15,
} as const;
export type EdgeKind = (typeof EdgeKind)[keyof typeof EdgeKind];

/** Largest argument of an edge; larger ones are stored as this. */
export const MAX_ARGUMENT = 0x0fff_ffff;

/** An edge's kind (low 4 bits) and argument (high 28 bits). */
export function packLabel(kind: EdgeKind, argument = 0): number {
  return ((argument > MAX_ARGUMENT ? MAX_ARGUMENT : argument) * 16 + kind) >>> 0;
}

export function labelKind(label: number): EdgeKind {
  return (label & 15) as EdgeKind;
}

export function labelArgument(label: number): number {
  return label >>> 4;
}

/** The kinds whose argument is an index into `names`. */
export const NAMED_KINDS: ReadonlySet<number> = new Set([
  EdgeKind.attribute,
  EdgeKind.local,
  EdgeKind.closure,
  EdgeKind.global,
  EdgeKind.other,
  EdgeKind.nameKey,
]);

/** The columns as they are stored; what each means is said where they are declared. */
export type HeapTable = HeapColumns;

export const BoundKind = { lruCache: 0, deque: 1 } as const;
export const BOUND_NAMES = ["lru_cache", "deque"] as const;

/** Position of `row` in a column of sorted rows, or -1. */
export function findRow(rows: Uint32Array, row: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (rows[middle]! < row) low = middle + 1;
    else high = middle;
  }
  return low < rows.length && rows[low] === row ? low : -1;
}

/** What a stored snapshot may contain, for the reader of `.tide` files, which does not know the codes. */
export const HEAP_CODES = {
  kinds: NodeKind.native + 1,
  bounds: BOUND_NAMES.length,
  named: NAMED_KINDS,
  keyed: EdgeKind.key,
  noArgument: MAX_ARGUMENT,
};
