import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { heapAnswer, objectAnswer, typeAnswer } from "../../src/answers/index.ts";
import type { Snapshot } from "../../src/answers/index.ts";
import { takeSnapshot } from "../../src/capture/heap.ts";
import { oneOfEachMinor } from "../interpreters.ts";

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

const options = { isProcess: true, values: false, stop: true };
const program = (name: string): string => join(import.meta.dirname, name);

/** The path to the one object of a type. */
function pathOf(snapshot: Snapshot, type: string): string | undefined {
  const { table } = snapshot.heap;
  const row = table.type.indexOf(table.types.name.indexOf(type));
  return row < 0 ? undefined : objectAnswer(snapshot, row).holder.text;
}

const refusal = async (pid: number): Promise<string> =>
  takeSnapshot(String(pid), options).then(
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
    const sum = ledger!.children.reduce((total, { bytes }) => total + bytes, 0);
    expect(Math.abs(sum - rssBytes!)).toBeLessThan(0.001 * rssBytes!);
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

test("what cannot be read is refused in one sentence", async () => {
  expect(await refusal(4_194_999)).toBe("there is no process 4194999");
  const pid = await ready(["sh", "-c", "echo ready; exec sleep 60"]);
  expect(await refusal(pid)).toBe(`process ${pid} runs no CPython: nothing in its memory looks like an interpreter`);
});
