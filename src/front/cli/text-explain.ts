/** The first answer as text: what happened in two lines, what to do in the next five, the rest below. */
import { formatCount, formatEstimate, formatInterval } from "../../base/format.ts";
import type { Amount, ExplainAnswer } from "../../answers/index.ts";
import { INDENT, findingLines, headLines, inParagraphs, onOneScreen, shownSite, sourceColumn } from "./text-parts.ts";
import { processLines } from "./text-processes.ts";
import {
  clean,
  cut,
  finishText,
  hanging,
  padEnd,
  padStart,
  painter,
  shownLevels,
  sparkline,
  textWidth,
  typed,
} from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

/** How much of each part is shown. */
interface Size {
  readonly suspects: number;
  readonly healthy: number;
  readonly owners: number;
  readonly processes: number;
  readonly unknown: number;
}

const SIZES: readonly Size[] = [
  { suspects: 5, healthy: 3, owners: 4, processes: 8, unknown: 4 },
  { suspects: 4, healthy: 3, owners: 3, processes: 6, unknown: 3 },
  { suspects: 3, healthy: 2, owners: 3, processes: 5, unknown: 2 },
  { suspects: 3, healthy: 1, owners: 2, processes: 4, unknown: 2 },
  { suspects: 2, healthy: 0, owners: 2, processes: 3, unknown: 1 },
];
const EVERYTHING: Size = {
  suspects: Infinity,
  healthy: Infinity,
  owners: Infinity,
  processes: Infinity,
  unknown: Infinity,
};

/** The whole answer: at most 40 lines unless `full`. */
export function renderExplain(answer: ExplainAnswer, options: TextOptions): string {
  const sizes = options.full ? [EVERYTHING] : SIZES;
  return finishText(
    onOneScreen(sizes, (size) => explainLines(answer, size, options)),
    options,
  );
}

function explainLines(answer: ExplainAnswer, size: Size, options: TextOptions): string[] {
  const { width } = options;
  const paint = painter(options.color);
  const sections = [
    headLines(answer, width, paint),
    hanging("", [answer.peak.claim, answer.summary ?? ""].join("  ").trim(), width),
    ownerLines(answer, size, width, paint),
    ...findingSections(answer, size, options, paint),
    [
      ...rssLines(answer, options),
      ...processLines(answer, { width, most: size.processes, paint }),
      ...unknownLines(answer, size, width),
      ...nextLines(answer, options),
    ],
  ];
  return inParagraphs(sections);
}

/** A part of the peak that a person would care about. */
const OWNER_BYTES = 1024 * 1024;
const OWNER_SHARE = 0.05;
const ALONE_SHARE = 0.25;

/** Whose blocks were alive at the peak: the program's own lines, and all the rest as one. */
function ownerLines(answer: ExplainAnswer, size: Size, width: number, paint: Painter): string[] {
  const { peak, program } = answer;
  const all = size.owners === Infinity;
  const matters = ({ bytes }: Amount): boolean =>
    all ? bytes > 0 : bytes >= OWNER_BYTES && bytes >= OWNER_SHARE * (peak.rssBytes ?? 0);
  const owners = peak.sites.filter((owner) => (all || owner.site.own) && matters(owner)).slice(0, size.owners);
  // One owner that is a small part is in the findings anyway.
  if (owners.length === 0 || (owners.length === 1 && !all && owners[0].bytes < ALONE_SHARE * (peak.rssBytes ?? 0)))
    return [];
  const rest = !all && peak.elsewhere && matters(peak.elsewhere) ? peak.elsewhere : undefined;
  const amounts = amountColumn(rest ? [...owners, rest] : owners);
  const sources = owners.map(({ site }) => clean(site.source ?? ""));
  const room = width - INDENT - textWidth(amounts[0]) - 2;
  // The place takes what the longest source leaves, and two fifths of the width at least.
  const placeRoom = Math.max(Math.floor(0.4 * width), room - 2 - Math.max(...sources.map(textWidth)));
  const places = owners.map(({ site }) => shownSite(site, program.cwd, Math.min(room, placeRoom)));
  const placeWidth = Math.max(...places.map(textWidth));
  const left = room - placeWidth - 2;
  const lines = owners.map((_, i) => {
    const gap = " ".repeat(placeWidth - textWidth(places[i]) + 2);
    return `${amounts[i]}  ${paint("bold", places[i])}${sources[i] === "" || left < 8 ? "" : gap + cut(sources[i], left)}`;
  });
  if (rest) lines.push(`${amounts[owners.length]}  ${cut(ELSEWHERE, room)}`);
  return lines.map((line, i) => (i === 0 ? "At the peak" : "").padEnd(INDENT) + line);
}

