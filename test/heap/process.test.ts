import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { heapAnswer, objectAnswer, typeAnswer } from "../../src/answers/index.ts";
import type { Snapshot } from "../../src/answers/index.ts";
import { takeSnapshot } from "../../src/capture/heap.ts";
import { launcher, oneOfEachMinor } from "../interpreters.ts";

const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) {
    child.stdin?.destroy();
    child.stdout?.destroy();
    child.kill("SIGKILL");
  }
});

/** Starts a program that says "ready" and then waits. */
async function ready(command: readonly string[], ...args: string[]): Promise<number> {
  const [first, ...rest] = command;
  const child = spawn(first!, [...rest, ...args], { stdio: ["pipe", "pipe", "inherit"] });
  started.push(child);
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (text: Buffer) => text.toString().includes("ready") && resolve());
    child.once("exit", (status) => reject(new Error(`ended with ${status} before it was ready`)));
  });
  return child.pid!;
}

const options = { isProcess: true, values: false, launcher };
const program = (name: string): string => join(import.meta.dirname, name);

/** The path to the one object of a type. */
function pathOf(snapshot: Snapshot, type: string): string | undefined {
  const { table } = snapshot.heap;
  const row = table.type.indexOf(table.types.name.indexOf(type));
  return row < 0 ? undefined : objectAnswer(snapshot, row).holder.text;
}

const refusal = async (pid: number, by = launcher): Promise<string> =>
  takeSnapshot(String(pid), { ...options, launcher: by }).then(
    () => "read",
    (error: Error) => error.message,
  );

/** Who keeps each class of holders.py; line numbers and the names of C fields are left open. */
const HOLDERS: [string, RegExp][] = [
  ["InModule", /^__main__\.in_module$/],
  ["InClass", /^__main__\.Holder\.in_class$/],
  ["InClosure", /^__main__\.inner → closure captured$/],
  ["InGenerator", /^__main__\.generator → local suspended of generate$/],
  ["InBoundMethod", /^__main__\.callbacks\[0\].*\.state$/],
  ["CacheKey", /^__main__\.Holder\.cached \(lru_cache, no limit\)/],
  ["InSlot", /^__main__\.in_slots\.value$/],
  ["InDeque", /^__main__\.queue \(deque, 1 of 10\)\[0\]$/],
  ["InContextVar", /ContextVar|variable|context/i],
  ["InTraceback", /^__main__\.kept_error.*local failing of fail/],
  ["InPartial", /^__main__\.partial.*\[0\]$/],
  ["InThread", /^local local_of_thread of work at .*holders\.py:\d+ \(thread .*\)$/],
  ["InLocal", /^local in_local of main at .*holders\.py:\d+( \(thread .*\))?$/],
];

describe.each(oneOfEachMinor())("the heap of CPython $version", ({ command }) => {
  test("says who holds what", async () => {
    const pid = await ready(command, program("holders.py"));
    const snapshot = await takeSnapshot(String(pid), options);
    const found = HOLDERS.map(([name]) => [name, pathOf(snapshot, name)]);
    const wrong = found.filter(([, path], i) => path === undefined || !HOLDERS[i]![1].test(path));
    expect(wrong).toEqual([]);
    // A weak-valued dict holds nothing: the class went at once.
    expect(typeAnswer(snapshot, "InWeakDict")).toBeUndefined();
    const { audit, ledger, rssBytes } = heapAnswer(snapshot);
    expect(audit.refcountsExplained).toBeGreaterThan(0.9);
    expect(audit.bytesFound).toBeGreaterThan(0.9);
    // What is left when everything known is taken off VmRSS: little, and never less than nothing.
    const unexplained = ledger!.children.at(-1)!;
    expect(unexplained.name).toBe("unexplained");
    expect(unexplained.bytes).toBeGreaterThanOrEqual(0);
    expect(unexplained.bytes).toBeLessThan(0.05 * rssBytes!);
  });
});

