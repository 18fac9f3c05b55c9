/** Parts that several texts share: the first line, a site with what it did, an amount in a column. */
import { basename } from "node:path";
import {
  formatBytes,
  formatCount,
  formatSeconds,
  relativePath,
  shortenMiddle,
  shortenPath,
} from "../../base/format.ts";
import { shownFunction, shownPlace } from "../../answers/index.ts";
import type { About, Place, SiteReport } from "../../answers/index.ts";
import { LOOKS, clean, cut, hanging, textWidth, wrap } from "./text.ts";
import type { Painter } from "./text.ts";

/** "recycled.py 3": a command line without the interpreter, in at most `width` columns; paths lose their folders first. */
export function shownCommand(argv: readonly string[], cwd: string, width: number): string {
  const words = /^(?:python|pypy)[\d.]*t?$/.test(basename(argv[0] ?? "")) && argv.length > 1 ? argv.slice(1) : argv;
  const paths = words.map((word) => relativePath(clean(word), cwd));
  const whole = paths.map(quoted).join(" ");
  if (textWidth(whole) <= width) return whole;
  return shortenMiddle(
    paths.map((path) => quoted(/^[^-\s]\S*[^/]$/.test(path) ? basename(path) : path)).join(" "),
    width,
  );
}

function quoted(word: string): string {
  return /^[\w@%+=:,./~{}-]+$/.test(word) ? word : `'${word}'`;
}

/** Who ran, in one line (more only when it does not fit): program, interpreter, how long or how it ended, how it was recorded. */
export function headLines({ program, recording }: About, width: number, paint: Painter): string[] {
  const name = shownCommand(program.argv, program.cwd, Math.max(24, Math.floor(width / 2))) || "a program";
  const { ending } = program;
  const parts = [program.python ?? "no Python seen"];
  if (program.seconds !== null && !ending?.includes(" after ")) parts.push(formatSeconds(program.seconds));
  parts.push(modeText(recording));
  if (ending !== null) parts.push(ending);
  const title = "tidegauge  ";
  const [first, ...more] = wrapParts([name, ...parts], width - title.length);
  return [
    paint("dim", title) + first.replace(name, () => paint("bold", name)),
    ...more.map((line) => " ".repeat(title.length) + line),
  ];
}

/** Joins with " · ", breaking between parts, inside one only when it is wider than a line. */
function wrapParts(parts: readonly string[], width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const part of parts) {
    const longer = line === "" ? part : `${line} · ${part}`;
    if (line !== "" && textWidth(longer) > width) {
      lines.push(line);
      line = part;
    } else line = longer;
  }
  return [...lines, line].flatMap((whole) => (textWidth(whole) > width ? wrap(whole, width) : [whole]));
}

function modeText(recording: About["recording"]): string {
  if (recording.mode === "pages") return "pages only, no lines";
  if (recording.mode === "exact") return "every block recorded";
  // The interval is a mean: its decimals say nothing.
  return `sampled, 1 in ~${formatBytes(recording.intervalBytes ?? Number.NaN).replace(/\.\d+ /, " ")}`;
}

/**
 * "app/report.py:31 Report.total", in at most `width` columns. The file's name and the line matter most: the path loses folders,
 * then the function its end, then goes the function, and only then is the file's name cut.
 */
export function shownSite(place: Place, cwd: string, width: number): string {
  const path = clean(shownPlace(place, cwd));
  const name = clean(shownFunction(place));
  const file = path.slice(path.lastIndexOf("/") + 1);
  for (const room of [width - textWidth(name) - 1, width - SHORT_FUNCTION - 1]) {
    const short = name === "" ? "" : shortenPath(path, room);
    if (short.endsWith(file) && textWidth(short) <= room) return cut(`${short} ${name}`, width);
  }
  return shortenPath(path, width);
}

/** A function's name cut to less would not be known again. */
const SHORT_FUNCTION = 10;

/** Columns before the claim of a finding, and after the first word of every other line. */
export const INDENT = 13;

export interface FindingLayout {
  readonly width: number;
  readonly cwd: string;
  /** column of the source text */
  readonly sourceAt: number;
  readonly paint: Painter;
  /** show the site's handle */
  readonly handle?: boolean;
  /** show the evidence as well */
  readonly full?: boolean;
}

/** Where the source text of these reports stands so that it lines up without wasting much. */
export function sourceColumn(reports: readonly SiteReport[], cwd: string, width: number, handle = false): number {
  const most = Math.floor(width * 0.55);
  const needed = reports.map((report) => label(report, handle).length + 2 + textWidth(shownSite(report.site, cwd, 44)));
  const fitting = needed.filter((columns) => columns + 2 <= most);
  return fitting.length > 0 ? Math.max(...fitting) + 2 : most;
}

function label(report: SiteReport, handle: boolean): string {
  const { glyph } = LOOKS[report.verdict];
  const id = handle ? `${report.site.id.padEnd(4)} ` : "";
  return `${id}${glyph} ${report.verdict}`.padEnd(INDENT - 2 + id.length);
}

/** Less room than this beside the place: the source gets a line of its own. */
const SHORT_SOURCE = 16;

/** A site: verdict, place and source in one line, then the claim, then what to do. */
export function findingLines(report: SiteReport, layout: FindingLayout): string[] {
  const { width, cwd, paint, sourceAt } = layout;
  const head = label(report, layout.handle ?? false);
  const place = shownSite(report.site, cwd, width - head.length - 2);
  const before = textWidth(head) + 2 + textWidth(place);
  const source = clean(report.site.source ?? "");
  const at = Math.max(sourceAt, before + 2);
  const room = width - at;
  const first = paint(LOOKS[report.verdict].style, head) + "  " + paint("bold", place);
  const indent = INDENT + (layout.handle ? 5 : 0);
  const below = (text: string): string[] => hanging(" ".repeat(indent), clean(text), width);
  const beside = source !== "" && room >= SHORT_SOURCE;
  const lines = [beside ? first + " ".repeat(at - before) + cut(source, room) : first];
  if (source !== "" && !beside) lines.push(" ".repeat(indent) + cut(source, width - indent));
  lines.push(...below(claimOf(report)));
  const row = `${" ".repeat(indent)}- `;
  if (layout.full) lines.push(...report.evidence.flatMap((evidence) => hanging(row, clean(evidence), width)));
  if (report.advice !== null) lines.push(...below(report.advice));
  return lines;
}

/** The claim, and in how many processes the site was seen when that was more than one. */
function claimOf(report: SiteReport): string {
  if (report.processes < 2) return report.claim;
  return `${report.claim} (process ${report.pid}; the line ran in ${formatCount(report.processes)} processes)`;
}

/** Sections that have lines, with an empty line between them. */
export function inParagraphs(sections: readonly (readonly string[])[]): string[] {
  const lines: string[] = [];
  for (const section of sections.filter(({ length }) => length > 0)) {
    if (lines.length > 0) lines.push("");
    lines.push(...section);
  }
  return lines;
}

const SCREEN_LINES = 40;

/** The lines for the first of some sizes (how much of each part is shown) with which they fit on a screen; else for the last. */
export function onOneScreen<Size>(sizes: readonly Size[], draw: (size: Size) => string[]): string[] {
  let lines: string[] = [];
  for (const size of sizes) {
    lines = draw(size);
    if (lines.length <= SCREEN_LINES) break;
  }
  return lines;
}
