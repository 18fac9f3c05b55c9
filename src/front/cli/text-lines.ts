/** The source with its memory as text: three columns of amounts, a glyph for the verdict, the line. */
import { formatCount, formatEstimate, shortenPath } from "../../base/format.ts";
import { shownPath } from "../../answers/index.ts";
import type { Amount, FileReport, LineReport, LinesAnswer } from "../../answers/index.ts";
import { headLines } from "./text-parts.ts";
import { LOOKS, clean, cut, finishText, padStart, painter, textWidth } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

/** Files and lines shown without --full. */
const FILES = 5;
const LINES = 60;

const LEGEND = "peak: most at a time  left: alive at the end  made: in the whole run";
const SAMPLED = "  ~ sampled";

export function renderLines(answer: LinesAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const lines = [...headLines(answer, options.width, paint)];
  if (answer.recording.mode === "pages") {
    return finishText(
      [...lines, "", "There are no lines: no blocks were recorded.", ...answer.recording.notMeasured],
      options,
    );
  }
  if (answer.files.length === 0)
    return finishText([...lines, "", "No line asked for memory that was recorded."], options);
  const files = options.full ? answer.files : answer.files.slice(0, FILES);
  const sampled = answer.recording.mode === "sampled" ? SAMPLED : "";
  lines.push(paint("dim", cut(LEGEND + sampled, options.width)));
  for (const file of files) lines.push("", ...fileLines(file, answer.program.cwd, options, paint));
  const left = answer.files.length - files.length;
  if (left > 0) lines.push("", `${formatCount(left)} more files with --full.`);
  return finishText(lines, options);
}

function fileLines(file: FileReport, cwd: string, options: TextOptions, paint: Painter): string[] {
  const shown = options.full ? file.lines : mainRegions(file.lines);
  const amounts = shown.map(({ peak, live, allocated }) => [amountText(peak), amountText(live), amountText(allocated)]);
  const widths = ["peak", "left", "made"].map((name, column) =>
    Math.max(name.length, 9, ...amounts.map((row) => textWidth(row[column]))),
  );
  const numberWidth = Math.max(...shown.map(({ line }) => String(line).length), 3);
  const header = ["peak", "left", "made"].map((name, column) => padStart(name, widths[column])).join(" ");
  const path = shortenPath(clean(shownPath(file.path, cwd)), Math.max(20, options.width - header.length - 6));
  const lines = [`${paint("dim", header)}     ${paint("bold", path)}`];
  shown.forEach((line, i) => {
    if (i > 0 && shown[i - 1].line !== line.line - 1)
      lines.push(paint("dim", " ".repeat(header.length + 3) + padStart("⋯", numberWidth)));
    lines.push(sourceLine(line, amounts[i], { widths, numberWidth, width: options.width, paint }));
  });
  if (shown.length < file.lines.length)
    lines.push(paint("dim", `${formatCount(withMemory(file.lines) - withMemory(shown))} smaller lines with --full.`));
  return lines;
}

interface LineLayout {
  readonly widths: readonly number[];
  readonly numberWidth: number;
  readonly width: number;
  readonly paint: Painter;
}

function sourceLine(
  line: LineReport,
  amounts: readonly string[],
  { widths, numberWidth, width, paint }: LineLayout,
): string {
  const columns = amounts.map((text, column) => padStart(text, widths[column])).join(" ");
  const look = line.verdict === null ? undefined : LOOKS[line.verdict];
  const number = padStart(String(line.line), numberWidth);
  const source = clean(line.source ?? "(source not at hand)");
  const room = width - textWidth(columns) - numberWidth - 5;
  const text = `${columns} ${look ? paint(look.style, look.glyph) : " "} ${number}  ${cut(source, room)}`.trimEnd();
  return line.peak === null && line.live === null ? paint("dim", text) : text;
}

function amountText(amount: Amount | null): string {
  return amount === null ? "" : formatEstimate(amount);
}

function withMemory(lines: readonly LineReport[]): number {
  return lines.filter(({ allocated }) => allocated !== null).length;
}

/** The lines with the most memory and what stands around them, at most about LINES, in the order of the file. */
function mainRegions(lines: readonly LineReport[]): readonly LineReport[] {
  if (lines.length <= LINES) return lines;
  const ranked = lines.filter(({ allocated }) => allocated !== null).toSorted((a, b) => sizeOf(b) - sizeOf(a));
  const shown = new Set<LineReport>();
  for (const line of ranked) {
    if (shown.size >= LINES - 5) break;
    for (const near of lines) if (Math.abs(near.line - line.line) <= 2) shown.add(near);
  }
  return lines.filter((line) => shown.has(line));
}

function sizeOf({ peak, allocated }: LineReport): number {
  return peak?.bytes ?? allocated?.bytes ?? 0;
}
