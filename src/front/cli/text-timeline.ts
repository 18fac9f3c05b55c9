/** Memory over time as text: a line of bars a process for RSS and for recorded blocks, then the marks. */
import { formatCount, formatSeconds } from "../../base/format.ts";
import type { ProcessTimeline, TimelineAnswer } from "../../answers/index.ts";
import { headLines, shownCommand } from "./text-parts.ts";
import { clean, cut, finishText, padEnd, painter, shownLevels, sparkline, textWidth } from "./text.ts";
import type { SparkPoint, TextOptions } from "./text.ts";

/** Processes and marks shown without --full. */
const PROCESSES = 8;
const MARKS = 20;

export function renderTimeline(answer: TimelineAnswer, options: TextOptions): string {
  const { width, full } = options;
  const paint = painter(options.color);
  const lines = [...headLines(answer, width, paint)];
  const sampled = answer.processes.filter(({ points }) => points.length > 0);
  const shown = full ? sampled : sampled.slice(0, PROCESSES);
  if (shown.length === 0) lines.push("", "The program ended before its memory was read.");
  for (const process of shown) lines.push("", ...processLines(process, answer, options));
  if (sampled.length > shown.length)
    lines.push("", `${formatCount(sampled.length - shown.length)} more processes with --full.`);
  const marks = full ? answer.marks : answer.marks.slice(0, MARKS);
  if (marks.length > 0) lines.push("", "Marks");
  for (const { seconds, label } of marks)
    lines.push(cut(`  ${formatSeconds(seconds).padStart(12)}  ${clean(label)}`, width));
  if (answer.marks.length > marks.length)
    lines.push(`  ${formatCount(answer.marks.length - marks.length)} more with --full.`);
  if (shown.length > 0) lines.push("", paint("dim", cut(LEGEND, width)));
  return finishText(lines, options);
}

const LEGEND = "RSS: its memory in RAM   blocks: what its code asked for and has not freed";

interface Series {
  readonly name: string;
  readonly points: readonly SparkPoint[];
  readonly label: string;
}

function processLines(process: ProcessTimeline, answer: TimelineAnswer, { width, ascii }: TextOptions): string[] {
  const rss = process.points.flatMap(({ seconds, rssBytes }) =>
    rssBytes === null ? [] : [{ seconds, value: rssBytes }],
  );
  const live = process.live.map((point) => ({ seconds: point.seconds, value: point.bytes }));
  const series: Series[] = [{ name: "RSS", points: rss, label: shownLevels(rss) }];
  const sampled = process.live.some(({ low, high }) => low !== high);
  if (live.length > 0) series.push({ name: "blocks", points: live, label: (sampled ? "~" : "") + shownLevels(live) });
  const all = series.flatMap(({ points }) => points).map(({ seconds }) => seconds);
  const from = all.reduce((least, seconds) => Math.min(least, seconds), Infinity);
  const to = all.reduce((most, seconds) => Math.max(most, seconds), -Infinity);
  const labelWidth = Math.max(...series.map(({ label }) => textWidth(label)));
  const room = Math.max(10, Math.min(100, width - 8 - 2 - labelWidth));
  const command = shownCommand(process.argv, answer.program.cwd, Math.floor(width / 2));
  return [
    cut(`${process.pid}  ${command}  ${formatSeconds(from)} to ${formatSeconds(to)}`, width),
    ...series.map(
      ({ name, points, label }) =>
        `${name.padEnd(8)}${padEnd(sparkline(points, room, { ascii, from, to }), room)}  ${label}`,
    ),
  ];
}
