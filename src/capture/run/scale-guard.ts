/**
 * Keeps a run from taking the machine down: a memory control group of its own where one can be made, first choice for the kernel's
 * out-of-memory killer, and a watch that ends it when it passes what it is allowed.
 */
import { mkdirSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { cgroupLimit, cgroupUsageFile, findMemoryCgroup } from "../proc/cgroup.ts";
import { parseChildren, parseSmapsRollup, parseStatus } from "../proc/parse.ts";
import { listFolder, readText } from "../proc/read.ts";

const WATCH_MILLISECONDS = 20;
/** The recorder shares the control group with the program. */
const RECORDER_BYTES = 512 * 1024 * 1024;

/** Bytes that a program could still take here: free RAM, or the rest of the control group's limit. */
export function freeBytes(): number {
  const available = Number(/^MemAvailable:\s*(\d+) kB/m.exec(readText("/proc/meminfo") ?? "")?.[1] ?? NaN) * 1024;
  const group = findMemoryCgroup(readText);
  if (!group) return available;
  const used = Number(readText(cgroupUsageFile(group)) ?? NaN);
  const left = cgroupLimit(group, readText) - used;
  return Number.isFinite(left) ? Math.min(available, Math.max(left, 0)) : available;
}

/** Reading this one's own memory map costs the program time: only where pages are shared. */
function memoryOf(pids: readonly number[]): number {
  let sum = 0;
  for (const pid of pids) {
    const pss = pids.length > 1 ? parseSmapsRollup(readText(`/proc/${pid}/smaps_rollup`) ?? "").pss : NaN;
    const bytes = Number.isNaN(pss) ? parseStatus(readText(`/proc/${pid}/status`) ?? "").rss : pss;
    if (!Number.isNaN(bytes)) sum += bytes;
  }
  return sum;
}

function descendants(pid: number, depth = 0): number[] {
  if (depth > 32) return [];
  const children = listFolder(`/proc/${pid}/task`).flatMap((thread) =>
    parseChildren(readText(`/proc/${pid}/task/${thread}/children`) ?? ""),
  );
  return children.concat(children.flatMap((child) => descendants(child, depth + 1)));
}

/** The program's processes below a recorder, without the small one that starts it. */
function programOf(recorder: number): number[] {
  return descendants(recorder).filter((pid) => {
    try {
      return basename(readlinkSync(`/proc/${pid}/exe`)) !== "tidegauge-launch";
    } catch {
      return false;
    }
  });
}

export interface Guard {
  /** Largest sum of the program's memory that was seen, bytes. */
  readonly mostBytes: number;
  /** true: it passed the limit and was ended */
  readonly stopped: boolean;
  /** Ends the program now; the recorder stays, to finish its recording. */
  kill(): void;
  close(): void;
}

/** Watches the program that the recorder `pid` runs. `limit`: bytes; `onLevel` gets the sum at every look. */
export function guard(pid: number, limit: number, onLevel: (bytes: number) => void): Guard {
  const group = ownGroup(pid, limit + RECORDER_BYTES);
  try {
    writeFileSync(`/proc/${pid}/oom_score_adj`, "1000");
  } catch {
    // it ended already, or the kernel does not have it
  }
  const state = { mostBytes: 0, stopped: false };
  const kill = (): void => {
    for (const each of programOf(pid)) {
      try {
        process.kill(each, "SIGKILL");
      } catch {
        // it ended in this moment
      }
    }
  };
  const look = (): void => {
    const bytes = memoryOf(programOf(pid));
    state.mostBytes = Math.max(state.mostBytes, bytes);
    if (bytes > limit) {
      state.stopped = true;
      kill();
    }
    onLevel(bytes);
  };
  const timer = setInterval(look, WATCH_MILLISECONDS);
  return {
    get mostBytes() {
      return state.mostBytes;
    },
    get stopped() {
      return state.stopped;
    },
    kill,
    close() {
      clearInterval(timer);
      group?.remove();
    },
  };
}

/** A control group with a limit, where this process may make one; undefined: the watch has to do. */
function ownGroup(pid: number, limit: number): { remove(): void } | undefined {
  const group = findMemoryCgroup(readText);
  if (!group || !Number.isFinite(limit)) return undefined;
  const folder = join(group.folders[0], `tidegauge-scale-${pid}`);
  const remove = (): void => {
    try {
      rmdirSync(folder);
    } catch {
      // a process of the program outlived it: the group goes with the next boot
    }
  };
  try {
    mkdirSync(folder);
  } catch {
    return undefined;
  }
  try {
    const file = group.version === 1 ? "memory.limit_in_bytes" : "memory.max";
    // Page size: the kernel rounds down.
    writeFileSync(join(folder, file), String(Math.ceil(limit / 4096) * 4096));
    writeFileSync(join(folder, "cgroup.procs"), String(pid));
    return { remove };
  } catch {
    remove();
    return undefined;
  }
}
