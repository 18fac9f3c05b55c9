/** Compares our reading of one code object with the interpreter's own; answers the differences as sentences, none when all is equal. */

import { decodeInstructions } from "../../src/views/blocks/instructions.ts";
import { lineTable } from "../../src/views/blocks/linetable.ts";
import { decodeCode } from "../../src/views/blocks/loops.ts";
import { bytes } from "./oracle.ts";
import type { StaticCode, SteppedCode } from "./oracle.ts";

export function differences(code: StaticCode): string[] {
  return [...instructionDifferences(code), ...lineDifferences(code), ...inventedLoops(code)].map(
    (text) => `${code.name}:${code.first} ${text}`,
  );
}

function instructionDifferences(code: StaticCode): string[] {
  const read = decodeInstructions(code.hex, bytes(code.code), bytes(code.exceptions));
  if (!read) return ["cannot be read"];
  const found: string[] = [];
  if (read.starts.join() !== code.starts.join())
    found.push(`instructions start at ${read.starts.join()}, not at ${code.starts.join()}`);
  const ours = new Map(Array.from(read.jump, (target, i) => [read.starts[i], target < 0 ? -1 : read.starts[target]]));
  for (const [from, to] of code.jumps) {
    const target = ours.get(from)!;
    const isWaiting = target === -1 && to < from; // the loop of an await, left out on purpose
    if (target !== to && !isWaiting) found.push(`jump at ${from} goes to ${target}, not to ${to}`);
  }
  const known = new Set(code.jumps.map(([from]) => from));
  for (const [from, to] of ours) {
    if (to !== -1 && !known.has(from!) && !code.returns.includes(to!))
      found.push(`the jump from ${from} to ${to} does not exist`);
  }
  for (const [start, end, target] of code.handlers) {
    for (let i = 0; i < read.count; i++) {
      if (read.starts[i]! < start || read.starts[i]! >= end) continue;
      if (read.starts[read.handler[i]!] !== target)
        found.push(`an error at ${read.starts[i]} is handled at ${read.starts[read.handler[i]!]}, not at ${target}`);
    }
  }
  return found;
}

/** The line of every instruction; where the interpreter has none, the nearest earlier one that it has. */
function lineDifferences(code: StaticCode): string[] {
  const line = lineTable(code.hex, code.first, bytes(code.table));
  const found: string[] = [];
  let truth = code.first;
  let next = 0;
  for (const start of code.starts) {
    for (; next < code.lines.length && code.lines[next]![0] <= start; next++) truth = code.lines[next]![1] ?? truth;
    if (line(start) !== truth) found.push(`${start} has line ${line(start)}, not ${truth}`);
  }
  return found;
}

/** No loop in the source, none in the flow. */
function inventedLoops(code: StaticCode): string[] {
  if (code.loops) return [];
  const flow = decodeCode(code.hex, bytes(code.code), bytes(code.exceptions));
  return code.starts
    .filter((start) => flow.inLoop(start))
    .map((start) => `${start} is in a loop that the source does not have`);
}

/** Steps that a frame took although they are said to be impossible, and instructions that ran twice but are in no loop. */
export function impossibleSteps(code: SteppedCode): string[] {
  const flow = decodeCode(code.hex, bytes(code.code), bytes(code.exceptions));
  const found: string[] = [];
  for (const [from, to] of code.steps) {
    if (!flow.reachable(from, to)) found.push(`${code.name}: from ${from} to ${to}`);
  }
  return found;
}
