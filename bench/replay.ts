/**
 * Nanoseconds per event of the replay, without and with the listeners that make the tables.
 *
 *     npx esbuild bench/replay.ts --bundle --platform=node --format=esm --outfile=build/replay.mjs
 *     node build/replay.mjs [MILLION EVENTS] [SHAPE …]
 *
 * A synthetic event file is written to the temporary folder first (its time is not counted) and read back chunk by chunk, as a real one is.
 */

import { closeSync, mkdtempSync, openSync, readSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NONE } from "../src/base/brand.ts";
import { openEvents } from "../src/tide/events.ts";
import { eventsWriter } from "../src/tide/events-writer.ts";
import { buildBlocks } from "../src/views/blocks/build.ts";
import { ProgramBuilder } from "../src/views/blocks/codes.ts";
import type { Judge } from "../src/views/blocks/judge.ts";
import { Replay } from "../src/views/blocks/replay.ts";

interface Shape {
  threads: number;
  /** Blocks alive in the long run. */
  live: number;
  /** Of how many births does one live long. */
  keep: number;
  nodes: number;
  interval: number;
  /** Events of a thread before another goes on. */
  run: number;
}

const SHAPES: Record<string, Shape> = {
  churn: { threads: 1, live: 100_000, keep: 50, nodes: 2_000, interval: 0, run: Infinity },
  wide: { threads: 1, live: 3_000_000, keep: 2, nodes: 50_000, interval: 0, run: Infinity },
  sampled: { threads: 1, live: 100_000, keep: 50, nodes: 2_000, interval: 4_096, run: Infinity },
  threads: { threads: 8, live: 100_000, keep: 50, nodes: 2_000, interval: 0, run: 20 },
};

/** Deterministic: the same file every time. */
function randoms(): (below: number) => number {
  let x = 88_172_645;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

function write(path: string, events: number, shape: Shape): void {
  const fd = openSync(path, "w");
  const sink = (slot: Uint8Array, offset: number): void => void writeSync(fd, slot, 0, slot.length, offset);
  const last = { tick: events * 100, monotonic: events * 100, realtime: 0 };
  const w = eventsWriter({
    sink,
    interval: shape.interval,
    mode: shape.interval > 0 ? "interval" : "exact",
    last,
    births: events / 2,
  });
  const code = Array.from({ length: 50 }, (_, i) => w.code({ qualname: `f${i}` }));
  const nodes = [0];
  const random = randoms();
  for (let i = 1; i <= shape.nodes; i++) nodes.push(w.node(nodes[random(Math.min(i, 200))]!, code[i % 50]!, 2 * i));
  const threads = Array.from({ length: shape.threads }, () => w.thread());
  const kept = new Float64Array(shape.live);
  const short = new Float64Array(64);
  let next = 0x5555_0000_0000;
  const freed: number[] = [];
  let thread = threads[0]!;
  for (let i = 0; i < events;) {
    if (i % shape.run < 2) thread = threads[random(threads.length)]!;
    if (i % 64 < 2) thread.time(i * 100);
    const place = random(shape.keep) === 0 ? kept : short;
    const at = random(place.length);
    if (place[at] !== 0) {
      thread.death(place[at]!);
      freed.push(place[at]!);
      i++;
    }
    const address = freed.length > 32 ? freed.pop()! : (next += 64);
    place[at] = address;
    thread.birth(address, 16 + random(400), nodes[1 + random(shape.nodes)]!);
    i++;
  }
  w.finish();
  closeSync(fd);
}

const NO_JUDGE: Judge = { start: () => ({ born: () => {}, died: () => {} }), finish: () => [] };

function measure(name: string, events: number, work: () => void): void {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  console.log(`  ${name.padEnd(24)} ${((1000 * (user + system)) / events).toFixed(1).padStart(7)} ns/event`);
}

const events = Number(process.argv[2] ?? 20) * 1e6;
const folder = mkdtempSync(join(tmpdir(), "tidegauge-bench-"));
for (const name of process.argv.length > 3 ? process.argv.slice(3) : Object.keys(SHAPES)) {
  const path = join(folder, name);
  write(path, events, SHAPES[name]!);
  const fd = openSync(path, "r");
  const size = statSync(path).size;
  console.log(`${name}: ${events / 1e6} M events, ${(size / events).toFixed(1)} bytes each`);
  const source = {
    size,
    read: (offset: number, length: number): Uint8Array => {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - offset)));
      return bytes.subarray(0, readSync(fd, bytes, 0, bytes.length, offset));
    },
  };
  const clock = { tick: 0, seconds: 0, secondsPerTick: 1e-9 };
  const file = openEvents(source);
  const builder = new ProgramBuilder();
  const { stackOfNode } = builder.addProcess(file.dictionary, file.header.pythonHex);
  const program = builder.finish();
  let births = 0;
  measure("replay alone", events, () => {
    new Replay({ file, stackOfNode, clock }).run({ born: () => void births++, died: () => {} });
  });
  const blocks = { process: 0, file, stackOfNode, clock, start: 0, end: (events * 100) / 1e9, parent: NONE };
  const whole = { from: -Infinity, to: Infinity };
  const tail = { from: (events * 99) / 1e9, to: Infinity };
  measure("tables", events, () => buildBlocks(program, [{ ...blocks, window: tail }], () => NO_JUDGE));
  measure("tables, peak unknown", events, () => buildBlocks(program, [{ ...blocks, window: whole }], () => NO_JUDGE));
  closeSync(fd);
}
rmSync(folder, { recursive: true });
