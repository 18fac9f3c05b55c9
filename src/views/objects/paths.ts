/** How a reader is led to a row: the path of the search tree in words, written as Python would reach it where it can. */

import { NONE } from "../../base/brand.ts";
import {
  BOUND_NAMES,
  EdgeKind,
  MAX_ARGUMENT,
  NodeFlag,
  NodeKind,
  SUPER_ROOT,
  findRow,
  labelArgument,
  labelKind,
} from "./heap.ts";
import type { HeapTable } from "./heap.ts";
import type { Heap } from "./analysis.ts";
import { ownName, placeOf } from "./named.ts";

export { ownName, placeOf } from "./named.ts";

/** Where references start, as in docs/json.md; nobody: an orphan. */
export type HolderKind = "module" | "frame" | "thread" | "interpreter" | "native" | "cycle" | "nobody" | "unknown";

export interface ReadablePath {
  readonly kind: HolderKind;
  /** pieces that read well one after the other: "app", ".cache", '["key"]', " → base" */
  readonly steps: readonly string[];
  /** the steps as one text */
  readonly text: string;
  /** the rows that the path passes, the root first, `row` last */
  readonly rows: readonly number[];
  /** how many of its edges are guesses */
  readonly doubt: number;
}

/** Longer paths keep their beginning and end. */
const SHOWN = 14;
const KEPT = 6;

export interface PathOptions {
  /** how a file is shown */
  file?: (path: string) => string;
}

export function pathTo(heap: Heap, row: number, options: PathOptions = {}): ReadablePath {
  const { parent, edge, doubt } = heap.tree;
  const rows = [row];
  const edges: number[] = [];
  for (let at = row; at !== SUPER_ROOT && parent[at] !== NONE; at = parent[at]!) {
    rows.push(parent[at]!);
    edges.push(edge[at]!);
  }
  rows.reverse();
  edges.reverse();
  if (rows[0] !== SUPER_ROOT || rows.length < 2)
    return { kind: "unknown", steps: [], text: "not reached", rows: [row], doubt: 0 };
  const steps = stepsOf(heap.table, rows, edges, options);
  return {
    kind: kindOf(heap.table, rows),
    steps: shorten(steps),
    text: shorten(steps).join(""),
    rows: rows.slice(1),
    doubt: doubt[row]!,
  };
}

function kindOf({ kind, flags }: HeapTable, rows: readonly number[]): HolderKind {
  switch (kind[rows[1]!]) {
    case NodeKind.module:
      return "module";
    case NodeKind.frame:
      return "frame";
    case NodeKind.thread:
      return rows.length > 2 && kind[rows[2]!] === NodeKind.frame ? "frame" : "thread";
    case NodeKind.interpreter:
      return "interpreter";
    case NodeKind.library:
      return "native";
    case NodeKind.garbage:
      return "cycle";
    case NodeKind.nativelyHeld:
      return rows.length > 2 && (flags[rows[2]!]! & NodeFlag.orphan) !== 0 ? "nobody" : "native";
    default:
      return "unknown";
  }
}

function shorten(steps: readonly string[]): readonly string[] {
  if (steps.length <= SHOWN) return steps;
  const left = steps.length - 2 * KEPT;
  return [...steps.slice(0, KEPT), ` … ${left} more … `, ...steps.slice(-KEPT)];
}

function stepsOf(table: HeapTable, rows: readonly number[], edges: readonly number[], options: PathOptions): string[] {
  const steps: string[] = [];
  let thread = "";
  for (let i = 1; i < rows.length; i++) {
    const row = rows[i]!;
    const kind = table.kind[row]!;
    if (i === 1 || kind <= NodeKind.library) {
      // Threads are told with their frames, frames with their locals.
      if (kind === NodeKind.thread) thread = ownName(table, row) ?? "a thread";
      const next = rows[i + 1];
      const nextIsFrame = next !== undefined && table.kind[next] === NodeKind.frame;
      if (!(kind === NodeKind.thread && nextIsFrame) && !(kind === NodeKind.frame && isLocal(table, edges[i])))
        steps.push(rootText(table, row, thread, options));
      continue;
    }
    const holder = rows[i - 1]!;
    if (table.kind[holder] === NodeKind.frame && isLocal(table, edges[i - 1])) {
      const name = table.names[labelArgument(table.edgeLabel[edges[i - 1]!]!)] ?? "?";
      steps.push(`local ${name} of ${rootText(table, holder, thread, options)}`);
    } else {
      const viaDict = i >= 2 && labelKind(table.edgeLabel[edges[i - 2]!]!) === EdgeKind.instanceDict;
      const text = edgeText(table, holder, edges[i - 1]!, viaDict, i === rows.length - 1);
      if (text !== "" && !isPlumbing(table, text, edges[i - 2], edges[i])) steps.push(text);
    }
    const bound = boundText(table, row);
    if (bound !== null) steps.push(` (${bound})`);
  }
  return steps;
}

