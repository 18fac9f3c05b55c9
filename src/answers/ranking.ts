/**
 * The judged rows of a recording in the order in which a person wants to read them: one entry a site, worst first.
 * The order gives the handles: s1 is the worst site, and the same recording always gives the same handles.
 */
import type { Recording } from "../tide/recording.ts";
import { VERDICTS } from "../tide/schema.ts";
import type { Verdict } from "../tide/schema.ts";

export interface RankedSite {
  /** index into `sites` */
  readonly site: number;
  readonly id: string;
  /** rows of `siteFeatures`, one a process, the worst first; empty for a site that was not judged */
  readonly rows: readonly number[];
}

/** What to read first. `undecided` stands behind the certain ones; without growth it goes after what is healthy on purpose. */
const SEVERITY: readonly Verdict[] = [
  "leaking",
  "native leak",
  "undecided",
  "cyclic garbage",
  "bounded cache",
  "held",
  "held by recursion",
  "warm-up",
  "recycled",
  "minor",
];

const NOT_GROWING: ReadonlySet<Verdict> = new Set(["recycled", "held by recursion", "warm-up", "minor"]);

/** Verdicts that say that something is, or may be, wrong. */
export const SUSPECT: ReadonlySet<Verdict> = new Set(["leaking", "native leak", "undecided"]);

export function verdictOf(r: Recording, row: number): Verdict {
  return VERDICTS[r.table("siteFeatures").verdict[row]];
}

/** Whether the site left more behind with every turn, whatever the reason. */
export function grows(r: Recording, row: number): boolean {
  const verdict = verdictOf(r, row);
  return !NOT_GROWING.has(verdict) && r.table("siteFeatures").growthPerUnit[row] > 0;
}

/** The bytes that matter for a verdict: what is still there for what stays, the most at a time for what comes and goes. */
export function weightOf(r: Recording, row: number): number {
  const features = r.table("siteFeatures");
  const stays = SUSPECT.has(verdictOf(r, row)) || grows(r, row) || verdictOf(r, row) === "held";
  return (stays ? features.liveBytes[row] : features.peakBytes[row]) || 0;
}

const rankings = new WeakMap<Recording, readonly RankedSite[]>();

/** All sites of the recording, judged ones first. */
export function rankedSites(r: Recording): readonly RankedSite[] {
  const known = rankings.get(r);
  if (known) return known;
  const ranking = rank(r);
  rankings.set(r, ranking);
  return ranking;
}

function rank(r: Recording): RankedSite[] {
  const features = r.table("siteFeatures");
  const rowsOfSite = new Map<number, number[]>();
  for (const row of [...features.site.keys()].sort((a, b) => compare(r, a, b))) {
    const site = features.site[row];
    const rows = rowsOfSite.get(site);
    if (rows) rows.push(row);
    else rowsOfSite.set(site, [row]);
  }
  for (let site = 0; site < r.table("sites").length; site++) {
    if (!rowsOfSite.has(site)) rowsOfSite.set(site, []);
  }
  return [...rowsOfSite].map(([site, rows], i) => ({ site, id: `s${i + 1}`, rows }));
}

function compare(r: Recording, a: number, b: number): number {
  return group(r, a) - group(r, b) || weightOf(r, b) - weightOf(r, a) || a - b;
}

function group(r: Recording, row: number): number {
  const verdict = verdictOf(r, row);
  const severity = SEVERITY.indexOf(verdict);
  return verdict === "undecided" && !grows(r, row) ? SEVERITY.indexOf("held") + 0.5 : severity;
}

const handles = new WeakMap<Recording, ReadonlyMap<number, string>>();

/** The handle of a site. */
export function handleOf(r: Recording, site: number): string {
  let map = handles.get(r);
  if (!map) {
    map = new Map(rankedSites(r).map((entry) => [entry.site, entry.id]));
    handles.set(r, map);
  }
  return map.get(site) ?? "";
}
