/** Programs that wait to be read, and their heaps. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GranuleMap } from "../../src/capture/allocators/blocks.ts";
import { walkGlibc } from "../../src/capture/allocators/glibc.ts";
import { walkPymalloc } from "../../src/capture/allocators/pymalloc.ts";
import { locate, readHeap } from "../../src/capture/cpython/read.ts";
import type { ReadResult } from "../../src/capture/cpython/read.ts";
import { captureLive } from "../../src/capture/image/live.ts";
import { launcher } from "../interpreters.ts";
import type { Interpreter } from "../interpreters.ts";

const PATIENCE = 60_000;

export interface Waiting {
  pid: number;
  /** the file or prefix that the program was given */
  out: string;
  stop: () => void;
}

/** Starts a program with a path of its own as the first argument and waits until `path.ready` exists. */
export async function startWaiting(python: Interpreter, args: (out: string) => string[]): Promise<Waiting> {
  const folder = mkdtempSync(join(tmpdir(), "cpython-test-"));
  const out = join(folder, "out");
  const [command, ...before] = python.command;
  const child = spawn(command, [...before, ...args(out)], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (text: Buffer) => (said += String(text)));
  const until = Date.now() + PATIENCE;
  while (!existsSync(`${out}.ready`)) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`the program did not get ready: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { pid: child.pid!, out, stop: () => end(child, folder) };
}

function end(child: ChildProcess, folder: string): void {
  child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}

export async function heapOf(pid: number): Promise<ReadResult> {
  const target = await captureLive(pid, { launcher });
  const runtime = locate(target);
  const blocks = new GranuleMap(target.image);
  const small = walkPymalloc(target.image, runtime, blocks);
  const arenas = { addresses: small.addresses, bytes: small.arenaBytes / Math.max(1, small.arenas) };
  walkGlibc(target, blocks, arenas);
  return readHeap(target, blocks, { runtime });
}
