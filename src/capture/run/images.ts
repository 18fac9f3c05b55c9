/**
 * The process images of a run, put together from what the recorder saw (comings, goings, samples) and what the agent wrote. The recorder
 * looks now and then, so it misses short images and tells times late; the agent knows its own image exactly and no other.
 */

import { NONE } from "../../base/brand.ts";
import { STATE } from "../../tide/events.ts";
import type { EventFile } from "../../tide/events.ts";
import type { ProcessEnd, ProcessLine, TimelineSample } from "../../tide/runfolder.ts";
import { secondsOf } from "../../views/blocks/clock.ts";

/** An event file that could be read. */
export interface AgentRecord {
  pid: number;
  ordinal: number;
  file: EventFile;
}

/** Times in seconds since the start of the run, sizes in bytes; NaN: not known. */
export interface Image {
  pid: number;
  parentPid: number;
  ordinal: number;
  argv: string[];
  start: number;
  end: number;
  /** −1: unknown, or replaced by exec. */
  exitCode: number;
  /** 0: none, or unknown. */
  signal: number;
  record: AgentRecord | undefined;
  samples: TimelineSample[];
  /** VmHWM. */
  peakRss: number;
  peakFinal: boolean;
  /** Between which times RSS was highest. */
  window: { from: number; to: number };
}

export interface RunSeen {
  rootPid: number;
  lines: readonly ProcessLine[];
  samples: readonly TimelineSample[];
  records: readonly AgentRecord[];
  /** CLOCK_MONOTONIC at launch, nanoseconds. */
  zero: number;
  /** When the run ended, or was last heard of. */
  end: number;
  /** The largest RSS of the root and of the descendants that were waited for, bytes; NaN or absent: not known. */
  maxRss?: number;
}

/** A forked process that calls exec within this time is the start of what it executes, not a program of its own. */
const EXEC_SECONDS = 0.5;
/** How much later than the agent the recorder may notice a process. */
const LATE_SECONDS = 0.5;

/** Images of the root process first, then by their start. */
export function findImages(run: RunSeen): Image[] {
  const pids = new Set([...run.lines, ...run.records].map(({ pid }) => pid));
  const images = [...pids].flatMap((pid) => imagesOf(pid, run));
  const isRoot = (image: Image): number => (image.pid === run.rootPid ? 0 : 1);
  // The kernel's own figure at the end, of a program that had no descendants: also of one that no agent could see the end of.
  const only = images.length === 1 ? images[0]! : undefined;
  if (only && run.maxRss! > 0) return [{ ...only, ...peakOf(only.samples, run.maxRss!, only.end) }];
  return images.toSorted((a, b) => isRoot(a) - isRoot(b) || a.start - b.start || a.pid - b.pid);
}

/** What is known of one image before it is put together: from the recorder, from the agent, or from both. */
interface Sighting {
  start: number;
  parentPid: number;
  argv: string[];
  record: AgentRecord | undefined;
  /** The end of this life of the PID; a later life may have the same PID. */
  end: ProcessEnd | undefined;
}

function imagesOf(pid: number, run: RunSeen): Image[] {
  const sightings = sightingsOf(run.lines.filter((line) => line.pid === pid));
  const records = run.records
    .filter((record) => record.pid === pid)
    .toSorted((a, b) => a.ordinal - b.ordinal)
    .filter((record) => !isBeforeExec(record, run.zero));
  const startOf = (record: AgentRecord): number => secondsOf(record.file.header.start.monotonic, run.zero);
  const unmatched = records.filter((record) => !claimByArguments(sightings, record));
  for (const record of unmatched) {
    if (!claimByTime(sightings, record, startOf(record)))
      sightings.push(sightingOf(record, startOf(record), sightings));
  }
  for (const sighting of sightings)
    if (sighting.record) sighting.start = Math.min(sighting.start, startOf(sighting.record));
  sightings.sort((a, b) => a.start - b.start);
  const samples = run.samples.filter((sample) => sample.pid === pid);
  return sightings.map((sighting, i) => imageOf(pid, i, sighting, sightings[i + 1], samples, run));
}

function sightingsOf(lines: readonly ProcessLine[]): Sighting[] {
  const sightings: Sighting[] = [];
  for (const line of lines) {
    if (line.kind === "start") {
      const { time: start, parent: parentPid, argv } = line;
      sightings.push({ start, parentPid, argv, record: undefined, end: undefined });
    } else {
      for (const sighting of sightings) sighting.end ??= line;
    }
  }
  return sightings;
}

/** A fork child that went on to exec at once. */
function isBeforeExec({ file }: AgentRecord, zero: number): boolean {
  const { fork, state, start, last } = file.header;
  return (
    fork !== undefined &&
    state === STATE.exec &&
    secondsOf(last.monotonic, zero) - secondsOf(start.monotonic, zero) < EXEC_SECONDS
  );
}

