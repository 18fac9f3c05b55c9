/**
 * One line on the terminal while a long program runs. It is drawn to the right of the cursor and the cursor goes back, so nothing that
 * the program wrote is touched and what it writes next goes over the line.
 */
import { formatBytes, formatSeconds } from "../../base/format.ts";
import type { Level } from "../../capture/run/sampler.ts";
import { isTerminal, waitsForInput, writeError } from "./shared-stdio.ts";

const FIRST_SECONDS = 1;
const EVERY_SECONDS = 0.5;

const SAVE_CURSOR = "\x1b7";
const RESTORE_CURSOR = "\x1b8";
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";
const ERASE_TO_END = "\x1b[K";

export interface StatusLine {
  show(level: Level): void;
  erase(): void;
}

/** A line that stays silent when stderr is no terminal, or when the user wants quiet. */
export function statusLine(quiet: boolean): StatusLine {
  if (quiet || !isTerminal(2)) return { show() {}, erase() {} };
  const interactive = isTerminal(0);
  let shownAt = 0;
  let visible = false;
  return {
    show(level) {
      if (level.seconds < FIRST_SECONDS || level.seconds - shownAt < EVERY_SECONDS) return;
      if (interactive && waitsForInput(level.root)) return;
      shownAt = level.seconds;
      visible = true;
      writeError(`${SAVE_CURSOR}${NO_WRAP}${ERASE_TO_END}${statusText(level)}${WRAP}${RESTORE_CURSOR}`);
    },
    erase() {
      if (visible) writeError(ERASE_TO_END);
      visible = false;
    },
  };
}

export function statusText(level: Level): string {
  const processes = level.processes > 1 ? ` · ${level.processes} processes` : "";
  return `tidegauge ${formatSeconds(level.seconds)} · RSS ${formatBytes(level.rss)} · peak ${formatBytes(level.peak)}${processes}`;
}
