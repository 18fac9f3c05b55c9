import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { interpreters } from "../interpreters.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const program = fileURLToPath(new URL("known.py", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "differential-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const python = (interpreters().find((one) => one.minor === "3.11") ?? interpreters()[0]).command[0];

interface Amount {
  bytes: number;
  low: number;
  high: number;
  count: number;
}
type Known = Record<string, { allocated: [number, number]; live: [number, number] }>;
interface Line {
  source: string;
  live: Amount | null;
  allocated: Amount | null;
}

/** Runs the program that knows, and gives what it knows beside the recording's line for each of its functions. */
function compare(options: string[]): { name: string; known: Known[string]; line: Line }[] {
  const recording = join(folder, "t.tide");
  const tidegauge = join(root, "tidegauge");
  const run = ["run", "-q", "-f", ...options, "-o", recording, "--", python, "-I", "-S", "-B", program];
  const known = JSON.parse(execFileSync(tidegauge, run, { encoding: "utf8" })) as Known;
  const answer = execFileSync(tidegauge, ["lines", recording, program, "--json"], { encoding: "utf8" });
  const file = (JSON.parse(answer) as { files: { path: string; lines: Line[] }[] }).files.find(
    (one) => one.path === program,
  )!;
  // The allocating line of each function, by the order in which they stand in the file.
  const lines = file.lines.filter((line) => /^\s*(thing = bytes|place = )/.test(line.source));
  return Object.entries(known).map(([name, truth], i) => ({ name, known: truth, line: lines[i] }));
}

describe("a program that knows its own allocations", () => {
  test("is recorded to the byte in exact mode", () => {
    for (const { name, known, line } of compare(["--exact"])) {
      // ctypes allocates too, to pass its arguments: only the native line may have more, and by little.
      const slack = name === "native" ? 3000 * 6 * 200 : 0;
      for (const which of ["live", "allocated"] as const) {
        const [bytes, count] = known[which];
        const amount = line[which]!;
        expect(amount.low, `${name} ${which}`).toBe(amount.bytes);
        expect(amount.high, `${name} ${which}`).toBe(amount.bytes);
        if (slack === 0) expect([amount.bytes, amount.count], `${name} ${which}`).toEqual([bytes, count]);
        else expect(amount.bytes).toBeGreaterThanOrEqual(bytes);
        expect(amount.bytes - bytes).toBeLessThanOrEqual(which === "live" ? slack / 100 : slack);
      }
    }
  });

  test.each([
    ["at a fixed interval", ["--interval", "16KiB"]],
    ["adaptively", []],
    ["adaptively with next to no budget", ["--max-overhead", "0.5"]],
  ])("is estimated within its intervals when sampled %s", (_, options) => {
    for (const { name, known, line } of compare(options)) {
      for (const which of ["live", "allocated"] as const) {
        const [bytes] = known[which];
        const amount = line[which]!;
        expect(amount.low).toBeLessThanOrEqual(amount.bytes);
        expect(amount.high).toBeGreaterThanOrEqual(amount.bytes);
        // Five standard errors: the printed interval is 90 %, 1.645 of them on each side. By chance once in a million runs.
        const error = Math.max(amount.high - amount.bytes, amount.bytes - amount.low) / 1.645;
        const slack = name === "native" ? (which === "live" ? 40_000 : 3_600_000) : 0;
        expect(Math.abs(amount.bytes - bytes), `${name} ${which}: ${amount.bytes} for ${bytes}`).toBeLessThanOrEqual(
          5 * error + slack,
        );
        if (name === "large") expect(amount.bytes, `large ${which}`).toBe(bytes);
      }
    }
  });
});
