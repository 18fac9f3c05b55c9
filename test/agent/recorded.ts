/**
 * Runs a small Python program under the agent and gives what the event files say: every block with its stack, told in the words of the program's own
 * source (`function: source line`), so that a test reads like the program that it is about.
 */
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { NONE } from "../../src/base/brand.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { BLOCK_TYPE, EVENT, openEvents } from "../../src/tide/events.ts";
import type { EventFile, EventHeader } from "../../src/tide/events.ts";
import { ProgramBuilder } from "../../src/views/blocks/codes.ts";
import type { Program, ProcessMaps } from "../../src/views/blocks/codes.ts";
import { Replay } from "../../src/views/blocks/replay.ts";
import { interpreters } from "../interpreters.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
export const agent = process.env.TIDEGAUGE_AGENT ?? join(root, "build", "libtidegauge-agent.so");

/** The interpreter of tests that do not depend on the version: a middle one, else whatever is there. */
export const python =
  (interpreters().find((one) => one.minor === "3.11") ?? interpreters()[0])?.command[0] ?? "python3";

export interface Options {
  /** Path of the interpreter, or of another program. */
  python?: string;
  /** Arguments of the interpreter before the script; default `-I -S`, which start quickly. */
  flags?: string[];
  args?: string[];
  /** Lines of the settings file; default `mode=exact`. */
  settings?: string;
  env?: Record<string, string>;
  /** A shell command that ends by running "$@", where limits or redirections are wanted. */
  shell?: string;
  /** Libraries before and behind the agent in LD_PRELOAD. */
  before?: string;
  behind?: string;
  cwd?: string;
  input?: string;
  /** The run folder is made below this one. */
  below?: string;
  /** Without the agent: for comparisons with the bare program. */
  bare?: boolean;
}

/** A recorded block. */
export interface Block {
  address: number;
  size: number;
  /** 1/p of the sample. */
  weight: number;
  /** Outermost first: `function: source line` for the program's own frames, `function (file)` for others, `[library]` for native ones. */
  stack: string[];
  thread: number;
  /** Place among all births of the process. */
  birth: number;
  /** Births of the process when it died; undefined: alive at the end. */
  death: number | undefined;
  /** The block that a realloc turned into this one. */
  replaces: Block | undefined;
  /** The parent's, alive at the fork. */
  inherited: boolean;
}

/** One process image. */
export interface Image {
  header: EventHeader;
  file: EventFile;
  /** In the order of birth; of a fork child only its own. */
  blocks: Block[];
  /** Births that were over at once and were only counted, by stack. */
  counted: { stack: string[]; count: number; bytes: number }[];
  /** The parent's blocks that a fork child saw die. */
  inheritedDeaths: number;
  marks: { label: string; births: number; live: Block[] }[];
  unmatchedDeaths: number;
  doubleBirths: number;
  program: Program;
}

export interface Recorded {
  stdout: string;
  stderr: string;
  /** NaN when it died of a signal. */
  status: number;
  signal: string | null;
  /** By process start (parents before their fork children), then ordinal. */
  images: Image[];
  /** The texts of `PID.0.off` files. */
  refused: string[];
  /** Bytes of all event files. */
  bytes: number;
}

/** The first image: of the program itself. */
export function root0(run: Recorded): Image {
  if (run.images.length === 0) throw new Error(`nothing was recorded: ${run.refused.join()} ${run.stderr}`);
  return run.images[0]!;
}

/** Runs `source` as a script under the agent. */
export function record(source: string, options: Options = {}): Recorded {
  const place = new Place(source, options);
  try {
    const { command, args, env } = place;
    const done = spawnSync(command, args, {
      env,
      cwd: options.cwd ?? place.folder,
      encoding: "utf8",
      input: options.input ?? "",
      timeout: 50_000,
      maxBuffer: 1 << 28,
    });
    if (done.error) throw done.error;
    return place.read(done.stdout, done.stderr, done.status ?? NaN, done.signal);
  } finally {
    place.remove();
  }
}

