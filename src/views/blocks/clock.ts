/** From the ticks of an event file to seconds since the start of the run. */

import { CONTROL, EVENT } from "../../tide/events.ts";
import type { EventFile, EventHeader } from "../../tide/events.ts";
import type { Clock } from "./replay.ts";

/** A shorter span between two readings of the clocks says too little about the rate. */
const SHORTEST_SPAN_NS = 1e6;

/** Seconds of a CLOCK_MONOTONIC reading. @param zero CLOCK_MONOTONIC at the start of the run, nanoseconds */
export function secondsOf(monotonic: number, zero: number): number {
  return (monotonic - zero) / 1e9;
}

/**
 * Every processor of a machine ticks at one rate, so the file that spans the longest time gives it for all.
 * NaN: none has two readings far enough apart (programs that were killed at once).
 */
export function tickRate(headers: readonly EventHeader[]): number {
  let longest = SHORTEST_SPAN_NS;
  let rate = NaN;
  for (const { start, last } of headers) {
    const span = last.monotonic - start.monotonic;
    if (span < longest || last.tick <= start.tick) continue;
    longest = span;
    rate = span / 1e9 / (last.tick - start.tick);
  }
  return rate;
}

/**
 * @param zero CLOCK_MONOTONIC at the start of the run, nanoseconds
 * @param rate seconds per tick, of `tickRate`
 * @param end when the process ended, seconds: gives the rate when there is no other way
 */
export function clockOf(file: EventFile, zero: number, rate: number, end: number): Clock {
  const { start } = file.header;
  const seconds = secondsOf(start.monotonic, zero);
  let secondsPerTick = rate;
  if (Number.isNaN(rate)) {
    const ticks = lastTick(file) - start.tick;
    secondsPerTick = ticks > 0 && end > seconds ? (end - seconds) / ticks : 0;
  }
  return { tick: start.tick, seconds, secondsPerTick };
}

/** The latest time that any thread tells. */
function lastTick(file: EventFile): number {
  let latest = 0;
  for (const { chunks } of file.threads) {
    const chunk = chunks.at(-1)!;
    latest = Math.max(latest, chunk.tick);
    const words = file.words(chunk);
    for (let at = 0; at + 1 < words.length; at += WORDS[words[at]! & 7]!) {
      const isTime = (words[at]! & 0xff) === (EVENT.control | (CONTROL.time << 3));
      if (isTime) latest = Math.max(latest, chunk.tick + (words[at]! >>> 8) + words[at + 1]! * 0x100_0000);
    }
  }
  return latest;
}

/** By kind of event. */
const WORDS = [2, 2, 2, 4, 6, 6, 2, 2];
