/** The program's source with the memory of each line. */
import type { Recording } from "../tide/recording.ts";
import type { Verdict } from "../tide/schema.ts";
import { about, hasBlocks } from "./about.ts";
import type { About } from "./about.ts";
import { add, amountOf, samplingInterval, sumBySite } from "./amounts.ts";
import type { Amount, Sum } from "./amounts.ts";
import { featureSum, isFile } from "./leaks.ts";
import { rankedSites, verdictOf } from "./ranking.ts";
import type { RankedSite } from "./ranking.ts";
import { isOwn } from "./sites.ts";

/** A line of source. Amounts are null for a line for which nothing was recorded, and where they are not known. */
export interface LineReport {
  readonly line: number;
  /** as in the file, indent included; null: not at hand */
  readonly source: string | null;
  /** the most that was alive at one time, in the process where that was most */
  readonly peak: Amount | null;
  /** alive at the end, in the process where that was most */
  readonly live: Amount | null;
  /** everything made over the run, all processes */
  readonly allocated: Amount | null;
  readonly calls: number | null;
  readonly verdict: Verdict | null;
  /** handle of the site; where a line has several, of the worst */
  readonly site: string | null;
}

export interface FileReport {
  /** as the interpreter knows it */
  readonly path: string;
  readonly own: boolean;
  readonly lines: readonly LineReport[];
}

export interface LinesAnswer extends About {
  readonly files: readonly FileReport[];
  /** every file with recorded lines, the program's own first; also when `selector` chose one */
  readonly paths: readonly string[];
}

export interface LinesOptions {
  /** a file: its name or path, or the end of it from a folder on. Without it: the program's own files, or all if it has none */
  readonly selector?: string | undefined;
  /** lines of source around each line with memory; default 2, Infinity: the whole file */
  readonly context?: number | undefined;
}

/** What one line did; `live` is that of the whole line, the rest is summed over its sites. */
interface LineSum {
  readonly ranked: RankedSite;
  readonly peak: Amount | null;
  readonly live: Amount;
  readonly allocated: Sum;
  readonly calls: number | null;
}

const NOTHING: Sum = { bytes: 0, count: 0, variance: 0, sampled: 0, exactBytes: 0 };

export function lines(r: Recording, options: LinesOptions = {}): LinesAnswer {
  const byFile = hasBlocks(r) ? linesByFile(r) : new Map<string, FileSums>();
  const own = [...byFile.keys()].filter((path) => byFile.get(path)?.own);
  const paths = [...own, ...[...byFile.keys()].filter((path) => !own.includes(path))];
  const { selector, context = 2 } = options;
  const cwd = r.facts.text("cwd");
  const byDefault = own.length > 0 ? own : paths;
  const chosen = selector === undefined ? byDefault : paths.filter((path) => isFile(path, selector, cwd));
  return { ...about(r), files: chosen.map((path) => fileReport(r, path, byFile.get(path)!, context)), paths };
}

interface FileSums {
  own: boolean;
  readonly lines: Map<number, LineSum>;
}

/** Files in the order of the highest peak of one of their lines. */
function linesByFile(r: Recording): Map<string, FileSums> {
  const sites = r.table("sites");
  const { file } = r.table("codes");
  const allocated = sumBySite(r, "allocatedStacks");
  const live = mostAlive(r);
  const files = new Map<string, FileSums>();
  for (const ranked of rankedSites(r)) {
    const { site } = ranked;
    const made = allocated.get(site);
    // A line that only called others which asked: not one with memory of its own.
    if (made === undefined && ranked.rows.length === 0) continue;
    const path = file[sites.code[site]];
    const entry = files.get(path) ?? { own: false, lines: new Map<number, LineSum>() };
    files.set(path, entry);
    entry.own ||= isOwn(r, site);
    const sum = siteSum(r, ranked, live.get(lineKey(r, site)), made ?? NOTHING);
    const before = entry.lines.get(sites.line[site]);
    entry.lines.set(sites.line[site], before ? together(before, sum) : sum);
  }
  const highest = (entry: FileSums): number =>
    Math.max(...[...entry.lines.values()].map((line) => line.peak?.bytes ?? 0));
  return new Map([...files].sort(([, a], [, b]) => highest(b) - highest(a)));
}

