/**
 * A machine that runs programs as the judge sees them: frames at instructions, births and deaths of blocks. A test writes what a program does;
 * what the recorder and the replay would tell of it reaches the judge. Instructions are even numbers and stand for lines too.
 */

import { describeSite } from "../../src/answers/verdict/claims.ts";
import type { SiteDescription } from "../../src/answers/verdict/claims.ts";
import { createJudge } from "../../src/answers/verdict/judge.ts";
import { NONE } from "../../src/base/brand.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { CONFIDENCES, UNITS, VERDICTS } from "../../src/tide/schema.ts";
import type { Row } from "../../src/tide/schema.ts";
import { tableBuilder, writeRecording } from "../../src/tide/writer.ts";
import type { Program } from "../../src/views/blocks/codes.ts";
import type { Replay } from "../../src/views/blocks/replay.ts";
import { programTables } from "../../src/views/blocks/stacks.ts";

export interface FunctionSpec {
  /** From which instruction to which a loop goes, both included. */
  loops?: readonly (readonly [number, number])[];
  generator?: boolean;
  /** 0 the user's own (default), 2 the library, 3 native. */
  owner?: number;
}

type Event =
  | { kind: "born"; slot: number; stack: number; thread: number; size: number; weight: number; replaces: number }
  | { kind: "died"; slot: number }
  | { kind: "marked"; label: string };

interface Frame {
  code: number;
  offset: number;
}

/** A row of siteFeatures in words. */
export interface Judged extends Row<"siteFeatures"> {
  said: string;
  sure: string;
  turn: string;
  /** Function and instruction that drive; "" none. */
  driver: string;
}

const MODULE = "<module>";

const PROCESS: Row<"processes"> = {
  pid: 1,
  parentPid: 0,
  ordinal: 0,
  argv: "python3\0program.py",
  exe: "python3",
  pythonHex: 0x030c01f0,
  start: 0,
  end: 1,
  peakRss: NaN,
  peakAt: NaN,
  peakFinal: 0,
  exitCode: 0,
  signal: 0,
  recorded: 1,
  reason: "",
  intervalBytes: 0,
  births: 0,
  deaths: 0,
  dropped: 0,
  agentBytes: 0,
};

export class Machine {
  private readonly functions: Record<string, FunctionSpec>;
  private readonly names: string[] = [MODULE];
  private readonly stackByKey = new Map<string, number>();
  private readonly stacks: { parent: number; frame: number }[] = [];
  private readonly frameByKey = new Map<string, number>();
  private readonly frames: Frame[] = [];
  private readonly events: Event[] = [];
  private readonly threads: Frame[][] = [[{ code: 0, offset: 0 }]];
  private readonly freeSlots: number[] = [];
  private readonly places: { stack: number; size: number; weight: number }[] = [];
  private thread = 0;
  private interval = 0;
  /** Decides in a sampled run which blocks are recorded. */
  private random = 12_345;

  constructor(functions: Record<string, FunctionSpec> = {}) {
    this.functions = functions;
    this.names.push(...Object.keys(functions).filter((name) => name !== MODULE));
  }

  /** From here on blocks are sampled with this mean distance in bytes. */
  sample(interval: number): void {
    this.interval = interval;
  }

  /** The running frame stands at this instruction. */
  at(offset: number): this {
    this.path.at(-1)!.offset = offset;
    return this;
  }

  /** Calls a function from where the running frame stands. */
  call<T>(name: string, body: () => T): T {
    this.path.push({ code: this.codeOf(name), offset: 0 });
    const result = body();
    this.path.pop();
    return result;
  }

  /** Runs as another thread, whose outermost frame is that function's. */
  in(thread: number, root: string, body: () => void): void {
    const before = this.thread;
    this.thread = thread;
    this.threads[thread] ??= [{ code: this.codeOf(root), offset: 0 }];
    body();
    this.thread = before;
  }

  /** What the interpreter does by itself in the main thread: its outermost frame is not the program's. */
  interpreter(name: string, body: () => void): void {
    const before = this.threads[this.thread]!;
    this.threads[this.thread] = [{ code: this.codeOf(name), offset: 0 }];
    body();
    this.threads[this.thread] = before;
  }

