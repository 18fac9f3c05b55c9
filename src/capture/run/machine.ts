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

/** Limits of a program that is started now. `inherited`: what `tidegauge-launch before` noted, since it lifts some for Node. */
export function readLimits(inherited: string | undefined): Limits {
  const cgroup = findMemoryCgroup(readText);
  const ramBytes = parseMemTotal(readText("/proc/meminfo") ?? "");
  const candidates = [
    { limitKind: "cgroup", limitBytes: cgroup ? cgroupLimit(cgroup, readText) : Infinity },
    { limitKind: "RLIMIT_AS", limitBytes: addressSpace(inherited ?? "") },
    { limitKind: "RAM", limitBytes: ramBytes },
  ] as const;
  const known = candidates.filter((c) => Number.isFinite(c.limitBytes));
  const tightest = known.toSorted((a, b) => a.limitBytes - b.limitBytes)[0] ?? {
    limitKind: "" as const,
    limitBytes: NaN,
  };
  return { ramBytes, cgroup, ...tightest };
}

/** RLIM_INFINITY as it stands in the note. */
const NO_LIMIT = 2 ** 64;

function addressSpace(inherited: string): number {
  const noted = /(?:^|,)as:(\d+)/.exec(inherited)?.[1];
  if (noted === undefined) return parseSoftLimit(readText("/proc/self/limits") ?? "", "Max address space");
  return Number(noted) >= NO_LIMIT ? Infinity : Number(noted);
}
