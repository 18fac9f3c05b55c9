/** The answer to "will it fit?" as text: under a screen, the number first. */
import { formatBytes, formatSeconds, plural } from "../../base/format.ts";
import { sizeText, type ScaleAnswer } from "../../answers/index.ts";
import { clean, cut, finishText, painter, padEnd, typed, wrap } from "./text.ts";
import type { TextOptions } from "./text.ts";

export interface ScaleText extends TextOptions {
  readonly program: string;
  readonly seconds: number;
  /** What was not as it should be, one sentence each. */
  readonly remarks: readonly string[];
}

/** Lines of the program that are named. */
const LINES = 3;
const PLOT_ROWS = 8;
const PLOT_COLUMNS = 56;

export function renderScale(answer: ScaleAnswer, options: ScaleText): string {
  const { width } = options;
  const paint = painter(options.color);
  const ended = answer.points.filter((point) => point.stopped === null);
  const runs = answer.points.reduce((sum, point) => sum + Math.max(point.repeats.length, 1), 0);
  const up = ended.length > 0 ? ` up to n = ${sizeText(ended.at(-1)!.n)}` : "";
  const took = options.seconds > 0 ? ` · ${formatSeconds(options.seconds)}` : "";
  const facts = `${plural(runs, "run")} of ${plural(answer.points.length, "size")}${up}${took}`;
  const title = "tidegauge  ";
  const program = cut(clean(options.program), Math.max(20, width - title.length - facts.length - 3));
  const lines = [`${paint("dim", title)}${paint("bold", program)} · ${facts}`, ""];
  lines.push(...wrap(answer.claim, width).map((line) => paint("bold", line)));
  if (answer.fits && answer.verdict !== "cannot-say") lines.push(...wrap(answer.fits.text, width));
  for (const note of [...answer.notes, ...options.remarks]) lines.push(...wrap(clean(note), width));
  lines.push(...stoppers(answer, options));
  if (answer.selfTest) lines.push(...wrap(answer.selfTest.text, width));
  lines.push("", ...plot(answer, options));
  if (answer.request) {
    const { slurm, kubernetes, margin } = answer.request;
    lines.push("", `${slurm}      ${kubernetes}`, ...wrap(`(${margin})`, width).map((line) => paint("dim", line)));
  }
  if (options.saved) {
    const next = answer.refused?.nextSize;
    const more = next
      ? `--sizes ${next} -- ${clean(options.program)}`
      : `--to ${(answer.forecasts.at(-1)?.n ?? 1) * 2}`;
    lines.push("", `Saved        ${clean(options.file ?? "")}`);
    lines.push(cut(`Next         ${typed("tidegauge scale --from FILE", options)} ${more}`, Math.max(width, 120)));
  }
  return finishText(lines, options);
}

/** "Stopped by   clean.py:44 total   merged = left.merge(right)", then what it takes now and there. */
function stoppers(answer: ScaleAnswer, options: ScaleText): string[] {
  const most = options.full ? answer.byLine.length : LINES;
  const label = answer.verdict === "does-not-fit" || answer.verdict === "unsafe" ? "Stopped by  " : "Lines       ";
  const worth = answer.byLine.filter((line, i) => i === 0 || (line.target?.share ?? line.share) >= 0.05);
  return worth.slice(0, most).flatMap((line, i) => {
    const head = padEnd(clean(line.site), 28);
    const source = line.source ? `  ${clean(line.source)}` : "";
    const text = wrap(line.text, options.width - label.length - 3);
    const place = cut(`${i === 0 ? label : " ".repeat(label.length)} ${head}${source}`, options.width);
    return [place].concat(text.map((each) => " ".repeat(label.length + 3) + each));
  });
}

/** Peaks over sizes, both in powers: o measured, the band between the forecast's ends, - the limit. */
function plot(answer: ScaleAnswer, { width, ascii }: ScaleText): string[] {
  const measured = answer.points.filter((point) => point.stopped === null && point.peakBytes > 0);
  const refused = answer.refused !== null;
  const curve = refused ? [] : answer.curve.filter((point) => point.bytes > 0);
  if (measured.length < 2) return [];
  const limit = answer.fits?.limitBytes ?? null;
  const xs = [...measured.map((point) => point.n), ...curve.map((point) => point.n)].map(Math.log);
  const values = [...measured.map((point) => point.peakBytes), ...curve.map((point) => point.high)];
  // A limit far above would press everything else to the floor.
  if (limit !== null && limit < 30 * Math.max(...values) && limit > Math.min(...values) / 4) values.push(limit);
  const ys = values.map(Math.log);
  const [left, right, bottom, top] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const columns = Math.max(20, Math.min(PLOT_COLUMNS, width - 14));
  const column = (n: number): number => Math.round(((Math.log(n) - left) / (right - left || 1)) * (columns - 1));
  const row = (bytes: number): number =>
    Math.min(
      Math.max(PLOT_ROWS - 1 - Math.round(((Math.log(bytes) - bottom) / (top - bottom || 1)) * (PLOT_ROWS - 1)), 0),
      PLOT_ROWS - 1,
    );
  const grid = Array.from({ length: PLOT_ROWS }, () => Array.from({ length: columns }, () => " "));
  const [band, line, dash] = ascii ? [":", "*", "-"] : ["░", "▪", "┄"];
  if (limit !== null && values.at(-1) === limit) grid[row(limit)].fill(dash);
  for (const { n, bytes, low, high } of curve) {
    for (let at = row(high); at <= row(Math.max(low, 1)); at++) grid[at][column(n)] = band;
    grid[row(bytes)][column(n)] = line;
  }
  for (const { n, peakBytes } of measured) grid[row(peakBytes)][column(n)] = "o";
  const labels = grid.map((_, at) => {
    if (at === 0) return formatBytes(Math.exp(top));
    if (at === PLOT_ROWS - 1) return formatBytes(Math.exp(bottom));
    return limit !== null && values.at(-1) === limit && at === row(limit) ? "limit" : "";
  });
  const from = sizeText(Number(Math.exp(left).toPrecision(3)));
  const to = `n = ${sizeText(Number(Math.exp(right).toPrecision(3)))}`;
  return [
    ...grid.map((cells, at) => `${labels[at].padStart(9)} ${ascii ? "|" : "│"}${cells.join("")}`),
    `${" ".repeat(11)}${from}${to.padStart(columns - from.length)}`,
  ];
}
