/**
 * Starts the program and stands aside: its terminal, pipes, descriptors, ignored signals and limits are those that the recorder was
 * given; signals sent to the recorder go on to it; what it ends with is told once.
 */
import { spawn, type ChildProcess, type StdioOptions } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { parseStat } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";
import type { Program } from "./program.ts";
import { reasonOf, Refusal } from "./refusal.ts";

export interface LaunchPlan {
  program: Program;
  /** Absolute path of the run folder. */
  folder: string;
  /** Path of the agent; undefined: none is loaded. */
  agent: string | undefined;
  /** Path of `tidegauge-launch`; undefined: Node starts the program itself, with the changes that this brings. */
  launcher: string | undefined;
  /** What `tidegauge-launch before` noted; undefined when the command line was not started through it. */
  inherited: string | undefined;
}

export interface ProgramEnd {
  /** null when a signal ended it, and when nobody knows. */
  exitCode: number | null;
  /** 0: none. */
  signal: number;
  /** User and system time of the program and of the children it waited for, seconds; NaN unknown. */
  cpuSeconds: number;
  /** The largest RSS of one process among these, bytes; NaN unknown. */
  maxRssBytes: number;
}

export interface Launched {
  pid: number;
  ended: Promise<ProgramEnd>;
  /** Gives SIGINT and the others back their usual meaning for the recorder. */
  release(): void;
}

const UNKNOWN_END: ProgramEnd = { exitCode: null, signal: 0, cpuSeconds: NaN, maxRssBytes: NaN };

/** Resolves when the program runs; rejects with a Refusal when it cannot be started. */
export async function launch(plan: LaunchPlan): Promise<Launched> {
  const forwarding = forwardSignals();
  try {
    const started = plan.launcher === undefined ? startDirectly(plan) : startThroughLauncher(plan, plan.launcher);
    const { pid, ended } = await started;
    forwarding.to(pid);
    letGoOfPipes();
    return { pid, ended, release: () => forwarding.stop() };
  } catch (error) {
    forwarding.stop();
    throw error;
  }
}

async function startDirectly(plan: LaunchPlan): Promise<{ pid: number; ended: Promise<ProgramEnd> }> {
  const env: NodeJS.ProcessEnv = { ...process.env, TIDEGAUGE_RUN: plan.folder };
  if (plan.agent !== undefined) env.LD_PRELOAD = [plan.agent, process.env.LD_PRELOAD].filter(Boolean).join(":");
  const { file, argv } = plan.program;
  const child = spawn(file, argv.slice(1), { argv0: argv[0]!, env, stdio: "inherit" });
  const ended = new Promise<ProgramEnd>((resolve) => {
    child.once("exit", (exitCode, name) =>
      resolve({ ...UNKNOWN_END, exitCode, signal: name ? constants.signals[name] : 0 }),
    );
  });
  await spawned(child, file);
  return { pid: child.pid!, ended };
}

function spawned(child: ChildProcess, file: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => reject(new Refusal(3, `cannot start ${file}: ${reasonOf(error)}`)));
  });
}

/** Speaks with `tidegauge-launch program` (its source says how). */
async function startThroughLauncher(
  plan: LaunchPlan,
  launcher: string,
): Promise<{ pid: number; ended: Promise<ProgramEnd> }> {
  const inherited = plan.inherited ?? "";
  const [stdio, channel] = descriptors(inheritedDescriptors(inherited));
  const { file, argv, tail } = plan.program;
  const words = ["program", channel, inherited, tail, process.pid, plan.agent ?? "", plan.folder, file, ...argv].map(
    String,
  );
  const child = spawn(launcher, words, { stdio });
  const stream = child.stdio[channel] as NodeJS.ReadableStream;
  await spawned(child, launcher);
  return new Promise((resolve, reject) => {
    let pid = 0;
    let text = "";
    const { promise: ended, settle: finish } = openPromise<ProgramEnd>();
    stream.setEncoding("latin1");
    stream.on("data", (chunk: string) => {
      text += chunk;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const [what, a, b, c, d] = text.slice(0, end).split(" ");
        text = text.slice(end + 1);
        if (what === "fail") reject(new Refusal(3, `cannot start ${file}: ${errnoMeaning(Number(a))}`));
        else if (what === "pid") pid = Number(a);
        else if (what === "end") finish(endOf(Number(a), Number(b) + Number(c), Number(d)));
        if (pid !== 0) resolve({ pid, ended });
      }
    });
    // Someone killed the launcher: the program may still run, and is followed to its end without a status.
    stream.on("end", () => {
      if (pid === 0) reject(new Refusal(3, `cannot start ${file}: ${launcher} was stopped`));
      else void goneFromProc(pid).then(() => finish(UNKNOWN_END));
    });
  });
}

function openPromise<T>(): { promise: Promise<T>; settle: (value: T) => void } {
  let settle!: (value: T) => void;
  const promise = new Promise<T>((resolve) => (settle = resolve));
  return { promise, settle };
}

function errnoMeaning(errno: number): string {
  const code = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0] ?? `error ${errno}`;
  return reasonOf(Object.assign(new Error(code), { code }));
}

