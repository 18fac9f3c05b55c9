/**
 * What the judge costs, on real programs: nanoseconds per event of the replay without and with it, and the heap that it holds.
 *
 *     npx esbuild bench/judge.ts --bundle --platform=node --format=esm --outfile=build/judge.mjs
 *     node --expose-gc build/judge.mjs [--interval BYTES] PYTHON PROGRAM [ARGUMENTS …]
 *
 * The program is run once under the agent alone; its event file goes to the temporary folder.
 */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createJudge } from "../src/answers/verdict/judge.ts";
import { fileSource } from "../src/capture/run/file-source.ts";
import { openEvents } from "../src/tide/events.ts";
import { ProgramBuilder } from "../src/views/blocks/codes.ts";
import { Replay } from "../src/views/blocks/replay.ts";
import type { BlockListener } from "../src/views/blocks/replay.ts";

/** The best of so many: the machine has other work. */
const ROUNDS = 3;
const AGENT = resolve("build/libtidegauge-agent.so");
const SILENT: BlockListener = { born: () => {}, died: () => {}, transient: () => {} };

const words = process.argv.slice(2);
const interval = words[0] === "--interval" ? Number(words.splice(0, 2)[1]) : 0;
const folder = mkdtempSync(join(tmpdir(), "tidegauge-judge-"));
try {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "settings"), interval > 0 ? `mode=interval\ninterval=${interval}\n` : "mode=exact\n");
  const env = { ...process.env, LD_PRELOAD: AGENT, TIDEGAUGE_RUN: folder };
  spawnSync(words[0]!, words.slice(1), { env, stdio: ["ignore", "ignore", "inherit"] });
  const names = readdirSync(folder).filter((name) => name.endsWith(".events"));
  for (const name of names) measure(join(folder, name));
} finally {
  rmSync(folder, { recursive: true });
}

function measure(path: string): void {
  const file = openEvents(fileSource(path));
  const builder = new ProgramBuilder();
  const { stackOfNode } = builder.addProcess(file.dictionary, file.header.pythonHex);
  const program = builder.finish();
  const clock = { tick: file.header.start.tick, seconds: 0, secondsPerTick: 1e-9 };
  const exact = interval === 0;
  let bare = Infinity;
  let listening = Infinity;
  let finishing = Infinity;
  let [sites, slots, events, heap] = [0, 0, 0, 0];
  for (let round = 0; round < ROUNDS; round++) {
    const replay = new Replay({ file, stackOfNode, clock });
    bare = Math.min(
      bare,
      nanoseconds(() => replay.run(SILENT, SILENT)),
    );
    slots = replay.live.slots;
    events = replay.sequence + replay.deaths;
    const judged = new Replay({ file, stackOfNode, clock });
    const judge = createJudge();
    globalThis.gc?.();
    const before = heapBytes();
    const listener = judge.start(program, {
      process: 0,
      exact,
      foldAt: file.header.foldAt,
      replay: judged,
      start: 0,
      end: 1,
    });
    listening = Math.min(
      listening,
      nanoseconds(() => judged.run(listener, SILENT)),
    );
    globalThis.gc?.();
    heap = heapBytes() - before;
    finishing = Math.min(
      finishing,
      nanoseconds(() => (sites = judge.finish(1).length)),
    );
  }
  const per = (spent: number): string => `${(spent / events).toFixed(1)} ns/event`;
  console.log(
    `${(events / 1e6).toFixed(2)} M events, ${program.stackParent.length} stacks, ${sites} sites, ${slots} slots: ` +
      `replay ${per(bare)}, judge ${per(listening - bare)}, finish ${(finishing / 1e6).toFixed(0)} ms, ` +
      `${(heap / 2 ** 20).toFixed(1)} MiB with the live table`,
  );
}

function heapBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function nanoseconds(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) * 1000;
}
