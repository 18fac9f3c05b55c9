/** Help for tables that only few rows of a heap have. */

import type { TypedColumn } from "../../base/grow.ts";

/** Twice the room, the old values first. */
export function grow<A extends TypedColumn>(column: A): A {
  const larger = new (column.constructor as new (length: number) => A)(Math.max(16, column.length * 2));
  larger.set(column);
  return larger;
}

/** Rows of numbers, sorted by their first one (the last of equal ones stays alone), to be taken out as columns. */
export function sortedSparse(rows: readonly (readonly number[])[]): {
  u32: (column: number) => Uint32Array;
  f64: (column: number) => Float64Array;
} {
  const sorted = rows.toSorted((a, b) => a[0]! - b[0]!);
  const unique = sorted.filter((values, i) => values[0] !== sorted[i + 1]?.[0]);
  return {
    u32: (column) => Uint32Array.from(unique, (values) => values[column]!),
    f64: (column) => Float64Array.from(unique, (values) => values[column]!),
  };
}
