import { describe, expect, test } from "vitest";

import { decodeInstructions, instructionStarts } from "../../src/views/blocks/instructions.ts";
import { decodeCode } from "../../src/views/blocks/loops.ts";
import { interpreters, missing } from "../interpreters.ts";
import { differences, impossibleSteps } from "./compare.ts";
import { FLOW_PROGRAM, bytes, rewrittenCodes, staticCodes, steppedCodes } from "./oracle.ts";

/** Modules with every kind of statement: classes, generators, coroutines, pattern matching where there is one, deep nesting, long functions. */
const MODULES = ["asyncio.tasks", "dataclasses", "contextlib", "zipfile"];

const COROUTINES = 0x80 | 0x200; // co_flags: coroutine, asynchronous generator

for (const python of interpreters()) {
  describe(`bytecode of CPython ${python.version}`, () => {
    test("reads as the interpreter's own dis reads it: instructions, jumps, handlers, lines", () => {
      const codes = staticCodes(python, MODULES);
      expect(codes.length).toBeGreaterThan(300);
      expect(codes.flatMap(differences)).toEqual([]);
    });

    test("can take every step that a running program took", () => {
      const codes = steppedCodes(python, FLOW_PROGRAM);
      expect(codes.length).toBeGreaterThan(20);
      expect(codes.flatMap(impossibleSteps)).toEqual([]);
    });

    const rewrites = python.minor !== "3.8" && python.minor !== "3.9" && python.minor !== "3.10";
    test.runIf(rewrites)("reads the same when the specialiser has rewritten it", () => {
      const codes = rewrittenCodes(python, "warm", FLOW_PROGRAM);
      expect(codes.some((code) => code.code !== code.plain)).toBe(true);
      for (const code of codes) {
        const rewritten = decodeInstructions(code.hex, bytes(code.code), bytes(code.exceptions));
        expect(rewritten).toEqual(decodeInstructions(code.hex, bytes(code.plain), bytes(code.exceptions)));
      }
    });

    // What is hidden can only be guessed. The loop of a `for` is found again; of coroutines not every instruction is.
    test.runIf(rewrites)(
      "has the same instructions when a tracer's instruments hide opcodes, but in coroutines",
      () => {
        const codes = rewrittenCodes(python, "tracing", FLOW_PROGRAM).filter((code) => (code.flags & COROUTINES) === 0);
        expect(codes.length).toBeGreaterThan(10);
        for (const code of codes) {
          const starts = instructionStarts(code.hex, bytes(code.plain));
          expect(instructionStarts(code.hex, bytes(code.code), bytes(code.table)), code.name).toEqual(starts);
        }
        const long = codes.find((code) => code.name === "long_loop")!;
        const flow = decodeCode(long.hex, bytes(long.code), bytes(long.exceptions), bytes(long.table));
        const starts = [...instructionStarts(long.hex, bytes(long.plain))];
        expect(starts.filter((start) => flow.inLoop(start)).length).toBeGreaterThan(starts.length / 2);
      },
    );
  });
}

for (const { minor, skip } of missing()) test.skip(`bytecode of CPython ${minor} ${skip}`, () => {});
