/** What limits the memory of a program on this machine. */
import { cgroupLimit, findMemoryCgroup } from "../proc/cgroup.ts";
import { parseMemTotal, parseSoftLimit } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";

/** Facts of a run (docs/format.md, section 3). */
export interface Limits {
  ramBytes: number;
  /** The tightest of the three, and which it is; NaN and "" when nothing is known. */
  limitBytes: number;
  limitKind: "cgroup" | "RLIMIT_AS" | "RAM" | "";
}

/**
 * @param inherited what `tidegauge-launch before` noted of this process's limits, since it lifts some for Node
 * @param groupLimit bytes, Infinity: none
 */
export function readLimits(inherited: string | undefined, groupLimit = ownGroupLimit()): Limits {
  const ramBytes = parseMemTotal(readText("/proc/meminfo") ?? "");
  const candidates = [
    { limitKind: "cgroup", limitBytes: groupLimit },
    { limitKind: "RLIMIT_AS", limitBytes: addressSpace(inherited ?? "") },
    { limitKind: "RAM", limitBytes: ramBytes },
  ] as const;
  const known = candidates.filter((c) => Number.isFinite(c.limitBytes));
  const [tightest] = known.toSorted((a, b) => a.limitBytes - b.limitBytes);
  return { ramBytes, limitKind: tightest?.limitKind ?? "", limitBytes: tightest?.limitBytes ?? NaN };
}

/** What a program that this process starts begins with. */
function ownGroupLimit(): number {
  const group = findMemoryCgroup(readText);
  return group ? cgroupLimit(group, readText) : Infinity;
}

/** RLIM_INFINITY as it stands in the note. */
const NO_LIMIT = 2 ** 64;

function addressSpace(inherited: string): number {
  const noted = /(?:^|,)as:(\d+)/.exec(inherited)?.[1];
  if (noted === undefined) return parseSoftLimit(readText("/proc/self/limits") ?? "", "Max address space");
  return Number(noted) >= NO_LIMIT ? Infinity : Number(noted);
}
