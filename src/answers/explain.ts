/** The whole first answer: what the peak was, who owned it, what each line did, what was not seen, where to look next. */
import { formatBytes, formatCount, plural } from "../base/format.ts";
import type { Recording } from "../tide/recording.ts";
import { about, hasBlocks } from "./about.ts";
import type { About } from "./about.ts";
import { reportOf } from "./leaks.ts";
import type { SiteReport } from "./leaks.ts";
import { peak, peakProcess } from "./peak.ts";
import type { Peak } from "./peak.ts";
import { processReports } from "./processes.ts";
import type { ProcessReport } from "./processes.ts";
import { SUSPECT, grows, needsAttention, rankedSites, verdictOf, weightOf } from "./ranking.ts";
import { rssCurve } from "./timeline.ts";
import type { RssCurve } from "./timeline.ts";

/** What one line did. */
export interface Finding extends SiteReport {
  /** what is still there for a line that keeps its memory, the most at a time for one that does not */
  readonly bytes: number;
  /** whether each turn left more behind */
  readonly growing: boolean;
  /** whether a person should look at it: a suspicion in the program's own lines, elsewhere only when it is large */
  readonly attention: boolean;
}

export interface ExplainAnswer extends About {
  readonly peak: Peak;
  /** "Nothing grew." and the like; null when there is nothing to sum up */
  readonly summary: string | null;
  /** worst first; `minor` sites are left out */
  readonly findings: readonly Finding[];
  /** the account of RSS: not measured yet */
  readonly ledger: null;
  readonly rss: RssCurve | null;
  readonly processes: readonly ProcessReport[];
  /** what this run could not see, one sentence each */
  readonly unknown: readonly string[];
  /** commands that say more; FILE stands for the recording */
  readonly next: readonly string[];
}

export function explain(r: Recording): ExplainAnswer {
  const process = peakProcess(r);
  const findings = findingsOf(r);
  const reports = processReports(r);
  const most = peak(r);
  return {
    ...about(r),
    peak: most,
    summary: summaryOf(r, findings),
    findings,
    ledger: null,
    rss: process < 0 ? null : rssCurve(r, process),
    processes: reports,
    unknown: unknowns(r, reports, most),
    next: nextCommands(r, findings, reports),
  };
}

/** Worst first. A `minor` site is below the floor: nothing to say about it. */
function findingsOf(r: Recording): Finding[] {
  return rankedSites(r)
    .filter(({ rows }) => rows.length > 0 && verdictOf(r, rows[0]) !== "minor")
    .map((ranked) => {
      const row = ranked.rows[0];
      const more = { bytes: weightOf(r, row), growing: grows(r, row), attention: needsAttention(r, row) };
      return Object.assign(reportOf(r, ranked), more);
    });
}

/** Sites below this never get a verdict other than `minor` (docs/verdicts.md). */
const FLOOR_BYTES = 16 * 1024;

function summaryOf(r: Recording, findings: readonly Finding[]): string | null {
  const { recorded, dropped, pythonHex } = r.table("processes");
  const seen = hasBlocks(r) && !dropped.some((events, row) => recorded[row] === 1 && events > 0);
  const suspect = ({ attention, site, verdict }: Finding): boolean => attention || (site.own && SUSPECT.has(verdict));
  if (!seen || findings.some(suspect)) return null;
  const unseen = recorded.some((yes, row) => yes === 0 && pythonHex[row] !== 0);
  const where = unseen ? " in the processes that were recorded" : "";
  const growing = findings.filter((finding) => finding.growing && finding.site.own);
  if (growing.length > 0) {
    return growing.every(({ verdict }) => verdict === "held")
      ? `Nothing grew${where} but what is held on purpose.`
      : null;
  }
  if (findings.length > 0) return `Nothing grew${where}.`;
  return `Nothing grew${where}: no line had ${formatBytes(FLOOR_BYTES)} or more at a time.`;
}

/** The recording's own list, and what its tables show to be missing. */
function unknowns(r: Recording, reports: readonly ProcessReport[], { heapLow, heapBytes, rssBytes }: Peak): string[] {
  const sentences = [...r.table("notMeasured").text];
  if (heapBytes !== null && heapLow !== null && rssBytes !== null && heapLow > rssBytes) {
    const asked = heapLow < heapBytes ? `~${formatBytes(heapBytes)}` : formatBytes(heapBytes);
    sentences.push(`Which part of the ${asked} of blocks at the peak was in use: untouched pages are not resident.`);
  }
  for (const [reason, pids] of withoutBlocks(reports)) {
    const processes =
      pids.length === 1 ? `process ${pids[0]}` : `${formatCount(pids.length)} processes (${pids[0]} and others)`;
    sentences.push(reports.length === 1 ? `Lines: ${reason}.` : `The lines of ${processes}: ${reason}.`);
  }
  const dropped = reports.reduce((sum, report) => sum + (report.dropped ?? 0), 0);
  if (dropped > 0)
    sentences.push(
      `${plural(dropped, "event")} of the program could not be kept: amounts can be wrong by these blocks.`,
    );
  if (r.facts.number("complete") === 0) sentences.push("What came after the recording broke off.");
  return [...new Set(sentences)];
}

const NOT_PYTHON = /^no Python ran/;

function withoutBlocks(reports: readonly ProcessReport[]): Map<string, number[]> {
  const byReason = new Map<string, number[]>();
  for (const { recorded, reason, pid } of reports) {
    // A shell or a tool in a program's tree is no gap in what was seen of the program.
    if (recorded || (NOT_PYTHON.test(reason ?? "") && reports.some((other) => other.recorded))) continue;
    const key = (reason ?? "it was not recorded").replace(/\.$/, "");
    byReason.set(key, [...(byReason.get(key) ?? []), pid]);
  }
  return byReason;
}

/** More processes than the short answer lists. */
const MANY_PROCESSES = 6;

function nextCommands(r: Recording, findings: readonly Finding[], reports: readonly ProcessReport[]): string[] {
  if (!hasBlocks(r)) return ["tidegauge timeline FILE", "tidegauge doctor"];
  const commands: string[] = [];
  const worst = findings.find((finding) => finding.attention);
  if (worst) commands.push(`tidegauge leaks FILE ${worst.site.id}`);
  commands.push("tidegauge lines FILE");
  if (reports.length > MANY_PROCESSES) commands.push("tidegauge processes FILE");
  return commands;
}