  /** A block of that size is made here. @returns its name, for `free`; NONE: it was not recorded */
  block(size: number, replaces = NONE): number {
    let weight = 1;
    if (this.interval > 0 && size < 32_768) {
      const p = 1 - Math.exp(-size / this.interval);
      if (this.nextRandom() > p) return NONE;
      weight = 1 / p;
    }
    const slot = this.freeSlots.pop() ?? this.places.length;
    const stack = this.stackOf(this.path);
    this.places[slot] = { stack, size, weight };
    this.events.push({ kind: "born", slot, stack, thread: this.thread, size, weight, replaces });
    return slot;
  }

  free(block: number): void {
    if (block === NONE) return;
    this.freeSlots.push(block);
    this.events.push({ kind: "died", slot: block });
  }

  /** A block is moved to a larger one, in place of the old. */
  grow(block: number, size: number): number {
    this.free(block);
    return this.block(size, block);
  }

  /** Makes a block and frees it at once. */
  scratch(size: number): void {
    this.free(this.block(size));
  }

  mark(label: string): void {
    this.events.push({ kind: "marked", label });
  }

  /** Everything up to here as the judge judges it, by "function:instruction". */
  judge(): Map<string, Judged> {
    const program = this.program();
    const rows = this.rows(program);
    return new Map(rows.map((row) => [this.siteName(program, row.site), this.inWords(program, row)]));
  }

  /** What the answers say of a site, from a recording of the run. */
  describe(site: string): SiteDescription {
    const program = this.program();
    const rows = this.rows(program);
    const features = tableBuilder("siteFeatures");
    for (const row of rows) features.push(row);
    const processes = tableBuilder("processes");
    processes.push({ ...PROCESS, intervalBytes: this.interval });
    const facts = tableBuilder("facts");
    facts.push({ key: "cwd", text: "/app", number: NaN });
    const sites = program.siteCode.length;
    const heaviestStack = Uint32Array.from({ length: sites }, (_, i) => program.stackSite.indexOf(i));
    const details = {
      source: Array.from({ length: sites }, () => ""),
      innerFrame: new Uint32Array(sites).fill(NONE),
      heaviestStack,
    };
    const recording = openRecording(
      bytesSource(
        writeRecording({
          ...programTables(program, details),
          siteFeatures: features.finish(),
          processes: processes.finish(),
          facts: facts.finish(),
        }),
      ),
    );
    return describeSite(
      recording,
      rows.findIndex((row) => this.siteName(program, row.site) === site),
    );
  }

  private rows(program: Program): Row<"siteFeatures">[] {
    const { places } = this;
    const live = {
      count: 0,
      stackOf: (slot: number) => places[slot]!.stack,
      sizeOf: (slot: number) => places[slot]!.size,
      weightOf: (slot: number) => places[slot]!.weight,
    };
    const replay = { live, time: 0, sequence: 0, interval: 0, hasGaps: false, continues: false };
    const exact = !this.events.some((event) => event.kind === "born" && event.weight > 1);
    const judge = createJudge();
    const context = {
      process: 0,
      exact,
      foldAt: 8,
      replay: replay as unknown as Replay,
      start: 0,
      end: this.events.length,
    };
    const listener = judge.start(program, context);
    for (const event of this.events) {
      replay.time++;
      if (event.kind === "marked") listener.marked?.(event.label);
      else if (event.kind === "died") {
        live.count--;
        listener.died(event.slot);
      } else {
        live.count++;
        replay.sequence++;
        replay.interval = exact ? 0 : this.interval;
        replay.hasGaps = replay.interval !== 0;
        places[event.slot] = event;
        listener.born(event.slot, event.stack, event.thread, event.size, event.weight, event.replaces);
      }
    }
    return judge.finish(this.events.length);
  }

