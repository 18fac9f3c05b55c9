/**
 * Recordings written by hand: a program as a person would describe it (files, lines, what each line did) becomes the tables of a
 * finished recording, is written to bytes and opened again, so that every test also passes through the file format.
 */
import { NONE } from "../../src/base/brand.ts";
import { openRecording } from "../../src/tide/recording.ts";
import type { Recording } from "../../src/tide/recording.ts";
import { CONFIDENCES, SCHEMA, VERDICTS } from "../../src/tide/schema.ts";
import type { Confidence, Row, TableName, Tables, Verdict } from "../../src/tide/schema.ts";
import { tableBuilder, writeRecording } from "../../src/tide/writer.ts";
import type { TableBuilder } from "../../src/tide/writer.ts";

export const KiB = 1024;
export const MiB = 1024 * KiB;
export const GiB = 1024 * MiB;

/** Bytes and blocks; `sampled` of them had p < 1 and stand for all but `exactBytes`. */
export interface Live {
  bytes: number;
  count: number;
  sampled?: number;
  variance?: number;
  exactBytes?: number;
}

/** A line of the program and what it did. Places are written "FILE:LINE FUNCTION", relative to /home/ann/app. */
export interface SiteSpec {
  at: string;
  source?: string;
  /** whose code it is: 0 the user's (default), 1 site-packages, 2 the library, 3 native; and its package */
  owner?: number;
  package?: string;
  /** callers, the nearest first */
  from?: string[];
  /** library frames below the site, the one that asked last */
  below?: { at: string; owner: number; package: string }[];
  /** undefined: the site was not judged */
  verdict?: Verdict;
  confidence?: Confidence;
  /** the place of the call or loop that is one turn */
  driver?: string;
  /** index of the process, default 0 */
  process?: number;
  live?: Live;
  /** default: as live */
  peak?: Live;
  /** default: as peak */
  allocated?: Live;
  /** alive at the peak of the process; default: as peak */
  atPeak?: Live;
  features?: Partial<FeatureRow>;
  /** live bytes at instants */
  curve?: [seconds: number, bytes: number, count: number][];
}

export interface ProgramSpec {
  facts?: Record<string, string | number>;
  processes?: Partial<Row<"processes">>[];
  sites?: SiteSpec[];
  sources?: Record<string, string>;
  /** RSS of the first process (or another) over time */
  rss?: [seconds: number, bytes: number][];
  samples?: Partial<Row<"timeline">>[];
  live?: ({ process?: number; time: number } & Live)[];
  marks?: Row<"marks">[];
  notMeasured?: string[];
}

const NOTHING: Live = { bytes: 0, count: 0 };

const FACTS: Record<string, string | number> = {
  version: "0.1.0",
  argv: "python3\0main.py",
  cwd: "/home/ann/app",
  exe: "/usr/bin/python3",
  python: "CPython 3.11.7",
  mode: "exact",
  intervalBytes: 0,
  pid: 1201,
  exitCode: 0,
  signal: 0,
  seconds: 2.5,
  complete: 1,
  limitBytes: 16 * GiB,
  limitKind: "RAM",
  ramBytes: 16 * GiB,
  oomKills: 0,
  agentBytes: 3 * MiB,
  agentCpuSeconds: 0.01,
  recorderCpuSeconds: 0.05,
  recorderRssBytes: 45 * MiB,
};

const PROCESS: Row<"processes"> = {
  pid: 1201,
  parentPid: 1200,
  ordinal: 0,
  argv: "python3\0main.py",
  exe: "/usr/bin/python3",
  pythonHex: 0x030b07f0,
  start: 0,
  end: 2.5,
  peakRss: 10.1 * MiB,
  peakAt: 2.4,
  peakFinal: 1,
  exitCode: 0,
  signal: 0,
  recorded: 1,
  reason: "",
  intervalBytes: 0,
  births: 1000,
  deaths: 900,
  dropped: 0,
  agentBytes: 3 * MiB,
};

export function recordingOf(spec: ProgramSpec): Recording {
  return opened(writeRecording(tablesOf(spec)));
}

/** Opens bytes as a recording. */
export function opened(bytes: Uint8Array): Recording {
  return openRecording({ size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) });
}

export function tablesOf(spec: ProgramSpec): Partial<Tables> {
  const builders: Partial<Record<TableName, TableBuilder<TableName>>> = {};
  const push = <N extends TableName>(name: N, row: Row<N>): number => {
    const builder = (builders[name] ??= tableBuilder(name) as unknown as TableBuilder<TableName>);
    return builder.push(row as never);
  };
  pushFacts({ ...FACTS, ...spec.facts }, push);
  for (const process of spec.processes ?? [{}]) push("processes", { ...PROCESS, ...process });
  const sites = new SiteTables(push);
  for (const site of spec.sites ?? []) sites.add(site);
  for (const [file, text] of Object.entries(spec.sources ?? {}))
    push("sources", { file: `/home/ann/app/${file}`, text });
  for (const text of spec.notMeasured ?? []) push("notMeasured", { text });
  const samples = [...(spec.rss ?? []).map(([time, rss]) => ({ time, rss })), ...(spec.samples ?? [])];
  for (const sample of samples) push("timeline", { ...SAMPLE, ...sample });
  for (const { process = 0, time, ...live } of spec.live ?? []) push("liveCurve", { process, time, ...amount(live) });
  for (const mark of spec.marks ?? []) push("marks", mark);
  return Object.fromEntries(Object.entries(builders).map(([name, builder]) => [name, builder.finish()]));
}

type Push = <N extends TableName>(name: N, row: Row<N>) => number;

