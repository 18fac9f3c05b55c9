/**
 * The processes of a run: the root, its descendants as /proc shows them, and those that the agent's files name (a daemon that left its
 * parent is no child any more). Every process is read through files that stay open.
 */
import { closeSync, openSync, readlinkSync, readSync } from "node:fs";
import { basename, join } from "node:path";
import { parseAgentFileName, type ProcessLine } from "../../tide/runfolder.ts";
import {
  parseChildren,
  parseCmdline,
  parseSmapsRollup,
  parseStat,
  parseStatus,
  type ProcessStatus,
} from "../proc/parse.ts";
import { listFolder, ProcFile, readText } from "../proc/read.ts";

/** What one look at a process gave. */
export interface Look {
  pid: number;
  status: ProcessStatus;
}

interface Watched {
  pid: number;
  parent: number;
  startTicks: number;
  firstSeen: number;
  status: ProcFile;
  hwm: number;
  threads: number;
  /** Which thread's children are read next. */
  nextThread: number;
  announced: boolean;
  argv: string[];
  stopped: boolean;
}

/** Threads whose children are read at one look: most children come from the main thread, the others take turns. */
const THREADS_A_LOOK = 8;
/** Processes whose children are looked for at one step; the others take turns. */
const PARENTS_A_STEP = 8;
/** A child is announced when its exec is likely over: until then its command line is its parent's. */
const SETTLED_SECONDS = 0.03;
/** A falling high-water mark later than this after the first look is an exec worth a line of its own. */
const STARTING_SECONDS = 0.3;

/** A shim that takes longer is no shim. */
const STARTING_LIMIT_SECONDS = 2;

export class ProcessTree {
  readonly #folder: string;
  readonly #root: number;
  readonly #tell: (line: ProcessLine) => void;
  readonly #watched = new Map<number, Watched>();
  /** PIDs that ended, with the start time of the process: a zombie and an event file are there for longer than their process. */
  readonly #gone = new Map<number, number>();
  #turn = 0;
  #isStarting: boolean;

  /** `tell` gets the comings and goings, in order. `throughScript`: the root's descendants count from when it has become Python. */
  constructor(
    folder: string,
    root: { pid: number; argv: string[]; throughScript: boolean },
    tell: (line: ProcessLine) => void,
  ) {
    this.#isStarting = root.throughScript;
    this.#folder = folder;
    this.#root = root.pid;
    this.#tell = tell;
    const watched = this.#watch(root.pid, process.pid, 0);
    this.#announce(watched, root.argv);
  }

  get size(): number {
    return this.#watched.size;
  }

