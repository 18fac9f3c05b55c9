/** Runs the command line as a user would, in a folder of its own. */
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";

export const root = fileURLToPath(new URL("../../", import.meta.url));
/** TIDEGAUGE_COMMAND: another way to start the tool than `./tidegauge`. */
export const tidegauge = process.env.TIDEGAUGE_COMMAND ?? join(root, "tidegauge");
/** The interpreter itself: `python3` may be a shell script that looks for one. */
export const python = execFileSync("python3", ["-c", "import sys; print(sys.executable)"], { encoding: "utf8" }).trim();

export interface Outcome {
  /** As a shell sees it: the exit status, or 128 + the signal. */
  status: number | null;
  stdout: string;
  stderr: string;
}

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A fresh folder with these files in it; it is removed when the tests of the file are over. */
export function folderWith(files: Record<string, string | Buffer> = {}): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "tidegauge-test-")));
  folders.push(folder);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  return folder;
}

interface Circumstances {
  cwd: string;
  env?: NodeJS.ProcessEnv;
  input?: string;
}

export function call(words: string[], { cwd, env = process.env, input = "" }: Circumstances): Outcome {
  const { status, stdout, stderr } = spawnSync(tidegauge, words, { cwd, env, input, encoding: "utf8" });
  return { status, stdout, stderr };
}

/** `tidegauge run` of a Python text, quiet, with the options given. */
export function runText(text: string, options: string[] = ["-q"], args: string[] = []): Outcome & { folder: string } {
  const folder = folderWith({ "program.py": text });
  const outcome = call(["run", "--python", python, ...options, "program.py", ...args], { cwd: folder });
  return { ...outcome, folder };
}

export function startText(
  text: string,
  options: string[] = ["-q"],
): { process: ChildProcess; folder: string; output: () => string } {
  const folder = folderWith({ "program.py": text });
  const child = spawn(tidegauge, ["run", "--python", python, ...options, "program.py"], { cwd: folder });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return { process: child, folder, output: () => output };
}

/** Waits until something holds; fails with what was awaited after ten seconds. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain until ${what}`);
}

export function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve) => child.once("close", (status, signal) => resolve(signal ? -1 : (status ?? -1))));
}

export function recordings(folder: string): string[] {
  return readdirSync(folder).filter((name) => /\.tide(\.run)?$/.test(name));
}
