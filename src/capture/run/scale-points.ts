/** The runs of a scale in a `.tide` file that holds nothing but facts (docs/scale.md, "The file of points"): written anew after every run. */
import { renameSync, writeFileSync } from "node:fs";
import type { Recording } from "../../tide/recording.ts";
import { tableBuilder, writeRecording } from "../../tide/writer.ts";
import { reasonOf, Refusal, statusOf } from "./refusal.ts";

export interface SiteBytes {
  /** "file:line function" */
  readonly site: string;
  readonly source: string;
  readonly bytes: number;
  readonly count: number;
}

/** One run. Sizes in bytes. */
export interface ScaleRun {
  readonly n: number;
  /** VmHWM less what the agent used; PSS of the tree where there are several processes. Of a run that was stopped: the most that was seen. */
  readonly peakBytes: number;
  /** ok: it ran to its end; stopped: by the watch or the kernel, for memory; failed: by itself */
  readonly state: "ok" | "stopped" | "failed";
  /** "was stopped at the 4.0 GiB that a run may take"; "" when ok */
  readonly reason: string;
  readonly seconds: number;
  /** Mean bytes between two samples; 0: every block was recorded. */
  readonly intervalBytes: number;
  /** Live at the peak, largest first; empty: not known. */
  readonly sites: readonly SiteBytes[];
}

/** A file with all runs, the program's words as the user wrote them with it. Throws a Refusal when it cannot be written. */
export function writePoints(file: string, runs: readonly ScaleRun[], command: string): void {
  const facts = tableBuilder("facts");
  const text = (key: string, value: string): void => void facts.push({ key, text: value, number: NaN });
  const number = (key: string, value: number): void => void facts.push({ key, text: "", number: value });
  number("scaleRuns", runs.length);
  text("scaleCommand", command);
  runs.forEach((run, i) => {
    const key = `run.${i}`;
    number(`${key}.n`, run.n);
    number(`${key}.peakBytes`, run.peakBytes);
    text(`${key}.state`, run.state);
    text(`${key}.reason`, run.reason);
    number(`${key}.seconds`, run.seconds);
    number(`${key}.intervalBytes`, run.intervalBytes);
    number(`${key}.sites`, run.sites.length);
    run.sites.forEach((site, j) => {
      text(`${key}.site.${j}`, site.site);
      text(`${key}.site.${j}.source`, site.source);
      number(`${key}.site.${j}.bytes`, site.bytes);
      number(`${key}.site.${j}.count`, site.count);
    });
  });
  try {
    const unfinished = `${file}.${process.pid}`;
    writeFileSync(unfinished, writeRecording({ facts: facts.finish() }), { mode: 0o600 });
    renameSync(unfinished, file);
  } catch (error) {
    throw new Refusal(statusOf(error), `cannot write ${file}: ${reasonOf(error)}; name a file elsewhere with -o`);
  }
}

/** undefined: the recording is no file of points. */
export function readPoints({ facts }: Recording): { runs: ScaleRun[]; command: string } | undefined {
  const count = facts.number("scaleRuns");
  if (Number.isNaN(count)) return undefined;
  const runs = Array.from({ length: count }, (_, i): ScaleRun => {
    const key = `run.${i}`;
    const state = facts.text(`${key}.state`);
    return {
      n: facts.number(`${key}.n`),
      peakBytes: facts.number(`${key}.peakBytes`),
      state: state === "ok" || state === "stopped" ? state : "failed",
      reason: facts.text(`${key}.reason`),
      seconds: facts.number(`${key}.seconds`),
      intervalBytes: facts.number(`${key}.intervalBytes`),
      sites: Array.from({ length: facts.number(`${key}.sites`) || 0 }, (_, j) => ({
        site: facts.text(`${key}.site.${j}`),
        source: facts.text(`${key}.site.${j}.source`),
        bytes: facts.number(`${key}.site.${j}.bytes`),
        count: facts.number(`${key}.site.${j}.count`),
      })),
    };
  });
  return { runs: runs.filter((run) => run.n > 0 && run.peakBytes > 0), command: facts.text("scaleCommand") };
}