/** Where a site stands, as a key: several sites can share a line. */
function lineKey(r: Recording, site: number): string {
  const { code, line } = r.table("sites");
  return `${r.table("codes").file[code[site]]}:${line[site]}`;
}

/**
 * What each line had alive at the end, in the process where that was most. Not the sum: what a child was born with by a fork
 * lies in the same pages as its parent's.
 */
function mostAlive(r: Recording): Map<string, Amount> {
  const most = new Map<string, Amount>();
  for (let process = 0; process < r.table("processes").length; process++) {
    const sums = new Map<string, Sum>();
    for (const [site, sum] of sumBySite(r, "endStacks", process)) {
      const key = lineKey(r, site);
      sums.set(key, add(sums.get(key) ?? NOTHING, sum));
    }
    for (const [key, sum] of sums) {
      const amount = amountOf(sum, samplingInterval(r, process));
      if (amount.bytes > (most.get(key)?.bytes ?? -1)) most.set(key, amount);
    }
  }
  return most;
}

function siteSum(r: Recording, ranked: RankedSite, live: Amount | undefined, allocated: Sum): LineSum {
  const features = r.table("siteFeatures");
  let peak: Amount | null = null;
  let calls: number | null = null;
  for (const row of ranked.rows) {
    const amount = amountOf(featureSum(r, "peak", row), samplingInterval(r, features.process[row]));
    if (peak === null || amount.bytes > peak.bytes) peak = amount;
    if (!Number.isNaN(features.calls[row])) calls = (calls ?? 0) + features.calls[row];
  }
  // Nothing alive: certain where every block of the line was recorded, else below what sampling would have missed.
  const none = amountOf(NOTHING, allocated.sampled > 0 ? samplingInterval(r) : 0);
  return { ranked, peak, live: live ?? none, allocated, calls };
}

/** Two sites on one line (a lambda beside its function). Their peaks need not coincide: the larger one is certain. */
function together(first: LineSum, second: LineSum): LineSum {
  return {
    ranked: first.ranked,
    peak: (second.peak?.bytes ?? -1) > (first.peak?.bytes ?? -1) ? second.peak : first.peak,
    live: first.live,
    allocated: add(first.allocated, second.allocated),
    calls: first.calls ?? second.calls,
  };
}

function fileReport(r: Recording, path: string, { own, lines: sums }: FileSums, context: number): FileReport {
  const sources = r.table("sources");
  const row = sources.file.indexOf(path);
  const text = row < 0 ? [] : sources.text[row].split("\n");
  if (text[text.length - 1] === "") text.pop();
  const interval = samplingInterval(r);
  const shown = linesToShow([...sums.keys()], text.length, context);
  return {
    path,
    own,
    lines: shown.map((line) => {
      const sum = sums.get(line);
      const source = text[line - 1] ?? (sum ? r.table("sites").source[sum.ranked.site] || null : null);
      if (!sum)
        return { line, source, peak: null, live: null, allocated: null, calls: null, verdict: null, site: null };
      const judged = sum.ranked.rows[0];
      return {
        line,
        source,
        peak: sum.peak,
        live: sum.live,
        allocated: amountOf(sum.allocated, interval),
        calls: sum.calls,
        verdict: judged === undefined ? null : verdictOf(r, judged),
        site: sum.ranked.id,
      };
    }),
  };
}

/** The lines with memory and `context` lines around each, in order; 0 (no line, native code) and NONE sort where they fall. */
function linesToShow(withMemory: readonly number[], length: number, context: number): number[] {
  const shown = new Set(withMemory);
  for (const line of withMemory) {
    const first = Math.max(1, line - context);
    const last = Math.min(length, line + context);
    for (let near = first; near <= last; near++) shown.add(near);
  }
  return [...shown].sort((a, b) => a - b);
}
