/** The shape of a program of a run: what ProgramBuilder (codes.ts) makes and the judge and the tables read. */

import type { CodeFlow } from "./loops.ts";

/** Columns of the run's code; the index of an array is the StackIndex, FrameIndex, CodeIndex or SiteIndex that its name begins with. */
export interface Program {
  /** NONE at the outermost frame; parents come before children. */
  stackParent: Uint32Array;
  stackFrame: Uint32Array;
  /** Number of frames, 1 at the outermost. */
  stackDepth: Uint32Array;
  stackSite: Uint32Array;
  frameCode: Uint32Array;
  /** 0: no line (native code, frames not kept). */
  frameLine: Uint32Array;
  /** Bytes of bytecode, the start of an instruction; NONE: native, not started, or a folded recursion. */
  frameOffset: Uint32Array;
  codeName: string[];
  /** As the interpreter knows it; the plain name up to 3.10, which has no other. */
  codeQualname: string[];
  codeFile: string[];
  codeFirstLine: Uint32Array;
  codeOwner: Uint8Array;
  /** co_flags; 0 for native code. */
  codeFlags: Uint32Array;
  codePackage: string[];
  /** Where control can go in a code object; made when first asked for. */
  flow: (code: number) => CodeFlow;
  siteCode: Uint32Array;
  siteLine: Uint32Array;
}

/** From the ids of one event file to the run's. A node or code without a record stands for "unknown". */
export interface ProcessMaps {
  /** Node id -> StackIndex; 0 and ids that the file has no record of: one stack named unknown. */
  stackOfNode: Uint32Array;
  /** Code id -> CodeIndex; NONE: appears in no stack. */
  codeOfId: Uint32Array;
  /** The process ran the text after `-c`. */
  fromCommandLine: boolean;
}

/** Where a fork child left its parent: ids below the counts are the parent's. */
export interface ForkedFrom {
  maps: ProcessMaps;
  nodes: number;
  codes: number;
}
