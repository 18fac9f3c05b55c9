import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { countedAt, ofSize, recordKilled } from "../agent/recorded.ts";
import type { Image } from "../agent/recorded.ts";

/** `TIDEGAUGE_KILLS=200 npx vitest run test/kill` for the long version. */
const KILLS = Number(process.env.TIDEGAUGE_KILLS ?? 5);
const KEPT = 64;
const BYTES_HEADER = 33;
const program = readFileSync(new URL("counting.py", import.meta.url), "utf8");

const folder = mkdtempSync(join(tmpdir(), "kill-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const KEEPING = "kept[step % 64] = bytes(size)";
const DROPPING = "bytes(size + 1)";

/** As many blocks as the counter says, or one more. Of small ones that were over soon most are only counted. */
function expectSteps(image: Image | undefined, told: number, line: string, size: number, counter: number): void {
  const steps = told + (image ? countedAt(image, `work: ${line}`, size + BYTES_HEADER) : 0);
  expect(steps).toBeGreaterThanOrEqual(counter);
  expect(steps).toBeLessThanOrEqual(counter + 1);
}

/** Fails unless the recording of a thread is the truth at its counter, or at most one step beyond. */
function expectTruth(image: Image | undefined, size: number, counted: number): void {
  const of = (bytes: number, line: string) =>
    image ? ofSize(image, bytes + BYTES_HEADER).filter((block) => block.stack.at(-1) === `work: ${line}`) : [];
  const kept = of(size, KEEPING);
  const dropped = of(size + 1, DROPPING);
  expectSteps(image, kept.length, KEEPING, size, counted);
  expectSteps(image, dropped.length, DROPPING, size + 1, counted);

  // Alive: the last 64, or one more while a new object takes the place of the oldest.
  const alive = kept.map((block, step) => (block.death === undefined ? step : -1)).filter((step) => step >= 0);
  const oldest = alive[0] ?? 0;
  expect(alive).toEqual(Array.from({ length: kept.length - oldest }, (_, i) => oldest + i));
  if (kept.length > KEPT) expect([KEPT, KEPT + 1]).toContain(alive.length);
  else expect(alive.length).toBe(kept.length);
  const undropped = dropped.filter((block) => block.death === undefined).length;
  expect(undropped).toBeLessThanOrEqual(1);
}

/** Kills at a random moment, mostly while the loops run: starting an interpreter takes some 20 ms. */
async function killOnce(sizes: number[], settings: string): Promise<void> {
  const counters = join(folder, "counters");
  writeFileSync(counters, new Uint8Array(4096));
  const milliseconds = Math.random() < 0.1 ? Math.random() * 30 : 30 + Math.random() * 250;
  const run = await recordKilled(program, milliseconds, { args: [counters, ...sizes.map(String)], settings });
  expect(run.signal).toBe("SIGKILL");
  expect(run.images.length).toBeLessThanOrEqual(1);
  const shared = readFileSync(counters);
  for (const [index, size] of sizes.entries()) {
    expectTruth(run.images[0], size, Number(shared.readBigUint64LE(8 * index)));
  }
}

describe("the event file of a program killed at a random moment", () => {
  test(`loses no event of one thread (${KILLS} times)`, { timeout: KILLS * 5000 }, async () => {
    for (let kill = 0; kill < KILLS; kill++) await killOnce([201], "mode=exact");
  });

  test(`loses no event of three threads (${KILLS} times)`, { timeout: KILLS * 5000 }, async () => {
    for (let kill = 0; kill < KILLS; kill++) await killOnce([201, 1001, 70001], "mode=exact");
  });

  test(`loses no large block while small ones are sampled (${KILLS} times)`, { timeout: KILLS * 5000 }, async () => {
    for (let kill = 0; kill < KILLS; kill++) await killOnce([40001, 70001], "mode=interval\ninterval=65536");
  });
});
