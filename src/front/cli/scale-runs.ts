/** Runs the sizes of a scale one after the other, keeps every point, and ends early when the user, the time or the memory says so. */
import { formatBytes, formatSeconds } from "../../base/format.ts";
import { sizeText } from "../../answers/index.ts";
import type { ScaleCommand } from "../../capture/run/scale-command.ts";
import { freeBytes, type Guard } from "../../capture/run/scale-guard.ts";
import { writePoints, type ScaleRun } from "../../capture/run/scale-points.ts";
import { runOnce } from "../../capture/run/scale-run.ts";
import { nextSize, secondsAt, SIZES, type Tried } from "../../capture/run/scale-sizes.ts";
import { Failure } from "./failure.ts";
import { runOf } from "./scale-measure.ts";
import { isTerminal, writeError } from "./shared-stdio.ts";

export interface ScalePlan {
  readonly command: ScaleCommand;
  readonly commandText: string;
  /** The user's own sizes, ascending; undefined: chosen. */
  readonly sizes: readonly number[] | undefined;
  readonly start: number | undefined;
  /** Not beyond this size. */
  readonly most: number;
  readonly limitBytes: number | null;
  readonly seconds: number;
  /** Runs of the largest and of a middle size, the first one included. */
  readonly repeats: number;
  /** Bytes that one run may take; undefined: half of what is free when it starts. */
  readonly memory: number | undefined;
  readonly python: string | undefined;
  readonly self: readonly string[];
  readonly file: string;
  readonly quiet: boolean;
}

export interface Outcome {
  readonly runs: readonly ScaleRun[];
  /** Why it ended before all sizes were run, one sentence; "" when it did not. */
  readonly ending: string;
  readonly seconds: number;
}

/** A run that takes longer is repeated once. */
const LONG_SECONDS = 30;

/** `before`: runs of an earlier time, extended. Throws a Failure when the smallest size shows that nothing can come of it. */
export async function runSizes(plan: ScalePlan, before: readonly ScaleRun[]): Promise<Outcome> {
  const started = process.hrtime.bigint();
  const spent = (): number => Number(process.hrtime.bigint() - started) / 1e9;
  const runs = [...before];
  const progress = progressLine(plan.quiet);
  const stop = interruption();
  let ending = "";
  try {
    while (!stop.asked) {
      const next = sizeAfter(plan, runs, spent());
      if (next === undefined) break;
      if (next.n === null) {
        ending = endingOf(next.why, plan, runs);
        break;
      }
      const run = await runSize(plan, next.n, stop, (bytes) =>
        progress.show(
          `n = ${sizeText(next.n)}, run ${runs.length - before.length + 1} of about ${expected(plan)}, ${formatSeconds(spent())}, ${formatBytes(bytes)} now`,
        ),
      );
      if (run === undefined) break;
      runs.push(run);
      writePoints(plan.file, runs, plan.commandText);
      progress.erase();
      checkFirst(plan, runs);
    }
  } finally {
    progress.erase();
    stop.end();
  }
  if (stop.asked) ending = "Interrupted: this is what the runs so far tell.";
  return { runs, ending, seconds: spent() };
}

type Wanted = { readonly n: number } | { readonly n: null; readonly why: string } | undefined;

/** undefined: all is done. */
function sizeAfter(plan: ScalePlan, runs: readonly ScaleRun[], spent: number): Wanted {
  const tried = triedOf(runs);
  const bad = tried.find((each) => !each.ended);
  if (plan.sizes === undefined) {
    const limits = { most: plan.most, seconds: plan.seconds, spent, bytes: memoryFor(plan) };
    const next = nextSize(tried, limits, plan.start);
    if (next.n !== null) return next;
    if (next.why === "time") return next;
    return repeatAfter(plan, runs, spent) ?? (next.why === "memory" ? next : undefined);
  }
  const left = plan.sizes.filter((n) => !tried.some((each) => each.n === n));
  const good = tried.filter((each) => each.ended);
  if (left.length === 0 || (bad && left[0] > bad.n))
    return repeatAfter(plan, runs, spent) ?? (left.length > 0 ? { n: null, why: "memory" } : undefined);
  if (good.length > 0 && spent + secondsAt(good, left[0]) > plan.seconds) return { n: null, why: "time" };
  return { n: left[0] };
}

/** The largest size and a middle one once more, to see how much equal runs differ. */
function repeatAfter(plan: ScalePlan, runs: readonly ScaleRun[], spent: number): { n: number } | undefined {
  const good = runs.filter((run) => run.state === "ok");
  const sizes = [...new Set(good.map((run) => run.n))].sort((a, b) => a - b);
  if (sizes.length < 3) return undefined;
  for (const n of [sizes.at(-1)!, sizes[Math.floor(sizes.length / 2)]]) {
    const same = good.filter((run) => run.n === n);
    const wanted = same[0].seconds > LONG_SECONDS ? Math.min(plan.repeats, 2) : plan.repeats;
    if (same.length < wanted && spent + same[0].seconds <= plan.seconds) return { n };
  }
  return undefined;
}

