/** All objects of a process at one moment: how much, of which types, who keeps it, in which arrays, what could be saved. */
import { formatBytes, formatCount, formatShare, plural } from "../base/format.ts";
import { NodeFlag } from "../views/objects/heap.ts";
import { groupByType, modulesOf } from "../views/objects/groups.ts";
import type { LedgerNode, Snapshot } from "../views/objects/snapshot.ts";
import { JSON_SCHEMA, known } from "./about.ts";
import type { ProgramFacts } from "./about.ts";
import { arraysOf } from "./arrays.ts";
import type { ArrayReport } from "./arrays.ts";
import { auditOf } from "./audit.ts";
import type { AuditReport } from "./audit.ts";
import { holdersOf } from "./holders.ts";
import type { HolderReport } from "./holders.ts";
import { inspectionsOf } from "./inspect.ts";
import type { Inspection } from "./inspect.ts";

/** Sizes in bytes; null: not known. */
export interface SnapshotReport {
  /** live, core, spool */
  readonly source: string;
  readonly takenAt: number | null;
  readonly copiedBytes: number | null;
  readonly interpreters: number | null;
  readonly threads: number | null;
  readonly notMeasured: readonly string[];
}

export interface AboutHeap {
  readonly schema: number;
  readonly program: ProgramFacts;
  readonly snapshot: SnapshotReport;
}

export interface TypeReport {
  readonly name: string;
  /** "" unknown */
  readonly module: string;
  readonly count: number;
  readonly bytes: number;
  /** what would go with all objects of the type */
  readonly retainedBytes: number;
}

/** A number of objects and what they take, all that they keep included. */
export interface Portion {
  readonly objects: number;
  readonly bytes: number;
}

export interface HeapAnswer extends AboutHeap {
  readonly claim: string;
  readonly rssBytes: number | null;
  readonly stopMilliseconds: number | null;
  /** objects and native blocks that they reach */
  readonly objects: number;
  readonly bytes: number;
  /** largest own bytes first */
  readonly types: readonly TypeReport[];
  /** the types put together by the top package of their module */
  readonly modules: readonly { readonly name: string; readonly count: number; readonly bytes: number }[];
  readonly holders: readonly HolderReport[];
  readonly arrays: readonly ArrayReport[];
  readonly inspections: readonly Inspection[];
  /** waits for the cyclic collector */
  readonly garbage: Portion;
  /** nobody refers to it, although it is counted as referred to */
  readonly orphans: Portion;
  /** more references are counted than were found, in sight of a root or not */
  readonly nativelyHeld: Portion;
  readonly audit: AuditReport;
  readonly ledger: LedgerNode | null;
}

/** All: every type, array and holder; otherwise the largest. */
export function heapAnswer(snapshot: Snapshot, all = false): HeapAnswer {
  const { heap, facts } = snapshot;
  const { table } = heap;
  const limit = all ? Infinity : 20;
  const groups = groupByType(heap);
  const types = table.types.name
    .map((name, type) => ({
      name,
      module: table.types.module[type]!,
      count: groups.count[type]!,
      bytes: groups.bytes[type]!,
      retainedBytes: groups.retained[type]!,
    }))
    .filter(({ count }) => count > 0)
    .sort((a, b) => b.bytes - a.bytes || b.count - a.count);
  const objects = table.count - 1 - table.roots;
  const bytes = types.reduce((sum, type) => sum + type.bytes, 0);
  return {
    ...aboutHeap(snapshot),
    claim: claimOf(objects, bytes, facts.rssBytes),
    rssBytes: known(facts.rssBytes),
    stopMilliseconds: known(facts.stopMilliseconds),
    objects,
    bytes,
    types: types.slice(0, limit),
    modules: byModule(snapshot, groups.count, groups.bytes).slice(0, limit),
    holders: holdersOf(snapshot, all ? 100 : 12),
    arrays: arraysOf(snapshot, all ? 200 : 10),
    inspections: inspectionsOf(snapshot),
    garbage: flagged(snapshot, NodeFlag.garbage, false),
    orphans: flagged(snapshot, NodeFlag.orphan, true),
    nativelyHeld: flagged(snapshot, NodeFlag.nativelyHeld, false),
    audit: auditOf(snapshot),
    ledger: snapshot.ledger ?? null,
  };
}

export function aboutHeap({ facts }: Snapshot): AboutHeap {
  return {
    schema: JSON_SCHEMA,
    program: {
      argv: facts.argv,
      cwd: facts.cwd,
      python: facts.python || null,
      pid: known(facts.pid),
      exitCode: null,
      signal: null,
      seconds: null,
      ending: null,
    },
    snapshot: {
      source: facts.source,
      takenAt: known(facts.takenAt),
      copiedBytes: known(facts.copiedBytes),
      interpreters: known(facts.interpreters),
      threads: known(facts.threads),
      notMeasured: facts.notMeasured,
    },
  };
}

function claimOf(objects: number, bytes: number, rss: number): string {
  const heap = `${formatCount(objects)} Python objects take ${formatBytes(bytes)}`;
  if (Number.isNaN(rss)) return `${heap}.`;
  return `${formatBytes(rss)} resident (RSS: memory the process occupies now); ${heap}, ${formatShare(bytes / rss)} of it.`;
}

function byModule({ heap }: Snapshot, counts: Float64Array, sizes: Float64Array) {
  const { names, group } = modulesOf(heap);
  const count = new Float64Array(names.length);
  const bytes = new Float64Array(names.length);
  for (let type = 0; type < group.length; type++) {
    count[group[type]!]! += counts[type]!;
    bytes[group[type]!]! += sizes[type]!;
  }
  return names
    .map((name, i) => ({ name, count: count[i]!, bytes: bytes[i]! }))
    .filter((module) => module.count > 0)
    .sort((a, b) => b.bytes - a.bytes);
}

/** Rows with a flag. kept: with all that only they keep. */
function flagged({ heap }: Snapshot, flag: number, kept: boolean): Portion {
  const { table } = heap;
  const sizes = kept ? heap.dominatorTree.retained : table.bytes;
  let objects = 0;
  let bytes = 0;
  for (let row = table.roots + 1; row < table.count; row++) {
    if ((table.flags[row]! & flag) === 0) continue;
    objects++;
    bytes += sizes[row]!;
  }
  return { objects, bytes };
}

/** "3 dict, 1.20 MiB". */
export function portionText({ objects, bytes }: Portion, noun = "object"): string {
  return `${plural(objects, noun)}, ${formatBytes(bytes)}`;
}
