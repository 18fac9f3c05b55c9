/**
 * Optimised code takes time to make. A command that lives for a fraction of a second is faster without, so the program that starts the
 * bundle (scripts/start.cjs) switches the optimising compiler off; long work switches it on here.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { listFolder } from "../proc/read.ts";

declare const compiled: { keep(): void } | undefined;

let isOptimising = false;

/** Reading this many bytes of events or of a recording is long work. */
const LONG_WORK_BYTES = 1.5 * 1024 * 1024;

/** Before reading a recording, or the folder of a run. */
export function optimiseFor(path: string): void {
  const stat = statSync(path, { throwIfNoEntry: false });
  const files = stat?.isDirectory()
    ? listFolder(path).map((name) => statSync(join(path, name), { throwIfNoEntry: false }))
    : [stat];
  if (files.reduce((sum, file) => sum + (file?.size ?? 0), 0) >= LONG_WORK_BYTES) optimise();
}

/** @param inlining small functions called in hot loops, as in reading a heap, gain more from inlining than it costs */
export function optimise(inlining = false): void {
  if (typeof compiled !== "undefined" && !isOptimising) {
    setFlagsFromString("--opt");
    // Copying code into code is most of the compiler's work (0.2 s of CPU for a replay) and gains nothing there.
    if (!inlining) setFlagsFromString("--max-inlined-bytecode-size-cumulative=200");
  }
  isOptimising = true;
}

/** Keeps the code that was compiled up to now for later starts. Costs some milliseconds in the first run of a new bundle, else nothing. */
export function keepCompiled(): void {
  // Code is kept with the compiler's settings, and is only taken by who has the same.
  if (typeof compiled !== "undefined" && !isOptimising) compiled.keep();
}
