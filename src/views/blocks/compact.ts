/** Leaves out of a recording the stacks, frames, sites and codes that no figure stands at, and numbers the rest anew. */

import { NONE } from "../../base/brand.ts";
import type { Table, TableName, Tables } from "../../tide/schema.ts";
import { asTable, columnsOf } from "../../tide/writer.ts";

/** Which rows of one table are kept, and their new numbers. */
class Selection {
  readonly isKept: Uint8Array;

  constructor(length: number) {
    this.isKept = new Uint8Array(length);
  }

  keep(index: number): void {
    if (index !== NONE) this.isKept[index] = 1;
  }

  keepAll(indexes: Uint32Array): void {
    for (const index of indexes) this.keep(index);
  }

  /** Old index -> new index; the order stays. */
  numbers(): Uint32Array {
    let next = 0;
    return Uint32Array.from(this.isKept, (kept) => (kept === 1 ? next++ : NONE));
  }
}

/** Tables and columns that hold an index, by what the index is of. */
const POINTERS: Record<"codes" | "frames" | "stacks" | "sites", { [N in TableName]?: readonly (keyof Table<N>)[] }> = {
  stacks: {
    stacks: ["parent"],
    sites: ["heaviestStack"],
    peakStacks: ["stack"],
    endStacks: ["stack"],
    allocatedStacks: ["stack"],
    siteFeatures: ["driverStack"],
  },
  sites: { stacks: ["site"], checkpoints: ["site"], siteFeatures: ["site"] },
  frames: { stacks: ["frame"], sites: ["innerFrame"], siteFeatures: ["driverFrame"] },
  codes: { frames: ["code"], sites: ["code"] },
};

export function compact(tables: Tables): Tables {
  const { stacks, sites, frames, codes, siteFeatures } = tables;
  const keptSites = new Selection(sites.length);
  keptSites.keepAll(tables.checkpoints.site);
  keptSites.keepAll(siteFeatures.site);
  const keptStacks = new Selection(stacks.length);
  for (const { stack } of [tables.peakStacks, tables.endStacks, tables.allocatedStacks]) keptStacks.keepAll(stack);
  keptStacks.keepAll(siteFeatures.driverStack);
  sites.heaviestStack.forEach((stack, site) => keptSites.isKept[site] === 1 && keptStacks.keep(stack));
  // children stand behind their parents
  for (let stack = stacks.length - 1; stack >= 0; stack--) {
    if (keptStacks.isKept[stack] === 0) continue;
    keptStacks.keep(stacks.parent[stack]!);
    keptSites.keep(stacks.site[stack]!);
    keptStacks.keep(sites.heaviestStack[stacks.site[stack]!]!);
  }
  const keptFrames = new Selection(frames.length);
  stacks.frame.forEach((frame, stack) => keptStacks.isKept[stack] === 1 && keptFrames.keep(frame));
  sites.innerFrame.forEach((frame, site) => keptSites.isKept[site] === 1 && keptFrames.keep(frame));
  keptFrames.keepAll(siteFeatures.driverFrame);
  const keptCodes = new Selection(codes.length);
  frames.code.forEach((code, frame) => keptFrames.isKept[frame] === 1 && keptCodes.keep(code));
  sites.code.forEach((code, site) => keptSites.isKept[site] === 1 && keptCodes.keep(code));
  return renumber(tables, { stacks: keptStacks, sites: keptSites, frames: keptFrames, codes: keptCodes });
}

function renumber(tables: Tables, selections: Record<keyof typeof POINTERS, Selection>): Tables {
  const result: Record<string, unknown> = { ...tables };
  for (const [target, users] of Object.entries(POINTERS) as [keyof typeof POINTERS, Record<string, string[]>][]) {
    const numbers = selections[target].numbers();
    for (const [name, columns] of Object.entries(users)) {
      const table = result[name] as Record<string, Uint32Array>;
      const renumbered = columns.map((column) => [
        column,
        table[column]!.map((index) => (index === NONE ? NONE : numbers[index]!)),
      ]);
      result[name] = { ...table, ...Object.fromEntries(renumbered) };
    }
  }
  for (const name of ["stacks", "sites", "frames", "codes"] as const) {
    result[name] = onlyKept(name, result[name] as Table<typeof name>, selections[name].isKept);
  }
  return result as Tables;
}

function onlyKept<N extends TableName>(name: N, table: Table<N>, isKept: Uint8Array): Table<N> {
  const length = isKept.reduce((sum, kept) => sum + kept, 0);
  const columns = table as unknown as Record<string, Uint32Array>;
  return asTable(
    length,
    columnsOf(name).map(([column]) => [column, columns[column]!.filter((_, row) => isKept[row] === 1)]),
  );
}
