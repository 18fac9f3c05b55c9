/**
 * A snapshot of all objects as tables of a `.tide` file: the wide columns packed (packed.ts) one after the other in `heapWords`, found by
 * `heapColumns`; what only few rows have as plain tables. Nothing read is trusted: every index is checked here once, so no query has to.
 */

import { NONE } from "../base/brand.ts";
import { damaged } from "./container.ts";
import { dictionary, pack, unpack } from "./packed.ts";
import type { Recording } from "./recording.ts";
import type { Table, TableName, Tables } from "./schema.ts";
import { asTable, columnsOf } from "./writer.ts";

/** A heap: a row an object, and for what is a root or a holder of its own. Codes (kind, flags, edge labels) have their meaning in views/objects/heap.ts. */
export interface HeapColumns {
  readonly count: number;
  /** last row that is a root node */
  readonly roots: number;
  /** 0 for rows that are no memory */
  readonly address: Float64Array;
  /** row of `types`; 0 for rows that are no object */
  readonly type: Uint32Array;
  /** what the allocator gave: the own block, with the blocks that only it owns (a list's items, a dict's keys, an array's buffer) */
  readonly bytes: Float64Array;
  /** -1: immortal, or not counted */
  readonly refcount: Int32Array;
  readonly kind: Uint8Array;
  readonly flags: Uint8Array;
  /** count + 1 */
  readonly firstEdge: Uint32Array;
  readonly edgeTo: Uint32Array;
  readonly edgeLabel: Uint32Array;
  /** name: qualified within the module; module: "" unknown. Row 0 is the type of native blocks. */
  readonly types: { readonly name: string[]; readonly module: string[] };
  readonly names: string[];
  /**
   * Rows with a name of their own, sorted by row: root nodes, classes, functions, modules, generators, frames, code. name, file: rows
   * of `names`, file NONE when there is none; line: 0 when there is none.
   */
  readonly named: {
    readonly row: Uint32Array;
    readonly name: Uint32Array;
    readonly file: Uint32Array;
    readonly line: Uint32Array;
  };
  /**
   * Objects that are or show a buffer (ndarray, array.array, bytearray, memoryview, mmap …), sorted by row. dtype, shape: rows of `names`
   * ("float64", "(1000, 3)"); bufferBytes: what it shows, part of the row's bytes only when base is NONE; base: row that owns the memory, NONE: itself.
   */
  readonly arrays: {
    readonly row: Uint32Array;
    readonly dtype: Uint32Array;
    readonly shape: Uint32Array;
    readonly bufferBytes: Float64Array;
    readonly base: Uint32Array;
  };
  /** Containers with a limit, sorted by row. kind: a BoundKind; limit NaN: none; fill: entries now. */
  readonly bounds: {
    readonly row: Uint32Array;
    readonly kind: Uint8Array;
    readonly limit: Float64Array;
    readonly fill: Float64Array;
  };
  /** Dicts, sets and lists of 1 KiB and more, sorted by row. used: entries; slots: entries that their memory has room for. */
  readonly containers: { readonly row: Uint32Array; readonly used: Float64Array; readonly slots: Float64Array };
  /** One a row, of str and bytes objects; 0 for other rows (a hash that is 0 is stored as 1). Equal type, bytes and hash: taken as equal. */
  readonly contentHash: Uint32Array | undefined;
  /** Short values (repr), only when asked for, sorted by row. */
  readonly texts: { readonly row: Uint32Array; readonly text: string[] };
}

/** What the codes of a stored heap may be: the room that gives them their meaning says so when it reads. */
export interface HeapCodes {
  /** node kinds are below this */
  readonly kinds: number;
  readonly bounds: number;
  /** kinds of edges (of 16) whose argument is an index of `names`, and the one whose argument is a row */
  readonly named: ReadonlySet<number>;
  readonly keyed: number;
  /** argument that stands for none */
  readonly noArgument: number;
}