function triedOf(runs: readonly ScaleRun[]): Tried[] {
  const sizes = [...new Set(runs.map((run) => run.n))].sort((a, b) => a - b);
  return sizes.map((n) => {
    const same = runs.filter((run) => run.n === n);
    const ended = same.every((run) => run.state === "ok");
    return { n, peakBytes: same[0].peakBytes, seconds: same[0].seconds, ended };
  });
}

function memoryFor(plan: ScalePlan): number {
  return plan.memory ?? freeBytes() / 2;
}

function expected(plan: ScalePlan): number {
  return (plan.sizes?.length ?? SIZES + 3) + 2 * (plan.repeats - 1);
}

function endingOf(why: string, plan: ScalePlan, runs: readonly ScaleRun[]): string {
  if (why === "time") {
    const sizes = new Set(runs.map((run) => run.n));
    const took = formatSeconds(runs.at(-1)?.seconds ?? NaN);
    if (sizes.size < 2) {
      const least = Math.ceil(runs.reduce((sum, run) => sum + run.seconds, 0) * 30);
      throw new Failure(
        2,
        `--time ${formatSeconds(plan.seconds)} is too small for a second size: n = ${sizeText(runs[0].n)} alone took ${took}; allow about --time ${least}s`,
      );
    }
    return `The time of --time (${formatSeconds(plan.seconds)}) does not allow a larger run.`;
  }
  const bad = runs.find((run) => run.state !== "ok");
  return bad ? "" : `A larger run would pass the ${formatBytes(memoryFor(plan))} that a run may take.`;
}

async function runSize(
  plan: ScalePlan,
  n: number,
  stop: Interruption,
  onLevel: (bytes: number) => void,
): Promise<ScaleRun | undefined> {
  const limit = memoryFor(plan);
  const { command, self, python } = plan;
  const end = await runOnce({ command, n, limit, self, python, onLevel, onStarted: (guard) => stop.watch(guard) });
  try {
    if (stop.asked) return undefined;
    const run = runOf(n, end, limit);
    if (run.state === "ok" && Number.isNaN(run.peakBytes))
      throw new Failure(
        3,
        `the peak at n = ${sizeText(n)} was not measured: ${end.errors.trim() || "the program ended before its memory was read"}`,
      );
    lastErrors = end.errors;
    return run;
  } finally {
    end.remove();
  }
}

let lastErrors = "";

/** The smallest size shows what is wrong with the request. */
function checkFirst(plan: ScalePlan, runs: readonly ScaleRun[]): void {
  const run = runs.at(-1)!;
  if (runs.length > 1) return;
  if (run.state === "failed") {
    writeError(lastErrors === "" || lastErrors.endsWith("\n") ? lastErrors : `${lastErrors}\n`);
    const how = run.reason.replace(/^((?:--make )?(?:failed with exit status|died of signal) \d+).*$/s, "$1");
    throw new Failure(
      2,
      `the program fails at the smallest size, n = ${sizeText(run.n)} (${how}); ${lastErrors.trim() === "" ? "it wrote no error" : "its own words are above"}; mend it, or begin with a larger one: --start N`,
    );
  }
  if (plan.limitBytes !== null && run.state === "ok" && run.peakBytes > plan.limitBytes)
    throw new Failure(
      2,
      `--limit ${formatBytes(plan.limitBytes)} is below what the program takes at its smallest size: ${formatBytes(run.peakBytes)} at n = ${sizeText(run.n)}`,
    );
}

interface Interruption {
  readonly asked: boolean;
  watch(guard: Guard): void;
  end(): void;
}

/** Ctrl-C ends the run that goes on, and what is known is told. A second one ends at once. */
function interruption(): Interruption {
  let asked = false;
  let current: Guard | undefined;
  const stop = (): void => {
    if (asked) process.exit(130);
    asked = true;
    current?.kill();
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, stop);
  return {
    get asked() {
      return asked;
    },
    watch(guard) {
      current = guard;
      if (asked) guard.kill();
    },
    end() {
      for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stop);
    },
  };
}

const EVERY_MILLISECONDS = 250;

function progressLine(quiet: boolean): { show(text: string): void; erase(): void } {
  if (quiet || !isTerminal(2)) return { show() {}, erase() {} };
  let shownAt = 0;
  let visible = false;
  return {
    show(text) {
      if (Date.now() - shownAt < EVERY_MILLISECONDS) return;
      shownAt = Date.now();
      visible = true;
      writeError(`\r\x1b[K\x1b[?7ltidegauge scale · ${text}\x1b[?7h`);
    },
    erase() {
      if (visible) writeError("\r\x1b[K");
      visible = false;
    },
  };
}