test("a stopped process stays stopped, a running one goes on", async () => {
  const pid = await ready(["python3"], "-c", "import time\nprint('ready', flush=True)\ntime.sleep(60)");
  const state = (): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))![1]!;
  await takeSnapshot(String(pid), options);
  expect(state()).not.toBe("T");
  process.kill(pid, "SIGSTOP");
  for (let i = 0; i < 200 && state() !== "T"; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  const { facts } = await takeSnapshot(String(pid), options);
  expect(state()).toBe("T");
  expect(facts.stopMilliseconds).toBe(0);
});

/** Starts what makes a process stand still, and waits until it does or cannot be made to. */
async function holding(pid: number): Promise<{ holder: ChildProcess; said: string }> {
  const holder = spawn(launcher, ["hold", String(pid)], { stdio: ["pipe", "pipe", "inherit"] });
  started.push(holder);
  const said = await new Promise<string>((resolve) =>
    holder.stdout!.once("data", (text: Buffer) => resolve(text.toString())),
  );
  return { holder, said };
}

const SLEEPS = "import time\nprint('ready', flush=True)\ntime.sleep(60)";

test("a process that is held goes on when the reader is killed", async () => {
  const pid = await ready(["python3"], "-c", SLEEPS);
  const state = (): string => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))![1]!;
  const { holder, said } = await holding(pid);
  expect(said).toBe("held\n");
  expect(state()).toBe("t");
  holder.kill("SIGKILL");
  for (let i = 0; i < 400 && state() !== "S"; i++) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(state()).toBe("S");
});

test("its parent, a shell for example, is told of no stop", async () => {
  const parent = spawn("python3", ["-c", PARENT], { stdio: ["pipe", "pipe", "inherit"] });
  started.push(parent);
  let said = "";
  parent.stdout!.on("data", (text: Buffer) => (said += text.toString()));
  const line = async (n: number): Promise<string> => {
    while (said.split("\n").length <= n + 1) await new Promise((resolve) => setTimeout(resolve, 5));
    return said.split("\n")[n]!;
  };
  await takeSnapshot(await line(0), options);
  parent.stdin!.write("\n");
  expect(await line(1)).toBe("(0, 0) 0");
});

const PARENT = `
import os, signal, sys, time
told = []
signal.signal(signal.SIGCHLD, lambda *_: told.append(1))
ready, here = os.pipe()
child = os.fork()
if child == 0:
    os.write(here, b"x")
    while True: time.sleep(60)
os.read(ready, 1)
print(child, flush=True)
sys.stdin.readline()
print(os.waitpid(child, os.WNOHANG | os.WUNTRACED | os.WCONTINUED), len(told), flush=True)
os.kill(child, signal.SIGKILL)
`;

test("a process that a debugger runs is left to it", async () => {
  const pid = await ready(["python3"], "-c", SLEEPS);
  // Something that traces without stopping.
  const tracer = await ready(["python3"], "-c", TRACER, String(pid));
  expect(await refusal(pid)).toMatch(/^process \d+ cannot be made to stand still: a debugger or tracer has it/);
  process.kill(tracer, "SIGKILL");
});

const TRACER = `
import ctypes, sys, time
PTRACE_SEIZE = 0x4206
assert ctypes.CDLL(None).ptrace(PTRACE_SEIZE, ctypes.c_long(int(sys.argv[1])), None, None) == 0
print("ready", flush=True)
time.sleep(60)
`;

test("a process that ends meanwhile is named as what it is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegauge-heap-"));
  const killer = join(folder, "killer");
  writeFileSync(killer, `#!/bin/sh\nkill -9 $2\necho held\ncat\n`, { mode: 0o755 });
  const pid = await ready(["python3"], "-c", SLEEPS);
  expect(await refusal(pid, killer)).toBe(`process ${pid} ended while it was read`);
  rmSync(folder, { recursive: true });
});

test("what cannot be read is refused in one sentence", async () => {
  expect(await refusal(4_194_999)).toBe("there is no process 4194999");
  const pid = await ready(["sh", "-c", "echo ready; exec sleep 60"]);
  expect(await refusal(pid)).toBe(`process ${pid} runs no CPython: nothing in its memory looks like an interpreter`);
});
