import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { interpreters } from "../interpreters.ts";

/** `TIDEGAUGE_KILLS=200 npx vitest run test/kill` for the long version. */
const KILLS = Number(process.env.TIDEGAUGE_KILLS ?? 5);
const PID_WORD = 63;
const tidegauge = fileURLToPath(new URL("../../tidegauge", import.meta.url));
const program = fileURLToPath(new URL("counting.py", import.meta.url));
const python = (interpreters().find((one) => one.minor === "3.11") ?? interpreters()[0]).command[0];

const folder = mkdtempSync(join(tmpdir(), "kill-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const counters = join(folder, "counters");
const recording = join(folder, "t.tide");
const word = (index: number) => Number(readFileSync(counters).readBigUint64LE(8 * index));
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Starts the program under `tidegauge run --exact`, waits until it works, and then for a random time. */
async function start(): Promise<{ recorder: number; ended: Promise<number | null> }> {
  for (const path of [recording, `${recording}.run`]) rmSync(path, { recursive: true, force: true });
  writeFileSync(counters, new Uint8Array(4096));
  const run = ["run", "-q", "--exact", "-o", recording, "--", python, "-I", "-S", program, counters, "301"];
  const child = spawn(tidegauge, run, { stdio: "ignore" });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  while (word(0) === 0 && child.exitCode === null) await sleep(5);
  await sleep(Math.random() * 200);
  return { recorder: child.pid!, ended };
}

interface Line {
  source: string;
  live: { bytes: number; count: number } | null;
  allocated: { bytes: number; count: number } | null;
}

/** What the recording says about the line that keeps objects, and whether the recording calls itself complete. */
function answerOf(file: string): { line: Line; complete: boolean } {
  const answer = JSON.parse(execFileSync(tidegauge, ["lines", file, program, "--json"], { encoding: "utf8" })) as {
    recording: { complete: boolean };
    files: { lines: Line[] }[];
  };
  const line = answer.files[0].lines.find((one) => one.source.includes("kept[step % 64] = bytes(size)"))!;
  return { line, complete: answer.recording.complete };
}

/** Fails unless the line is as the program counted it, or one step further. */
function expectTruth(line: Line): void {
  const counted = word(0);
  const { count, bytes } = line.allocated!;
  expect([counted, counted + 1]).toContain(count);
  expect(bytes).toBe(count * (301 + 33));
  const kept = Math.min(count, 64);
  expect([kept, kept + 1]).toContain(line.live!.count);
}

describe("a recording whose program is killed at a random moment", () => {
  test(`is finished by the recorder and lacks nothing (${KILLS} times)`, { timeout: KILLS * 20_000 }, async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      const { ended } = await start();
      process.kill(word(PID_WORD), "SIGKILL");
      expect(await ended).toBe(128 + 9);
      expectTruth(answerOf(recording).line);
      expect(existsSync(`${recording}.run`)).toBe(false);
    }
  });

  test(
    `is finished on first open when the recorder was killed before it (${KILLS} times)`,
    { timeout: KILLS * 20_000 },
    async () => {
      for (let kill = 0; kill < KILLS; kill++) {
        const { recorder, ended } = await start();
        process.kill(recorder, "SIGKILL");
        process.kill(word(PID_WORD), "SIGKILL");
        await ended;
        const { line, complete } = answerOf(`${recording}.run`);
        expectTruth(line);
        expect(complete).toBe(false);
      }
    },
  );
});
