/**
 * Writing to a terminal or pipe that a program shares with us. `process.stderr` and `process.stdout` are not touched while a program
 * runs: Node makes pipes non-blocking for everyone who has them open, the program included.
 */
import { readlinkSync, writeSync } from "node:fs";
import type Tty from "node:tty";
import { readText } from "../../capture/proc/read.ts";
import { errorCode } from "../../capture/run/refusal.ts";
import { textOptions } from "./terminal.ts";
import type { TextOptions } from "./text.ts";

/** Writes the whole text to stderr, waiting where a non-blocking pipe is full. What cannot be written is dropped: nobody listens. */
export function writeError(text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) {
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      if (errorCode(error) !== "EAGAIN") return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

/** A terminal that can do more than print lines. */
export function isTerminal(fd: 0 | 1 | 2): boolean {
  return isTty(fd) && process.env.TERM !== "dumb";
}

/** node:tty brings half of node:net with it, so it is asked only where there is a device at all. */
function isTty(fd: number): boolean {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`).startsWith("/dev/") && tty().isatty(fd);
  } catch {
    return false;
  }
}

function tty(): typeof Tty {
  return process.getBuiltinModule("node:tty");
}

/** How text will look on stderr. */
export function errorTextOptions(): TextOptions {
  return textOptions((isTty(2) ? new (tty().WriteStream)(2) : { isTTY: false }) as NodeJS.WriteStream);
}

/** Whether a process waits for input or for events of an editor-like program: a line drawn now would stand in its way. */
export function waitsForInput(pid: number): boolean {
  return /tty_read|wait_woken|poll|select/.test(readText(`/proc/${pid}/wchan`) ?? "");
}
