/** One snapshot of all objects of a process: its memory, its allocators, its objects, in that order. */
import { Heap } from "../views/objects/analysis.ts";
import type { Snapshot } from "../views/objects/snapshot.ts";
import { account } from "./allocators/account.ts";
import { GranuleMap } from "./allocators/blocks.ts";
import { walkGlibc } from "./allocators/glibc.ts";
import { walkPymalloc } from "./allocators/pymalloc.ts";
import { locate, readHeap } from "./cpython/read.ts";
import { captureCore } from "./image/core.ts";
import { captureLive } from "./image/live.ts";
import type { Target } from "./image/target.ts";
import { optimise } from "./run/compiler.ts";

export interface SnapshotOptions {
  /** the target is a process id, not a core file */
  isProcess: boolean;
  /** the program of a core file, where it is not at its old place */
  exe?: string | undefined;
  /** keep short strings and numbers */
  values: boolean;
  /** what makes a process stand still while its memory is copied; undefined: it is not built */
  launcher: string | undefined;
}

/** Throws a Refusal, one sentence, when the target cannot be read. */
export async function takeSnapshot(name: string, options: SnapshotOptions): Promise<Snapshot> {
  const target = await targetOf(name, options);
  return snapshotFrom(target, options.values);
}

async function targetOf(name: string, options: SnapshotOptions): Promise<Target> {
  if (!options.isProcess) return captureCore(name, options.exe);
  return captureLive(Number(name), options);
}

/** The snapshot of a target whose memory was copied. */
export function snapshotFrom(target: Target, values: boolean): Snapshot {
  optimise(true);
  const located = locate(target);
  const blocks = new GranuleMap(target.image);
  const small = walkPymalloc(target.image, located, blocks);
  const large = walkGlibc(target, blocks, {
    addresses: small.addresses,
    bytes: small.arenaBytes / Math.max(1, small.arenas),
  });
  const { table, audit, runtime, ownership } = readHeap(target, blocks, { values, runtime: located });
  const { ledger, found, live } = account(target, { blocks, small, large, ownership });
  const notMeasured = [...runtime.doubts];
  if (audit.collecting) notMeasured.push("A collection was running: what is garbage cannot be told.");
  return {
    heap: new Heap(table),
    facts: {
      pid: target.pid,
      argv: target.argv,
      cwd: target.cwd,
      exe: target.exe,
      python: `CPython ${runtime.version}`,
      source: target.source,
      stopMilliseconds: target.stopMilliseconds,
      copiedBytes: target.copiedBytes,
      rssBytes: target.status.vmRss,
      takenAt: Math.floor(Date.now() / 1000),
      interpreters: runtime.interpreters.length,
      threads: target.status.threads.length,
      notMeasured,
    },
    audit: {
      counted: audit.counted,
      explained: audit.explained,
      tracked: audit.tracked,
      trackedReached: audit.tracked - audit.unreached,
      liveBytes: live,
      foundBytes: found,
      badPointers: audit.broken,
    },
    ledger: Number.isNaN(target.status.vmRss) ? undefined : ledger,
  };
}
