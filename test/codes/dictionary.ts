/** Dictionaries of event files, from text: one stack a line, outermost frame first, frames as `FILE:LINE FUNCTION`, separated by ` > `. */

import { NO_RECORD, OFFSET_CUT, OFFSET_UNKNOWN } from "../../src/tide/events.ts";
import type { CodeRecord, Dictionary, NativeRecord } from "../../src/tide/events.ts";
import type { Program } from "../../src/views/blocks/codes.ts";

export const PYTHON_39 = 0x030912f0;
const LINES = 500;
const NOP = 9;

/** In codes made here the instruction of line n is at offset 2 (n - 1). */
export function pythonCode(file: string, name: string, more: Partial<CodeRecord> = {}): CodeRecord {
  const code: CodeRecord = {
    kind: "python",
    firstLine: 1,
    flags: 0,
    name,
    qualname: "",
    file,
    lineTable: Uint8Array.from({ length: LINES * 2 }, (_, i) => (i % 2 === 0 ? 2 : 1)),
    bytecode: Uint8Array.from({ length: LINES * 2 }, (_, i) => (i % 2 === 0 ? NOP : 0)),
    exceptionTable: new Uint8Array(0),
  };
  return { ...code, ...more };
}

export interface DictionaryBuilder {
  /** Adds a stack; answers the node of its innermost frame. Frames: `FILE:LINE FUNCTION`, `…` (not kept), `FUNCTION again` (folded), `@ADDRESS` (native). */
  stack(text: string): number;
  /** Adds a node by hand. */
  node(parent: number, code: number, offset: number): number;
  code(record: CodeRecord | NativeRecord): number;
  mappings(text: string): void;
  finish(): Dictionary;
}

/** @param first the node and code ids to begin with: those below are a fork parent's */
export function dictionaryBuilder(first = { nodes: 1, codes: 1 }): DictionaryBuilder {
  const parents: number[] = Array.from({ length: first.nodes }, () => 0);
  const codes: number[] = Array.from({ length: first.nodes }, () => NO_RECORD);
  const offsets: number[] = Array.from({ length: first.nodes }, () => 0);
  const records: (CodeRecord | NativeRecord | undefined)[] = [];
  records.length = first.codes;
  const codeIds = new Map<string, number>();
  const nodeIds = new Map<string, number>();
  const mappings: string[] = [];

  const code = (record: CodeRecord | NativeRecord): number => records.push(record) - 1;
  const codeOf = (key: string, make: () => CodeRecord | NativeRecord): number => {
    if (!codeIds.has(key)) codeIds.set(key, code(make()));
    return codeIds.get(key)!;
  };
  const node = (parent: number, codeId: number, offset: number): number => {
    const key = `${parent} ${codeId} ${offset}`;
    if (!nodeIds.has(key)) {
      nodeIds.set(key, parents.push(parent) - 1);
      codes.push(codeId);
      offsets.push(offset);
    }
    return nodeIds.get(key)!;
  };
  const frame = (parent: number, text: string): number => {
    if (text === "…") return node(parent, 0, OFFSET_CUT);
    if (text.startsWith("@"))
      return node(
        parent,
        codeOf(text, () => ({ kind: "native", address: parseInt(text.slice(1), 16) })),
        0,
      );
    const [, file, line, name] = /^(.+):(\d+|again) (.+)$/.exec(text)!;
    const id = codeOf(`${file} ${name}`, () => pythonCode(file!, name!));
    return node(parent, id, line === "again" ? OFFSET_UNKNOWN : 2 * (Number(line) - 1));
  };
  return {
    stack: (text) => text.split(" > ").reduce(frame, 0),
    node,
    code,
    mappings: (text) => void mappings.push(text),
    finish: () => ({
      nodes: { parent: Uint32Array.from(parents), code: Uint32Array.from(codes), offset: Uint32Array.from(offsets) },
      codes: records,
      strings: [],
      threads: [],
      mappings,
    }),
  };
}

/** A stack of the program in the words of `stack()`: outermost first. */
export function stackText(program: Program, stack: number): string {
  const frames: string[] = [];
  for (let at = stack; at !== 0xffff_ffff; at = program.stackParent[at]!)
    frames.push(frameText(program, program.stackFrame[at]!));
  return frames.toReversed().join(" > ");
}

export function frameText(program: Program, frame: number): string {
  const code = program.frameCode[frame]!;
  return placeText(program, code, program.frameLine[frame]!);
}

export function siteText(program: Program, stack: number): string {
  const site = program.stackSite[stack]!;
  return placeText(program, program.siteCode[site]!, program.siteLine[site]!);
}

function placeText(program: Program, code: number, line: number): string {
  const [file, name] = [program.codeFile[code]!, program.codeName[code]!];
  return file === "" ? name : `${file}:${line} ${name}`;
}
