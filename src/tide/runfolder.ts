/**
 * The recorder's own files in a run folder (docs/format.md, sections 1 and 3), as pure text and bytes: `settings`, `run`,
 * `processes`, `timeline`. Encoders for the recorder, parsers for whoever finishes the run. A recorder may die in the middle of a
 * write, so every parser takes what is whole and leaves a torn tail out; none of them throws.
 */

export const RUN_FOLDER_SUFFIX = ".run";
export const SETTINGS_FILE = "settings";
export const RUN_FILE = "run";
export const PROCESSES_FILE = "processes";
export const TIMELINE_FILE = "timeline";

export type Mode = "exact" | "interval" | "adaptive";

export const SNAPSHOTS = ["none", "auto", "end"] as const;
export type Snapshots = (typeof SNAPSHOTS)[number];

/** What the agent reads when it is loaded. */
export interface Settings {
  mode: Mode;
  /** Bytes between two samples on average; 0 in exact mode. In adaptive mode the interval to start with. */
  interval: number;
  /** Adaptive mode: the share of the program's CPU that the agent may use, in percent. */
  overhead: number;
  /** Largest event file of one process, bytes; 0: no limit. */
  maxBytes: number;
  /** When the agent makes a frozen copy of the program: never, at its end where that is cheap, at its end whatever it costs. */
  snapshots: Snapshots;
  /** Bytes that the program may use, 0: not known. */
  memoryLimit: number;
  /** CLOCK_MONOTONIC at launch, nanoseconds: the zero of every time in the recording. */
  started: bigint;
}

/** Which process image wrote a file of the folder, and what it is. */
export interface AgentFile {
  pid: number;
  ordinal: number;
  kind: "events" | "off";
}

/** One reading of /proc of one process. Times in seconds since the launch, sizes in bytes, NaN: not read. */
export interface TimelineSample {
  pid: number;
  time: number;
  rss: number;
  hwm: number;
  pss: number;
  uss: number;
  swap: number;
  /** Usage of the run's cgroup; only on rows of the root process. */
  cgroupUsage: number;
}

/** A process came into sight, or (a second `start` of a living PID) called exec. */
export interface ProcessStart {
  kind: "start";
  pid: number;
  parent: number;
  time: number;
  argv: string[];
}

/** A process went. exitCode -1: unknown; signal 0: none, -1: unknown. */
export interface ProcessEnd {
  kind: "end";
  pid: number;
  time: number;
  exitCode: number;
  signal: number;
}

export type ProcessLine = ProcessStart | ProcessEnd;

const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", "\0": "\\0" };

export function escapeValue(value: string): string {
  return value.replace(/[\\\n\0]/g, (c) => ESCAPES[c]!);
}

/** The inverse of `escapeValue`; an unknown escape stands for its second character. */
export function unescapeValue(value: string): string {
  return value.replace(/\\([\s\S])/g, (_, c: string) => (c === "n" ? "\n" : c === "0" ? "\0" : c));
}

/** `key=value` lines. Numbers are written so that they read back exactly; NaN as `NaN`. */
export function encodePairs(pairs: Iterable<readonly [string, string | number | bigint]>): string {
  let text = "";
  for (const [key, value] of pairs) text += `${key}=${escapeValue(String(value))}\n`;
  return text;
}

/** Later lines win; lines without `=` and a last line without its end are left out. */
export function parsePairs(text: string): Map<string, string> {
  const pairs = new Map<string, string>();
  for (const line of wholeLines(text)) {
    const at = line.indexOf("=");
    if (at > 0) pairs.set(line.slice(0, at), unescapeValue(line.slice(at + 1)));
  }
  return pairs;
}

export function encodeSettings(settings: Settings): string {
  return encodePairs(Object.entries(settings));
}

/** Missing or unreadable keys take the value that limits nothing. */
export function parseSettings(text: string): Settings {
  const pairs = parsePairs(text);
  const mode = pairs.get("mode");
  return {
    mode: mode === "exact" || mode === "interval" ? mode : "adaptive",
    interval: wholeNumber(pairs.get("interval")),
    overhead: wholeNumber(pairs.get("overhead")),
    maxBytes: wholeNumber(pairs.get("maxBytes")),
    snapshots: SNAPSHOTS.find((name) => name === pairs.get("snapshots")) ?? "none",
    memoryLimit: wholeNumber(pairs.get("memoryLimit")),
    started: /^\d{1,19}$/.test(pairs.get("started") ?? "") ? BigInt(pairs.get("started")!) : 0n,
  };
}

