/** Runs oracle.py and reads what the interpreter says about bytecode. */

import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import type { Interpreter } from "../interpreters.ts";

const script = fileURLToPath(new URL("oracle.py", import.meta.url));
export const FLOW_PROGRAM = fileURLToPath(new URL("flow_program.py", import.meta.url));

interface Described {
  hex: number;
  name: string;
  flags: number;
  first: number;
  table: string;
  code: string;
  exceptions: string;
}

export interface StaticCode extends Described {
  starts: number[];
  jumps: [number, number][];
  /** Offsets after the calls of a `finally` (3.8), where its end can go back to. */
  returns: number[];
  handlers: [number, number, number][];
  lines: [number, number | null][];
  /** The source of the function has a loop somewhere; true where that is not known. */
  loops: boolean;
}

export interface SteppedCode extends Described {
  /** Pairs of offsets: a frame of this code went from one to the other. */
  steps: [number, number][];
}

export interface RewrittenCode extends Described {
  /** `code` without what a tracer or the specialiser did to it. */
  plain: string;
}

export function staticCodes(python: Interpreter, modules: readonly string[]): StaticCode[] {
  return ask(python, ["static", ...modules]) as StaticCode[];
}

export function steppedCodes(python: Interpreter, file: string): SteppedCode[] {
  return ask(python, ["dynamic", file]) as SteppedCode[];
}

export function rewrittenCodes(python: Interpreter, how: "tracing" | "warm", file: string): RewrittenCode[] {
  return ask(python, [how, file]) as RewrittenCode[];
}

function ask(python: Interpreter, args: string[]): unknown[] {
  const [file, ...before] = python.command;
  const output = execFileSync(file, [...before, "-W", "ignore", script, ...args], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

export function bytes(base64: string): Uint8Array {
  return Uint8Array.from(Buffer.from(base64, "base64"));
}
