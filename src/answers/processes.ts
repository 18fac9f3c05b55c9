/** Which processes ran: one entry a process image (an exec starts a new one), the first program first. */
import { pythonName } from "../tide/events.ts";
import type { Recording } from "../tide/recording.ts";
import { about, argvOf, known, signalName } from "./about.ts";
import type { About } from "./about.ts";

/** Times are seconds since the start of the run, sizes bytes; null: not known. */
export interface ProcessReport {
  readonly pid: number;
  readonly parentPid: number;
  /** images of this PID before this one: 1 after its first exec */
  readonly ordinal: number;
  readonly argv: readonly string[];
  readonly exe: string;
  /** "CPython 3.11.7"; null: not a Python that is known */
  readonly python: string | null;
  readonly startSeconds: number | null;
  readonly endSeconds: number | null;
  readonly peakRssBytes: number | null;
  readonly peakAtSeconds: number | null;
  /** false: the last sample before the end, the true peak can be higher */
  readonly peakFinal: boolean;
  readonly exitCode: number | null;
  readonly signal: string | null;
  /** whether its blocks were recorded; if not, `reason` says why */
  readonly recorded: boolean;
  readonly reason: string | null;
  readonly intervalBytes: number | null;
  readonly births: number | null;
  readonly deaths: number | null;
  readonly dropped: number | null;
  readonly agentBytes: number | null;
}

export interface ProcessesAnswer extends About {
  readonly processes: readonly ProcessReport[];
}

export function processes(r: Recording): ProcessesAnswer {
  return { ...about(r), processes: processReports(r) };
}

export function processReports(r: Recording): ProcessReport[] {
  const table = r.table("processes");
  return Array.from({ length: table.length }, (_, row) => {
    const recorded = table.recorded[row] === 1;
    const ofBlocks = (value: number): number | null => (recorded ? known(value) : null);
    return {
      pid: table.pid[row],
      parentPid: table.parentPid[row],
      ordinal: table.ordinal[row],
      argv: argvOf(table.argv[row]),
      exe: table.exe[row],
      python: pythonName(table.pythonHex[row]) || null,
      startSeconds: known(table.start[row]),
      endSeconds: known(table.end[row]),
      peakRssBytes: known(table.peakRss[row]),
      peakAtSeconds: known(table.peakAt[row]),
      peakFinal: table.peakFinal[row] === 1,
      exitCode: table.exitCode[row] < 0 || table.signal[row] > 0 ? null : table.exitCode[row],
      signal: signalName(table.signal[row]),
      recorded,
      reason: table.reason[row] || null,
      intervalBytes: ofBlocks(table.intervalBytes[row]),
      births: ofBlocks(table.births[row]),
      deaths: ofBlocks(table.deaths[row]),
      dropped: ofBlocks(table.dropped[row]),
      agentBytes: ofBlocks(table.agentBytes[row]),
    };
  });
}