/** As `record`, killed from outside at a moment that the caller chooses. */
export async function recordKilled(source: string, milliseconds: number, options: Options = {}): Promise<Recorded> {
  const place = new Place(source, options);
  try {
    const child = spawn(place.command, place.args, {
      env: place.env,
      cwd: place.folder,
      stdio: ["ignore", "pipe", "ignore"],
    });
    let stdout = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    const ended = new Promise<{ status: number; signal: string | null }>((resolve) =>
      child.on("close", (status, signal) => resolve({ status: status ?? NaN, signal })),
    );
    await Promise.race([new Promise((resolve) => setTimeout(resolve, milliseconds)), ended]);
    child.kill("SIGKILL");
    const { status, signal } = await ended;
    return place.read(stdout, "", status, signal);
  } finally {
    place.remove();
  }
}

/** A temporary folder with the script and, inside, the run folder. */
class Place {
  readonly folder = mkdtempSync(join(tmpdir(), "agent-test-"));
  readonly run: string;
  readonly command: string;
  readonly args: string[];
  readonly env: Record<string, string>;
  private readonly source: string[];

  constructor(source: string, options: Options) {
    const text = source.startsWith("\n") ? source.slice(1) : source;
    this.source = text.split("\n").map((line) => line.trim());
    const script = join(this.folder, "program.py");
    writeFileSync(script, unindented(text));
    this.run = join(options.below ?? this.folder, "x.tide.run");
    mkdirSync(this.run, { mode: 0o700 });
    writeFileSync(join(this.run, "settings"), `${options.settings ?? "mode=exact"}\n`);
    const program = [options.python ?? python, ...(options.flags ?? ["-I", "-S"]), script, ...(options.args ?? [])];
    const preload = [options.before, options.bare ? undefined : agent, options.behind]
      .filter((one) => one !== undefined)
      .join(":");
    const variables = { TIDEGAUGE_RUN: this.run, ...(preload && { LD_PRELOAD: preload }), ...options.env };
    // The shell itself stays outside: it sets the variables at the last moment, as `env`'s arguments.
    const settings = Object.entries(variables).map(([key, value]) => `${key}=${value}`);
    this.command = options.shell ? "/bin/bash" : program[0]!;
    this.args = options.shell
      ? ["--norc", "-c", options.shell, "bash", "env", ...settings, ...program]
      : program.slice(1);
    this.env = { PATH: process.env.PATH ?? "", LANG: "C.UTF-8", ...(options.shell ? {} : variables) };
  }

