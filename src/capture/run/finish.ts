/**
 * Finishes a run: reads what the recorder and the agents left in the run folder, replays every process, and writes one recording. It works
 * the same for a folder whose recorder died; what is missing then is said, not guessed.
 */

import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { NONE } from "../../base/brand.ts";
import { TideError } from "../../tide/container.ts";
import { openEvents, pythonName } from "../../tide/events.ts";
import {
  NUMERIC_FACTS,
  parseAgentFileName,
  parsePairs,
  parseProcesses,
  parseSettings,
  parseTimeline,
  PROCESSES_FILE,
  RUN_FILE,
  RUN_FOLDER_SUFFIX,
  SETTINGS_FILE,
  TIMELINE_FILE,
} from "../../tide/runfolder.ts";
import type { ProcessLine, TimelineSample } from "../../tide/runfolder.ts";
import type { Tables } from "../../tide/schema.ts";
import { tableBuilder, writeRecording } from "../../tide/writer.ts";
import { buildBlocks } from "../../views/blocks/build.ts";
import type { BlockTables, ProcessBlocks, ReplayFacts } from "../../views/blocks/build.ts";
import { clockOf, tickRate } from "../../views/blocks/clock.ts";
import { ProgramBuilder } from "../../views/blocks/codes.ts";
import type { ProcessMaps, Program } from "../../views/blocks/codes.ts";
import { compact } from "../../views/blocks/compact.ts";
import type { JudgeFactory } from "../../views/blocks/judge.ts";
import { programTables } from "../../views/blocks/stacks.ts";
import { symbolResolver } from "../proc/symbols.ts";
import { EventSources } from "./event-sources.ts";
import { findImages, parentImage } from "./images.ts";
import type { AgentRecord, Image } from "./images.ts";
import { reasonOf, Refusal, statusOf } from "./refusal.ts";
import { readSources } from "./sources.ts";
import type { FrozenSnapshot } from "./snapshots.ts";
import { offReason, unseenOf } from "./unseen.ts";

export interface FinishOptions {
  /** Where the recording goes; default: the folder's name without `.run`. */
  file?: string;
  /** Write over a recording that is there. */
  force?: boolean;
  /** The objects at the program's end, and what is to be said when they were asked for and are missing. */
  frozen?: FrozenSnapshot;
}

/**
 * Writes the recording (mode 0600, all at once or not at all), removes the folder and gives the tables.
 * Throws a TideError or a Refusal, one sentence; the folder stays as it is then.
 */
export function finishRun(folder: string, judge: JudgeFactory, options: FinishOptions = {}): Tables {
  const file = options.file ?? folder.replace(/\/+$/, "").replace(RUN_FOLDER_SUFFIX_END, "");
  if (!options.force && existsSync(file))
    throw new Refusal(2, `${file} exists; -f writes over it, -o names another file`);
  const tables = withObjects(readRun(folder, judge), options.frozen);
  writeWhole(file, writeRecording(tables), options.force === true, folder);
  rmSync(folder, { recursive: true, force: true });
  return tables;
}

const RUN_FOLDER_SUFFIX_END = new RegExp(`${RUN_FOLDER_SUFFIX.replace(".", "\\.")}$`);

/** Facts of the run come before those of its copy, which has another process id. */
function withObjects(tables: Tables, frozen: FrozenSnapshot | undefined): Tables {
  if (frozen === undefined) return tables;
  const { objects, missing } = frozen;
  if (!objects) {
    return { ...tables, notMeasured: withSentences(tables, [`The objects at the program's end: ${missing}.`]) };
  }
  const facts = tableBuilder("facts");
  const known = new Set(tables.facts.key);
  for (const from of [tables.facts, objects.facts!]) {
    from.key.forEach((key, i) => {
      if (from === tables.facts || !known.has(key)) facts.push({ key, text: from.text[i]!, number: from.number[i]! });
    });
  }
  return {
    ...tables,
    ...objects,
    facts: facts.finish(),
    notMeasured: withSentences(tables, objects.notMeasured!.text),
  };
}

function withSentences({ notMeasured }: Tables, sentences: readonly string[]): Tables["notMeasured"] {
  const builder = tableBuilder("notMeasured");
  for (const text of [...notMeasured.text, ...sentences]) builder.push({ text });
  return builder.finish();
}

/** The tables of a run folder, without writing anything. */
export function readRun(folder: string, judge: JudgeFactory): Tables {
  const sources = new EventSources();
  try {
    return tablesOf(readFolder(folder, sources), judge);
  } finally {
    sources.close();
  }
}

/** What lies in a run folder. */
interface RunFolder {
  facts: Map<string, string>;
  /** CLOCK_MONOTONIC at launch, nanoseconds. */
  zero: number;
  lines: ProcessLine[];
  samples: TimelineSample[];
  records: AgentRecord[];
  /** PID -> why the agent does not record it. */
  off: Map<number, string>;
  /** PID -> why its event file cannot be read. */
  unreadable: Map<number, string>;
}

