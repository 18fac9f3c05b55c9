/** Python interpreters of this machine, and whether their programs can be recorded by blocks: each is tried. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { encodeSettings, parseAgentFileName, SETTINGS_FILE } from "../../tide/runfolder.ts";
import { listFolder } from "../proc/read.ts";
import { findExecutable, findObstacle } from "./executable.ts";

export interface Interpreter {
  path: string;
  /** "CPython 3.11.7"; "" when it does not run. */
  version: string;
  supported: boolean;
  /** Why not; "" when it is supported. */
  reason: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

const PATIENCE_MILLISECONDS = 10_000;
const AT_ONCE = 2;

/** Every interpreter once, by the file that it really is. `agent`: undefined when there is none to try with. */
export async function findInterpreters(agent: string | undefined, env: Environment): Promise<Interpreter[]> {
  const found: Interpreter[] = [];
  const waiting = candidates(env);
  const worker = async () => {
    for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
      const interpreter = await tryInterpreter(path, agent, env);
      if (interpreter) found.push(interpreter);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const byFile = new Map<string, Interpreter>();
  for (const interpreter of found) if (!byFile.has(interpreter.path)) byFile.set(interpreter.path, interpreter);
  return [...byFile.values()].toSorted(
    (a, b) => versionOrder(a.version) - versionOrder(b.version) || (a.path < b.path ? -1 : 1),
  );
}

/** Files that may be interpreters: the virtual environment's, those in PATH, and those of version managers. */
function candidates(env: Environment): string[] {
  const path = env.PATH ?? "";
  const names = ["python3", "python", ...Array.from({ length: 12 }, (_, i) => `python3.${i + 6}`)];
  const inFolder = (folder: string) => names.map((name) => findExecutable(`${folder}/${name}`, path));
  const managed = [
    join(env.PYENV_ROOT ?? join(homedir(), ".pyenv"), "versions"),
    join(homedir(), ".local/share/uv/python"),
  ];
  const files = [
    ...(env.VIRTUAL_ENV ? inFolder(join(env.VIRTUAL_ENV, "bin")) : []),
    ...path.split(":").flatMap((folder) => inFolder(folder === "" ? "." : folder)),
    ...managed.flatMap((folder) => listFolder(folder).flatMap((version) => inFolder(join(folder, version, "bin")))),
  ];
  const real = files.flatMap((file) => (file === undefined ? [] : [realpathSync(file)]));
  return [...new Set(real)];
}

const QUESTION =
  "import sys, platform; print(platform.python_implementation(), '.'.join(map(str, sys.version_info[:3])), sys.executable)";

/** undefined: what is there is no interpreter, or only a script that starts another. */
async function tryInterpreter(
  path: string,
  agent: string | undefined,
  env: Environment,
): Promise<Interpreter | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "tidegauge-doctor-"));
  try {
    writeFileSync(
      join(folder, SETTINGS_FILE),
      encodeSettings({
        mode: "exact",
        interval: 0,
        overhead: 0,
        maxBytes: 0,
        snapshots: "none",
        memoryLimit: 0,
        started: process.hrtime.bigint(),
      }),
    );
    const preload = agent === undefined ? {} : { LD_PRELOAD: agent, TIDEGAUGE_RUN: folder };
    const answer = await output(path, ["-c", QUESTION], { ...env, ...preload });
    const match = /^(\S+) (\S+) (.*)$/m.exec(answer);
    if (!match) return undefined;
    const own = realpathSync(match[3]!);
    return { path: own, version: `${match[1]} ${match[2]}`, ...verdict(own, folder, agent, env) };
  } catch {
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function verdict(
  path: string,
  folder: string,
  agent: string | undefined,
  env: Environment,
): { supported: boolean; reason: string } {
  if (agent === undefined) return { supported: false, reason: "the agent is not built" };
  const obstacle = findObstacle(path, env.PATH ?? "");
  if (obstacle !== undefined) return { supported: false, reason: obstacle };
  const files = readdirSync(folder).map((name) => ({ name, file: parseAgentFileName(name) }));
  const off = files.find(({ file }) => file?.kind === "off");
  if (off) return { supported: false, reason: readFileSync(join(folder, off.name), "utf8").trim() };
  if (files.some(({ file }) => file?.kind === "events")) return { supported: true, reason: "" };
  return { supported: false, reason: "the agent does not recognise it" };
}

function output(file: string, args: string[], env: Environment): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { env: env as NodeJS.ProcessEnv, timeout: PATIENCE_MILLISECONDS, encoding: "utf8" as const };
    execFile(file, args, options, (error, stdout) => (error ? reject(error) : resolve(stdout)));
  });
}

function versionOrder(version: string): number {
  const [major, minor, patch] = /(\d+)\.(\d+)\.(\d+)/.exec(version)?.slice(1).map(Number) ?? [0, 0, 0];
  return major! * 1e6 + minor! * 1e3 + patch!;
}
