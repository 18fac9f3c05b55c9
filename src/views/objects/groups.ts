/** Rows put together by type: how many, what they take, what they keep. */

import type { Heap } from "./analysis.ts";
import { NodeKind, SUPER_ROOT } from "./heap.ts";

/** One place a row of `types`. */
export interface TypeGroups {
  readonly count: Float64Array;
  readonly bytes: Float64Array;
  /**
   * What rows of the type keep, each byte once: the retained sizes of those that no other row of the same type dominates.
   */
  readonly retained: Float64Array;
}

/** `group` gives each type its group; without it, each is its own. */
export function groupByType(heap: Heap, group?: Uint32Array, groups = heap.table.types.name.length): TypeGroups {
  const { table } = heap;
  const { firstChild, child, retained: kept } = heap.dominatorTree;
  const { kind, type, bytes } = table;
  const count = new Float64Array(groups);
  const own = new Float64Array(groups);
  const retained = new Float64Array(groups);
  const open = new Uint32Array(groups); // rows of a group on the way from the root
  const stack = new Uint32Array(table.count);
  const next = firstChild.slice(0, table.count);
  stack[0] = SUPER_ROOT;
  for (let depth = 0; depth >= 0;) {
    const row = stack[depth]!;
    const at = next[row]!;
    if (at < firstChild[row + 1]!) {
      next[row] = at + 1;
      const below = child[at]!;
      stack[++depth] = below;
      if (kind[below]! < NodeKind.object) continue;
      const g = group === undefined ? type[below]! : group[type[below]!]!;
      count[g]!++;
      own[g]! += bytes[below]!;
      if (open[g]!++ === 0) retained[g]! += kept[below]!;
      continue;
    }
    if (kind[row]! >= NodeKind.object) open[group === undefined ? type[row]! : group[type[row]!]!]!--;
    depth--;
  }
  return { count, bytes: own, retained };
}

/** Types put together by their module: the groups' names and the group of each type. */
export function modulesOf({ table }: Heap): { names: string[]; group: Uint32Array } {
  const names: string[] = [];
  const index = new Map<string, number>();
  const group = Uint32Array.from(table.types.module, (module) => {
    const name = module.split(".", 1)[0] ?? "";
    let at = index.get(name);
    if (at === undefined) {
      at = names.push(name) - 1;
      index.set(name, at);
    }
    return at;
  });
  return { names, group };
}
