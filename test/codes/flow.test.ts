import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { lineTable } from "../../src/views/blocks/linetable.ts";
import { decodeCode } from "../../src/views/blocks/loops.ts";
import opcodes from "../../src/views/blocks/opcodes.json" with { type: "json" };

const VERSIONS = Object.keys(opcodes).map((version) => {
  const [major, minor] = version.split(".").map(Number);
  return (major! << 24) | (minor! << 16);
});
const NOTHING = new Uint8Array(0);

describe("the control flow of 3.8", () => {
  // for x in it: f(x); then g()
  const GET_ITER = 68;
  const FOR_ITER = 93;
  const STORE = 125;
  const CALL = 131;
  const POP = 1;
  const JUMP = 113; // absolute
  const RETURN = 83;
  const loop = [GET_ITER, 0, FOR_ITER, 8, STORE, 0, CALL, 1, POP, 0, JUMP, 2, CALL, 0, RETURN, 0];
  const flow = decodeCode(0x03080000, Uint8Array.from(loop), NOTHING);

  test("knows what is in a loop", () => {
    const inLoop = [0, 2, 4, 6, 8, 10, 12, 14].filter((offset) => flow.inLoop(offset));
    expect(inLoop).toEqual([2, 4, 6, 8, 10]);
  });

  test("a call in a loop can come again, the one after it cannot, and there is no way back", () => {
    expect(flow.reachable(6, 6)).toBe(true);
    expect(flow.reachable(8, 4)).toBe(true);
    expect(flow.reachable(6, 12)).toBe(true);
    expect(flow.reachable(12, 6)).toBe(false);
    expect(flow.reachable(12, 12)).toBe(false);
    expect(flow.reachable(0, 0)).toBe(false);
  });

  test("an offset inside an instruction means that instruction, one outside the code itself", () => {
    expect([flow.instructionStart(7), flow.instructionStart(6), flow.instructionStart(1_000)]).toEqual([6, 6, 1_000]);
  });
});

test("a loop that the optimiser of 3.13 put an executor on is still a loop", () => {
  const { enterExecutor, forIter, endFor, ends } = opcodes["3.13"];
  const LOAD = 85;
  const before = [LOAD, 0, LOAD, 0, LOAD, 0, LOAD, 0];
  const loop = [forIter, 4, 0, 0, LOAD, 0, LOAD, 0, enterExecutor, 7, 0, 0];
  const after = [endFor, 0, LOAD, 0, ends[0]!, 0];
  const flow = decodeCode(0x030d0000, Uint8Array.from([...before, ...loop, ...after]), NOTHING);
  expect([0, 6, 8, 12, 14, 16, 20, 22].filter((offset) => flow.inLoop(offset))).toEqual([8, 12, 14, 16]);
});

describe("without bytecode, or of a version that is not known", () => {
  test.each([
    ["left out", decodeCode(0x030b0000, NOTHING, NOTHING)],
    ["of 3.99", decodeCode(0x03630000, Uint8Array.of(9, 0, 9, 0), NOTHING)],
  ])("%s: forward is reachable, nothing is in a loop", (_, flow) => {
    expect([flow.reachable(0, 2), flow.reachable(2, 0), flow.inLoop(0), flow.instructionStart(3)]).toEqual([
      true,
      false,
      false,
      3,
    ]);
  });
});

function linesOf(hex: number, first: number, table: number[], offsets: number[]): number[] {
  return offsets.map(lineTable(hex, first, Uint8Array.from(table)));
}

describe("lines", () => {
  test("of 3.8: bytes and lines, lines may go back", () => {
    expect(linesOf(0x03080000, 10, [4, 1, 6, 0xfe], [0, 2, 4, 8, 10, 99])).toEqual([10, 10, 11, 11, 9, 9]);
  });

  test("of 3.10: a range without a line has that of the one before it", () => {
    expect(linesOf(0x030a0000, 10, [4, 1, 4, 0x80, 2, 2], [0, 4, 8])).toEqual([11, 11, 13]);
  });

  test("of 3.11: short, one-line, long and empty entries", () => {
    const short = [0x80 | (0 << 3) | 1, 0x12]; // two units on the line in force
    const nextLine = [0x80 | (11 << 3) | 0, 4, 9]; // one unit, one line on
    const long = [0x80 | (14 << 3) | 2, 0x06, 0, 1, 1]; // three units, three lines on
    const none = [0x80 | (15 << 3) | 0];
    const back = [0x80 | (13 << 3) | 0, 0x05]; // one unit, two lines back
    expect(
      linesOf(0x030b0000, 10, [...short, ...nextLine, ...long, ...none, ...back], [0, 2, 4, 6, 10, 12, 14]),
    ).toEqual([10, 10, 11, 14, 14, 14, 12]);
  });
});

test("no bytes are too broken to be asked about (property)", () => {
  const bytes = fc.uint8Array({ maxLength: 200 });
  const offset = fc.nat({ max: 220 });
  fc.assert(
    fc.property(
      fc.constantFrom(...VERSIONS),
      bytes,
      bytes,
      bytes,
      offset,
      offset,
      (hex, code, exceptions, lines, p, q) => {
        const flow = decodeCode(hex, code, exceptions, lines);
        const start = flow.instructionStart(p);
        expect(start).toBeLessThanOrEqual(p);
        expect(flow.instructionStart(start)).toBe(start);
        if (p < code.length) expect(flow.reachable(p, p)).toBe(flow.inLoop(p));
        // A way there and a way back make a loop.
        if (
          p < code.length &&
          q < code.length &&
          flow.reachable(p, q) &&
          flow.reachable(q, p) &&
          start !== flow.instructionStart(q)
        ) {
          expect(flow.inLoop(p) || hidesJumps(hex, code)).toBe(true);
        }
        expect(lineTable(hex, 7, lines)(q)).toBeGreaterThanOrEqual(0);
      },
    ),
    { numRuns: 5_000 },
  );
});

/** Where instruments hide opcodes everything further on counts as reachable. */
function hidesJumps(hex: number, code: Uint8Array): boolean {
  const version = opcodes[`3.${(hex >>> 16) & 255}` as keyof typeof opcodes];
  return code.some((opcode) => (version.hidden as number[]).includes(opcode));
}