/** Steps that the one before or after says already: the tuple and the cell of a closure, the frame of a suspended generator. */
function isPlumbing(table: HeapTable, text: string, before: number | undefined, after: number | undefined): boolean {
  const kind = (edge: number | undefined): number => (edge === undefined ? -1 : labelKind(table.edgeLabel[edge]!));
  if (text === ".__closure__") return kind(after) === EdgeKind.closure;
  if (text === ".cell_contents") return kind(before) === EdgeKind.closure;
  return /^\.(gi|cr|ag)_frame$/.test(text) && kind(after) === EdgeKind.local;
}

function isLocal(table: HeapTable, edge: number | undefined): boolean {
  return edge !== undefined && labelKind(table.edgeLabel[edge]!) === EdgeKind.local;
}

function rootText(table: HeapTable, row: number, thread: string, { file = (path) => path }: PathOptions): string {
  const name = ownName(table, row) ?? "?";
  switch (table.kind[row]) {
    case NodeKind.frame: {
      const place = placeOf(table, row);
      const where = place === undefined ? "" : ` at ${file(place.file)}:${place.line}`;
      const who = thread === "" || thread === "MainThread" ? "" : ` (thread ${thread})`;
      return `${name}${where}${who}`;
    }
    case NodeKind.thread:
      return `thread ${name}`;
    case NodeKind.library:
      return `C globals of ${name}`;
    default:
      return name;
  }
}

/** "builtins" goes without saying. */
export function typeName({ types }: HeapTable, type: number): string {
  const module = types.module[type] ?? "";
  const name = types.name[type] ?? "?";
  return module === "" || module === "builtins" || module === "__main__" ? name : `${module}.${name}`;
}

/** The step that an edge is, "" when it need not be told. last: the step ends the path. */
function edgeText(table: HeapTable, holder: number, edge: number, viaDict: boolean, last: boolean): string {
  const label = table.edgeLabel[edge]!;
  const argument = labelArgument(label);
  const name = argument === MAX_ARGUMENT ? "" : (table.names[argument] ?? "?");
  switch (labelKind(label)) {
    case EdgeKind.attribute:
    case EdgeKind.global:
      return `.${name}`;
    case EdgeKind.nameKey:
      return viaDict ? `.${name}` : `[${JSON.stringify(name)}]`;
    case EdgeKind.item:
      return `[${argument === MAX_ARGUMENT ? "…" : argument}]`;
    case EdgeKind.key:
      return `[${keyText(table, argument)}]`;
    case EdgeKind.dictKey:
      return " → key";
    case EdgeKind.local:
      return ` → local ${name} of ${ownName(table, holder) ?? typeName(table, table.type[holder]!)}`;
    case EdgeKind.base:
      return " → base";
    case EdgeKind.closure:
      return ` → closure ${name}`;
    case EdgeKind.cfield:
      return ` → C field +${argument}`;
    case EdgeKind.conservative:
      return ` → perhaps C field +${argument}`;
    case EdgeKind.type:
      return " → type";
    case EdgeKind.instanceDict:
      return last && table.kind[holder] === NodeKind.object ? ".__dict__" : "";
    case EdgeKind.frame:
      return ` → frame ${argument}`;
    case EdgeKind.stack:
      return ` → value ${argument} on the stack`;
    default:
      return ` → ${name === "" ? typeName(table, table.type[table.edgeTo[edge]!]!) : name}`;
  }
}

function keyText(table: HeapTable, row: number): string {
  if (row >= table.count) return "…";
  const at = findRow(table.texts.row, row);
  return at < 0 ? `<${typeName(table, table.type[row]!)}>` : table.texts.text[at]!;
}

/** "lru_cache, no limit", "deque, 5 of 10"; null for rows without a bound. */
export function boundText(table: HeapTable, row: number): string | null {
  const at = findRow(table.bounds.row, row);
  if (at < 0) return null;
  const limit = table.bounds.limit[at]!;
  const name = BOUND_NAMES[table.bounds.kind[at]!] ?? "container";
  return Number.isNaN(limit) ? `${name}, no limit` : `${name}, ${table.bounds.fill[at]} of ${limit}`;
}

/** The edge in words, for lists of referrers and of fields: ".name", "[3]", "closure x". */
export function edgeName(table: HeapTable, holder: number, edge: number, viaDict = false): string {
  if (labelKind(table.edgeLabel[edge]!) === EdgeKind.instanceDict) return ".__dict__";
  return edgeText(table, holder, edge, viaDict, true).replace(/^ → /, "");
}
