/** The command of a scale: a program in whose words, environment, input or made file `{n}` stands for the size. */
import { statSync } from "node:fs";
import { findExecutable } from "./executable.ts";

export interface ScaleCommand {
  /** What `tidegauge run` takes: `script.py …`, `-m module …`, `-c code …` or `-- command …`, with the places to be filled. */
  readonly words: readonly string[];
  /** Names and values, with the places to be filled. */
  readonly env: readonly (readonly [name: string, value: string])[];
  /** Text for the standard input; undefined: it is empty. */
  readonly stdin: string | undefined;
  /** A line for the shell that makes {file}; undefined: there is no {file}. */
  readonly make: string | undefined;
}

export interface Filled {
  readonly words: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string | undefined;
  readonly make: string | undefined;
}

/** As the program is given it: whole numbers in full, never 1e6. */
export function sizeWord(n: number): string {
  return n.toFixed(0);
}

/** One size put in every place. `file`: the path for {file}. */
export function fill(command: ScaleCommand, n: number, file: string): Filled {
  const put = (text: string): string => text.replaceAll("{n}", sizeWord(n)).replaceAll("{file}", file);
  const quoted = `'${file.replaceAll("'", `'\\''`)}'`;
  return {
    words: command.words.map(put),
    env: Object.fromEntries(command.env.map(([name, value]) => [name, put(value)])),
    stdin: command.stdin === undefined ? undefined : put(command.stdin),
    make: command.make?.replaceAll("{n}", sizeWord(n)).replaceAll("{file}", quoted),
  };
}

/** Why the size cannot reach the program, one sentence; undefined: it does. */
export function problemOf(command: ScaleCommand): string | undefined {
  const places = [...command.words, ...command.env.map(([, value]) => value), command.stdin ?? ""];
  const has = (mark: string): boolean => places.some((text) => text.includes(mark));
  if (command.make !== undefined) {
    if (!command.make.includes("{n}")) return "no {n} in the line of --make: write where the size goes";
    if (!command.make.includes("{file}")) return "no {file} in the line of --make: write where the made file goes";
    if (!has("{file}")) return "no {file} in the program's words: write where the file that --make makes goes";
    return undefined;
  }
  if (has("{file}")) return "{file} needs --make, the line that makes the file, such as: --make 'make.py {n} {file}'";
  if (has("{n}")) return undefined;
  return "no {n} in the program's words: write where the size goes, such as: tidegauge scale --to 1e8 -- analyse.py --rows {n}";
}

/** After `--` a script may stand as it is: what PATH does not find, but is a file or ends in .py, is run with Python. */
export function runWords(words: readonly string[], path: string): string[] {
  const [first = ""] = words;
  if (/^-[mc]/.test(first)) return [...words];
  const isFile = statSync(first, { throwIfNoEntry: false }) !== undefined;
  const script = /\.pyw?$/.test(first) ? !first.includes("/") || !isExecutable(first, path) || isFile : false;
  return script ? [...words] : ["--", ...words];
}

function isExecutable(word: string, path: string): boolean {
  return findExecutable(word, path) !== undefined;
}
