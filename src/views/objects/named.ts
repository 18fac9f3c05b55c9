/** Names and places that rows have of their own. */

import { NONE } from "../../base/brand.ts";
import { findRow } from "./heap.ts";
import type { HeapTable } from "./heap.ts";

/** The name that a row has of its own, or undefined. */
export function ownName(table: HeapTable, row: number): string | undefined {
  const at = findRow(table.named.row, row);
  return at < 0 ? undefined : table.names[table.named.name[at]!];
}

/** File and line of a row that has them. */
export function placeOf(table: HeapTable, row: number): { file: string; line: number } | undefined {
  const at = findRow(table.named.row, row);
  if (at < 0 || table.named.file[at] === NONE) return undefined;
  return { file: table.names[table.named.file[at]!]!, line: table.named.line[at]! };
}
