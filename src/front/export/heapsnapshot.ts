/**
 * A heap as a `.heapsnapshot`, which Chrome DevTools opens (Memory, Load). The format is V8's, see HeapSnapshotJSONSerializer in
 * v8/src/profiler/heap-snapshot-generator.cc: numbers in flat arrays, edges grouped by their source, `to_node` as an offset into `nodes`.
 */

import type { Snapshot } from "../../answers/index.ts";

/** DevTools holds everything in memory and becomes unusable beyond this. */
export const MOST_NODES = 1_000_000;

const META = {
  node_fields: ["type", "name", "id", "self_size", "edge_count", "detachedness"],
  node_types: [
    [
      "hidden",
      "array",
      "string",
      "object",
      "code",
      "closure",
      "regexp",
      "number",
      "native",
      "synthetic",
      "concatenated string",
      "sliced string",
      "symbol",
      "bigint",
      "object shape",
    ],
    "string",
    "number",
    "number",
    "number",
    "number",
  ],
  edge_fields: ["type", "name_or_index", "to_node"],
  edge_types: [
    ["context", "element", "property", "internal", "hidden", "shortcut", "weak"],
    "string_or_number",
    "node",
  ],
  trace_function_info_fields: [],
  trace_node_fields: [],
  sample_fields: [],
  location_fields: [],
};

const NODE = { array: 1, string: 2, object: 3, code: 4, closure: 5, number: 7, native: 8, synthetic: 9 };
const EDGE = { context: 0, element: 1, property: 2, internal: 3 };
const FIELDS = META.node_fields.length;

/** The text of a file, and a sentence when not everything went in. root: only what this row alone keeps, itself included. */
export function heapSnapshot(
  snapshot: Snapshot,
  root?: number,
  most = MOST_NODES,
): { text: string; note: string | null } {
  const { heap } = snapshot;
  const { table } = heap;
  const rows = chosenRows(snapshot, root, most);
  const wanted = root === undefined ? table.count : undefined;
  const place = new Int32Array(table.count).fill(-1);
  // Node 0 must be the root that DevTools starts from.
  rows.forEach((row, i) => (place[row] = i));
  const strings = new Map<string, number>();
  const text = (value: string): number => {
    let index = strings.get(value);
    if (index === undefined) {
      index = strings.size;
      strings.set(value, index);
    }
    return index;
  };
  const nodes: number[] = [];
  const edges: number[] = [];
  let edgeCount = 0;
  for (const row of rows) {
    let own = 0;
    for (let edge = table.firstEdge[row]!; edge < table.firstEdge[row + 1]!; edge++) {
      const to = place[table.edgeTo[edge]!]!;
      if (to < 0) continue;
      own++;
      pushEdge(edges, snapshot, edge, to, text);
    }
    edgeCount += own;
    nodes.push(nodeType(snapshot, row), text(nameOf(snapshot, row)), row * 2 + 1, table.bytes[row]!, own, 0);
  }
  const document = {
    snapshot: { meta: META, node_count: rows.length, edge_count: edgeCount, trace_function_count: 0 },
    nodes,
    edges,
    trace_function_infos: [],
    trace_tree: [],
    samples: [],
    locations: [],
  };
  const head = JSON.stringify(document);
  const whole = `${head.slice(0, -1)},"strings":${JSON.stringify([...strings.keys()])}}\n`;
  const all = wanted ?? rows.length;
  const note =
    rows.length >= most && all > rows.length
      ? `the heap has ${all} nodes; the ${rows.length} that keep most were written: --retained-by oN exports a part in full`
      : rows.length >= most
        ? `only the first ${rows.length} nodes were written`
        : null;
  return { text: whole, note };
}

/** The dominator tree from the root down, largest branches first, so that what is left out is small; parents before children. */
function chosenRows({ heap }: Snapshot, root: number | undefined, most: number): number[] {
  const { firstChild, child, retained } = heap.dominatorTree;
  if (root === undefined && heap.table.count <= most) return Array.from({ length: heap.table.count }, (_, row) => row);
  const rows = root === undefined ? [0] : [0, root];
  for (let head = rows.length - 1; head < rows.length && rows.length < most; head++) {
    const row = rows[head]!;
    const below = [...child.subarray(firstChild[row]!, firstChild[row + 1]!)].sort(
      (a, b) => retained[b]! - retained[a]!,
    );
    for (const next of below) if (rows.length < most && next !== root) rows.push(next);
  }
  return rows;
}

function nodeType({ heap }: Snapshot, row: number): number {
  const { table } = heap;
  if (row <= table.roots) return NODE.synthetic;
  const name = table.types.name[table.type[row]!]!;
  if (table.type[row] === 0) return NODE.native;
  if (name === "str" || name === "bytes") return NODE.string;
  if (name === "int" || name === "float") return NODE.number;
  if (name === "list" || name === "tuple" || name === "ndarray") return NODE.array;
  if (name === "code") return NODE.code;
  if (name === "function") return NODE.closure;
  return NODE.object;
}

function nameOf({ heap }: Snapshot, row: number): string {
  const { table } = heap;
  const named = heap.ownName(row);
  if (row <= table.roots) return named ?? "(roots)";
  const module = table.types.module[table.type[row]!]!;
  const type = `${module === "builtins" || module === "" ? "" : `${module}.`}${table.types.name[table.type[row]!]!}`;
  return named === undefined ? type : `${type} ${named}`;
}

function pushEdge(
  edges: number[],
  { heap }: Snapshot,
  edge: number,
  to: number,
  text: (value: string) => number,
): void {
  const { kind, index, name } = heap.edgeParts(edge);
  if (index !== undefined) edges.push(EDGE.element, index, to * FIELDS);
  else
    edges.push(
      kind === "local" ? EDGE.context : kind === "property" ? EDGE.property : EDGE.internal,
      text(name),
      to * FIELDS,
    );
}
