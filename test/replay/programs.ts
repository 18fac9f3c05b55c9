/** Small programs for the replay: what happened to which block, told as text, and listeners that write down what they are told. */

import { NONE } from "../../src/base/brand.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { openEvents } from "../../src/tide/events.ts";
import type { EventFile } from "../../src/tide/events.ts";
import { Replay } from "../../src/views/blocks/replay.ts";
import type { BlockListener, Clock, ReplayInput } from "../../src/views/blocks/replay.ts";

/** Ticks are microseconds. */
export const CLOCK: Clock = { tick: 0, seconds: 0, secondsPerTick: 1e-6 };

/** Node n is stack n. */
export function identity(nodes: number): Uint32Array {
  return Uint32Array.from({ length: nodes }, (_, i) => i);
}

export function fileOf(bytes: Uint8Array): EventFile {
  return openEvents(bytesSource(bytes));
}

export function replayOf(bytes: Uint8Array, more: Partial<ReplayInput> = {}): Replay {
  const file = fileOf(bytes);
  return new Replay({ file, stackOfNode: identity(file.header.nodes), clock: CLOCK, ...more });
}

/** One line an event: `+ADDRESS SIZE @STACK`, `-ADDRESS`; times and marks when they come. The address stands for the block. */
export class Scribe implements BlockListener {
  readonly lines: string[] = [];
  private readonly replay: Replay;

  constructor(replay: Replay) {
    this.replay = replay;
  }

  private name(slot: number): string {
    return this.replay.live.addressOf(slot).toString(16);
  }

  born(slot: number, stack: number, thread: number, size: number, weight: number, replaces: number): void {
    const notes = [
      `+${this.name(slot)} ${size} @${stack}`,
      thread > 0 ? `thread ${thread}` : "",
      weight > 1 ? `for ${weight.toFixed(3)}` : "",
      replaces !== NONE ? "moved" : "",
      this.replay.continues ? "left over" : "",
    ];
    this.lines.push(notes.filter((note) => note !== "").join(" "));
  }

  died(slot: number): void {
    this.lines.push(`-${this.name(slot)}`);
  }

  inheritedDied(slot: number): void {
    this.lines.push(`-${this.name(slot)} inherited`);
  }

  passed(time: number): void {
    this.lines.push(`${(time * 1e6).toFixed(0)} us`);
  }

  marked(label: string): void {
    this.lines.push(`mark ${label}`);
  }
}

/** Replays to the end and gives the lines. */
export function told(bytes: Uint8Array): string[] {
  const replay = replayOf(bytes);
  const scribe = new Scribe(replay);
  replay.run(scribe);
  return scribe.lines;
}