function readFolder(folder: string, sources: EventSources): RunFolder {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new Refusal(statusOf(error), `cannot read ${folder}: ${reasonOf(error)}`);
  }
  if (!names.includes(SETTINGS_FILE) && !names.includes(RUN_FILE)) {
    throw new Refusal(2, `${folder} is no folder of a run: it has no file "${RUN_FILE}"`);
  }
  const read = (name: string): Uint8Array =>
    names.includes(name) ? readFileSync(join(folder, name)) : new Uint8Array();
  const text = (name: string): string => new TextDecoder().decode(read(name));
  const facts = parsePairs(text(RUN_FILE));
  const { started } = parseSettings(text(SETTINGS_FILE));
  const run: RunFolder = {
    facts,
    zero: started > 0n ? Number(started) : (Number(facts.get("startedMonotonic") ?? 0) || 0) * 1e9,
    lines: parseProcesses(text(PROCESSES_FILE)),
    samples: parseTimeline(read(TIMELINE_FILE)),
    records: [],
    off: new Map(),
    unreadable: new Map(),
  };
  for (const name of names) {
    const agentFile = parseAgentFileName(name);
    if (!agentFile) continue;
    const { pid, ordinal } = agentFile;
    if (agentFile.kind === "off") {
      run.off.set(pid, text(name).trim().replace(/\.$/, ""));
      continue;
    }
    try {
      run.records.push({ pid, ordinal, file: openEvents(sources.open(join(folder, name))) });
    } catch (error) {
      run.unreadable.set(pid, error instanceof TideError ? error.message.replace(/\.$/, "") : reasonOf(error));
    }
  }
  return run;
}

function tablesOf(run: RunFolder, judge: JudgeFactory): Tables {
  const rootPid = Number(run.facts.get("pid") ?? NaN);
  const complete = run.facts.get("complete") === "1";
  const end = complete ? Number(run.facts.get("seconds") ?? NaN) : lastHeard(run);
  const images = findImages({ ...run, rootPid, end, maxRss: Number(run.facts.get("maxRssBytes") ?? NaN) });
  const recorded = images.filter(({ record }) => record !== undefined);
  const program = new ProgramBuilder(symbolResolver());
  const inputs = blockInputs(images, recorded, program, run.zero);
  const finished = program.finish();
  const blocks = buildBlocks(finished, inputs, judge);
  const siteTexts = readSources(finished, (site) => blocks.heaviestStack[site] !== NONE, {
    cwd: run.facts.get("cwd") ?? "",
    argv: images[0]?.argv ?? [],
    startedRealtime: Number(run.facts.get("startedRealtime") ?? NaN),
  });
  const factsOf = new Map(recorded.map((image, i) => [image, blocks.facts[i]]));
  return compact({
    ...blocks.tables,
    ...programTables(finished, siteDetails(finished, blocks, siteTexts.ofSite)),
    sources: siteTexts.table,
    facts: factsTable(run, images, complete, end),
    notMeasured: notMeasuredTable(run, unseenOf(recorded, blocks.facts, finished, blocks.tables.peakStacks)),
    processes: processesTable(run, images, factsOf),
    timeline: timelineTable(images),
  });
}

/** Seconds at which the run showed a last sign of life. */
function lastHeard(run: RunFolder): number {
  const times = [
    ...run.samples.slice(-1).map(({ time }) => time),
    ...run.lines.slice(-1).map(({ time }) => time),
    ...run.records.map(({ file }) => (file.header.last.monotonic - run.zero) / 1e9),
  ];
  return Math.max(0, ...times);
}

/** Every recorded image ready for replay, its dictionary added to the program. Parents of forks are asked for before their children. */
function blockInputs(images: Image[], recorded: Image[], program: ProgramBuilder, zero: number): ProcessBlocks[] {
  const rate = tickRate(recorded.map(({ record }) => record!.file.header));
  const maps = new Map<Image, ProcessMaps>();
  const mapsOf = (image: Image): ProcessMaps => {
    const known = maps.get(image);
    if (known) return known;
    const { header, dictionary } = image.record!.file;
    const parent = parentImage(recorded, image);
    const forked = parent === NONE ? undefined : { maps: mapsOf(recorded[parent]!), ...header.fork! };
    const made = program.addProcess(dictionary, header.pythonHex, forked);
    maps.set(image, made);
    return made;
  };
  return recorded.map((image) => ({
    process: images.indexOf(image),
    file: image.record!.file,
    stackOfNode: mapsOf(image).stackOfNode,
    clock: clockOf(image.record!.file, zero, rate, image.end),
    start: image.start,
    end: image.end,
    window: image.window,
    parent: parentImage(recorded, image),
  }));
}

function siteDetails(program: Program, blocks: BlockTables, source: string[]) {
  const { heaviestStack } = blocks;
  const innerFrame = heaviestStack.map((stack) => (stack === NONE ? NONE : program.stackFrame[stack]!));
  return { source, innerFrame, heaviestStack };
}