/** A wide interval is shown, one within an eighth either way says no more than the "~". */
const WIDE = 0.25;

/** Amounts under each other, all of one width: the figure to the right, its interval, where that is wide, behind it. */
function amountColumn(amounts: readonly Amount[]): string[] {
  const figures = amounts.map((amount) => formatEstimate(amount));
  const intervals = amounts.map((amount, i) =>
    amount.high - amount.low > WIDE * amount.bytes ? formatInterval(amount).slice(figures[i].length) : "",
  );
  const figureWidth = Math.max(...figures.map(textWidth));
  const intervalWidth = Math.max(...intervals.map(textWidth));
  return figures.map((figure, i) => padStart(figure, figureWidth) + padEnd(intervals[i], intervalWidth));
}

const ELSEWHERE = "Python's start-up and libraries (no line of yours)";

/** Findings that ask for attention, each in its own paragraph, then the healthy ones. */
function findingSections(answer: ExplainAnswer, size: Size, options: TextOptions, paint: Painter): string[][] {
  const attention = answer.findings.filter((finding) => finding.attention);
  // What the interpreter and libraries keep for themselves is nobody's finding, but with --full.
  const healthy = answer.findings.filter((finding) => !finding.attention && (finding.site.own || options.full));
  const shown = [...attention.slice(0, size.suspects), ...healthy.slice(0, size.healthy)];
  const { cwd } = answer.program;
  const sourceAt = sourceColumn(shown, cwd, options.width);
  const layout = { width: options.width, cwd, paint, sourceAt, full: options.full ?? false };
  const sections = shown.map((finding) => findingLines(finding, layout));
  const left = attention.length - Math.min(attention.length, size.suspects);
  if (left > 0)
    sections.splice(size.suspects, 0, [
      `${formatCount(left)} more like these: ${typed("tidegauge leaks FILE", options)}`,
    ]);
  return sections;
}

function rssLines(answer: ExplainAnswer, { width, ascii }: TextOptions): string[] {
  const values = (answer.rss?.points ?? []).map(({ seconds, rssBytes }) => ({ seconds, value: rssBytes }));
  if (values.length === 0) return [];
  // The true peak lies between two samples more often than on one.
  const label = `  ${shownLevels(values, answer.peak.rssBytes ?? 0)}   (RSS: its memory in RAM)`;
  const room = Math.min(60, width - INDENT - textWidth(label));
  const heading = "RSS".padEnd(INDENT);
  // Too narrow for a line of bars: the figures stand alone.
  return room < 8 ? hanging(heading, label.trim(), width) : [heading + sparkline(values, room, { ascii }) + label];
}

function unknownLines({ unknown }: ExplainAnswer, size: Size, width: number): string[] {
  const shown = unknown.slice(0, size.unknown);
  const lines = shown.flatMap((sentence, i) =>
    hanging((i === 0 ? "Not seen" : "").padEnd(INDENT), clean(sentence), width),
  );
  const left = unknown.length - shown.length;
  if (left > 0) lines.push(`${" ".repeat(INDENT)}${formatCount(left)} more with --full`);
  return lines;
}

/** Each command on a line of its own: it will be copied. */
function nextLines({ next }: ExplainAnswer, options: TextOptions): string[] {
  const saved = options.saved ? ["Saved".padEnd(INDENT) + (options.file ?? "FILE")] : [];
  return [...saved, ...next.map((command, i) => (i === 0 ? "Next" : "").padEnd(INDENT) + typed(command, options))];
}
