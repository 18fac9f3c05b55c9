/** How much memory the program needed at most, when, against which limit, and whose blocks were alive then. */
import { formatBytes, formatCount, formatSeconds, formatShare } from "../base/format.ts";
import type { Recording } from "../tide/recording.ts";
import { known } from "./about.ts";
import { amountOf, samplingInterval, sumBySite, total } from "./amounts.ts";
import type { Amount } from "./amounts.ts";
import { handleOf } from "./ranking.ts";
import { isOwn, siteOf } from "./sites.ts";
import type { Site } from "./sites.ts";

export interface PeakSite extends Amount {
  readonly site: Site;
}

/** Of the process with the highest peak. Sizes in bytes, times in seconds since the start of the run; null: not known. */
export interface Peak {
  /** the sentence for it */
  readonly claim: string;
  readonly pid: number | null;
  /** VmHWM */
  readonly rssBytes: number | null;
  /** true: the last sample before the end, the true peak can be higher */
  readonly lowerBound: boolean;
  readonly atSeconds: number | null;
  readonly limitBytes: number | null;
  /** cgroup, RLIMIT_AS, RAM */
  readonly limitKind: string | null;
  /** recorded blocks alive at that instant; null without blocks */
  readonly heapBytes: number | null;
  readonly heapLow: number | null;
  readonly heapHigh: number | null;
  /** whose blocks those were, largest first, at most PEAK_SITES */
  readonly sites: readonly PeakSite[];
  /** the part that no line of the program's own files led to: the interpreter's start-up, threads of libraries; null without blocks */
  readonly elsewhere: Amount | null;
  /** all processes together at their joint highest sample; null for a single process, or when too few were sampled */
  readonly together: { readonly bytes: number; readonly atSeconds: number; readonly measure: "pss" | "rss" } | null;
}

/** Row of the process with the highest peak; -1 when none was measured. The first wins a tie. */
export function peakProcess(r: Recording): number {
  const { peakRss } = r.table("processes");
  let best = -1;
  for (let row = 0; row < peakRss.length; row++) {
    if (!Number.isNaN(peakRss[row]) && (best < 0 || peakRss[row] > peakRss[best])) best = row;
  }
  return best;
}

export function peak(r: Recording): Peak {
  const table = r.table("processes");
  const process = peakProcess(r);
  const limitBytes = known(r.facts.number("limitBytes"));
  const limit = { limitBytes, limitKind: (limitBytes === null ? "" : r.facts.text("limitKind")) || null };
  if (process < 0) {
    const claim = "The peak is not known: the program ended before its memory was read.";
    return {
      claim,
      pid: null,
      rssBytes: null,
      lowerBound: false,
      atSeconds: null,
      ...limit,
      ...NO_HEAP,
      together: null,
    };
  }
  const joint = table.length > 1 ? peakTogether(r) : null;
  // Processes that ended before the first sample are not in the sum: one that is below the highest alone says nothing.
  const together = joint !== null && joint.bytes > table.peakRss[process] ? joint : null;
  return {
    claim: peakClaim(r, process, together),
    pid: table.pid[process],
    rssBytes: known(table.peakRss[process]),
    lowerBound: table.peakFinal[process] === 0,
    atSeconds: known(table.peakAt[process]),
    ...limit,
    ...heapAtPeak(r, process),
    together,
  };
}

/** More owners than anybody reads; `lines` has them all. */
const PEAK_SITES = 50;

const NO_HEAP = { heapBytes: null, heapLow: null, heapHigh: null, sites: [], elsewhere: null } as const;

function heapAtPeak(
  r: Recording,
  process: number,
): Pick<Peak, "heapBytes" | "heapLow" | "heapHigh" | "sites" | "elsewhere"> {
  if (r.table("processes").recorded[process] === 0) return NO_HEAP;
  const interval = samplingInterval(r, process);
  const sums = sumBySite(r, "peakStacks", process);
  const heap = amountOf(total(sums.values()), interval);
  const sites = [...sums]
    .sort(([, a], [, b]) => b.bytes - a.bytes)
    .slice(0, PEAK_SITES)
    .map(([site, sum]) => Object.assign({ site: siteOf(r, site, handleOf(r, site)) }, amountOf(sum, interval)));
  const foreign = [...sums].filter(([site]) => !isOwn(r, site)).map(([, sum]) => sum);
  const elsewhere = amountOf(total(foreign), interval);
  return { heapBytes: heap.bytes, heapLow: heap.low, heapHigh: heap.high, sites, elsewhere };
}

function peakClaim(r: Recording, process: number, together: Peak["together"]): string {
  const table = r.table("processes");
  const bytes = table.peakRss[process];
  const atLeast = table.peakFinal[process] === 1 ? "" : "at least ";
  const where = table.length > 1 ? ` in process ${table.pid[process]}` : "";
  const sentences = [`Peak ${atLeast}${formatBytes(bytes)} resident${where}${when(r, process)}${against(r, bytes)}.`];
  if (together)
    sentences.push(
      `${table.length === 2 ? "Both" : `All ${formatCount(table.length)}`} processes together: ${formatBytes(together.bytes)} at ${formatSeconds(together.atSeconds)}${SHARED[together.measure]}.`,
    );
  return sentences.join("  ");
}

const SHARED = {
  pss: " (shared pages counted once)",
  rss: " (pages that they share counted in each)",
} as const;

/** ", at 41.7 s" or ", at the end". */
function when(r: Recording, process: number): string {
  const { peakAt, start, end } = r.table("processes");
  const at = peakAt[process];
  if (Number.isNaN(at)) return "";
  const life = end[process] - start[process];
  return life > 1 && end[process] - at <= 0.02 * life ? ", at the end" : `, at ${formatSeconds(at)}`;
}

/** A limit of the machine's whole memory is worth a word only when the program came near it. */
const NEAR_RAM = 0.25;

function against(r: Recording, bytes: number): string {
  const limit = r.facts.number("limitBytes");
  const kind = r.facts.text("limitKind");
  if (!(limit > 0) || (kind === "RAM" && bytes < NEAR_RAM * limit)) return "";
  const name = kind === "RAM" ? "of memory" : `limit (${kind})`;
  return `; ${formatShare(bytes / limit)} of the ${formatBytes(limit)} ${name}`;
}

/**
 * The highest sum over all processes. Each process counts with its last sample until its next or its end. PSS when every
 * sample has it, since RSS counts a shared page once in every process.
 */
function peakTogether(r: Recording): Peak["together"] {
  const { process, time, rss, pss } = r.table("timeline");
  const { end } = r.table("processes");
  const measure = pss.every((value, row) => !Number.isNaN(value) || Number.isNaN(rss[row])) ? "pss" : "rss";
  const bytes = measure === "pss" ? pss : rss;
  const last = new Map<number, number>();
  const changes: { seconds: number; bytes: number }[] = [];
  for (let row = 0; row < bytes.length; row++) {
    if (Number.isNaN(bytes[row])) continue;
    changes.push({ seconds: time[row], bytes: bytes[row] - (last.get(process[row]) ?? 0) });
    last.set(process[row], bytes[row]);
  }
  for (const [row, value] of last) if (!Number.isNaN(end[row])) changes.push({ seconds: end[row], bytes: -value });
  changes.sort((a, b) => a.seconds - b.seconds);
  let now = 0;
  let best: Peak["together"] = null;
  for (const change of changes) {
    now += change.bytes;
    if (best === null || now > best.bytes) best = { bytes: now, atSeconds: change.seconds, measure };
  }
  return best;
}