  read(stdout: string, stderr: string, status: number, signal: string | null): Recorded {
    const names = existsSync(this.run) ? readdirSync(this.run) : [];
    const files = names.filter((name) => name.endsWith(".events")).map((name) => readFileSync(join(this.run, name)));
    const refused = names
      .filter((name) => name.endsWith(".off"))
      .map((name) => readFileSync(join(this.run, name), "utf8").trim());
    return {
      stdout,
      stderr,
      status,
      signal,
      images: readImages(files, this.source),
      refused,
      bytes: files.reduce((sum, file) => sum + file.length, 0),
    };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Programs stand indented in the tests. */
function unindented(text: string): string {
  const lines = text.split("\n");
  const indent = Math.min(...lines.filter((line) => line.trim() !== "").map((line) => line.search(/\S/)));
  return lines.map((line) => line.slice(indent)).join("\n");
}

/** One event file, not yet replayed. */
interface Opened {
  file: EventFile;
  header: EventHeader;
  maps: ProcessMaps;
  parent: Opened | undefined;
}

function readImages(files: Uint8Array[], source: string[]): Image[] {
  const opened = files
    .map((bytes) => openEvents(bytesSource(bytes)))
    .sort((a, b) => a.header.start.monotonic - b.header.start.monotonic);
  const builder = new ProgramBuilder();
  const known: Opened[] = [];
  // A child may open its file after its own children have: parents first, whatever the clock says.
  for (let waiting = opened; waiting.length > 0;) {
    const rest = waiting.filter((file) => {
      const { fork } = file.header;
      const parent = fork && known.find((one) => one.header.pid === fork.pid && one.header.ordinal === fork.ordinal);
      if (fork && !parent && waiting.some((one) => one.header.pid === fork.pid && one.header.ordinal === fork.ordinal))
        return true;
      const from = fork && parent ? { maps: parent.maps, nodes: fork.nodes, codes: fork.codes } : undefined;
      known.push({
        file,
        header: file.header,
        maps: builder.addProcess(file.dictionary, file.header.pythonHex, from),
        parent,
      });
      return false;
    });
    if (rest.length === waiting.length) throw new Error("event files name each other as parents");
    waiting = rest;
  }
  const program = builder.finish();
  const images = new Map<Opened, Image>();
  for (const one of known) if (!one.parent) replay(one, known, program, source, images, undefined, []);
  return known.map((one) => images.get(one)!);
}

function replay(
  one: Opened,
  all: Opened[],
  program: Program,
  source: string[],
  images: Map<Opened, Image>,
  parent: Replay | undefined,
  parentLive: readonly (Block | undefined)[],
): void {
  const { file, header } = one;
  const { start, last } = header;
  const secondsPerTick =
    last.tick > start.tick ? (last.monotonic - start.monotonic) / 1e9 / (last.tick - start.tick) : 1e-9;
  const image: Image = {
    header,
    file,
    blocks: [],
    counted: [],
    inheritedDeaths: 0,
    marks: [],
    unmatchedDeaths: 0,
    doubleBirths: 0,
    program,
  };
  images.set(one, image);
  const live: (Block | undefined)[] = parentLive.map((block) => block && { ...block, inherited: true });
  const forks = all
    .filter((child) => child.parent === one)
    .map((child) => ({
      order: child.header.fork!.order,
      reached: () => replay(child, all, program, source, images, player, live),
    }));
  const player = new Replay({
    file,
    stackOfNode: one.maps.stackOfNode,
    clock: { tick: start.tick, seconds: 0, secondsPerTick },
    forks,
    ...(parent && { parent }),
  });
  const words = new Map<number, string[]>();
  const stackWords = (stack: number): string[] => {
    let known = words.get(stack);
    if (!known) words.set(stack, (known = describe(program, stack, source)));
    return known;
  };
  let before: Block | undefined; // the one that died last, which a realloc may replace
  player.run({
    born: (slot, stack, thread, size, weight, replaces) => {
      const block: Block = {
        address: player.live.addressOf(slot),
        size,
        weight,
        stack: stackWords(stack),
        thread,
        birth: image.blocks.length,
        death: undefined,
        replaces: replaces === NONE ? undefined : before,
        inherited: false,
      };
      live[slot] = block;
      image.blocks.push(block);
    },
    died: (slot) => {
      before = live[slot];
      live[slot]!.death = image.blocks.length;
      live[slot] = undefined;
    },
    transients: (stack, _thread, count, bytes) => {
      image.counted.push({ stack: stackWords(stack), count, bytes });
    },
    inheritedDied: (slot) => {
      image.inheritedDeaths++;
      live[slot] = undefined;
    },
    marked: (label) => {
      image.marks.push({ label, births: image.blocks.length, live: live.filter((block) => block !== undefined) });
    },
  });
  image.unmatchedDeaths = player.unmatchedDeaths;
  image.doubleBirths = player.doubleBirths;
}

/** How many births were only counted whose innermost frame is this one; with a size: of stacks that made nothing else. */
export function countedAt(image: Image, frame: string, size?: number): number {
  return image.counted
    .filter(({ stack, count, bytes }) => stack.at(-1) === frame && (size === undefined || bytes === count * size))
    .reduce((sum, { count }) => sum + count, 0);
}

function describe(program: Program, stack: number, source: string[]): string[] {
  const words: string[] = [];
  for (let at = stack; at !== NONE; at = program.stackParent[at]!) {
    const frame = program.stackFrame[at]!;
    const code = program.frameCode[frame]!;
    const file = program.codeFile[code]!;
    const name = program.codeName[code]!;
    const line = program.frameLine[frame]!;
    if (basename(file) === "program.py") words.push(`${name}: ${source[line - 1] ?? `line ${line}`}`);
    else if (program.codeOwner[code] === 3) words.push(`[${basename(file)}]`);
    else words.push(`${name} (${basename(file) || "nowhere"})`);
  }
  return words.reverse();
}

/** The blocks of exactly this size, in the order of birth. */
export function ofSize(image: Image, size: number): Block[] {
  return image.blocks.filter((block) => block.size === size);
}

/** The stack of the only block of this size. */
export function stackOf(image: Image, size: number): string[] {
  const found = ofSize(image, size);
  if (found.length !== 1) throw new Error(`${found.length} blocks of ${size} bytes`);
  return found[0]!.stack;
}

export function live(image: Image): Block[] {
  return image.blocks.filter((block) => block.death === undefined);
}

export function bytesOf(blocks: readonly Block[]): number {
  return blocks.reduce((sum, block) => sum + block.size, 0);
}

/** Only what the program itself did: frames of the interpreter's start-up and of libraries it loads have no line of the program. */
export function ofProgram(image: Image): Block[] {
  return image.blocks.filter((block) => block.stack.some((frame) => frame.includes(": ")));
}

/** Numbers of events by kind, as they stand in the file; `domains` of the short births. */
export function census(image: Image): {
  births: number;
  deaths: number;
  pymalloc: number;
  mmaps: number;
  arenas: number;
} {
  const count = { births: 0, deaths: 0, pymalloc: 0, mmaps: 0, arenas: 0 };
  for (const stream of image.file.threads)
    for (const chunk of stream.chunks) {
      const words = image.file.words(chunk);
      for (let at = 0; at < words.length;) {
        const low = words[at]!;
        const kind = low & 7;
        const type = kind === EVENT.birthFull || kind === EVENT.deathFull ? (low >>> 3) & 15 : (low >>> 4) & 1;
        if (kind === EVENT.birth || kind === EVENT.medium || kind === EVENT.birthFull || kind === 7) {
          if (type === BLOCK_TYPE.arena) count.arenas++;
          else if (type === BLOCK_TYPE.mmap) count.mmaps++;
          else {
            count.births++;
            if (type === BLOCK_TYPE.pymalloc) count.pymalloc++;
          }
        } else if (kind === EVENT.death || kind === EVENT.deathFull) count.deaths++;
        at += kind === EVENT.medium ? 4 : kind === EVENT.birthFull || kind === EVENT.deathFull ? 6 : 2;
      }
    }
  return count;
}

/** Compiles a C text into a shared library (or a program) in a temporary folder of its own; cached by text within the test file. */
const compiled = new Map<string, string>();
export function compile(text: string, ...flags: string[]): string {
  const key = [text, ...flags].join("\0");
  let path = compiled.get(key);
  if (!path) {
    const folder = mkdtempSync(join(tmpdir(), "agent-test-c-"));
    process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
    const source = join(folder, "helper.c");
    path = join(folder, flags.includes("-static") || flags.includes("-pie") ? "helper" : "libhelper.so");
    writeFileSync(source, text);
    const kind = path.endsWith(".so") ? ["-shared", "-fPIC"] : [];
    execFileSync(
      process.env.CC ?? "cc",
      ["-O1", "-w", "-fno-builtin", ...kind, "-o", path, source, ...flags, "-lpthread", "-ldl"],
      {
        stdio: ["ignore", "ignore", "inherit"],
      },
    );
    compiled.set(key, path);
  }
  return path;
}
