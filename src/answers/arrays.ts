/** The biggest buffers: shape, dtype, who owns the memory, which views keep it, and the path that leads to it. */
import { NONE } from "../base/brand.ts";
import { findRow } from "../views/objects/heap.ts";
import { typeName } from "../views/objects/paths.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { pathOf } from "./holders.ts";

export interface ArrayReport {
  readonly id: string;
  readonly type: string;
  readonly dtype: string;
  readonly shape: string;
  /** of the memory itself */
  readonly bytes: number;
  /** "itself", or type and handle of what owns the memory when that is no array */
  readonly owner: string;
  /** path from a root */
  readonly holder: string;
  readonly kind: string;
  /** views of the same memory, the largest first */
  readonly views: readonly {
    readonly id: string;
    readonly shape: string;
    readonly bytes: number;
    readonly holder: string;
  }[];
  readonly viewCount: number;
}

const VIEWS = 5;

/** The `limit` largest, each memory once. */
export function arraysOf(snapshot: Snapshot, limit: number): ArrayReport[] {
  const { table } = snapshot.heap;
  const { arrays, names } = table;
  const viewsOf = new Map<number, number[]>();
  const owners: number[] = [];
  for (let i = 0; i < arrays.row.length; i++) {
    const base = ownerOf(snapshot, arrays.row[i]!);
    if (base === arrays.row[i]) owners.push(i);
    else viewsOf.set(base, [...(viewsOf.get(base) ?? []), i]);
  }
  // Memory whose owner is no array itself (a bytes object, a block of native code): the largest view stands for it.
  const stands = [...viewsOf].flatMap(([base, views]) => {
    if (findRow(arrays.row, base) >= 0) return [];
    return [views.reduce((a, b) => (arrays.bufferBytes[b]! > arrays.bufferBytes[a]! ? b : a))];
  });
  return [...owners, ...stands]
    .sort((a, b) => arrays.bufferBytes[b]! - arrays.bufferBytes[a]!)
    .slice(0, limit)
    .filter((i) => arrays.bufferBytes[i]! > 0)
    .map((i) => {
      const row = arrays.row[i]!;
      const owner = ownerOf(snapshot, row);
      const path = pathOf(snapshot, row);
      const views = (viewsOf.get(owner) ?? []).filter((view) => view !== i);
      views.sort((a, b) => arrays.bufferBytes[b]! - arrays.bufferBytes[a]!);
      return {
        id: `o${row}`,
        type: typeName(table, table.type[row]!),
        dtype: names[arrays.dtype[i]!]!,
        shape: names[arrays.shape[i]!]!,
        bytes: arrays.bufferBytes[i]!,
        owner: owner === row ? "itself" : `${typeName(table, table.type[owner]!)} o${owner}`,
        holder: path.text,
        kind: path.kind,
        views: views.slice(0, VIEWS).map((view) => ({
          id: `o${arrays.row[view]!}`,
          shape: names[arrays.shape[view]!]!,
          bytes: arrays.bufferBytes[view]!,
          holder: pathOf(snapshot, arrays.row[view]!).text,
        })),
        viewCount: views.length,
      };
    });
}

/** The row at the end of a chain of bases; a damaged chain ends where it turns on itself. */
function ownerOf({ heap }: Snapshot, row: number): number {
  const { arrays } = heap.table;
  let owner = row;
  for (let steps = 0; steps < 64; steps++) {
    const at = findRow(arrays.row, owner);
    const base = at < 0 ? NONE : arrays.base[at]!;
    if (base === NONE || base === owner) break;
    owner = base;
  }
  return owner;
}
