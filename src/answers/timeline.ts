/** Memory over time, as the kernel counts it, with the recorded live blocks and the program's marks beside it. */
import type { Recording } from "../tide/recording.ts";
import { about, argvOf, known } from "./about.ts";
import type { About } from "./about.ts";
import { amountOf, rowSum, samplingInterval } from "./amounts.ts";
import type { Amount } from "./amounts.ts";

/** One look at /proc. Sizes in bytes; null: not read at that time. */
export interface TimelinePoint {
  readonly seconds: number;
  readonly rssBytes: number | null;
  readonly hwmBytes: number | null;
  readonly pssBytes: number | null;
  readonly ussBytes: number | null;
  readonly swapBytes: number | null;
  readonly cgroupBytes: number | null;
}

/** Recorded live bytes of the process at an instant. */
export interface LivePoint extends Amount {
  readonly seconds: number;
}

export interface ProcessTimeline {
  readonly pid: number;
  readonly argv: readonly string[];
  readonly points: readonly TimelinePoint[];
  readonly live: readonly LivePoint[];
}

export interface Mark {
  readonly pid: number;
  readonly seconds: number;
  readonly label: string;
}

export interface TimelineAnswer extends About {
  readonly processes: readonly ProcessTimeline[];
  readonly marks: readonly Mark[];
}

export function timeline(r: Recording): TimelineAnswer {
  const { pid, argv } = r.table("processes");
  const points = samplesByProcess(r);
  const live = liveByProcess(r);
  const marks = r.table("marks");
  return {
    ...about(r),
    processes: Array.from(pid, (id, process) => ({
      pid: id,
      argv: argvOf(argv[process]),
      points: points[process],
      live: live[process],
    })),
    marks: Array.from({ length: marks.length }, (_, row) => ({
      pid: pid[marks.process[row]],
      seconds: marks.time[row],
      label: marks.label[row],
    })),
  };
}

/** The samples of every process, in time order. */
function samplesByProcess(r: Recording): TimelinePoint[][] {
  const table = r.table("timeline");
  const points: TimelinePoint[][] = Array.from(r.table("processes").pid, () => []);
  for (let row = 0; row < table.length; row++) {
    points[table.process[row]].push({
      seconds: table.time[row],
      rssBytes: known(table.rss[row]),
      hwmBytes: known(table.hwm[row]),
      pssBytes: known(table.pss[row]),
      ussBytes: known(table.uss[row]),
      swapBytes: known(table.swap[row]),
      cgroupBytes: known(table.cgroupUsage[row]),
    });
  }
  return points;
}

function liveByProcess(r: Recording): LivePoint[][] {
  const table = r.table("liveCurve");
  const live: LivePoint[][] = Array.from(r.table("processes").pid, () => []);
  for (let row = 0; row < table.length; row++) {
    const process = table.process[row];
    live[process].push({
      seconds: table.time[row],
      ...amountOf(rowSum(table, row), samplingInterval(r, process)),
    });
  }
  return live;
}

/** RSS of one process at a few instants, as the short answer draws it. */
export interface RssCurve {
  readonly pid: number;
  readonly points: readonly { readonly seconds: number; readonly rssBytes: number }[];
}

/** Enough for a line across the widest terminal. */
const CURVE_POINTS = 120;

/** The RSS of a process in at most CURVE_POINTS instants: the highest of each equal part of the time. */
export function rssCurve(r: Recording, process: number): RssCurve {
  const { time, rss, process: owner } = r.table("timeline");
  const rows = [...time.keys()].filter((row) => owner[row] === process && !Number.isNaN(rss[row]));
  const first = time[rows[0]] ?? 0;
  const span = (time[rows[rows.length - 1]] ?? 0) - first;
  const highest = new Map<number, number>();
  for (const row of rows) {
    const part = span > 0 ? Math.min(CURVE_POINTS - 1, Math.floor(((time[row] - first) / span) * CURVE_POINTS)) : 0;
    const best = highest.get(part);
    if (best === undefined || rss[row] > rss[best]) highest.set(part, row);
  }
  const points = [...highest.values()].map((row) => ({ seconds: time[row], rssBytes: rss[row] }));
  const last = rows[rows.length - 1];
  // The last sample stays even when a higher one shares its part: the line must end where the program ended.
  if (last !== undefined && points[points.length - 1].seconds < time[last])
    points.push({ seconds: time[last], rssBytes: rss[last] });
  return { pid: r.table("processes").pid[process], points };
}
