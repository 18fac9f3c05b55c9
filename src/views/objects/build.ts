/**
 * Builds a HeapTable row by row. Hot: a heap of five million objects passes through addNode and addEdge in about a second, so
 * columns are plain typed arrays that double, and edges that arrive grouped by their source in row order are not sorted again.
 */

import { NONE } from "../../base/brand.ts";
import { NodeKind, packLabel } from "./heap.ts";
import type { EdgeKind, HeapTable } from "./heap.ts";
import { gatherUnreached } from "./orphans.ts";
import { grow, sortedSparse } from "./sparse.ts";

export interface Expected {
  /** rows and edges to make room for at first; both grow when they must */
  nodes?: number;
  edges?: number;
  /** keep a content hash a row */
  hashes?: boolean;
}

export class HeapBuilder {
  /** rows so far */
  count = 0;
  private edges = 0;
  private roots = 0;
  private address: Float64Array;
  private type: Uint32Array;
  private bytes: Float64Array;
  private refcount: Int32Array;
  private kind: Uint8Array;
  private flags: Uint8Array;
  private hash: Uint32Array | undefined;
  private from: Uint32Array;
  private to: Uint32Array;
  private label: Uint32Array;
  private readonly typeNames: string[] = [];
  private readonly typeModules: string[] = [];
  private readonly names: string[] = [];
  private readonly nameIndex = new Map<string, number>();
  private readonly named: [row: number, name: number, file: number, line: number][] = [];
  private readonly arrays: [row: number, dtype: number, shape: number, bytes: number, base: number][] = [];
  private readonly bounds: [row: number, kind: number, limit: number, fill: number][] = [];
  private readonly containers: [row: number, used: number, slots: number][] = [];
  private readonly texts: [row: number, text: string][] = [];

  constructor({ nodes = 1024, edges = 2048, hashes = false }: Expected = {}) {
    this.address = new Float64Array(nodes);
    this.type = new Uint32Array(nodes);
    this.bytes = new Float64Array(nodes);
    this.refcount = new Int32Array(nodes);
    this.kind = new Uint8Array(nodes);
    this.flags = new Uint8Array(nodes);
    this.hash = hashes ? new Uint32Array(nodes) : undefined;
    this.from = new Uint32Array(edges);
    this.to = new Uint32Array(edges);
    this.label = new Uint32Array(edges);
    this.addType("native block", "");
    this.addRoot(NodeKind.superRoot, "");
    this.addRoot(NodeKind.nativelyHeld, "held by native code");
    this.addRoot(NodeKind.garbage, "waits for the collector");
  }

  /** A new type; the caller knows which ones it has added. name is qualified within the module. */
  addType(name: string, module: string): number {
    this.typeModules.push(module);
    return this.typeNames.push(name) - 1;
  }

  /** The index of a name; each text is stored once. */
  addName(text: string): number {
    let index = this.nameIndex.get(text);
    if (index === undefined) {
      index = this.names.push(text) - 1;
      this.nameIndex.set(text, index);
    }
    return index;
  }

  /** A root node. All root nodes come before the first object. Its edge from the super-root (or from a thread to its frame) is the caller's. */
  addRoot(kind: NodeKind, name: string, file = "", line = 0): number {
    if (this.count !== 0 && this.count !== this.roots + 1) throw new RangeError("a root node after the first object");
    const row = this.addNode(kind, 0, 0, 0, -1, 0);
    this.roots = row;
    if (name !== "") this.nameRow(row, name, file, line);
    return row;
  }

  /** A node; see HeapTable for the columns. flags: NodeFlag bits that the reader knows. */
  addNode(kind: NodeKind, address: number, type: number, bytes: number, refcount: number, flags: number): number {
    const row = this.count++;
    if (row === this.address.length) this.growNodes();
    this.kind[row] = kind;
    this.address[row] = address;
    this.type[row] = type;
    this.bytes[row] = bytes;
    this.refcount[row] = refcount;
    this.flags[row] = flags;
    return row;
  }

  /** More memory that the row owns. */
  addBytes(row: number, bytes: number): void {
    this.bytes[row]! += bytes;
  }

  setType(row: number, type: number): void {
    this.type[row] = type;
  }

  addFlag(row: number, flag: number): void {
    this.flags[row]! |= flag;
  }

  /** 32-bit hash of the content of a str or bytes object; ignored unless hashes were asked for. */
  setHash(row: number, hash: number): void {
    if (this.hash) this.hash[row] = hash >>> 0 === 0 ? 1 : hash;
  }

