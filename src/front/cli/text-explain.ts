/** The first answer as text: what happened in two lines, what to do in the next five, the rest below. */
import { formatCount, formatEstimate, formatLevels } from "../../base/format.ts";
import type { ExplainAnswer, Finding, PeakSite } from "../../answers/index.ts";
import { INDENT, findingLines, headLines, shownSite, sourceColumn } from "./text-parts.ts";
import { processLines } from "./text-processes.ts";
import { clean, cut, finishText, hanging, padStart, painter, sparkline, textWidth } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

/** How much of each part is shown. The first row of SIZES that fits on the screen wins. */
interface Size {
  readonly suspects: number;
  readonly healthy: number;
  readonly owners: number;
  readonly processes: number;
  readonly unknown: number;
}

const SCREEN_LINES = 40;
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
  if (options.full) return finishText(explainLines(answer, EVERYTHING, options), options);
  let lines: string[] = [];
  for (const size of SIZES) {
    lines = explainLines(answer, size, options);
    if (lines.length <= SCREEN_LINES) break;
  }
  return finishText(lines, options);
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

/** Sections that have lines, with an empty line between them. */
function inParagraphs(sections: readonly (readonly string[])[]): string[] {
  const lines: string[] = [];
  for (const section of sections.filter(({ length }) => length > 0)) {
    if (lines.length > 0) lines.push("");
    lines.push(...section);
  }
  return lines;
}

/** Sites that held a part of the peak that a person would care about. */
const OWNER_BYTES = 1024 * 1024;
const OWNER_SHARE = 0.05;

function ownerLines(answer: ExplainAnswer, size: Size, width: number, paint: Painter): string[] {
  const { peak, program } = answer;
  const all = size.owners === Infinity;
  const matters = ({ bytes }: PeakSite): boolean =>
    all || (bytes >= OWNER_BYTES && bytes >= OWNER_SHARE * (peak.rssBytes ?? 0));
  const owners = peak.sites.filter(matters).slice(0, size.owners);
  if (owners.length === 0) return [];
  const amounts = owners.map((owner) => formatEstimate(owner));
  const amountWidth = Math.max(...amounts.map(textWidth));
  const places = owners.map(({ site }) => shownSite(site, program.cwd, Math.floor(width * 0.4)));
  const placeWidth = Math.max(...places.map(textWidth));
  return owners.map((owner, i) => {
    const before = `${(i === 0 ? "At the peak" : "").padEnd(INDENT)}${padStart(amounts[i], amountWidth)}  `;
    const source = clean(owner.site.source ?? "");
    const room = width - textWidth(before) - placeWidth - 2;
    const gap = " ".repeat(placeWidth - textWidth(places[i]) + 2);
    return before + paint("bold", places[i]) + (source !== "" && room >= 8 ? gap + cut(source, room) : "");
  });
}

/** Findings that ask for attention, each in its own paragraph, then the healthy ones. */
function findingSections(answer: ExplainAnswer, size: Size, options: TextOptions, paint: Painter): string[][] {
  const attention = answer.findings.filter(needsAttention);
  const healthy = answer.findings.filter((finding) => !needsAttention(finding));
  const shown = [...attention.slice(0, size.suspects), ...healthy.slice(0, size.healthy)];
  const { cwd } = answer.program;
  const sourceAt = sourceColumn(shown, cwd, options.width);
  const layout = { width: options.width, cwd, paint, sourceAt, full: options.full ?? false };
  const sections = shown.map((finding) => findingLines(finding, layout));
  const left = attention.length - Math.min(attention.length, size.suspects);
  if (left > 0)
    sections.splice(size.suspects, 0, [`${formatCount(left)} more like these: tidegauge leaks ${fileName(options)}`]);
  return sections;
}

function needsAttention(finding: Finding): boolean {
  return (
    finding.growing ||
    finding.verdict === "undecided" ||
    finding.verdict === "leaking" ||
    finding.verdict === "native leak"
  );
}

function rssLines(answer: ExplainAnswer, { width, ascii }: TextOptions): string[] {
  const points = answer.rss?.points ?? [];
  if (points.length === 0) return [];
  const first = points[0].rssBytes;
  const last = points[points.length - 1].rssBytes;
  // The true peak lies between two samples more often than on one.
  const most = Math.max(answer.peak.rssBytes ?? 0, ...points.map((point) => point.rssBytes));
  const levels = most > 1.02 * Math.max(first, last) ? [first, most, last] : [first, last];
  const label = `  ${formatLevels(levels)}   (RSS: its memory in RAM)`;
  const room = Math.min(60, width - INDENT - textWidth(label));
  const values = points.map(({ seconds, rssBytes }) => ({ seconds, value: rssBytes }));
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
  const file = fileName(options);
  const saved = options.saved ? ["Saved".padEnd(INDENT) + file] : [];
  return [
    ...saved,
    ...next.map((command, i) => (i === 0 ? "Next" : "").padEnd(INDENT) + command.replace("FILE", () => file)),
  ];
}

function fileName(options: TextOptions): string {
  return options.file ?? "FILE";
}
