/** From what the user asked for to the command that is started, with everything that can be found wrong before it is. */
import { readdirSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { findExecutable, findObstacle, parseElfHead, parseShebang, readHead, type Obstacle } from "./executable.ts";
import { Refusal, reasonOf, statusOf } from "./refusal.ts";

export type Target =
  | { kind: "script"; path: string; args: string[] }
  | { kind: "module"; name: string; args: string[] }
  | { kind: "code"; code: string; args: string[] }
  | { kind: "command"; argv: string[] };

export interface Program {
  /** The file to execute, and its arguments (the first is its name). */
  file: string;
  argv: string[];
  /** How many of the last arguments are the user's own words, unchanged and in order. */
  tail: number;
  /** What the recording is called after: a word that is safe in a file name. */
  name: string;
  obstacle: Obstacle;
  /** The interpreter is a script (a version manager's shim) that works out which Python to become; its helpers are not the program's. */
  throughScript: boolean;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Throws a Refusal when the program cannot be started. */
export function prepareProgram(target: Target, python: string | undefined, env: Environment): Program {
  if (target.kind === "command") return prepareCommand(target.argv, env);
  if (target.kind === "script") checkScript(target.path, env.PATH ?? "");
  const [file, name] = findPython(python, env);
  const words =
    target.kind === "script"
      ? [target.path, ...target.args]
      : target.kind === "module"
        ? ["-m", target.name, ...target.args]
        : ["-c", target.code, ...target.args];
  // `-mNAME` may have been one word: only what follows it is surely the user's own.
  const tail = target.kind === "script" ? words.length : target.args.length;
  return {
    file,
    argv: [name, ...words],
    tail,
    name: nameOf(target),
    obstacle: findObstacle(file, env.PATH ?? ""),
    throughScript: isShim(file),
  };
}

function prepareCommand(argv: string[], env: Environment): Program {
  const word = argv[0]!;
  const file = findExecutable(word, env.PATH ?? "");
  if (!file) throw new Refusal(2, `cannot run ${word}: ${whyNotExecutable(word)}`);
  const obstacle = findObstacle(file, env.PATH ?? "");
  const throughScript = isShim(file) || isShim(interpreterOf(file, env.PATH ?? "") ?? "");
  return { file, argv, tail: argv.length, name: safeName(basename(word)), obstacle, throughScript };
}

/** A script by the name of an interpreter. */
function isShim(file: string): boolean {
  return /python|pypy/i.test(basename(file)) && shebangOf(file) !== undefined;
}

/** What a script's first line names, as a file. */
function interpreterOf(file: string, path: string): string | undefined {
  const shebang = shebangOf(file);
  return shebang?.viaPath ? findExecutable(shebang.command, path) : shebang?.command;
}

function shebangOf(file: string) {
  try {
    return parseShebang(readHead(file));
  } catch {
    return undefined;
  }
}

function whyNotExecutable(word: string): string {
  if (!word.includes("/")) return "no program of this name in PATH";
  try {
    if (statSync(word).isDirectory()) return "it is a folder";
  } catch (error) {
    return reasonOf(error);
  }
  return `it is not executable; try: chmod +x ${word}`;
}

/** The interpreter's file and the word it is called by: the virtual environment's, else `python3` as PATH finds it. */
function findPython(asked: string | undefined, env: Environment): [file: string, name: string] {
  const path = env.PATH ?? "";
  if (asked !== undefined) {
    const file = findExecutable(asked, path);
    if (file) return [file, asked];
    throw new Refusal(2, `no Python interpreter ${asked}: ${whyNotExecutable(asked)}`);
  }
  const venv = env.VIRTUAL_ENV;
  for (const name of ["python3", "python"]) {
    const own = venv ? findExecutable(`${resolve(venv)}/bin/${name}`, path) : undefined;
    if (own) return [own, own];
  }
  for (const name of ["python3", "python"]) {
    const file = findExecutable(name, path);
    if (file) return [file, name];
  }
  throw new Refusal(2, "no python3 in PATH; install Python 3, or name an interpreter with --python");
}

/** Python reads text, byte code, zip files and folders with a __main__.py; everything else is told here, in one sentence. */
function checkScript(path: string, searchPath: string): void {
  if (path === "-") return;
  let head: Uint8Array;
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) {
      if (readdirSync(path).includes("__main__.py")) return;
      throw new Refusal(2, `cannot run ${path}: it is a folder without a __main__.py; name a script in it`);
    }
    if (!stat.isFile()) return; // a pipe such as <(…): reading it would eat it
    head = readHead(path);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const command = !path.includes("/") && findExecutable(path, searchPath) !== undefined;
    const advice = command ? `; for a command write: tidegauge run -- ${path}` : "";
    throw new Refusal(statusOf(error), `cannot run ${path}: ${reasonOf(error)}${advice}`);
  }
  const zip = head[0] === 0x50 && head[1] === 0x4b;
  const byteCode = head[2] === 0x0d && head[3] === 0x0a;
  if (zip || byteCode || !head.includes(0)) return;
  const what = parseElfHead(head)
    ? `it is a program; try: tidegauge run -- ${asPath(path)}`
    : "it is no Python text (it holds NUL bytes)";
  throw new Refusal(2, `cannot run ${path} as a Python script: ${what}`);
}

function asPath(path: string): string {
  return path.includes("/") ? path : join(".", "/", path);
}

function nameOf(target: Exclude<Target, { kind: "command" }>): string {
  if (target.kind === "module") return safeName(target.name);
  if (target.kind === "code") return "code";
  const name = basename(resolve(target.path)).replace(/\.(py|pyw|pyc|pyz)$/i, "");
  return target.path === "-" ? "stdin" : safeName(name);
}

function safeName(name: string): string {
  return name.replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 80) || "program";
}
