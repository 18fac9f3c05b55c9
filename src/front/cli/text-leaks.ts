/** Every site's verdict as text, or one site in full: claim, evidence, stack, its live bytes over time. */
import {
  formatBytes,
  formatCount,
  formatEstimatedCount,
  formatLevels,
  formatSeconds,
  plural,
} from "../../base/format.ts";
import type { Amount, LeaksAnswer, Place, SiteReport } from "../../answers/index.ts";
import { findingLines, headLines, shownSite, sourceColumn } from "./text-parts.ts";
import { cut, finishText, hanging, painter, shownLevels, sparkline, textWidth } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

/** Sites shown without --full. */
const SITES = 20;

export function renderLeaks(answer: LeaksAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const head = headLines(answer, options.width, paint);
  if (answer.curve !== null && answer.sites.length === 1) {
    return finishText([...head, "", ...siteLines(answer, answer.sites[0], options, paint)], options);
  }
  return finishText([...head, ...listLines(answer, options, paint)], options);
}

function listLines(answer: LeaksAnswer, options: TextOptions, paint: Painter): string[] {
  if (answer.recording.mode === "pages")
    return ["", "No line can be judged: no blocks were recorded.", ...answer.recording.notMeasured];
  const { cwd } = answer.program;
  const minor = answer.sites.filter(({ verdict }) => verdict === "minor");
  const judged = answer.sites.filter(({ verdict }) => verdict !== "minor");
  const shown = options.full ? [...judged, ...minor] : judged.slice(0, SITES);
  const sourceAt = sourceColumn(shown, cwd, options.width, true);
  const layout = { width: options.width, cwd, paint, sourceAt, handle: true, full: options.full ?? false };
  const lines = shown.flatMap((site) => ["", ...findingLines(site, layout)]);
  if (judged.length === 0) lines.push("", "No line had enough memory at a time to be judged.");
  if (judged.length > shown.length) lines.push("", `${formatCount(judged.length - shown.length)} more with --full.`);
  if (!options.full && minor.length > 0) {
    // Their peaks need not coincide, so the sum bounds what they had together.
    const most = minor.reduce((sum, site) => sum + site.peak.high, 0);
    lines.push("", `${plural(minor.length, "minor line")}: together at most ${formatBytes(most)}; with --full.`);
  }
  return lines;
}

/** Frames shown of the stack before the rest is counted. */
const FRAMES = 12;

function siteLines(answer: LeaksAnswer, report: SiteReport, options: TextOptions, paint: Painter): string[] {
  const { width, full } = options;
  const { cwd } = answer.program;
  const layout = { width, cwd, paint, sourceAt: sourceColumn([report], cwd, width, true), handle: true, full: true };
  const lines = findingLines(report, layout);
  lines.push("", ...facts(report, width));
  lines.push(...curveLines(answer, options));
  const stack = foldRecursion(report.site.stack);
  const shown = full ? stack : stack.slice(0, FRAMES);
  const frames = shown.map(({ place, times }) => shownSite(place, cwd, width - 24) + repeated(times));
  const { inner } = report.site;
  lines.push("");
  if (inner.file !== report.site.file || inner.line !== report.site.line) {
    const from = inner.package === null ? "" : ` (${inner.package})`;
    lines.push(cut(`asked by   ${shownSite(inner, cwd, width - 30)}${from}`, width));
  }
  frames.forEach((frame, i) => lines.push(cut(`${i === 0 ? "called     " : "  from     "}${frame}`, width)));
  const left = report.site.stackDepth - shown.reduce((sum, { times }) => sum + times, 0);
  if (left > 0) lines.push(`           ${plural(left, "frame")} further out`);
  return lines;
}

/** What the evidence leaves out: numbers of blocks, intervals where there are any, how sure the verdict is. */
function facts({ live, peak, allocated, peakAtSeconds, confidence }: SiteReport, width: number): string[] {
  const rows: [string, string][] = [["blocks", `${atThree(live, peak, allocated, blocks)}${atText(peakAtSeconds)}`]];
  if ([live, peak, allocated].some(({ low, high }) => low !== high)) {
    rows.push(["90 %", atThree(live, peak, allocated, ({ low, high }) => formatLevels([low, high], " to "))]);
  }
  rows.push(["confidence", confidence]);
  return rows.flatMap(([name, text]) => hanging(name.padEnd(11), text, width));
}

function atThree(live: Amount, peak: Amount, allocated: Amount, text: (amount: Amount) => string): string {
  return `${text(allocated)} made; ${text(live)} left; ${text(peak)} at the most`;
}

function blocks({ count, low, high }: Amount): string {
  return formatEstimatedCount(count, low === high);
}

function atText(seconds: number | null): string {
  return seconds === null ? "" : `, at ${formatSeconds(seconds)}`;
}

function curveLines(answer: LeaksAnswer, { width, ascii }: TextOptions): string[] {
  const points = answer.curve ?? [];
  if (points.length < 2) return [];
  const { seconds: from } = points[0];
  const { seconds: to } = points[points.length - 1];
  const values = points.map(({ seconds, bytes }) => ({ seconds, value: bytes }));
  const label = `  ${shownLevels(values)}, ${formatSeconds(from)} to ${formatSeconds(to)}`;
  const room = Math.min(100, width - 11 - textWidth(label));
  return [`${"over time".padEnd(11)}${sparkline(values, room, { ascii })}${label}`];
}

/** A recording tells this many rounds of a recursion apart; deeper ones look the same. */
const ROUNDS = 8;

function repeated(times: number): string {
  if (times < 2) return "";
  return `  × ${formatCount(times)}${times >= ROUNDS ? " or more" : ""}`;
}

/** Equal frames that follow each other become one with a count. */
function foldRecursion(stack: readonly Place[]): { place: Place; times: number }[] {
  const folded: { place: Place; times: number }[] = [];
  for (const place of stack) {
    const last = folded[folded.length - 1];
    if (
      last &&
      last.place.file === place.file &&
      last.place.line === place.line &&
      last.place.function === place.function
    )
      last.times++;
    else folded.push({ place, times: 1 });
  }
  return folded;
}
