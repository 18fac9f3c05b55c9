/** One run of a scale: a recorder of its own for one size, watched, in an environment that is the same for every size. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fill, type ScaleCommand } from "./scale-command.ts";
import { guard, type Guard } from "./scale-guard.ts";

export interface RunPlan {
  readonly command: ScaleCommand;
  readonly n: number;
  /** Bytes at which the run is ended. */
  readonly limit: number;
  /** Words that start the command line of this installation: node, its bundle. */
  readonly self: readonly string[];
  readonly python: string | undefined;
  readonly onLevel: (bytes: number) => void;
  readonly onStarted: (guard: Guard) => void;
}

export interface RunEnd {
  /** The recording; undefined: none was made. */
  readonly recording: string | undefined;
  readonly status: number;
  /** Ended by the watch at `limit`. */
  readonly stopped: boolean;
  /** Largest memory that the watch saw, bytes. */
  readonly mostBytes: number;
  readonly seconds: number;
  /** The end of what it wrote on stderr. */
  readonly errors: string;
  /** Step that failed: making the file, or the program. */
  readonly step: "make" | "program";
  /** Removes the recording and the made file. */
  remove(): void;
}

const KEPT_ERRORS = 8192;
/** Lines known to the block are worth more here than time: their curves are fitted. */
const OVERHEAD_PERCENT = "25";

export async function runOnce(plan: RunPlan): Promise<RunEnd> {
  const folder = mkdtempSync(join(tmpdir(), "tidegauge-scale-"));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const filled = fill(plan.command, plan.n, join(folder, "input"));
  // Hash order decides which tables grow: the same in every run, unless the user wants otherwise.
  const env = { PYTHONHASHSEED: "0", ...process.env, ...filled.env };
  const failed = { recording: undefined, stopped: false, mostBytes: 0, seconds: 0, remove };
  if (filled.make !== undefined) {
    const made = await make(filled.make, env);
    if (made.status !== 0) return { ...failed, ...made, step: "make" };
  }
  const recording = join(folder, "run.tide");
  const python = plan.python === undefined ? [] : ["--python", plan.python];
  const words = [
    ...plan.self,
    "run",
    "-q",
    "--snapshots",
    "none",
    "--max-overhead",
    OVERHEAD_PERCENT,
    "-o",
    recording,
    ...python,
    ...filled.words,
  ];
  const started = process.hrtime.bigint();
  // A session of its own: Ctrl-C comes here alone, and what is known is told.
  const child = spawn(words[0], words.slice(1), { env, stdio: ["pipe", "ignore", "pipe"], detached: true });
  const watch = guard(child.pid ?? 0, plan.limit, plan.onLevel);
  plan.onStarted(watch);
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors = (errors + text).slice(-KEPT_ERRORS)));
  child.stdin.on("error", () => {}); // the program does not read it
  child.stdin.end(filled.stdin ?? "");
  const status = await new Promise<number>((resolve) => {
    child.once("error", () => resolve(127));
    child.once("close", (code) => resolve(code ?? 128));
  });
  watch.close();
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  return {
    recording,
    status,
    stopped: watch.stopped,
    mostBytes: watch.mostBytes,
    seconds,
    errors,
    step: "program",
    remove,
  };
}

function make(line: string, env: NodeJS.ProcessEnv): Promise<{ status: number; errors: string }> {
  return new Promise((resolve) => {
    execFile("/bin/sh", ["-c", line], { env, maxBuffer: 64 * 1024 * 1024 }, (error, _, errors) => {
      resolve({ status: error ? Number(error.code) || 1 : 0, errors: errors.slice(-KEPT_ERRORS) });
    });
  });
}
