/** The process tree as text: one line a process, many equal ones folded into one. */
import { formatBytes, formatCount, formatLevels, formatSeconds } from "../../base/format.ts";
import type { About, ProcessReport, ProcessesAnswer } from "../../answers/index.ts";
import { INDENT, headLines, shownCommand } from "./text-parts.ts";
import { cut, finishText, padEnd, padStart, painter, textWidth } from "./text.ts";
import type { Painter, TextOptions } from "./text.ts";

export function renderProcesses(answer: ProcessesAnswer, options: TextOptions): string {
  const paint = painter(options.color);
  const most = options.full ? Infinity : 30;
  const tree = processLines(answer, { width: options.width, most, paint, always: true });
  return finishText([...headLines(answer, options.width, paint), "", ...tree], options);
}

interface TreeRow {
  readonly process: ProcessReport;
  readonly depth: number;
  /** further processes with the same parent and command line, folded into this row */
  readonly folded: readonly ProcessReport[];
}

interface TreeLayout {
  readonly width: number;
  /** rows at most; the rest is counted */
  readonly most: number;
  readonly paint: Painter;
  /** also for a single process */
  readonly always?: boolean;
}

/** The tree, unless there was only one process. */
export function processLines(
  answer: About & { readonly processes: readonly ProcessReport[] },
  { width, most, paint, always }: TreeLayout,
): string[] {
  const { processes, program } = answer;
  if (processes.length < 2 && !always) return [];
  const rows = treeRows(processes, most);
  const shown = rows.slice(0, most);
  const pids = shown.map(({ process, depth }) => " ".repeat(2 * depth) + process.pid);
  const peaks = shown.map(({ process }) => peakText(process));
  const ends = shown.map(({ process }) => endText(process));
  const pidWidth = Math.max(...pids.map(textWidth));
  const peakWidth = Math.max(...peaks.map(textWidth));
  const room = width - INDENT - pidWidth - peakWidth - Math.max(...ends.map(textWidth)) - 6;
  const commands = shown.map(
    ({ process }) => shownCommand(process.argv, program.cwd, Math.max(12, room)) || "(unknown)",
  );
  const commandWidth = Math.max(...commands.map(textWidth));
  const lines: string[] = [];
  shown.forEach(({ folded, depth }, i) => {
    lines.push(
      `${padEnd(pids[i], pidWidth)}  ${padEnd(commands[i], commandWidth)}  ${padStart(peaks[i], peakWidth)}  ${ends[i]}`,
    );
    if (folded.length > 0) lines.push(" ".repeat(2 * depth) + foldedText(folded));
  });
  const left = rows.slice(most).reduce((sum, { folded }) => sum + 1 + folded.length, 0);
  if (left > 0) lines.push(paint("dim", `${formatCount(left)} more`));
  return lines.map((line, i) => cut((i === 0 ? "Processes" : "").padEnd(INDENT) + line, width));
}

/** Depth first, children in order of their start; equal siblings are folded when there would be too many rows. */
function treeRows(processes: readonly ProcessReport[], most: number): TreeRow[] {
  const fold = processes.length > most;
  const children = childrenOf(processes);
  const rows: TreeRow[] = [];
  const visit = (siblings: readonly ProcessReport[], depth: number): void => {
    for (const group of fold ? groups(siblings) : siblings.map((process) => [process])) {
      const [process, ...folded] = group;
      rows.push({ process, depth, folded });
      // The children of folded processes are folded with them.
      visit(
        group.flatMap((member) => children.get(member) ?? []),
        depth + 1,
      );
    }
  };
  visit(children.get(undefined) ?? [], 0);
  return rows;
}

/**
 * The children of each process image, in order; those without a parent in the list stand under `undefined`. The image
 * after an exec is a child of the one that it replaced.
 */
function childrenOf(processes: readonly ProcessReport[]): Map<ProcessReport | undefined, ProcessReport[]> {
  const children = new Map<ProcessReport | undefined, ProcessReport[]>();
  const latest = new Map<number, ProcessReport>();
  for (const process of processes) {
    const parent = latest.get(process.ordinal > 0 ? process.pid : process.parentPid);
    const siblings = children.get(parent);
    if (siblings) siblings.push(process);
    else children.set(parent, [process]);
    latest.set(process.pid, process);
  }
  return children;
}

/** Siblings with the same command line, each group led by the one with the highest peak. */
function groups(siblings: readonly ProcessReport[]): ProcessReport[][] {
  const byCommand = new Map<string, ProcessReport[]>();
  for (const process of siblings) {
    const key = process.argv.join("\0");
    byCommand.set(key, [...(byCommand.get(key) ?? []), process]);
  }
  return [...byCommand.values()].map((group) =>
    group.toSorted((a, b) => (b.peakRssBytes ?? -1) - (a.peakRssBytes ?? -1)),
  );
}

function peakText({ peakRssBytes, peakFinal }: ProcessReport): string {
  if (peakRssBytes === null) return "peak unknown";
  return `peak ${peakFinal ? "" : "≥ "}${formatBytes(peakRssBytes)}`;
}

function endText({ signal, exitCode, startSeconds, endSeconds, recorded }: ProcessReport): string {
  const end = signal ?? (exitCode === null ? "end unknown" : `exit ${exitCode}`);
  const life = startSeconds !== null && endSeconds !== null ? `  ${formatSeconds(endSeconds - startSeconds)}` : "";
  return `${end}${life}${recorded ? "" : "  no lines"}`;
}

/** "and 199 like it, peak 18.0 to 22.0 MiB, 3 failed" */
function foldedText(folded: readonly ProcessReport[]): string {
  const peaks = folded.flatMap(({ peakRssBytes }) => (peakRssBytes === null ? [] : [peakRssBytes]));
  const failed = folded.filter(({ signal, exitCode }) => signal !== null || (exitCode ?? 0) !== 0).length;
  const unknown = folded.filter(({ signal, exitCode }) => signal === null && exitCode === null).length;
  const least = Math.min(...peaks);
  const most = Math.max(...peaks);
  const range = formatBytes(least) === formatBytes(most) ? formatBytes(most) : formatLevels([least, most], " to ");
  return [
    `and ${formatCount(folded.length)} like it`,
    ...(peaks.length > 0 ? [`peak ${range}`] : []),
    ...(failed > 0 ? [`${formatCount(failed)} failed`] : []),
    ...(unknown > 0 ? [unknown === folded.length ? "ends unknown" : `ends of ${formatCount(unknown)} unknown`] : []),
  ].join(", ");
}
