/**
 * Pure parsers of the kernel's text files about one process. Sizes come back in bytes; a figure that the text does not have is NaN,
 * never 0 (a kernel without swap leaves the line out, a zombie has no memory lines at all).
 */

export interface ProcessStatus {
  name: string;
  /** One letter: R running, S sleeping, T stopped, Z zombie, … */
  state: string;
  parent: number;
  /** VmRSS, VmHWM, VmSwap, VmSize. */
  rss: number;
  hwm: number;
  swap: number;
  size: number;
  threads: number;
}

/** `/proc/PID/status`. */
export function parseStatus(text: string): ProcessStatus {
  return {
    name: /^Name:\t(.*)$/m.exec(text)?.[1] ?? "",
    state: /^State:\t(\S)/m.exec(text)?.[1] ?? "",
    parent: figure(text, "PPid"),
    rss: kilobytes(text, "VmRSS"),
    hwm: kilobytes(text, "VmHWM"),
    swap: kilobytes(text, "VmSwap"),
    size: kilobytes(text, "VmSize"),
    threads: figure(text, "Threads"),
  };
}

/** `/proc/PID/smaps_rollup`: USS is what no other process maps. */
export function parseSmapsRollup(text: string): { rss: number; pss: number; uss: number; swap: number } {
  return {
    rss: kilobytes(text, "Rss"),
    pss: kilobytes(text, "Pss"),
    uss: kilobytes(text, "Private_Clean") + kilobytes(text, "Private_Dirty"),
    swap: kilobytes(text, "Swap"),
  };
}

export interface ProcessStat {
  state: string;
  parent: number;
  processGroup: number;
  /** Foreground process group of the controlling terminal; -1: there is none. */
  terminalGroup: number;
  /** Clock ticks (1/100 s) after boot. With the PID it names a process for good. */
  startTicks: number;
  cpuTicks: number;
  /** As waitpid gives it; readable only of a zombie. */
  /** What the parent is sent when it ends; 0: nothing. */
  exitSignal: number;
  exitStatus: number;
}

/** `/proc/PID/stat`; the command in its parentheses may hold anything, spaces and parentheses included. */
export function parseStat(text: string): ProcessStat {
  const fields = text
    .slice(text.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
  const at = (field: number) => Number(fields[field - 3] ?? NaN); // numbered from 1 as in proc(5)
  return {
    state: fields[0] ?? "",
    parent: at(4),
    processGroup: at(5),
    terminalGroup: at(8),
    startTicks: at(22),
    cpuTicks: at(14) + at(15),
    exitSignal: at(38),
    exitStatus: at(52),
  };
}

/** Soft limit of a row of `/proc/PID/limits` ("Max address space"); Infinity: unlimited, NaN: no such row. */
export function parseSoftLimit(text: string, row: string): number {
  const line = text.split("\n").find((l) => l.startsWith(row));
  const value = line?.slice(row.length).trim().split(/\s+/)[0];
  return value === undefined ? NaN : value === "unlimited" ? Infinity : Number(value);
}

/** `/proc/meminfo`: MemTotal. */
export function parseMemTotal(text: string): number {
  return kilobytes(text, "MemTotal");
}

/** `/proc/PID/cmdline`, NUL after each argument. Programs that rewrite it may leave out the last NUL. */
export function parseCmdline(text: string): string[] {
  if (text === "") return [];
  return (text.endsWith("\0") ? text.slice(0, -1) : text).split("\0");
}

/** `/proc/PID/task/TID/children`: PIDs separated by spaces. */
export function parseChildren(text: string): number[] {
  return text.split(" ").filter(Boolean).map(Number);
}

function figure(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s*(\\d+)`, "m").exec(text)?.[1] ?? NaN);
}

function kilobytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s*(\\d+) kB`, "m").exec(text)?.[1] ?? NaN) * 1024;
}
