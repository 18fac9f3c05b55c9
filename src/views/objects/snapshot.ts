/** A heap with what is known about the moment and the process that it was taken from, and its way into and out of a `.tide` file. */

import { NONE } from "../../base/brand.ts";
import type { Recording } from "../../tide/recording.ts";
import type { Tables } from "../../tide/schema.ts";
import { heapTables, readHeap } from "../../tide/snapshot.ts";
import { tableBuilder, writeRecording } from "../../tide/writer.ts";
import { Heap } from "./analysis.ts";
import { HEAP_CODES } from "./heap.ts";

/** A category of memory; children sum to their parent. Bytes. */
export interface LedgerNode {
  readonly name: string;
  readonly bytes: number;
  readonly children: readonly LedgerNode[];
}

/** How far the reading can be trusted, in numbers; NaN: not measured. */
export interface AuditNumbers {
  /** reference counts compared, and those that equal the references found */
  readonly counted: number;
  readonly explained: number;
  /** objects in the collector's lists, and those of them that references led to */
  readonly tracked: number;
  readonly trackedReached: number;
  /** bytes that the allocators have handed out, and those of them that belong to a row of the heap */
  readonly liveBytes: number;
  readonly foundBytes: number;
  /** pointers that led to no object although they should have */
  readonly badPointers: number;
}

/** Sizes in bytes; NaN and "": not known. */
export interface SnapshotFacts {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly cwd: string;
  readonly exe: string;
  /** "CPython 3.11.7" */
  readonly python: string;
  /** where it was read from: live, core, spool */
  readonly source: string;
  /** how long the process stood still */
  readonly stopMilliseconds: number;
  readonly copiedBytes: number;
  readonly rssBytes: number;
  /** seconds since 1970 */
  readonly takenAt: number;
  /** interpreters in the process */
  readonly interpreters: number;
  readonly threads: number;
  /** what the reading cannot tell, a sentence each */
  readonly notMeasured: readonly string[];
}

export interface Snapshot {
  readonly heap: Heap;
  readonly facts: SnapshotFacts;
  readonly audit: AuditNumbers;
  /** undefined: not made */
  readonly ledger: LedgerNode | undefined;
}

const AUDIT = ["counted", "explained", "tracked", "trackedReached", "liveBytes", "foundBytes", "badPointers"] as const;
const NUMBERS = ["pid", "stopMilliseconds", "copiedBytes", "rssBytes", "takenAt", "interpreters", "threads"] as const;
const TEXTS = ["cwd", "exe", "python", "source"] as const;

/** The tables of a file that holds this snapshot and nothing else. version: of Tidegauge. */
export function snapshotTables({ heap, facts, audit, ledger }: Snapshot, version: string): Partial<Tables> {
  const rows = tableBuilder("facts");
  const text = (key: string, value: string): unknown => rows.push({ key, text: value, number: NaN });
  const number = (key: string, value: number): unknown => rows.push({ key, text: "", number: value });
  text("version", version);
  text("argv", facts.argv.join("\0"));
  for (const key of TEXTS) text(key, facts[key]);
  for (const key of NUMBERS) number(key, facts[key]);
  for (const key of AUDIT) number(`audit.${key}`, audit[key]);
  const missing = tableBuilder("notMeasured");
  for (const sentence of facts.notMeasured) missing.push({ text: sentence });
  const account = tableBuilder("heapLedger");
  const put = (node: LedgerNode, parent: number): void => {
    const row = account.push({ parent, name: node.name, bytes: node.bytes });
    for (const child of node.children) put(child, row);
  };
  if (ledger) put(ledger, NONE);
  return {
    facts: rows.finish(),
    notMeasured: missing.finish(),
    heapLedger: account.finish(),
    ...heapTables(heap.table, heap.dominatorTree.idom),
  };
}

/** The bytes of a file that holds this snapshot and nothing else. */
export function snapshotFile(snapshot: Snapshot, version: string): Uint8Array {
  return writeRecording(snapshotTables(snapshot, version));
}

/** The snapshot of a file that has one. Throws a TideError when it is damaged. */
export function snapshotOf(recording: Recording): Snapshot {
  const { heap, idom } = readHeap(recording, HEAP_CODES);
  const { facts } = recording;
  const argv = facts.text("argv").replace(/\0$/, "");
  return {
    heap: new Heap(heap, idom),
    facts: {
      ...(Object.fromEntries(NUMBERS.map((key) => [key, facts.number(key)])) as Record<
        (typeof NUMBERS)[number],
        number
      >),
      ...(Object.fromEntries(TEXTS.map((key) => [key, facts.text(key)])) as Record<(typeof TEXTS)[number], string>),
      argv: argv === "" ? [] : argv.split("\0"),
      notMeasured: [...recording.table("notMeasured").text],
    },
    audit: Object.fromEntries(AUDIT.map((key) => [key, facts.number(`audit.${key}`)])) as Record<
      (typeof AUDIT)[number],
      number
    >,
    ledger: ledgerOf(recording),
  };
}

function ledgerOf(recording: Recording): LedgerNode | undefined {
  const { parent, name, bytes, length } = recording.table("heapLedger");
  const nodes = Array.from({ length }, (_, row) => ({
    name: name[row]!,
    bytes: bytes[row]!,
    children: [] as LedgerNode[],
  }));
  for (let row = 1; row < length; row++) if (parent[row] !== NONE) nodes[parent[row]!]!.children.push(nodes[row]!);
  return nodes[0];
}