  addEdge(from: number, to: number, kind: EdgeKind, argument = 0): void {
    this.addLabelled(from, to, packLabel(kind, argument));
  }

  /** An edge whose label is packed already (packLabel). */
  addLabelled(from: number, to: number, label: number): void {
    const edge = this.edges++;
    if (edge === this.from.length) this.growEdges();
    this.from[edge] = from;
    this.to[edge] = to;
    this.label[edge] = label;
  }

  /** The row's own name (class, function, module, generator, frame) and where it is in the source; line 0: unknown. */
  nameRow(row: number, name: string, file = "", line = 0): void {
    this.named.push([row, this.addName(name), file === "" ? NONE : this.addName(file), line]);
  }

  /** See HeapTable.arrays. */
  addArray(row: number, dtype: string, shape: string, bufferBytes: number, base: number): void {
    this.arrays.push([row, this.addName(dtype), this.addName(shape), bufferBytes, base]);
  }

  /** kind: BoundKind; limit NaN: none. */
  addBound(row: number, kind: number, limit: number, fill: number): void {
    this.bounds.push([row, kind, limit, fill]);
  }

  /** A dict, set or list of 1 KiB or more: entries, and entries that its memory has room for. */
  addContainer(row: number, used: number, slots: number): void {
    this.containers.push([row, used, slots]);
  }

  addText(row: number, text: string): void {
    this.texts.push([row, text]);
  }

  /** The finished table. The builder must not be used afterwards: columns are handed over, not copied, where they can be. */
  finish(): HeapTable {
    const { count } = this;
    const named = sortedSparse(this.named);
    const arrays = sortedSparse(this.arrays);
    const bounds = sortedSparse(this.bounds);
    const containers = sortedSparse(this.containers);
    const texts = this.texts.sort((a, b) => a[0] - b[0]);
    return gatherUnreached({
      count,
      roots: this.roots,
      address: this.address.subarray(0, count),
      type: this.type.subarray(0, count),
      bytes: this.bytes.subarray(0, count),
      refcount: this.refcount.subarray(0, count),
      kind: this.kind.subarray(0, count),
      flags: this.flags.subarray(0, count),
      ...this.finishEdges(),
      types: { name: this.typeNames, module: this.typeModules },
      names: this.names,
      named: { row: named.u32(0), name: named.u32(1), file: named.u32(2), line: named.u32(3) },
      arrays: {
        row: arrays.u32(0),
        dtype: arrays.u32(1),
        shape: arrays.u32(2),
        bufferBytes: arrays.f64(3),
        base: arrays.u32(4),
      },
      bounds: { row: bounds.u32(0), kind: Uint8Array.from(bounds.u32(1)), limit: bounds.f64(2), fill: bounds.f64(3) },
      containers: { row: containers.u32(0), used: containers.f64(1), slots: containers.f64(2) },
      contentHash: this.hash?.subarray(0, count),
      texts: { row: Uint32Array.from(texts, ([row]) => row), text: texts.map(([, text]) => text) },
    });
  }

  /** Compressed sparse rows. Edges that came in the order of their sources stay where they are. */
  private finishEdges(): Pick<HeapTable, "firstEdge" | "edgeTo" | "edgeLabel"> {
    const { count, edges, from } = this;
    const firstEdge = new Uint32Array(count + 1);
    let sorted = true;
    let last = 0;
    for (let edge = 0; edge < edges; edge++) {
      const source = from[edge]!;
      if (source < last) sorted = false;
      last = source;
      firstEdge[source + 1]!++;
    }
    for (let row = 0; row < count; row++) firstEdge[row + 1]! += firstEdge[row]!;
    if (sorted) return { firstEdge, edgeTo: this.to.subarray(0, edges), edgeLabel: this.label.subarray(0, edges) };
    const next = firstEdge.slice();
    const edgeTo = new Uint32Array(edges);
    const edgeLabel = new Uint32Array(edges);
    for (let edge = 0; edge < edges; edge++) {
      const at = next[from[edge]!]!++;
      edgeTo[at] = this.to[edge]!;
      edgeLabel[at] = this.label[edge]!;
    }
    return { firstEdge, edgeTo, edgeLabel };
  }

  private growNodes(): void {
    this.address = grow(this.address);
    this.type = grow(this.type);
    this.bytes = grow(this.bytes);
    this.refcount = grow(this.refcount);
    this.kind = grow(this.kind);
    this.flags = grow(this.flags);
    if (this.hash) this.hash = grow(this.hash);
  }

  private growEdges(): void {
    this.from = grow(this.from);
    this.to = grow(this.to);
    this.label = grow(this.label);
  }
}
