/** What each site did: its verdict, the sentence for it, amounts and growth; worst first. */
import { UNITS, CONFIDENCES } from "../tide/schema.ts";
import type { Confidence, Verdict } from "../tide/schema.ts";
import type { Recording } from "../tide/recording.ts";
import { about, known } from "./about.ts";
import type { About } from "./about.ts";
import { amountOf, samplingInterval } from "./amounts.ts";
import type { Amount, Sum } from "./amounts.ts";
import { rankedSites, verdictOf } from "./ranking.ts";
import type { RankedSite } from "./ranking.ts";
import { shownPath, siteOf } from "./sites.ts";
import type { Site } from "./sites.ts";
import { describeSite } from "./verdict/claims.ts";

/** Growth for each turn of what drives the site, with its 90 % interval, in bytes. */
export interface Growth {
  readonly bytesPerUnit: number;
  /** what one unit is: "call of handle from server.py:58" */
  readonly unit: string;
  /** call, turn (of a loop), slice (of the run), mark */
  readonly unitKind: (typeof UNITS)[number];
  readonly low: number | null;
  readonly high: number | null;
}

/** Who keeps the memory. Not read from the objects yet: kind is "unknown". */
export interface Holder {
  readonly kind: "module" | "frame" | "thread" | "interpreter" | "native" | "cycle" | "nobody" | "unknown";
  readonly path: readonly string[];
  /** limit null: none */
  readonly bound: { readonly kind: string; readonly limit: number | null; readonly fill: number } | null;
}

export const UNKNOWN_HOLDER: Holder = { kind: "unknown", path: [], bound: null };

export interface SiteReport {
  readonly site: Site;
  readonly verdict: Verdict;
  readonly confidence: Confidence;
  readonly claim: string;
  /** alive at the end of the recording */
  readonly live: Amount;
  /** the most that was alive at one time */
  readonly peak: Amount;
  readonly peakAtSeconds: number | null;
  /** everything made over the run */
  readonly allocated: Amount;
  readonly growth: Growth | null;
  /** turns seen */
  readonly units: number | null;
  readonly calls: number | null;
  readonly holder: Holder;
  readonly evidence: readonly string[];
  /** one line that starts with a verb; null: nothing to do */
  readonly advice: string | null;
  /** process of this report: where the site has several, the worst */
  readonly pid: number;
  /** processes in which the site was seen */
  readonly processes: number;
}

/** Live bytes of a site at an instant; an estimate where the recording is sampled. */
export interface CurvePoint {
  readonly seconds: number;
  readonly bytes: number;
  readonly count: number;
}

export interface LeaksAnswer extends About {
  readonly sites: readonly SiteReport[];
  /** live bytes over time of the one site that was asked for; null when that was not one site, empty when it was too small to be followed */
  readonly curve: readonly CurvePoint[] | null;
  /** what the allocator keeps although the program freed it: not measured yet */
  readonly process: null;
}

/** Every judged site, or the one that `selector` names: a handle ("s3") or a place ("main.py:9"). No match: no sites. */
export function leaks(r: Recording, selector?: string): LeaksAnswer {
  const judged = rankedSites(r).filter((ranked) => ranked.rows.length > 0);
  const chosen = selector === undefined ? judged : judged.filter((ranked) => matches(r, ranked, selector));
  const one = selector !== undefined && chosen.length === 1 ? chosen[0] : undefined;
  return {
    ...about(r),
    sites: chosen.map((ranked) => reportOf(r, ranked)),
    curve: one ? curveOf(r, r.table("siteFeatures").process[one.rows[0]], one.site) : null,
    process: null,
  };
}

function matches(r: Recording, ranked: RankedSite, selector: string): boolean {
  if (ranked.id === selector) return true;
  const colon = selector.lastIndexOf(":");
  const sites = r.table("sites");
  if (colon < 0 || Number(selector.slice(colon + 1)) !== sites.line[ranked.site]) return false;
  return isFile(r.table("codes").file[sites.code[ranked.site]], selector.slice(0, colon), r.facts.text("cwd"));
}

/** Whether `wanted` names a file: its whole path, the path as shown, or the end of it from a folder on. */
export function isFile(file: string, wanted: string, cwd: string): boolean {
  return file === wanted || shownPath(file, cwd) === wanted || file.endsWith(`/${wanted.replace(/^(\.?\/)+/, "")}`);
}

export function reportOf(r: Recording, ranked: RankedSite): SiteReport {
  const features = r.table("siteFeatures");
  const row = ranked.rows[0];
  const process = features.process[row];
  // Where every recorded block of the line is certain, so is a 0.
  const interval = features.allocatedSampled[row] > 0 ? samplingInterval(r, process) : 0;
  const { claim, evidence, advice, unit } = describeSite(r, row);
  return {
    site: siteOf(r, ranked.site, ranked.id),
    verdict: verdictOf(r, row),
    confidence: CONFIDENCES[features.confidence[row]],
    claim,
    live: amountOf(featureSum(r, "live", row), interval),
    peak: amountOf(featureSum(r, "peak", row), interval),
    peakAtSeconds: known(features.peakAt[row]),
    allocated: amountOf(featureSum(r, "allocated", row), interval),
    growth: growthOf(r, row, unit),
    units: features.unit[row] === 0 ? null : known(features.units[row]),
    calls: known(features.calls[row]),
    holder: UNKNOWN_HOLDER,
    evidence,
    advice: advice || null,
    pid: r.table("processes").pid[process],
    processes: ranked.rows.length,
  };
}

/** One of the three groups of amount columns of a row of siteFeatures. */
export function featureSum(r: Recording, group: "live" | "peak" | "allocated", row: number): Sum {
  const features = r.table("siteFeatures");
  return {
    bytes: features[`${group}Bytes`][row],
    count: features[`${group}Count`][row],
    variance: features[`${group}Variance`][row],
    sampled: features[`${group}Sampled`][row],
    exactBytes: features[`${group}ExactBytes`][row],
  };
}

function growthOf(r: Recording, row: number, unit: string): Growth | null {
  const features = r.table("siteFeatures");
  const bytesPerUnit = features.growthPerUnit[row];
  if (Number.isNaN(bytesPerUnit) || features.unit[row] === 0) return null;
  return {
    bytesPerUnit,
    unit,
    unitKind: UNITS[features.unit[row]],
    low: known(features.growthLow[row]),
    high: known(features.growthHigh[row]),
  };
}

/**
 * The site's live bytes at the instants at which the recording kept those of its process: no row for the site then means
 * none alive. A site that never had enough to be kept has no curve at all.
 */
function curveOf(r: Recording, process: number, site: number): CurvePoint[] {
  const checkpoints = r.table("checkpoints");
  const points = new Map<number, CurvePoint>();
  let kept = false;
  for (let row = 0; row < checkpoints.length; row++) {
    if (checkpoints.process[row] !== process) continue;
    const seconds = checkpoints.time[row];
    const own = checkpoints.site[row] === site;
    kept ||= own;
    if (own) points.set(seconds, { seconds, bytes: checkpoints.bytes[row], count: checkpoints.count[row] });
    else if (!points.has(seconds)) points.set(seconds, { seconds, bytes: 0, count: 0 });
  }
  return kept ? [...points.values()].sort((a, b) => a.seconds - b.seconds) : [];
}