const PAGE = 2 ** 20;
const ALIGNMENT = 8;

/** The tables of a heap and of its immediate dominators (a row each; NONE where there is none). */
export function heapTables(heap: HeapColumns, idom: Uint32Array): Partial<Tables> {
  const words: Uint32Array[] = [];
  const columns = { name: [] as string[], rows: [] as number[], first: [] as number[], words: [] as number[] };
  let at = 0;
  const add = (name: string, values: Uint32Array): void => {
    const packed = pack(values);
    columns.name.push(name);
    columns.rows.push(values.length);
    columns.first.push(at);
    columns.words.push(packed.length);
    words.push(packed);
    at += packed.length;
  };
  // Loops, not Uint32Array.from: it walks an iterator, which takes seconds on millions of rows.
  const { count } = heap;
  const page = new Float64Array(count);
  const offset = new Uint32Array(count);
  const degree = new Uint32Array(count);
  const back = new Uint32Array(count);
  for (let row = 0; row < count; row++) {
    const address = heap.address[row]!;
    const number = Math.floor(address / PAGE);
    page[row] = number;
    offset[row] = (address - number * PAGE) / ALIGNMENT;
    degree[row] = heap.firstEdge[row + 1]! - heap.firstEdge[row]!;
    // A dominator is most often among the rows just before: how far back takes fewer bits than where.
    const above = idom[row]!;
    back[row] = above === NONE ? 0 : row >= above ? 1 + 2 * (row - above) : 2 * (above - row);
  }
  const edgeKind = new Uint32Array(heap.edgeLabel.length);
  const edgeArgument = new Uint32Array(heap.edgeLabel.length);
  for (let edge = 0; edge < edgeKind.length; edge++) {
    edgeKind[edge] = heap.edgeLabel[edge]! & 15;
    edgeArgument[edge] = heap.edgeLabel[edge]! >>> 4;
  }
  const pages = dictionary(page);
  add("page", pages.index);
  add("offset", offset);
  add("type", heap.type);
  const sizes = dictionary(heap.bytes);
  add("bytes", sizes.index);
  const counts = dictionary(heap.refcount);
  add("refcount", counts.index);
  const degrees = dictionary(degree);
  add("degree", degrees.index);
  add("kind", new Uint32Array(heap.kind));
  add("flags", new Uint32Array(heap.flags));
  add("idom", back);
  add("edgeTo", heap.edgeTo);
  add("edgeKind", edgeKind);
  add("edgeArgument", edgeArgument);
  if (heap.contentHash) add("contentHash", repeatedOnly(heap.contentHash));
  const all = new Uint32Array(at);
  words.forEach((packed, i) => all.set(packed, columns.first[i]!));
  return {
    heapColumns: table("heapColumns", { ...columns, ...numbers(columns) }),
    heapWords: table("heapWords", { word: all }),
    heapNumbers: table("heapNumbers", {
      kind: Uint8Array.from([
        ...Array.from(pages.distinct, () => 0),
        ...Array.from(sizes.distinct, () => 1),
        ...Array.from(counts.distinct, () => 2),
        ...Array.from(degrees.distinct, () => 3),
      ]),
      value: concat(pages.distinct, sizes.distinct, counts.distinct, degrees.distinct),
    }),
    heapTypes: table("heapTypes", heap.types),
    heapNames: table("heapNames", { name: heap.names }),
    heapNamed: table("heapNamed", heap.named),
    heapArrays: table("heapArrays", heap.arrays),
    heapBounds: table("heapBounds", heap.bounds),
    heapContainers: table("heapContainers", heap.containers),
    heapTexts: table("heapTexts", heap.texts),
    heapSize: table("heapSize", { roots: Uint32Array.of(heap.roots) }),
  };
}

function numbers({ rows, first, words }: Record<"rows" | "first" | "words", number[]>) {
  return { rows: Uint32Array.from(rows), first: Uint32Array.from(first), words: Uint32Array.from(words) };
}

