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
  const files = readdirSync(folder).flatMap((name) => parseSnapshotFileName(name) ?? []);
  const [last] = files.filter((file) => file.pid === pid).toSorted((a, b) => b.ordinal - a.ordinal);
  try {
    if (last === undefined) return { objects: undefined, missing: "the program did not come to an orderly end" };
    const text = readText(join(folder, last.name)) ?? "";
    if (last.kind === "skip") return { objects: undefined, missing: text };
    const told = parsePairs(text);
    const copy = Number(told.get("clone") ?? NaN);
    if (Number.isNaN(copy)) return { objects: undefined, missing: "where its copy is could not be written down" };
    const target = await captureLive(copy, { runs: false });
    target.stopMilliseconds = Number(told.get("stopped") ?? NaN) / 1e6;
    return { objects: snapshotTables(snapshotFrom(target, false), ""), missing: "" };
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
