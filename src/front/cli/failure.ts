/** How a command ends when it cannot do its job: one sentence on stderr and an exit status. */
import { TideError } from "../../answers/index.ts";
import { Refusal } from "../../capture/run/refusal.ts";
import { writeError } from "./shared-stdio.ts";

/** 1: the answer is "no"; 2: bad usage or bad input; 3: the machine does not allow it. The message is one sentence without a full stop. */
export class Failure extends Error {
  readonly status: 1 | 2 | 3;
  constructor(status: 1 | 2 | 3, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

/** Says on stderr what is wrong. */
export function say(sentence: string): void {
  writeError(`tidegauge: ${sentence}\n`);
}

/** Says what went wrong and answers with the exit status. An error that nobody foresaw is told with the way to its stack trace. */
export function reportFailure(error: unknown): number {
  if (error instanceof Failure || error instanceof Refusal) {
    say(error.message);
    return error.status;
  }
  if (error instanceof TideError) {
    say(error.message);
    return 2;
  }
  if (process.env.TIDEGAUGE_DEBUG) throw error;
  const what = error instanceof Error ? error.message : String(error);
  say(`this should not have happened: ${what.split("\n")[0]} (TIDEGAUGE_DEBUG=1 shows where)`);
  return 3;
}