function concat(...parts: Float64Array[]): Float64Array {
  const whole = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function table<N extends TableName>(name: N, columns: Readonly<Record<string, unknown>>): Table<N> {
  const values = columnsOf(name).map(([column]) => [column, columns[column]] as [string, Uint32Array]);
  return asTable(values[0]![1].length, values) as unknown as Table<N>;
}

/** Hashes that come once say nothing and take most room: they become 0. */
function repeatedOnly(hashes: Uint32Array): Uint32Array {
  const sorted = hashes.slice().sort();
  const repeated = new Set<number>();
  for (let i = 1; i < sorted.length; i++) if (sorted[i] !== 0 && sorted[i] === sorted[i - 1]) repeated.add(sorted[i]!);
  const order = new Map([...repeated].map((hash, i) => [hash, i + 1]));
  const kept = new Uint32Array(hashes.length);
  for (let row = 0; row < kept.length; row++) if (hashes[row] !== 0) kept[row] = order.get(hashes[row]!) ?? 0;
  return kept;
}

/** Whether a file has a snapshot. */
export function hasHeap(recording: Recording): boolean {
  return recording.table("heapSize").length > 0;
}

/** The heap of a file that has one. Throws a TideError when something in it does not fit. */
export function readHeap(recording: Recording, codes: HeapCodes): { heap: HeapColumns; idom: Uint32Array } {
  if (!hasHeap(recording)) throw damaged("it has no snapshot of objects");
  const columns = recording.table("heapColumns");
  const { word } = recording.table("heapWords");
  const column = (name: string, length?: number): Uint32Array => {
    const at = columns.name.indexOf(name);
    if (at < 0) throw damaged(`its snapshot lacks the column "${name}"`);
    const first = columns.first[at]!;
    const rows = columns.rows[at]!;
    if (first + columns.words[at]! > word.length || (length !== undefined && rows !== length))
      throw damaged(`the column "${name}" of its snapshot has the wrong length`);
    return unpack(word.subarray(first, first + columns.words[at]!), rows, `the column "${name}" of its snapshot`);
  };
  const types = recording.table("heapTypes");
  const names = recording.table("heapNames").name;
  const type = column("type");
  const count = type.length;
  below(type, types.length, "type");
  const kinds = column("kind", count);
  below(kinds, codes.kinds, "kind");
  const numbersOf = storedNumbers(recording);
  const degree = looked(column("degree", count), numbersOf(3), Float64Array, "degree");
  const edgeTo = column("edgeTo");
  const firstEdge = sums(degree, edgeTo.length);
  below(edgeTo, count, "edgeTo");
  const heap: HeapColumns = {
    count,
    roots: rootsOf(recording, count),
    address: addresses(column("page", count), numbersOf(0), column("offset", count)),
    type,
    bytes: looked(column("bytes", count), numbersOf(1), Float64Array, "bytes"),
    refcount: looked(column("refcount", count), numbersOf(2), Int32Array, "refcount"),
    kind: new Uint8Array(kinds),
    flags: new Uint8Array(column("flags", count)),
    firstEdge,
    edgeTo,
    edgeLabel: labels(
      column("edgeKind", edgeTo.length),
      column("edgeArgument", edgeTo.length),
      codes,
      count,
      names.length,
    ),
    types: { name: [...types.name], module: [...types.module] },
    names: [...names],
    named: sparse(recording, "heapNamed", count),
    arrays: sparse(recording, "heapArrays", count),
    bounds: sparse(recording, "heapBounds", count),
    containers: sparse(recording, "heapContainers", count),
    contentHash: columns.name.includes("contentHash") ? column("contentHash", count) : undefined,
    texts: { row: sparse(recording, "heapTexts", count).row, text: [...recording.table("heapTexts").text] },
  };
  below(heap.bounds.kind, codes.bounds, "bound");
  for (const base of heap.arrays.base) if (base !== NONE && base >= count) throw pointless("base");
  for (const bytes of heap.bytes) if (!(bytes >= 0)) throw pointless("bytes");
  return { heap, idom: dominators(column("idom", count)) };
}

function rootsOf(recording: Recording, count: number): number {
  const roots = recording.table("heapSize").roots[0]!;
  if (roots < 2 || roots >= count) throw damaged("its snapshot has no roots");
  return roots;
}

function pointless(what: string): Error {
  return damaged(`the column "${what}" of its snapshot points to nothing`);
}

function below(values: ArrayLike<number>, limit: number, what: string): void {
  for (let i = 0; i < values.length; i++) if (values[i]! >= limit) throw pointless(what);
}

function storedNumbers(recording: Recording): (kind: number) => Float64Array {
  const { kind, value, length } = recording.table("heapNumbers");
  return (wanted) => {
    let from = 0;
    while (from < length && kind[from] !== wanted) from++;
    let to = from;
    while (to < length && kind[to] === wanted) to++;
    return value.subarray(from, to);
  };
}

function looked<A extends Float64Array | Int32Array>(
  index: Uint32Array,
  distinct: Float64Array,
  kind: new (length: number) => A,
  what: string,
): A {
  const values = new kind(index.length);
  for (let i = 0; i < index.length; i++) {
    const at = index[i]!;
    if (at >= distinct.length) throw pointless(what);
    values[i] = distinct[at]!;
  }
  return values;
}

/** Where the edges of each row begin, from how many each has. */
function sums(degree: Float64Array, edges: number): Uint32Array {
  const first = new Uint32Array(degree.length + 1);
  let sum = 0;
  for (let row = 0; row < degree.length; row++) {
    const own = degree[row]!;
    if (!(own >= 0) || !Number.isInteger(own)) throw pointless("degree");
    sum += own;
    if (sum > edges) throw damaged("its snapshot has fewer references than its rows say");
    first[row + 1] = sum;
  }
  if (sum !== edges) throw damaged("its snapshot has more references than its rows say");
  return first;
}

function addresses(page: Uint32Array, pages: Float64Array, offset: Uint32Array): Float64Array {
  const address = looked(page, pages, Float64Array, "page");
  for (let row = 0; row < address.length; row++) address[row] = address[row]! * PAGE + offset[row]! * ALIGNMENT;
  return address;
}

function labels(kind: Uint32Array, argument: Uint32Array, codes: HeapCodes, rows: number, names: number): Uint32Array {
  const limits = new Float64Array(16).fill(codes.noArgument + 1);
  for (const named of codes.named) limits[named] = names;
  limits[codes.keyed] = rows;
  for (let edge = 0; edge < kind.length; edge++) {
    const k = kind[edge]!;
    const value = argument[edge]!;
    if (k > 15 || (value >= limits[k]! && value !== codes.noArgument)) throw pointless("edgeArgument");
    kind[edge] = value * 16 + k;
  }
  return kind;
}

function dominators(stored: Uint32Array): Uint32Array {
  const count = stored.length;
  for (let row = 0; row < count; row++) {
    const value = stored[row]!;
    if (value === 0) {
      stored[row] = NONE;
      continue;
    }
    const above = value & 1 ? row - (value >>> 1) : row + (value >>> 1);
    if (above < 0 || above >= count || above === row) throw pointless("idom");
    stored[row] = above;
  }
  if (stored[0] !== NONE) throw pointless("idom");
  return stored;
}

type Sparse = "heapNamed" | "heapArrays" | "heapBounds" | "heapContainers" | "heapTexts";

/** A table of few rows, which must be in the order of their rows. */
function sparse<N extends Sparse>(recording: Recording, name: N, count: number): Table<N> {
  const found = recording.table(name) as unknown as Table<N>;
  let last = -1;
  for (const row of found.row) {
    if (row <= last || row >= count) throw damaged(`its table "${name}" is out of order`);
    last = row;
  }
  return found;
}