const SAMPLE: Row<"timeline"> = {
  process: 0,
  time: 0,
  rss: Number.NaN,
  hwm: Number.NaN,
  pss: Number.NaN,
  uss: Number.NaN,
  swap: Number.NaN,
  cgroupUsage: Number.NaN,
};

function pushFacts(facts: Record<string, string | number>, push: Push): void {
  for (const [key, value] of Object.entries(facts)) {
    push(
      "facts",
      typeof value === "string" ? { key, text: value, number: Number.NaN } : { key, text: "", number: value },
    );
  }
}

function amount({ bytes, count, sampled = 0, variance = 0, exactBytes }: Live) {
  return { bytes, count, sampled, variance, exactBytes: exactBytes ?? (sampled > 0 ? 0 : bytes) };
}

/** Codes, frames, stacks and sites, each distinct one once. */
class SiteTables {
  private readonly codes = new Map<string, number>();
  private readonly frames = new Map<string, number>();
  private readonly codeOfFrame: number[] = [];
  private readonly parentOfStack: number[] = [];
  private readonly frameOfStack: number[] = [];
  private readonly stacks = new Map<string, number>();
  private readonly sites = new Map<string, number>();
  private readonly push: Push;

  constructor(push: Push) {
    this.push = push;
  }

  add(spec: SiteSpec): void {
    const outer = (spec.from ?? []).toReversed().map((at) => this.frame(at));
    const own = this.frame(spec.at, spec.owner, spec.package);
    const inner = (spec.below ?? []).map((frame) => this.frame(frame.at, frame.owner, frame.package));
    const site = this.sites.get(spec.at) ?? this.sites.size;
    const stack = this.stack([...outer, own, ...inner], site);
    if (!this.sites.has(spec.at)) {
      const line = Number(/:(\d+)/.exec(spec.at)?.[1] ?? NONE);
      const innerFrame = inner[inner.length - 1] ?? own;
      this.sites.set(spec.at, site);
      this.push("sites", {
        code: this.codeOfFrame[own],
        line,
        source: spec.source ?? "",
        innerFrame,
        heaviestStack: stack,
      });
    }
    this.amounts(spec, site, stack);
  }

  private amounts(spec: SiteSpec, site: number, stack: number): void {
    const process = spec.process ?? 0;
    const { live = NOTHING, peak = live, allocated = peak, atPeak = peak } = spec;
    if (atPeak.count > 0) this.push("peakStacks", { process, stack, ...amount(atPeak) });
    if (live.count > 0) this.push("endStacks", { process, stack, ...amount(live) });
    this.push("allocatedStacks", { process, stack, ...amount(allocated) });
    for (const [time, bytes, count] of spec.curve ?? [])
      this.push("checkpoints", { process, time, site, bytes, count });
    if (spec.verdict === undefined) return;
    const driverFrame = spec.driver === undefined ? NONE : this.frame(spec.driver);
    const groups = { ...group("live", live), ...group("peak", peak), ...group("allocated", allocated) };
    const judged = {
      verdict: VERDICTS.indexOf(spec.verdict),
      confidence: CONFIDENCES.indexOf(spec.confidence ?? "high"),
    };
    const driver = { driverFrame, driverStack: driverFrame === NONE ? NONE : this.stackOf(stack, driverFrame) };
    this.push("siteFeatures", { ...UNMEASURED, process, site, ...judged, ...groups, ...driver, ...spec.features });
  }

  /** The nearest stack from `stack` outwards that ends in `frame`: the driver must be one of the callers. */
  private stackOf(stack: number, frame: number): number {
    let at = stack;
    while (at !== NONE && this.frameOfStack[at] !== frame) at = this.parentOfStack[at];
    return at;
  }

  private frame(at: string, owner = 0, packageName = ""): number {
    return known(this.frames, at, () => {
      const [, path, line, name = "<module>"] = /^(.*?)(?::(\d+))?(?: (\S+))?$/.exec(at)!;
      const file = owner === 0 && !/^[/<]/.test(path) ? `/home/ann/app/${path}` : path;
      const code = known(this.codes, `${file} ${name}`, () =>
        this.push("codes", {
          name: name.replace(/.*\./, ""),
          qualname: name,
          file,
          firstLine: 1,
          owner,
          package: packageName,
        }),
      );
      this.codeOfFrame.push(code);
      return this.push("frames", {
        code,
        line: line === undefined ? NONE : Number(line),
        offset: 2 * Number(line ?? 0),
      });
    });
  }

  private stack(chain: readonly number[], site: number): number {
    let parent = NONE;
    chain.forEach((frame, depth) => {
      const outer = parent;
      const key = `${site}: ${chain.slice(0, depth + 1).join(" ")}`;
      parent = known(this.stacks, key, () => {
        this.parentOfStack.push(outer);
        this.frameOfStack.push(frame);
        return this.push("stacks", { parent: outer, frame, site });
      });
    });
    return parent;
  }
}

function known(map: Map<string, number>, key: string, make: () => number): number {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

type FeatureRow = Row<"siteFeatures">;

/** Every feature as the judge leaves it when it could not be told. */
const UNMEASURED: FeatureRow = Object.assign(
  Object.fromEntries(Object.keys(SCHEMA.siteFeatures).map((name) => [name, Number.NaN])) as FeatureRow,
  { process: 0, site: 0, verdict: 0, confidence: 0, driverFrame: NONE, driverStack: NONE, unit: 0 },
);

/** An amount under the names of its group in siteFeatures: liveBytes, liveCount, … */
function group(name: "live" | "peak" | "allocated", live: Live): Partial<FeatureRow> {
  return Object.fromEntries(
    Object.entries(amount(live)).map(([column, value]) => [name + column[0].toUpperCase() + column.slice(1), value]),
  );
}
