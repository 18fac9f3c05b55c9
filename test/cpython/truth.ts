/** What a process wrote of its own objects (truth.py) against what was read of them from outside. */
import { readFileSync } from "node:fs";
import { EdgeKind, labelKind } from "../../src/views/objects/heap.ts";
import type { HeapTable } from "../../src/views/objects/heap.ts";

export interface Comparison {
  objects: number;
  /** shares of the objects that were written down */
  found: number;
  sameType: number;
  sameSize: number;
  sameReferences: number;
  /** what differs, by name of type, most first */
  missing: string[];
  sizes: string[];
  references: string[];
}

/** Types whose __sizeof__ tells another thing than the memory that they own (each says why). */
const OTHER_SIZES = new Set([
  "Decimal", // counts digits that the C library keeps
  "Struct", // its compiled form is a block of its own, of a size that it alone knows
  "Pattern", // inline code words
  "StgDict",
  "StgInfo",
  "CField",
  "ndarray", // a view counts what it shows nowhere; the shape's block is not counted
  "memmap",
  "PyCSimpleType",
  "PyCStructType",
  "PyCPointerType",
  "PyCArrayType",
  "PyCFuncPtrType",
  "UnionType",
  "bytearray", // 3.15 keeps the bytes in an object of its own
]);

export function compare(table: HeapTable, file: string): Comparison {
  const rows = new Map<number, number>();
  for (let row = table.roots + 1; row < table.count; row++) rows.set(table.address[row]!, row);
  const tally = {
    missing: new Map<string, number>(),
    sizes: new Map<string, number>(),
    references: new Map<string, number>(),
  };
  const counts = { objects: 0, found: 0, type: 0, size: 0, sized: 0, references: 0, compared: 0 };
  for (const line of readFileSync(file, "utf8").split("\n")) {
    if (line === "") continue;
    const [id, type, size, name, ...referents] = line.split(" ");
    const row = rows.get(Number(id));
    counts.objects++;
    if (row === undefined) {
      note(tally.missing, name!);
      continue;
    }
    counts.found++;
    if ((table.types.name[table.type[row]!] ?? "").split(".").at(-1)!.replace(/ /g, "_") === name) counts.type++;
    if (!OTHER_SIZES.has(name!) && Number(size) >= 0 && !(name === "dict" && sharesKeys(table, row))) {
      counts.sized++;
      if (sameSize(table, row, Number(size))) counts.size++;
      else note(tally.sizes, name!);
    }
    counts.compared++;
    if (sameReferences(table, row, Number(type), referents)) counts.references++;
    else note(tally.references, name!);
  }
  return {
    objects: counts.objects,
    found: counts.found / counts.objects,
    sameType: counts.type / counts.found,
    sameSize: counts.size / counts.sized,
    sameReferences: counts.references / counts.compared,
    missing: list(tally.missing),
    sizes: list(tally.sizes),
    references: list(tally.references),
  };
}

function note(where: Map<string, number>, name: string): void {
  where.set(name, (where.get(name) ?? 0) + 1);
}

function list(map: Map<string, number>): string[] {
  return [...map]
    .sort((a, b) => b[1] - a[1])
    .map(([name, count]) => `${name} ${count}`)
    .slice(0, 12);
}

/** A dict that takes its keys from a class: getsizeof counts them, here they belong to the class. */
function sharesKeys(table: HeapTable, row: number): boolean {
  for (let edge = table.firstEdge[row]!; edge < table.firstEdge[row + 1]!; edge++)
    if (labelKind(table.edgeLabel[edge]!) === EdgeKind.dictKey) return false;
  return table.firstEdge[row + 1]! > table.firstEdge[row]!;
}

/**
 * getsizeof counts neither the rounding of each block to 16 bytes nor, in some versions, what stands before the collector's header; of an
 * instance whose class keeps attributes inline it leaves out the values (up to 30 of 8 bytes, and their order).
 */
function sameSize(table: HeapTable, row: number, size: number): boolean {
  const inline = table.types.module[table.type[row]!] === "builtins" ? 0 : 30 * 8 + 40;
  return table.bytes[row]! >= size - 16 && table.bytes[row]! <= size + 80 + size / 8 + inline;
}

/**
 * The collector reports what can be part of a cycle: every one of those must be among the edges. Edges besides are the type,
 * names of a dict whose keys are all strings (not reported up to 3.10), and fields that cannot be part of a cycle.
 */
function sameReferences(table: HeapTable, row: number, type: number, referents: readonly string[]): boolean {
  const mine = new Set<number>();
  for (let edge = table.firstEdge[row]!; edge < table.firstEdge[row + 1]!; edge++)
    if (labelKind(table.edgeLabel[edge]!) !== EdgeKind.conservative) mine.add(table.address[table.edgeTo[edge]!]!);
  return referents.every((one) => one === "" || mine.has(Number(one)) || Number(one) === type);
}
