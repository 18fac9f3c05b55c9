/** Birth numbers as time and as bytes: a few thousand points of both, read between by straight lines. */

import { lastNotAbove } from "./history.ts";

const MOST = 2048;

export class Milestones {
  private readonly numbers = new Float64Array(MOST);
  private readonly times = new Float64Array(MOST);
  private readonly bytes = new Float64Array(MOST);
  private count = 1;
  private every = 16;
  private next = 16;
  private total = 0;

  constructor(start: number) {
    this.times[0] = start;
  }

  birth(sequence: number, time: number, bytes: number): void {
    this.total += bytes;
    if (sequence >= this.next) this.add(sequence, time);
  }

  finish(sequence: number, endTime: number): void {
    this.add(sequence, endTime);
  }

  private add(sequence: number, time: number): void {
    if (this.count === MOST) {
      for (let at = 0; at < MOST / 2; at++) {
        this.numbers[at] = this.numbers[at * 2]!;
        this.times[at] = this.times[at * 2]!;
        this.bytes[at] = this.bytes[at * 2]!;
      }
      this.count = MOST / 2;
      this.every *= 2;
    }
    this.numbers[this.count] = sequence;
    this.times[this.count] = Math.max(time, this.times[this.count - 1]!);
    this.bytes[this.count++] = this.total;
    this.next = sequence + this.every;
  }

  /** Seconds since the start of the run at a birth. */
  timeOf(sequence: number): number {
    return this.read(this.numbers, this.times, sequence);
  }

  /** Bytes that the process had made up to a birth, estimated where sampled. */
  bytesOf(sequence: number): number {
    return this.read(this.numbers, this.bytes, sequence);
  }

  /** The birth up to which the process had made so many bytes. */
  birthOfBytes(bytes: number): number {
    return this.read(this.bytes, this.numbers, bytes);
  }

  private read(from: Float64Array, to: Float64Array, value: number): number {
    const at = Math.max(0, lastNotAbove(from, this.count, value));
    if (at + 1 >= this.count) return to[at]!;
    const width = from[at + 1]! - from[at]!;
    if (!(width > 0)) return to[at]!;
    const share = Math.min(1, Math.max(0, (value - from[at]!) / width));
    return to[at]! + share * (to[at + 1]! - to[at]!);
  }
}
