/** One snapshot of all objects of a process or a core file: its memory, its allocators, its objects, in that order. */
import type { Snapshot } from "../views/objects/snapshot.ts";
import { Refusal } from "./run/refusal.ts";

export interface SnapshotOptions {
  /** the target is a process id, not a core file */
  isProcess: boolean;
  /** the program of a core file, where it is not at its old place */
  exe?: string | undefined;
  /** keep short strings and numbers */
  values: boolean;
  /** stop the process while its memory is copied */
  stop: boolean;
}

/** Throws a Refusal, one sentence, when the target cannot be read. */
export async function takeSnapshot(target: string, options: SnapshotOptions): Promise<Snapshot> {
  throw new Refusal(
    3,
    `this version cannot read ${options.isProcess ? "process" : "core file"} ${target} yet; name a snapshot (.tide)`,
  );
}