function factsTable(run: RunFolder, images: Image[], complete: boolean, end: number): Tables["facts"] {
  const builder = tableBuilder("facts");
  const headers = images.flatMap(({ record }) => (record ? [record.file.header] : []));
  const root = images[0]?.record?.file.header;
  const facts = new Map<string, string | number>(run.facts);
  facts.delete("notMeasured");
  facts.set("complete", complete ? 1 : 0);
  facts.set("seconds", end);
  facts.set("python", pythonName(root?.pythonHex ?? headers[0]?.pythonHex ?? 0));
  facts.set(
    "agentBytes",
    headers.reduce((sum, { ownBytes }) => sum + ownBytes, 0),
  );
  facts.set("agentCpuSeconds", headers.reduce((sum, { ownCpuNs }) => sum + ownCpuNs, 0) / 1e9);
  if (headers.length === 0) facts.set("mode", "pages");
  for (const [key, value] of facts) {
    if (NUMERIC_FACTS.has(key) || typeof value === "number")
      builder.push({ key, text: "", number: value === "" ? NaN : Number(value) });
    else builder.push({ key, text: value, number: NaN });
  }
  return builder.finish();
}

function notMeasuredTable(run: RunFolder, sentences: string[]): Tables["notMeasured"] {
  const builder = tableBuilder("notMeasured");
  const recorder = (run.facts.get("notMeasured") ?? "").split("\n").filter((line) => line !== "");
  for (const text of new Set([...recorder, ...sentences])) builder.push({ text });
  return builder.finish();
}

function processesTable(
  run: RunFolder,
  images: Image[],
  factsOf: Map<Image, ReplayFacts | undefined>,
): Tables["processes"] {
  const builder = tableBuilder("processes");
  for (const image of images) {
    const header = image.record?.file.header;
    const facts = factsOf.get(image);
    builder.push({
      pid: image.pid,
      parentPid: image.parentPid,
      ordinal: image.ordinal,
      argv: image.argv.join("\0"),
      exe: header?.exe ?? "",
      pythonHex: header?.pythonHex ?? 0,
      start: image.start,
      end: image.end,
      peakRss: image.peakRss,
      peakAt: peakAt(image, facts),
      peakFinal: image.peakFinal ? 1 : 0,
      exitCode: image.exitCode,
      signal: image.signal,
      recorded: facts ? 1 : 0,
      reason: offReason(image) ?? (facts ? "" : whyNotRecorded(run, image, images)),
      intervalBytes: facts ? facts.interval : NaN,
      births: facts ? facts.births : NaN,
      deaths: facts ? facts.deaths : NaN,
      dropped: facts ? facts.dropped : NaN,
      agentBytes: header?.ownBytes ?? NaN,
    });
  }
  return builder.finish();
}

/** The instant of the figures when there are any, else the end of the time between two samples that holds the peak. */
function peakAt(image: Image, facts: ReplayFacts | undefined): number {
  if (Number.isNaN(image.peakRss)) return NaN;
  if (facts) return facts.peakTime;
  return Math.min(image.window.to, image.end);
}

/** One clause, as the end of "no lines: …". */
function whyNotRecorded(run: RunFolder, image: Image, images: Image[]): string {
  const told = run.off.get(image.pid) ?? run.unreadable.get(image.pid);
  if (told !== undefined) return told;
  const reason = run.facts.get("reason") ?? "";
  if (reason !== "" && image === images[0]) return reason;
  const command = basename(image.argv[0] ?? "");
  const twin = images.find(
    ({ pid, argv, record }) => record && pid === image.parentPid && argv.join("\0") === image.argv.join("\0"),
  );
  if (twin) return "it was forked and ended before it asked for a block that would be recorded";
  if (/python|pypy/i.test(command)) {
    return `its interpreter (${command}) could not be recorded: a static program, another C library, or an environment without LD_PRELOAD`;
  }
  return command === "" ? "it ended before anything was seen of it" : `no Python ran in it (${command})`;
}

function timelineTable(images: Image[]): Tables["timeline"] {
  const builder = tableBuilder("timeline");
  images.forEach((image, process) => {
    for (const { time, rss, hwm, pss, uss, swap, cgroupUsage } of image.samples) {
      builder.push({ process, time, rss, hwm, pss, uss, swap, cgroupUsage });
    }
  });
  return builder.finish();
}

/** Under a name of its own first, so that nobody ever sees half a recording. */
function writeWhole(file: string, bytes: Uint8Array, force: boolean, folder: string): void {
  const unfinished = join(dirname(file), `.${basename(file)}.${process.pid}`);
  try {
    const fd = openSync(unfinished, "wx", 0o600);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    if (force) renameSync(unfinished, file);
    else giveName(unfinished, file);
  } catch (error) {
    rmSync(unfinished, { force: true });
    if (error instanceof Refusal) throw error;
    throw new Refusal(
      statusOf(error),
      `cannot write ${file}: ${reasonOf(error)}; what was recorded stays in ${folder}`,
    );
  }
}

/** A link, unlike a rename, fails when somebody else has made the file meanwhile. Some file systems have no links. */
function giveName(unfinished: string, file: string): void {
  try {
    linkSync(unfinished, file);
    unlinkSync(unfinished);
  } catch {
    if (existsSync(file)) throw new Refusal(2, `${file} exists; -f writes over it, -o names another file`);
    renameSync(unfinished, file);
  }
}
