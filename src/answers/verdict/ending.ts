/**
 * Where the program ends. After its last line the interpreter takes itself apart and frees nearly everything: read after that, no line
 * would hold anything. What the interpreter does by itself shows in the main thread as births whose outermost frame is not the main
 * program's: before it starts (importing `site`), and when it is over (`threading._shutdown`, atexit, clearing modules).
 */

import { ROOT } from "./places.ts";
import type { Places } from "./places.ts";

/** Births that are not the program's, beyond as many as there are blocks, mean that others go on without it: native threads. */
const PATIENCE = 1 << 16;

export class Ending {
  /** Number of the first birth of the main program; 0: there was none. */
  firstBirth = 0;
  /** Number of the last birth of the program. */
  lastBirth = 0;
  /** How many deaths were waiting when the interpreter first did something by itself after the last birth; -1: it did nothing. */
  waitingAtExit = -1;
  private others = 0;
  private readonly rootKind: Uint8Array;
  /** Threads in which the main program ran, and the one in which it did last. Numbers of threads come from the file: they index nothing. */
  private readonly mainThreads = new Set<number>();
  private lastMain = -1;

  constructor(places: Places) {
    this.rootKind = places.rootKind;
  }

  /** Whether a birth is the program's own doing: nearly always, and asked for every birth. */
  isProgram(stack: number, thread: number, sequence: number): boolean {
    const kind = this.rootKind[stack]!;
    if (kind === ROOT.main) {
      if (thread !== this.lastMain) this.startMain(thread, sequence);
      return true;
    }
    if (this.firstBirth === 0) return true;
    return kind === ROOT.python && !this.isMain(thread);
  }

  programBirth(sequence: number): void {
    this.lastBirth = sequence;
    this.waitingAtExit = -1;
    this.others = 0;
  }

  /**
   * A birth that is not the program's.
   * @param waiting deaths that wait
   * @param alive blocks
   * @returns whether this went on for so long that it is not the end: the deaths shall wait no more
   */
  otherBirth(thread: number, waiting: number, alive: number): boolean {
    if (this.waitingAtExit < 0 && this.isMain(thread)) this.waitingAtExit = waiting;
    if (++this.others < alive + PATIENCE) return false;
    this.others = 0;
    this.waitingAtExit = -1;
    return true;
  }

  /** The main program ran in this thread. */
  isMain(thread: number): boolean {
    return this.mainThreads.has(thread);
  }

  private startMain(thread: number, sequence: number): void {
    this.mainThreads.add(thread);
    this.lastMain = thread;
    if (this.firstBirth === 0) this.firstBirth = sequence;
  }
}
