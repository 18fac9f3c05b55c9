/** What the replay asks of whoever judges the sites. It is handed in, since the judgement belongs to another room. */

import type { Row } from "../../tide/schema.ts";
import type { Program } from "./codes.ts";
import type { BlockListener, Replay } from "./replay.ts";

export interface JudgeContext {
  /** Row of `processes`. */
  process: number;
  /** Every block of the process was recorded, those from its parent included. */
  exact: boolean;
  /** Round of a recursion from which on its frames share a node; 0: they never do. */
  foldAt: number;
  /** Where the replay stands: time, sequence, live table. Readable in every call of the listener. */
  replay: Replay;
  /** Seconds since the start of the run between which the process ran, as far as known before its replay. */
  start: number;
  end: number;
}

/** One a process. */
export interface Judge {
  /**
   * Number (`replay.sequence`) of the last birth so far that was the program's own doing. What dies after the very last one is alive "at the
   * end" for every table: the interpreter then takes itself apart. Without it the end is the end of the events.
   */
  readonly lastBirth?: number;
  start(program: Program, context: JudgeContext): BlockListener;
  /** After the last event. The rows are those of this process, in any order. */
  finish(endTime: number): Row<"siteFeatures">[];
}

export type JudgeFactory = () => Judge;
