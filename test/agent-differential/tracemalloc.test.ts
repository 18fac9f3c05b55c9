import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { missing, oneOfEachMinor } from "../interpreters.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const workload = fileURLToPath(new URL("workload.py", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "differential-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Without hash seeds, sites and compiled files the two runs do the same. */
const FLAGS = ["-I", "-S", "-B"];
const environment = { PATH: process.env.PATH, PYTHONHASHSEED: "0" };

type Lines = Map<number, { bytes: number; count: number }>;

function fromTracemalloc(python: string): Lines {
  const report = join(folder, "report.json");
  execFileSync(python, [...FLAGS, "-X", "tracemalloc=10", workload, report], { env: environment });
  const lines = JSON.parse(readFileSync(report, "utf8")) as Record<string, [number, number]>;
  return new Map(Object.entries(lines).map(([line, [bytes, count]]) => [Number(line), { bytes, count }]));
}

function fromTidegauge(python: string): Lines {
  const recording = join(folder, "t.tide");
  const run = ["run", "-q", "-f", "--exact", "-o", recording, "--", python, ...FLAGS, workload];
  execFileSync(join(root, "tidegauge"), run, { env: environment });
  const answer = JSON.parse(
    execFileSync(join(root, "tidegauge"), ["lines", recording, workload, "--json"], { encoding: "utf8" }),
  ) as { files: { path: string; lines: { line: number; live: { bytes: number; count: number } | null }[] }[] };
  const file = answer.files.find((one) => one.path === workload);
  const live = (file?.lines ?? []).flatMap(({ line, live: amount }) =>
    amount && amount.count > 0 ? [[line, { bytes: amount.bytes, count: amount.count }] as const] : [],
  );
  return new Map(live);
}

/** Text of the lines on which two observers differ, so that a failure reads well. */
function differences(ours: Lines, theirs: Lines): string[] {
  const source = readFileSync(workload, "utf8").split("\n");
  const [first, end] = ["def objects(n):", "TABLE ="].map(
    (text) => source.findIndex((line) => line.startsWith(text)) + 1,
  );
  return (
    [...new Set([...ours.keys(), ...theirs.keys()])]
      // Loop heads: range iterators are kept for their next user by some versions.
      .filter((line) => line > first && line < end && !source[line - 1].trim().startsWith("for "))
      .toSorted((a, b) => a - b)
      .flatMap((line) => {
        const [a, b] = [ours, theirs].map((lines) => lines.get(line) ?? { bytes: 0, count: 0 });
        return a.bytes === b.bytes && a.count === b.count
          ? []
          : [`${source[line - 1].trim()}: ${a.bytes} bytes in ${a.count} blocks, tracemalloc ${b.bytes} in ${b.count}`];
      })
  );
}

describe("exact mode and tracemalloc agree on what every line of a program left alive, to the byte", () => {
  for (const { version, command } of oneOfEachMinor()) {
    test(`CPython ${version}`, () => {
      const ours = fromTidegauge(command[0]);
      const theirs = fromTracemalloc(command[0]);
      expect(theirs.size).toBeGreaterThan(30);
      expect(differences(ours, theirs)).toEqual([]);
    });
  }
  for (const { minor, skip } of missing()) test.skip(`CPython ${minor} ${skip}`, () => {});
});
