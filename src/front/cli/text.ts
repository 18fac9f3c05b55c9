/**
 * Text for a terminal: colour, columns, wrapping, sparklines. Renderers put plain text together here and colour it last;
 * everything that comes from a program (source lines, arguments, paths) passes `clean` first.
 */
import { formatLevels } from "../../base/format.ts";
import type { Verdict } from "../../answers/index.ts";

/** How the text will be shown. */
export interface TextOptions {
  /** columns of the terminal */
  readonly width: number;
  readonly color: boolean;
  /** only ASCII characters: the locale is not UTF-8 */
  readonly ascii?: boolean;
  /** everything, however long */
  readonly full?: boolean;
  /** the recording's name, for the commands that the text proposes */
  readonly file?: string;
  /** what the user types for `tidegauge` */
  readonly called?: string;
  /** the recording was made just now: say where it is */
  readonly saved?: boolean;
}

/** A command that an answer proposes ("tidegauge lines FILE"), as the user can type it. */
export function typed(command: string, { file = "FILE", called = "tidegauge" }: TextOptions): string {
  return command
    .split(" ")
    .map((word) => (word === "tidegauge" ? shellWord(called) : word === "FILE" ? shellWord(file) : word))
    .join(" ");
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./~-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

export type Style = "red" | "green" | "yellow" | "blue" | "cyan" | "bold" | "dim";

const CODES: Record<Style, readonly [number, number]> = {
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  cyan: [36, 39],
  bold: [1, 22],
  dim: [2, 22],
};

export type Painter = (style: Style, text: string) => string;

/** Colours a text, or leaves it alone. */
export function painter(color: boolean): Painter {
  if (!color) return (_, text) => text;
  return (style, text) => (text === "" ? "" : `\u001b[${CODES[style][0]}m${text}\u001b[${CODES[style][1]}m`);
}

/** A glyph and a colour for each verdict: readable without colour, and without the glyph. */
export const LOOKS: Record<Verdict, { readonly glyph: string; readonly style: Style }> = {
  leaking: { glyph: "!", style: "red" },
  "native leak": { glyph: "!", style: "red" },
  undecided: { glyph: "?", style: "yellow" },
  "bounded cache": { glyph: "~", style: "cyan" },
  "cyclic garbage": { glyph: "~", style: "cyan" },
  held: { glyph: "=", style: "blue" },
  "held by recursion": { glyph: "=", style: "blue" },
  "warm-up": { glyph: "=", style: "blue" },
  recycled: { glyph: ".", style: "green" },
  minor: { glyph: ".", style: "dim" },
};

/** Control characters, and those that turn the direction of text: a terminal would act on them. */
const ACTING = /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;

/** Text from outside, fit for a terminal: tabs become spaces, everything that a terminal acts on a visible mark. */
export function clean(text: string): string {
  return text.replaceAll("\t", "    ").replace(ACTING, "\u00b7");
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;
const NO_WIDTH = /\p{Mn}|\p{Me}|\p{Cf}/u;

function columnsOf(character: string): number {
  if (NO_WIDTH.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}

/** Columns that an uncoloured text takes. */
export function textWidth(text: string): number {
  // Most text is plain: its length will do.
  if (/^[\u0020-\u007e\u00a0-\u02ff\u2000-\u200a\u2010-\u2027\u2190-\u21ff\u2500-\u259f]*$/.test(text))
    return text.length;
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** Cuts the end so that the text takes at most `width` columns. */
export function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  if (width < 1) return "";
  let used = 1;
  let end = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > width) break;
    end += character.length;
  }
  return `${text.slice(0, end).trimEnd()}…`;
}

export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

export function padStart(text: string, width: number): string {
  return " ".repeat(Math.max(0, width - textWidth(text))) + text;
}

/** A space that may become a line break: not the one before a unit. */
const BREAK = / (?!(?:[KMGTP]i)?B\b|(?:ms|s|min|h|d)\b|%)/;

/** Breaks a text at spaces into lines of at most `width` columns. A word that is wider stands alone and is not cut. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(BREAK)) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer) > width) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line];
}

/** A text behind a heading of its own: "Not seen: …", wrapped, the later lines indented to where it began. */
export function hanging(heading: string, text: string, width: number): string[] {
  const indent = textWidth(heading);
  return wrap(text, width - indent).map((line, i) => (i === 0 ? heading : " ".repeat(indent)) + line);
}

const BARS = "▁▂▃▄▅▆▇█";
const ASCII_BARS = "_.-:=+*#";

export interface SparkPoint {
  readonly seconds: number;
  readonly value: number;
}

/**
 * A line of bars, from 0 to the highest value, one column each. `points` are values at increasing times; a column shows the
 * highest value of its part of the time, or the last one before it. `from` and `to` set the time shown (default: that of the points).
 */
export function sparkline(
  points: readonly SparkPoint[],
  width: number,
  options: { ascii?: boolean | undefined; from?: number; to?: number } = {},
): string {
  if (points.length === 0 || width < 1) return "";
  const bars = options.ascii ? ASCII_BARS : BARS;
  const { from = points[0].seconds, to = points[points.length - 1].seconds } = options;
  const columns: number[] = Array.from({ length: to > from ? width : 1 }, () => Number.NaN);
  for (const { seconds, value } of points) {
    const column = to > from ? Math.min(width - 1, Math.floor(((seconds - from) / (to - from)) * width)) : 0;
    columns[column] = Number.isNaN(columns[column]) ? value : Math.max(columns[column], value);
  }
  const highest = points.reduce((most, { value }) => Math.max(most, value), 0);
  let value = Number.NaN;
  return columns
    .map((own) => {
      if (!Number.isNaN(own)) value = own;
      if (Number.isNaN(value)) return " ";
      const height = highest > 0 ? Math.round((value / highest) * bars.length) : 0;
      return bars[Math.max(0, height - 1)];
    })
    .join("");
}

/** First, highest and last value, the highest only where it is neither: "8.00 → 10.1 → 9.00 MiB". */
export function shownLevels(points: readonly SparkPoint[], highest = 0): string {
  if (points.length === 0) return "unknown";
  const first = points[0].value;
  const last = points[points.length - 1].value;
  const most = points.reduce((most, { value }) => Math.max(most, value), highest);
  return formatLevels(most > 1.02 * Math.max(first, last) ? [first, most, last] : [first, last]);
}

const ASCII: Record<string, string> = {
  "…": "~",
  "·": "-",
  "\u2009": " ",
  "→": "->",
  "±": "+-",
  "×": "x",
  "−": "-",
  "–": "-",
  "≥": ">=",
  "≤": "<=",
  "⋯": "...",
};

/** The same text in ASCII, for a terminal that knows nothing else; unknown characters become "?". */
export function toAscii(text: string): string {
  return text.replace(/[^\p{ASCII}]/gu, (character) => ASCII[character] ?? "?");
}

/** The last step of every renderer: one text that ends with a line feed. */
export function finishText(lines: readonly string[], options: TextOptions): string {
  const text = `${lines.map((line) => line.trimEnd()).join("\n")}\n`;
  return options.ascii ? toAscii(text) : text;
}