function claimByArguments(sightings: Sighting[], record: AgentRecord): boolean {
  const { argv } = record.file.header;
  const found = sightings.find((sighting) => !sighting.record && isSameCommand(sighting.argv, argv));
  if (found) found.record = record;
  return found !== undefined;
}

/** The agent keeps the first 2,044 bytes of a command line. */
function isSameCommand(whole: readonly string[], kept: readonly string[]): boolean {
  return kept.length > 0 && `${whole.join("\0")}\0`.startsWith(kept.join("\0"));
}

/** A wrapper may have replaced itself by Python before the recorder looked again: its line then stands for both. */
function claimByTime(sightings: Sighting[], record: AgentRecord, start: number): boolean {
  const found = sightings.findLast(
    (sighting) => sighting.start <= start + LATE_SECONDS && !(sighting.end && sighting.end.time < start),
  );
  if (!found || found.record) return false;
  found.record = record;
  found.argv = record.file.header.argv;
  return true;
}

function sightingOf(record: AgentRecord, start: number, others: readonly Sighting[]): Sighting {
  const { argv, parentPid } = record.file.header;
  const end = others.find((other) => other.end && other.end.time >= start)?.end;
  return { start, parentPid, argv, record, end };
}

function imageOf(
  pid: number,
  index: number,
  sighting: Sighting,
  next: Sighting | undefined,
  allSamples: readonly TimelineSample[],
  run: RunSeen,
): Image {
  const { record, start, argv } = sighting;
  const isLast = next === undefined || next.end !== sighting.end;
  const seenEnd = isLast ? (sighting.end?.time ?? run.end) : next.start;
  const left = record && (record.file.header.state === STATE.exited || record.file.header.state === STATE.exec);
  // The agent knows its end exactly, the recorder when it looked next.
  const end = Math.max(
    start,
    left ? Math.min(secondsOf(record.file.header.last.monotonic, run.zero), seenEnd) : seenEnd,
  );
  const from = index === 0 ? -Infinity : start;
  const samples = allSamples.filter(({ time }) => time >= from && time <= (isLast ? Math.max(end, seenEnd) : end));
  return {
    pid,
    parentPid: record ? record.file.header.parentPid : sighting.parentPid,
    ordinal: index,
    argv,
    start,
    end,
    exitCode: isLast ? (sighting.end?.exitCode ?? -1) : -1,
    signal: isLast ? Math.max(sighting.end?.signal ?? 0, 0) : 0,
    record,
    samples,
    ...peakOf(samples, (left && record?.file.header.hwmBytes) || NaN, end),
  };
}

/** RSS this close below its highest value counts as the peak: the last few pages are touched when the program tidies up. */
const PEAK_SHARE = 0.005;
const PEAK_BYTES = 128 * 1024;

/** @param final VmHWM read at the very end, NaN: not read. The kernel's counters are a few pages apart, so that a sample may be larger. */
function peakOf(
  samples: readonly TimelineSample[],
  final: number,
  end: number,
): Pick<Image, "peakRss" | "peakFinal" | "window"> {
  const hwms = samples.filter(({ hwm }) => hwm > 0);
  const sampled = hwms.length > 0 ? Math.max(...hwms.map(({ hwm }) => hwm)) : NaN;
  const peakFinal = final > 0;
  const peakRss = Math.max(peakFinal ? final : 0, sampled > 0 ? sampled : 0) || NaN;
  const nearly = peakRss - Math.max(peakRss * PEAK_SHARE, PEAK_BYTES);
  // The first time that it is reached: when pages go, the kernel may show a few less than before.
  const reached = hwms.findIndex(({ hwm }) => hwm >= nearly);
  const from = hwms[(reached < 0 ? hwms.length : reached) - 1]?.time ?? -Infinity;
  const to = hwms.find(({ hwm }) => hwm >= peakRss)?.time ?? end;
  return { peakRss, peakFinal, window: { from, to: Number.isNaN(to) ? Infinity : Math.max(to, from) } };
}

/** Index in `images` of the image that an image was forked from; NONE: it started afresh, or its parent is not recorded. */
export function parentImage(images: readonly Image[], image: Image): number {
  const header = image.record?.file.header;
  if (!header?.fork) return NONE;
  const { pid, ordinal } = header.fork;
  // A parent is older: what a damaged file says cannot make a circle.
  const at = images.findIndex(
    ({ record }) =>
      record?.pid === pid && record.ordinal === ordinal && record.file.header.start.monotonic < header.start.monotonic,
  );
  return at < 0 ? NONE : at;
}
