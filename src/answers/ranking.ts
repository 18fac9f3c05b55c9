/**
 * The judged rows of a recording in the order in which a person wants to read them: one entry a site, worst first.
 * The order gives the handles: s1 is the worst site, and the same recording always gives the same handles.
 */
import type { Recording } from "../tide/recording.ts";
import { isOwn } from "./sites.ts";
import { VERDICTS } from "../tide/schema.ts";
import type { Verdict } from "../tide/schema.ts";

export interface RankedSite {
  /** index into `sites` */
  readonly site: number;
  readonly id: string;
  /** rows of `siteFeatures`, one a process, the worst first; empty for a site that was not judged */
  readonly rows: readonly number[];
}

/** What to read first; the healthy verdicts, which are not here, follow by size. */
const SEVERITY: readonly Verdict[] = ["leaking", "native leak", "undecided"];

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

/**
 * What asks for attention by verdict, growth first; then what is healthy, the program's own lines before the interpreter's and
 * the libraries', which a person can do nothing about; `minor` last.
 */
function group(r: Recording, row: number): number {
  const verdict = verdictOf(r, row);
  if (needsAttention(r, row)) return SEVERITY.indexOf(verdict) + (grows(r, row) ? 0 : 0.5);
  const foreign = isOwn(r, r.table("siteFeatures").site[row]) ? 0 : 1;
  return SEVERITY.length + 1 + foreign + (verdict === "minor" ? 2 : 0);
}

/**
 * Whether a person should look at it: a suspicion in the program's own lines. What cannot be told for sure but shows no growth
 * must be a part of the memory that one would notice; and where no line of the program leads to it, a good part: the interpreter
 * and its libraries fill tables while they start, which looks like growth.
 */
export function needsAttention(r: Recording, row: number): boolean {
  const verdict = verdictOf(r, row);
  if (!SUSPECT.has(verdict)) return false;
  if (!isOwn(r, r.table("siteFeatures").site[row]))
    return weightOf(r, row) >= Math.max(1024 * 1024, share(r, row, 0.05));
  return verdict !== "undecided" || grows(r, row) || weightOf(r, row) >= share(r, row, 0.01);
}

/** A part of the peak RSS of the row's process, in bytes. */
function share(r: Recording, row: number, part: number): number {
  const process = r.table("siteFeatures").process[row];
  return part * (r.table("processes").peakRss[process] || 0);
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