  get pids(): number[] {
    return [...this.#watched.keys()];
  }

  /** Reads every known process (or those named) once; processes that went are told and forgotten. */
  look(time: number, pids: readonly number[] = this.pids): Look[] {
    this.#isStarting &&= time < STARTING_LIMIT_SECONDS && !isPython(this.#root);
    const looks: Look[] = [];
    for (const pid of pids) {
      const watched = this.#watched.get(pid);
      if (!watched) continue;
      const text = watched.status.read();
      const status = text === undefined ? undefined : parseStatus(text);
      if (status === undefined || status.state === "Z" || status.state === "X") {
        this.#end(watched, time);
        continue;
      }
      if (Number.isNaN(status.rss)) continue; // a kernel thread's shape: the process is between exec and exit
      this.#settle(watched, status, time);
      watched.threads = status.threads;
      watched.stopped = status.state === "T";
      looks.push({ pid: watched.pid, status });
    }
    return looks;
  }

  isStopped(pid: number): boolean {
    return this.#watched.get(pid)?.stopped ?? false;
  }

  /** Looks for processes not known yet and answers with their PIDs. `fileNames`: what the run folder holds. */
  discover(time: number, fileNames: readonly string[]): number[] {
    if (this.#isStarting) return [];
    const known = new Set(this.#watched.keys());
    const parents = [...this.#watched.values()];
    for (let i = 0; i < Math.min(PARENTS_A_STEP, parents.length); i++) {
      const parent = parents[(this.#turn + i) % parents.length]!;
      for (const child of childrenOf(parent)) this.#add(child, parent.pid, time);
    }
    this.#turn = parents.length === 0 ? 0 : (this.#turn + PARENTS_A_STEP) % parents.length;
    for (const name of fileNames) {
      const file = parseAgentFileName(name);
      if (file && !this.#watched.has(file.pid) && !this.#gone.has(file.pid)) {
        this.#add(file.pid, parentInFile(join(this.#folder, name)) ?? 0, time);
      }
    }
    return this.pids.filter((pid) => !known.has(pid));
  }

  /** PSS and USS of a process; undefined when they cannot be read. The kernel holds the process's map lock meanwhile. */
  rollup(pid: number): { pss: number; uss: number } | undefined {
    const text = readText(`/proc/${pid}/smaps_rollup`);
    return text ? parseSmapsRollup(text) : undefined;
  }

  /** The root's end is known from its parent; those that still run get no end. */
  close(time: number, exitCode: number, signal: number): void {
    for (const watched of this.#watched.values()) {
      if (!watched.announced) this.#announce(watched, watched.argv);
      watched.status.close();
    }
    this.#tell({ kind: "end", pid: this.#root, time, exitCode, signal });
    this.#watched.clear();
  }

  #add(pid: number, parent: number, time: number): void {
    if (!Number.isSafeInteger(pid) || pid <= 0 || this.#watched.has(pid)) return;
    const stat = readText(`/proc/${pid}/stat`);
    const { startTicks, exitSignal } = stat === undefined ? { startTicks: NaN, exitSignal: NaN } : parseStat(stat);
    if (exitSignal === 0) return; // no process of the program's: the agent's frozen copy of it
    if (this.#gone.get(pid) === startTicks) return;
    const watched = this.#watch(pid, parent, time);
    watched.startTicks = startTicks;
    watched.argv = commandLine(pid);
    if (stat === undefined) this.#end(watched, time);
  }

  #watch(pid: number, parent: number, time: number): Watched {
    const watched: Watched = {
      pid,
      parent,
      startTicks: NaN,
      firstSeen: time,
      status: new ProcFile(`/proc/${pid}/status`),
      hwm: 0,
      threads: 1,
      nextThread: 0,
      announced: false,
      argv: [],
      stopped: false,
    };
    this.#gone.delete(pid);
    this.#watched.set(pid, watched);
    return watched;
  }

  #settle(watched: Watched, status: ProcessStatus, time: number): void {
    // What a shim executes on its way to Python is one start.
    if (watched.pid === this.#root && this.#isStarting) watched.firstSeen = time;
    const age = time - watched.firstSeen;
    const execed = status.hwm < watched.hwm;
    watched.hwm = status.hwm;
    if (!watched.announced && age >= SETTLED_SECONDS) {
      this.#announce(watched, commandLine(watched.pid));
    } else if (execed && watched.announced && age >= STARTING_SECONDS) {
      const argv = commandLine(watched.pid);
      if (argv.length === 0 || argv.join("\0") === watched.argv.join("\0")) return;
      watched.argv = argv;
      this.#tell({ kind: "start", pid: watched.pid, parent: watched.parent, time, argv });
    }
  }

  #announce(watched: Watched, argv: string[]): void {
    watched.announced = true;
    if (argv.length > 0) watched.argv = argv;
    this.#tell({
      kind: "start",
      pid: watched.pid,
      parent: watched.parent,
      time: watched.firstSeen,
      argv: watched.argv,
    });
  }

  #end(watched: Watched, time: number): void {
    if (!watched.announced) this.#announce(watched, watched.argv);
    watched.status.close();
    this.#watched.delete(watched.pid);
    this.#gone.set(watched.pid, watched.startTicks);
    if (watched.pid === this.#root) return; // told by `close`, with its status
    // A zombie's status can still be read, if its parent has not waited for it yet.
    const { state, exitStatus } = parseStat(readText(`/proc/${watched.pid}/stat`) ?? "");
    const known = state === "Z" && Number.isFinite(exitStatus);
    const signal = known ? exitStatus & 0x7f : -1;
    const exitCode = known && signal === 0 ? (exitStatus >> 8) & 0xff : -1;
    this.#tell({ kind: "end", pid: watched.pid, time, exitCode, signal });
  }
}

function isPython(pid: number): boolean {
  try {
    return /python|pypy/i.test(basename(readlinkSync(`/proc/${pid}/exe`)));
  } catch {
    return false;
  }
}

function commandLine(pid: number): string[] {
  return parseCmdline(readText(`/proc/${pid}/cmdline`) ?? "");
}

function childrenOf(watched: Watched): number[] {
  const { pid } = watched;
  const children = parseChildren(readText(`/proc/${pid}/task/${pid}/children`) ?? "");
  if (watched.threads <= 1) return children;
  const threads = listFolder(`/proc/${pid}/task`);
  for (let i = 0; i < Math.min(THREADS_A_LOOK, threads.length); i++) {
    const thread = threads[(watched.nextThread + i) % threads.length]!;
    if (thread !== String(pid)) children.push(...parseChildren(readText(`/proc/${pid}/task/${thread}/children`) ?? ""));
  }
  watched.nextThread += THREADS_A_LOOK;
  return children;
}

/** The parent that an event file's header names (docs/format.md, 2.1). */
function parentInFile(path: string): number | undefined {
  let fd = -1;
  try {
    fd = openSync(path, "r");
    const head = Buffer.alloc(24);
    return readSync(fd, head, 0, 24, 0) === 24 ? head.readUInt32LE(20) || undefined : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}