function wholeNumber(text: string | undefined): number {
  const value = Number(text ?? "");
  return Number.isFinite(value) && value > 0 ? value : 0;
}

/** The keys of the `run` file whose values are numbers; every other key is text. */
export const NUMERIC_FACTS: ReadonlySet<string> = new Set([
  "intervalBytes",
  "pid",
  "exitCode",
  "signal",
  "startedRealtime",
  "startedMonotonic",
  "seconds",
  "cpuSeconds",
  "maxRssBytes",
  "complete",
  "limitBytes",
  "ramBytes",
  "oomKills",
  "recorderPid",
  "recorderStart",
  "recorderCpuSeconds",
  "recorderRssBytes",
  "agentBytes",
  "agentCpuSeconds",
]);

/** Name of the file that the agent writes for one process image. */
export function agentFileName(file: AgentFile): string {
  return `${file.pid}.${file.ordinal}.${file.kind}`;
}

/** undefined when the name is not one that the agent gives. */
export function parseAgentFileName(name: string): AgentFile | undefined {
  const match = /^([1-9]\d{0,9})\.(0|[1-9]\d{0,9})\.(events|off)$/.exec(name);
  if (!match) return undefined;
  return { pid: Number(match[1]), ordinal: Number(match[2]), kind: match[3] as AgentFile["kind"] };
}

/** A frozen copy of a process that waits to be read, or the reason that there is none. undefined: the name is of neither. */
export function parseSnapshotFileName(
  name: string,
): { name: string; pid: number; ordinal: number; kind: "snap" | "skip" } | undefined {
  const match = /^([1-9]\d{0,9})\.(0|[1-9]\d{0,9})\.(snap|skip)$/.exec(name);
  if (!match) return undefined;
  return { name, pid: Number(match[1]), ordinal: Number(match[2]), kind: match[3] as "snap" | "skip" };
}

export const TIMELINE_ROW_BYTES = 64;
const TIMELINE_FIELDS = ["time", "rss", "hwm", "pss", "uss", "swap", "cgroupUsage"] as const;

export function encodeTimeline(samples: readonly TimelineSample[]): Uint8Array {
  const bytes = new Uint8Array(samples.length * TIMELINE_ROW_BYTES);
  const view = new DataView(bytes.buffer);
  samples.forEach((sample, i) => {
    const at = i * TIMELINE_ROW_BYTES;
    view.setUint32(at, sample.pid, true);
    TIMELINE_FIELDS.forEach((field, f) => view.setFloat64(at + 8 + f * 8, sample[field], true));
  });
  return bytes;
}

/** Rows in the order in which they were written: the time of one process never falls. A torn last row is left out, and so are rows of
 *  PID 0: room that was kept free. */
export function parseTimeline(bytes: Uint8Array): TimelineSample[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const samples: TimelineSample[] = [];
  for (let at = 0; at + TIMELINE_ROW_BYTES <= bytes.byteLength; at += TIMELINE_ROW_BYTES) {
    const sample = { pid: view.getUint32(at, true) } as TimelineSample;
    if (sample.pid === 0) continue;
    TIMELINE_FIELDS.forEach((field, f) => (sample[field] = view.getFloat64(at + 8 + f * 8, true)));
    samples.push(sample);
  }
  return samples;
}

export function encodeProcessLine(line: ProcessLine): string {
  if (line.kind === "end") return `end ${line.pid} ${line.time} ${line.exitCode} ${line.signal}\n`;
  return `start ${line.pid} ${line.parent} ${line.time} ${escapeValue(line.argv.join("\0"))}\n`;
}

/** Lines in the order in which they were written; lines that are not of the two forms are left out. */
export function parseProcesses(text: string): ProcessLine[] {
  const lines: ProcessLine[] = [];
  for (const line of wholeLines(text)) {
    const start = /^start (\d+) (\d+) (\S+) (.*)$/s.exec(line);
    const end = /^end (\d+) (\S+) (-?\d+) (-?\d+)$/.exec(line);
    if (start) {
      const argv = start[4] === "" ? [] : unescapeValue(start[4]!).split("\0");
      lines.push({ kind: "start", pid: +start[1]!, parent: +start[2]!, time: +start[3]!, argv });
    } else if (end) {
      lines.push({
        kind: "end",
        pid: +end[1]!,
        time: +end[2]!,
        exitCode: +end[3]!,
        signal: +end[4]!,
      });
    }
  }
  return lines;
}

/** Lines that have their newline; what follows the last one was torn off. */
function wholeLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}
