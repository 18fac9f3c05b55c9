/** What every answer begins with: which program ran, how it ended, and what kind of recording this is. */
import { formatBytes, formatCount, formatSeconds } from "../base/format.ts";
import type { Recording } from "../tide/recording.ts";
import { samplingInterval } from "./amounts.ts";

/** Version of the JSON documents, see docs/json.md. */
export const JSON_SCHEMA = 1;

/** null: not known. Times in seconds, sizes in bytes. */
export interface ProgramFacts {
  readonly argv: readonly string[];
  readonly cwd: string;
  /** "CPython 3.11.7"; null: no Python was seen */
  readonly python: string | null;
  readonly pid: number | null;
  readonly exitCode: number | null;
  /** "SIGKILL"; null: it did not die of a signal */
  readonly signal: string | null;
  readonly seconds: number | null;
  /** how it ended, when not by itself with status 0: one clause */
  readonly ending: string | null;
}

export interface RecordingFacts {
  /** pages: no blocks at all, only what the kernel counts */
  readonly mode: "exact" | "sampled" | "pages";
  /** mean bytes between two samples; 0 when every block was recorded; null without blocks */
  readonly intervalBytes: number | null;
  /** memory of the recording code inside the program, estimate */
  readonly agentBytes: number | null;
  readonly complete: boolean;
  readonly notMeasured: readonly string[];
  /** version of Tidegauge that recorded */
  readonly version: string;
  readonly recorderCpuSeconds: number | null;
  readonly recorderRssBytes: number | null;
  readonly agentCpuSeconds: number | null;
}

export interface About {
  readonly schema: number;
  readonly program: ProgramFacts;
  readonly recording: RecordingFacts;
}

export function about(r: Recording): About {
  return { schema: JSON_SCHEMA, program: programFacts(r), recording: recordingFacts(r) };
}

/** NaN, the tables' word for "not measured", as JSON's. */
export function known(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function programFacts(r: Recording): ProgramFacts {
  const { facts } = r;
  const signal = facts.number("signal");
  return {
    argv: argvOf(facts.text("argv")),
    cwd: facts.text("cwd"),
    python: facts.text("python") || null,
    pid: known(facts.number("pid")),
    exitCode: known(facts.number("exitCode")),
    signal: signalName(signal),
    seconds: known(facts.number("seconds")),
    ending: ending(r),
  };
}

/** A command line as it is stored: arguments with NULs between them, perhaps one at the end. */
export function argvOf(text: string): string[] {
  if (text === "") return [];
  return text.replace(/\0$/, "").split("\0");
}

function recordingFacts(r: Recording): RecordingFacts {
  const { facts } = r;
  const blocks = hasBlocks(r);
  const interval = blocks ? samplingInterval(r) : Number.NaN;
  return {
    mode: blocks ? (interval > 0 ? "sampled" : "exact") : "pages",
    intervalBytes: known(interval),
    agentBytes: blocks ? known(facts.number("agentBytes")) : null,
    complete: facts.number("complete") === 1,
    notMeasured: [...r.table("notMeasured").text],
    version: facts.text("version"),
    recorderCpuSeconds: known(facts.number("recorderCpuSeconds")),
    recorderRssBytes: known(facts.number("recorderRssBytes")),
    agentCpuSeconds: blocks ? known(facts.number("agentCpuSeconds")) : null,
  };
}

/** Whether any process was recorded with its blocks. */
export function hasBlocks(r: Recording): boolean {
  return r.table("processes").recorded.some((recorded) => recorded === 1);
}

function ending(r: Recording): string | null {
  const { facts } = r;
  const signal = signalName(facts.number("signal"));
  const after = Number.isNaN(facts.number("seconds")) ? "" : ` after ${formatSeconds(facts.number("seconds"))}`;
  if (signal !== null) return `killed by ${signal}${after}${signal === "SIGKILL" ? killer(r) : ""}`;
  const exitCode = facts.number("exitCode");
  if (Number.isNaN(exitCode)) return "how it ended is not known";
  return exitCode === 0 ? null : `exit status ${exitCode}`;
}

/** Who sent SIGKILL: the kernel counts its out-of-memory kills per cgroup; nobody records other senders. */
function killer(r: Recording): string {
  const { facts } = r;
  const kills = facts.number("oomKills");
  const limit = facts.number("limitBytes");
  if (!(kills > 0)) return Number.isNaN(kills) ? "" : "; not by the kernel's out-of-memory killer";
  const count = `(oom_kill ${formatCount(kills)})`;
  return facts.text("limitKind") === "cgroup" && !Number.isNaN(limit)
    ? `: the cgroup limit of ${formatBytes(limit)} was reached ${count}`
    : `: the machine was out of memory ${count}`;
}

// Linux, x86-64 and aarch64; index = number.
const SIGNALS =
  "- HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS".split(
    " ",
  );

/** "SIGKILL" for 9; null for 0 and unknown. */
export function signalName(signal: number): string | null {
  if (!(signal > 0)) return null;
  return `SIG${SIGNALS[signal] ?? signal}`;
}
