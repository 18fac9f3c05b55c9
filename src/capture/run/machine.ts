/** What limits the memory of a program on this machine. */
import { cgroupLimit, findMemoryCgroup, type MemoryCgroup } from "../proc/cgroup.ts";
import { parseMemTotal, parseSoftLimit } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";

export interface Limits {
  ramBytes: number;
  /** The tightest of the three, and which it is; NaN and "" when nothing is known. */
  limitBytes: number;
  limitKind: "cgroup" | "RLIMIT_AS" | "RAM" | "";
  cgroup: MemoryCgroup | undefined;
}

/** Limits of this process, which a program that it starts inherits. */
export function readLimits(): Limits {
  const cgroup = findMemoryCgroup(readText);
  const ramBytes = parseMemTotal(readText("/proc/meminfo") ?? "");
  const candidates = [
    { limitKind: "cgroup", limitBytes: cgroup ? cgroupLimit(cgroup, readText) : Infinity },
    { limitKind: "RLIMIT_AS", limitBytes: parseSoftLimit(readText("/proc/self/limits") ?? "", "Max address space") },
    { limitKind: "RAM", limitBytes: ramBytes },
  ] as const;
  const known = candidates.filter((c) => Number.isFinite(c.limitBytes));
  const tightest = known.toSorted((a, b) => a.limitBytes - b.limitBytes)[0] ?? {
    limitKind: "" as const,
    limitBytes: NaN,
  };
  return { ramBytes, cgroup, ...tightest };
}
