/**
 * Heaps written as text. A line declares a node or an edge; nodes that are not declared are objects of 16 bytes.
 *   app: module                    cache: dict 64          row: app.Row 48 rc=2 gc     f: frame handle app.py:12
 *   app -> cache .cache            cache -> row ["a"]      list -> row [3]             f -> row local row
 *   view -> array base             fn -> cell closure x    lib -> row ?40 (a guess)    obj -> row +40
 *   obj -> ns dict (the __dict__)  row -> Row type
 * Roots are declared first. References counted are those written, unless rc= says otherwise.
 */
import { HeapBuilder } from "../../src/views/objects/build.ts";
import { EdgeKind, NodeFlag, NodeKind } from "../../src/views/objects/heap.ts";
import type { HeapTable } from "../../src/views/objects/heap.ts";

export interface Written {
  table: HeapTable;
  /** the row of a node by its name */
  row(name: string): number;
  /** names of rows */
  names(rows: Iterable<number>): string[];
}

const ROOTS: Record<string, NodeKind> = {
  module: NodeKind.module,
  thread: NodeKind.thread,
  frame: NodeKind.frame,
  interpreter: NodeKind.interpreter,
  library: NodeKind.library,
};

interface Declared {
  type: string;
  bytes: number;
  refcount: number | undefined;
  flags: number;
  rest: string[];
}

export function heapOf(text: string): Written {
  const declared = new Map<string, Declared>();
  const edges: { from: string; to: string; label: string }[] = [];
  for (const line of text.split("\n").map((l) => l.trim())) {
    const edge = /^(\S+) -> (\S+)\s*(.*)$/.exec(line);
    const node = /^(\S+): (\S+)\s*(.*)$/.exec(line);
    if (edge) edges.push({ from: edge[1]!, to: edge[2]!, label: edge[3]! });
    else if (node) declared.set(node[1]!, declaration(node[2]!, node[3]!));
    else if (line !== "") throw new Error(`no node and no edge: ${line}`);
  }
  for (const { from, to } of edges)
    for (const name of [from, to]) if (!declared.has(name)) declared.set(name, declaration("object", ""));
  return build(declared, edges);
}

function declaration(type: string, rest: string): Declared {
  const words = rest.split(/\s+/).filter((word) => word !== "");
  const bytes = words.find((word) => /^\d+$/.test(word));
  const counted = words.find((word) => word.startsWith("rc="));
  return {
    type,
    bytes: bytes === undefined ? (type in ROOTS ? 0 : 16) : Number(bytes),
    refcount: counted === undefined ? undefined : Number(counted.slice(3)),
    flags: words.includes("gc") ? NodeFlag.tracked : 0,
    rest: words,
  };
}

function build(declared: Map<string, Declared>, edges: { from: string; to: string; label: string }[]): Written {
  const builder = new HeapBuilder({ nodes: 4, edges: 4, hashes: true });
  const rows = new Map<string, number>();
  const types = new Map<string, number>();
  const isRoot = (name: string): boolean => declared.get(name)!.type in ROOTS;
  const counted = new Map<string, number>();
  for (const { from, to } of edges)
    if (declared.get(from)!.type !== "module") counted.set(to, (counted.get(to) ?? 0) + 1);
  for (const [name, { type, rest }] of declared) {
    if (!isRoot(name)) continue;
    const place = /^(.*):(\d+)$/.exec(rest[1] ?? "");
    rows.set(name, builder.addRoot(ROOTS[type]!, rest[0] ?? name, place?.[1], Number(place?.[2] ?? 0)));
  }
  for (const [name, { type, bytes, refcount, flags, rest }] of declared) {
    if (isRoot(name)) continue;
    if (!types.has(type)) {
      const dot = type.lastIndexOf(".");
      types.set(type, builder.addType(type.slice(dot + 1), dot < 0 ? "builtins" : type.slice(0, dot)));
    }
    const row = builder.addNode(
      NodeKind.object,
      4096 + rows.size * 16,
      types.get(type)!,
      bytes,
      refcount ?? counted.get(name) ?? 0,
      flags,
    );
    rows.set(name, row);
    const hash = rest.find((word) => word.startsWith("hash="));
    if (hash !== undefined) builder.setHash(row, Number(hash.slice(5)));
    if (type === "type" || type === "function" || type === "generator") builder.nameRow(row, name);
    const slots = rest.find((word) => word.startsWith("used="));
    if (slots !== undefined) builder.addContainer(row, ...(slots.slice(5).split("/").map(Number) as [number, number]));
    const limit = rest.find((word) => word.startsWith("limit="));
    if (limit !== undefined) builder.addBound(row, 0, limit === "limit=none" ? NaN : Number(limit.slice(6)), 7);
  }
  for (const [name, { bytes, rest }] of declared) {
    const shape = rest.find((word) => word.startsWith("("));
    if (shape !== undefined) {
      const base = edges.find(({ from, label }) => from === name && label === "base");
      const shown = Number(rest.find((word) => word.startsWith("shows="))?.slice(6) ?? bytes);
      builder.addArray(rows.get(name)!, "float64", shape, shown, base ? rows.get(base.to)! : 0xffffffff);
    }
  }
  for (const name of declared.keys())
    if (isRoot(name) && !edges.some(({ to }) => to === name))
      builder.addEdge(0, rows.get(name)!, EdgeKind.other, builder.addName("root"));
  for (const { from, to, label } of edges) {
    const [kind, argument] = labelOf(builder, label, rows);
    builder.addEdge(rows.get(from)!, rows.get(to)!, kind, argument);
  }
  const table = builder.finish();
  return {
    table,
    row: (name) => {
      const row = rows.get(name);
      if (row === undefined) throw new Error(`no node ${name}`);
      return row;
    },
    names: (wanted) => Array.from(wanted, (row) => [...rows].find(([, at]) => at === row)?.[0] ?? `#${row}`),
  };
}

function labelOf(builder: HeapBuilder, label: string, rows: Map<string, number>): [EdgeKind, number] {
  const [word = "", name = ""] = label.split(" ");
  if (word.startsWith(".")) return [EdgeKind.attribute, builder.addName(word.slice(1))];
  if (word.startsWith('["')) return [EdgeKind.nameKey, builder.addName(word.slice(2, -2))];
  if (word.startsWith("[<")) return [EdgeKind.key, rows.get(word.slice(2, -2))!];
  if (word.startsWith("[")) return [EdgeKind.item, Number(word.slice(1, -1))];
  if (word.startsWith("?")) return [EdgeKind.conservative, Number(word.slice(1))];
  if (word.startsWith("+")) return [EdgeKind.cfield, Number(word.slice(1))];
  if (word === "dict") return [EdgeKind.instanceDict, 0];
  if (word === "dictkey") return [EdgeKind.dictKey, 0];
  if (word === "local") return [EdgeKind.local, builder.addName(name)];
  if (word === "closure") return [EdgeKind.closure, builder.addName(name)];
  if (word === "base") return [EdgeKind.base, 0];
  if (word === "type") return [EdgeKind.type, 0];
  if (word === "frame") return [EdgeKind.frame, 0];
  return [EdgeKind.other, builder.addName(label || "reference")];
}