  /** The program so far; sites are (function, instruction). */
  program(): Program {
    const { names, frames, stacks } = this;
    const specs = names.map((name) => this.functions[name] ?? {});
    const stackDepth = new Uint32Array(stacks.length);
    stacks.forEach(({ parent }, i) => (stackDepth[i] = parent === NONE ? 1 : stackDepth[parent]! + 1));
    const isOwn = (stack: number): boolean => (specs[frames[stacks[stack]!.frame]!.code]!.owner ?? 0) === 0;
    const stackSite = Uint32Array.from(stacks, ({ frame }, i) => {
      for (let at = i; at !== NONE; at = stacks[at]!.parent) if (isOwn(at)) return stacks[at]!.frame;
      return frame;
    });
    return {
      stackParent: Uint32Array.from(stacks, ({ parent }) => parent),
      stackFrame: Uint32Array.from(stacks, ({ frame }) => frame),
      stackDepth,
      stackSite,
      frameCode: Uint32Array.from(frames, ({ code }) => code),
      frameLine: Uint32Array.from(frames, ({ offset }) => offset),
      frameOffset: Uint32Array.from(frames, ({ offset }) => offset),
      codeName: names,
      codeQualname: names,
      codeFile: names.map((_, i) => (specs[i]!.owner === 2 ? "/usr/lib/python3.12/library.py" : "/app/program.py")),
      codeFirstLine: new Uint32Array(names.length),
      codeOwner: Uint8Array.from(specs, ({ owner }) => owner ?? 0),
      codeFlags: Uint32Array.from(specs, ({ generator }) => (generator ? 0x20 : 0)),
      codePackage: names.map(() => ""),
      flow: (code) => flowOf(specs[code]!),
      siteCode: Uint32Array.from(frames, ({ code }) => code),
      siteLine: Uint32Array.from(frames, ({ offset }) => offset),
    };
  }

  private get path(): Frame[] {
    return this.threads[this.thread]!;
  }

  private codeOf(name: string): number {
    const code = this.names.indexOf(name);
    return code < 0 ? this.names.push(name) - 1 : code;
  }

  private stackOf(path: readonly Frame[]): number {
    let parent = NONE;
    for (const { code, offset } of path) {
      const frame = this.numberOf(this.frameByKey, `${code}:${offset}`, () => this.frames.push({ code, offset }));
      const outer = parent;
      parent = this.numberOf(this.stackByKey, `${outer}:${frame}`, () => this.stacks.push({ parent: outer, frame }));
    }
    return parent;
  }

  private numberOf(known: Map<string, number>, key: string, add: () => number): number {
    let number = known.get(key);
    if (number === undefined) known.set(key, (number = add() - 1));
    return number;
  }

  private siteName(program: Program, site: number): string {
    return `${program.codeName[program.siteCode[site]!]}:${program.siteLine[site]}`;
  }

  private inWords(program: Program, row: Row<"siteFeatures">): Judged {
    const frame = row.driverFrame;
    return {
      ...row,
      said: VERDICTS[row.verdict]!,
      sure: CONFIDENCES[row.confidence]!,
      turn: UNITS[row.unit]!,
      driver: frame === NONE ? "" : `${program.codeName[program.frameCode[frame]!]}:${program.frameLine[frame]}`,
    };
  }

  /** Xorshift: in [0, 1), the same in every run. */
  private nextRandom(): number {
    let x = this.random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.random = x;
    return (x >>> 0) / 2 ** 32;
  }
}

function holds([from, to]: readonly [number, number], offset: number): boolean {
  return from <= offset && offset <= to;
}

function flowOf({ loops = [] }: FunctionSpec): ReturnType<Program["flow"]> {
  return {
    instructionStart: (offset) => offset,
    reachable: (p, q) => q > p || loops.some((loop) => holds(loop, p) && holds(loop, q)),
    inLoop: (offset) => loops.some((loop) => holds(loop, offset)),
  };
}

/** 0, 1, … below n. */
export function turns(n: number, body: (turn: number) => void): void {
  for (let turn = 0; turn < n; turn++) body(turn);
}

/** Whether the judge shows that each turn left more behind, and does not say that this is on purpose. */
export function isAccused({ said, growthLow }: Judged): boolean {
  return said === "leaking" || said === "native leak" || (said === "undecided" && growthLow > 0);
}
