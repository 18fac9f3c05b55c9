/** The frozen copies that the agent made of a program (agent/snapshot.c): read while they wait, then let go. */
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parsePairs, parseSnapshotFileName } from "../../tide/runfolder.ts";
import type { Tables } from "../../tide/schema.ts";
import { snapshotTables } from "../../views/objects/snapshot.ts";
import { snapshotFrom } from "../heap.ts";
import { captureLive } from "../image/live.ts";
import { readText } from "../proc/read.ts";
import { reasonOf } from "./refusal.ts";

export interface FrozenSnapshot {
  /** undefined: there was no copy, or it could not be read */
  objects: Partial<Tables> | undefined;
  /** What there is to say about a copy that was asked for and is missing; "" when nothing. */
  missing: string;
}

/** The last copy of a process, as tables of a recording. Every copy of the run ends here, whatever comes of it. */
export async function readFrozen(folder: string, pid: number): Promise<FrozenSnapshot> {
  const names = readdirSync(folder).filter((name) => parseSnapshotFileName(name)?.pid === pid);
  const last = names.toSorted((a, b) => parseSnapshotFileName(b)!.ordinal - parseSnapshotFileName(a)!.ordinal)[0];
  try {
    if (last === undefined) return { objects: undefined, missing: "the program did not come to an orderly end" };
    const text = readText(join(folder, last)) ?? "";
    if (parseSnapshotFileName(last)!.kind === "skip") return { objects: undefined, missing: text };
    const copy = Number(parsePairs(text).get("clone") ?? NaN);
    const snapshot = snapshotFrom(await captureLive(copy, { runs: false }), false);
    return { objects: snapshotTables(snapshot, ""), missing: "" };
  } catch (error) {
    return { objects: undefined, missing: reasonOf(error) };
  } finally {
    releaseFrozen(folder);
  }
}

/** A copy ends when its file is gone. */
export function releaseFrozen(folder: string): void {
  for (const name of readdirSync(folder))
    if (parseSnapshotFileName(name) !== undefined) rmSync(join(folder, name), { force: true });
}
