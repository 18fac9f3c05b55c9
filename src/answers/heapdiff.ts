/** Two snapshots of a program: which types and holders grew, and which holders are new. */
import { formatBytes, plural } from "../base/format.ts";
import { groupByType } from "../views/objects/groups.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { aboutHeap } from "./heap.ts";
import type { AboutHeap } from "./heap.ts";
import { holdersOf } from "./holders.ts";

export interface TypeChange {
  readonly name: string;
  readonly module: string;
  readonly countBefore: number;
  readonly countAfter: number;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
}

export interface HolderChange {
  /** handle in the later snapshot; null: it is gone */
  readonly id: string | null;
  readonly holder: string;
  readonly type: string;
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** no such path before */
  readonly isNew: boolean;
}

export interface HeapDiffAnswer extends AboutHeap {
  readonly claim: string;
  readonly before: { readonly objects: number; readonly bytes: number; readonly rssBytes: number | null };
  readonly after: { readonly objects: number; readonly bytes: number; readonly rssBytes: number | null };
  /** largest change of bytes first, growth before shrinking */
  readonly types: readonly TypeChange[];
  readonly holders: readonly HolderChange[];
}

export function heapDiff(before: Snapshot, after: Snapshot, all = false): HeapDiffAnswer {
  const [old, now] = [portion(before), portion(after)];
  const change = now.bytes - old.bytes;
  return {
    ...aboutHeap(after),
    claim: `${plural(Math.abs(now.objects - old.objects), "object")} ${now.objects >= old.objects ? "more" : "fewer"}, ${formatBytes(Math.abs(change))} ${change >= 0 ? "more" : "less"}: ${formatBytes(old.bytes)} before, ${formatBytes(now.bytes)} now.`,
    before: old,
    after: now,
    types: typeChanges(before, after).slice(0, all ? Infinity : 15),
    holders: holderChanges(before, after).slice(0, all ? Infinity : 10),
  };
}

function portion({ heap, facts }: Snapshot): HeapDiffAnswer["before"] {
  return {
    objects: heap.table.count - 1 - heap.table.roots,
    bytes: heap.dominatorTree.retained[0]!,
    rssBytes: Number.isNaN(facts.rssBytes) ? null : facts.rssBytes,
  };
}

function typeChanges(before: Snapshot, after: Snapshot): TypeChange[] {
  type Mutable = { -readonly [K in keyof TypeChange]: TypeChange[K] };
  const changes = new Map<string, Mutable>();
  const add = ({ heap }: Snapshot, field: "Before" | "After"): void => {
    const { types } = heap.table;
    const { count, bytes } = groupByType(heap);
    for (let type = 0; type < types.name.length; type++) {
      if (count[type] === 0) continue;
      const [name, module] = [types.name[type]!, types.module[type]!];
      const key = `${module}\0${name}`;
      const entry = changes.get(key) ?? { name, module, countBefore: 0, countAfter: 0, bytesBefore: 0, bytesAfter: 0 };
      entry[`count${field}`] += count[type]!;
      entry[`bytes${field}`] += bytes[type]!;
      changes.set(key, entry);
    }
  };
  add(before, "Before");
  add(after, "After");
  return [...changes.values()]
    .filter((change) => change.countBefore !== change.countAfter || change.bytesBefore !== change.bytesAfter)
    .sort((a, b) => b.bytesAfter - b.bytesBefore - (a.bytesAfter - a.bytesBefore));
}

/** Holders that are compared: so many, and that keep so much. */
const COMPARED = 2000;
const LEAST = 16 * 1024;

/** Holders are the same when their paths are: addresses and rows differ from one snapshot to the next. */
function holderChanges(before: Snapshot, after: Snapshot): HolderChange[] {
  const old = new Map(holdersOf(before, COMPARED, LEAST).map((holder) => [holder.text, holder]));
  const changes: HolderChange[] = holdersOf(after, COMPARED, LEAST).map((holder) => {
    const known = old.get(holder.text);
    old.delete(holder.text);
    return {
      id: holder.id,
      holder: holder.text,
      type: holder.type,
      bytesBefore: known?.bytes ?? 0,
      bytesAfter: holder.bytes,
      isNew: known === undefined,
    };
  });
  for (const gone of old.values())
    changes.push({
      id: null,
      holder: gone.text,
      type: gone.type,
      bytesBefore: gone.bytes,
      bytesAfter: 0,
      isNew: false,
    });
  return changes
    .filter(({ bytesBefore, bytesAfter }) => Math.abs(bytesAfter - bytesBefore) >= 1024)
    .sort((a, b) => b.bytesAfter - b.bytesBefore - (a.bytesAfter - a.bytesBefore));
}