/** From a wait status, microseconds and KiB. */
function endOf(status: number, cpuMicroseconds: number, maxRssKib: number): ProgramEnd {
  const signal = status & 0x7f;
  const exitCode = signal === 0 ? (status >> 8) & 0xff : null;
  return { exitCode, signal, cpuSeconds: cpuMicroseconds / 1e6, maxRssBytes: maxRssKib * 1024 };
}

async function goneFromProc(pid: number): Promise<void> {
  const start = parseStat(readText(`/proc/${pid}/stat`) ?? "").startTicks;
  const there = () => {
    const stat = parseStat(readText(`/proc/${pid}/stat`) ?? "");
    return stat.startTicks === start && stat.state !== "Z";
  };
  while (there()) await new Promise((resolve) => setTimeout(resolve, 50));
}

/** Numbers of descriptors above 2 that the recorder was given. Node marks the low ones close-on-exec, so they are handed on by name. */
function inheritedDescriptors(note: string): number[] {
  const list = /fds:([\d.]*)/.exec(note)?.[1] ?? "";
  return list.split(".").filter(Boolean).map(Number).filter(isMarkedByNode);
}

function isMarkedByNode(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "latin1"))?.[1] ?? "0";
    return (parseInt(flags, 8) & 0o2000000) !== 0;
  } catch {
    return false;
  }
}

/** Descriptors by number for `spawn`, and which of them is the channel: the first that the program does not use. */
function descriptors(inherited: number[]): [StdioOptions, channel: number] {
  const stdio: (number | "inherit" | "ignore" | "pipe")[] = ["inherit", "inherit", "inherit"];
  for (let fd = 3; fd <= Math.max(2, ...inherited); fd++) stdio[fd] = inherited.includes(fd) ? fd : "ignore";
  stdio.push("pipe");
  return [stdio, stdio.length - 1];
}

/** A reader or writer at the other end of the program's pipes must see it when the program closes them: the recorder keeps none open. */
function letGoOfPipes(): void {
  for (const fd of [0, 1]) {
    try {
      closeSync(fd);
      openSync("/dev/null", "r+"); // takes the number just given up
    } catch {
      // it was closed from the start
    }
  }
}

const FORWARDED = ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
const FROM_TERMINAL = ["SIGINT", "SIGQUIT"] as const;
/** A program that has not stopped after that time takes Ctrl-Z as a key like others. */
const STOPPING_MILLISECONDS = 1000;
const STOPPING_STEP_MILLISECONDS = 2;

/**
 * Signals to the recorder go on to the program. A terminal sends Ctrl-C and Ctrl-\ to every process in the foreground, the program
 * included: those are not sent twice. Ctrl-Z stops the program first and the recorder after it: the shell takes the terminal when the recorder
 * has stopped, and a program that still puts the terminal's settings back (readline does) would change those of the shell, and eat a key.
 */
function forwardSignals(): { to(pid: number): void; stop(): void } {
  let target = 0;
  const early: NodeJS.Signals[] = [];
  const send = (signal: NodeJS.Signals) => {
    if (target === 0) {
      early.push(signal);
      return;
    }
    try {
      process.kill(target, signal);
    } catch {
      // it ended in this moment
    }
  };
  const sendUnlessTerminal = (signal: NodeJS.Signals) => {
    if (!inForeground()) send(signal);
  };
  // `fg` continues the whole group; a program that had stopped itself alone is continued here.
  const sendIfStopped = (signal: NodeJS.Signals) => {
    if (isStopped(target)) send(signal);
  };
  const stopAfterwards = () => {
    if (!inForeground()) send("SIGTSTP");
    let left = STOPPING_MILLISECONDS / STOPPING_STEP_MILLISECONDS;
    const timer = setInterval(() => {
      if (isStopped(target)) {
        process.off("SIGTSTP", stopAfterwards);
        process.kill(process.pid, "SIGTSTP");
        process.on("SIGTSTP", stopAfterwards); // we go on here
      } else if (--left > 0) return;
      clearInterval(timer);
    }, STOPPING_STEP_MILLISECONDS);
  };
  for (const signal of FORWARDED) process.on(signal, send);
  process.on("SIGCONT", sendIfStopped);
  process.on("SIGTSTP", stopAfterwards);
  for (const signal of FROM_TERMINAL) process.on(signal, sendUnlessTerminal);
  return {
    to(pid) {
      target = pid;
      for (const signal of early.splice(0)) send(signal);
    },
    stop() {
      for (const signal of FORWARDED) process.off(signal, send);
      process.off("SIGCONT", sendIfStopped);
      process.off("SIGTSTP", stopAfterwards);
      for (const signal of FROM_TERMINAL) process.off(signal, sendUnlessTerminal);
    },
  };
}

/** Whether a signal stopped a process (job control, SIGSTOP). */
export function isStopped(pid: number): boolean {
  return pid > 0 && parseStat(readText(`/proc/${pid}/stat`) ?? "").state === "T";
}

/** Whether this process belongs to the foreground group of a terminal. */
export function inForeground(): boolean {
  const stat = parseStat(readText("/proc/self/stat") ?? "");
  return stat.terminalGroup > 0 && stat.terminalGroup === stat.processGroup;
}
