/**
 * The program of a run: codes, frames, stacks and sites, merged over all its processes. Every event file has a dictionary with ids of its own
 * (a fork child goes on with its parent's); here equal things become one, so that a figure of the whole run has one row per place.
 */

import { NONE } from "../../base/brand.ts";
import { crc32 } from "../../base/checksum.ts";
import { growable } from "../../base/grow.ts";
import { PairIndex } from "../../base/pairs.ts";
import { NO_RECORD, OFFSET_CUT, OFFSET_UNKNOWN } from "../../tide/events.ts";
import type { CodeRecord, Dictionary } from "../../tide/events.ts";
import { lineTable } from "./linetable.ts";
import { decodeCode } from "./loops.ts";
import type { CodeFlow } from "./loops.ts";
import { nativePlaces } from "./natives.ts";
import type { NativePlace, SymbolResolver } from "./natives.ts";
import { OWNER, fileName, ownerOfFile } from "./sites.ts";
import type { ForkedFrom, ProcessMaps, Program } from "./program.ts";
import { StackTree } from "./stacks.ts";

export type { ForkedFrom, ProcessMaps, Program } from "./program.ts";

interface Code {
  name: string;
  qualname: string;
  file: string;
  firstLine: number;
  flags: number;
  owner: number;
  package: string;
  line: (offset: number) => number;
  flow: () => CodeFlow;
}

const FRAMES_NOT_KEPT = "… frames not kept";
const UNKNOWN = "unknown";

export class ProgramBuilder {
  private readonly codes: (Code & { functionId: number })[] = [];
  private readonly codeByKey = new Map<string, number>();
  private readonly frames = new PairIndex();
  private readonly frameLines = growable(Uint32Array);
  private readonly siteOfFrame = growable(Uint32Array);
  private readonly isUsersFrame = growable(Uint8Array);
  private readonly functionIds = new Map<string, number>();
  private readonly sites = new PairIndex();
  private readonly siteCode = growable(Uint32Array);
  private readonly siteLine = growable(Uint32Array);
  private readonly stacks = new StackTree();
  private readonly symbols: SymbolResolver | undefined;

  /** @param symbols names the symbol at a file offset of a library, where that can be known */
  constructor(symbols?: SymbolResolver) {
    this.symbols = symbols;
  }

  /**
   * Adds what one process image knew. Parents of forks go before their children.
   * @param pythonHex PY_VERSION_HEX, 0 when there was no interpreter
   */
  addProcess(dictionary: Dictionary, pythonHex: number, parent?: ForkedFrom): ProcessMaps {
    const { nodes } = dictionary;
    const fromCommandLine = parent?.maps.fromCommandLine ?? runsCommandLine(dictionary);
    const codeOfId = this.codeResolver(dictionary, pythonHex, fromCommandLine, parent);
    const stackOfNode = new Uint32Array(Math.max(nodes.code.length, 1));
    const places = new PairIndex(); // (code id, offset): far fewer than nodes
    const frameOfPlace = growable(Uint32Array);
    stackOfNode[0] = this.stackOf(NONE, this.frameOf(this.pseudoCode(UNKNOWN), OFFSET_UNKNOWN));
    for (let id = 1; id < stackOfNode.length; id++) {
      const code = nodes.code[id]!;
      if (code === NO_RECORD) {
        const inherited = parent && id < parent.nodes ? parent.maps.stackOfNode[id] : undefined;
        stackOfNode[id] = inherited ?? stackOfNode[0]!;
        continue;
      }
      const offset = nodes.offset[id]!;
      const place = places.add(code, offset);
      if (place === frameOfPlace.length) {
        const isCut = code === 0 && offset === OFFSET_CUT;
        frameOfPlace.push(this.frameOf(isCut ? this.pseudoCode(FRAMES_NOT_KEPT) : codeOfId.get(code), offset));
      }
      const parentStack = nodes.parent[id] === 0 ? NONE : stackOfNode[nodes.parent[id]!]!;
      stackOfNode[id] = this.stackOf(parentStack, frameOfPlace.at(place));
    }
    return { stackOfNode, codeOfId: codeOfId.finish(), fromCommandLine };
  }

  /** The program so far, as columns. */
  finish(): Program {
    const { codes } = this;
    const { first: frameCode, second: frameOffset } = this.frames.finish();
    const flows: (CodeFlow | undefined)[] = [];
    return {
      ...this.stacks.finish(),
      frameCode,
      frameOffset,
      frameLine: this.frameLines.finish(),
      codeName: codes.map((code) => code.name),
      codeQualname: codes.map((code) => code.qualname),
      codeFile: codes.map((code) => code.file),
      codeFirstLine: Uint32Array.from(codes, (code) => code.firstLine),
      codeOwner: Uint8Array.from(codes, (code) => code.owner),
      codeFlags: Uint32Array.from(codes, (code) => code.flags),
      codePackage: codes.map((code) => code.package),
      flow: (code) => (flows[code] ??= codes[code]!.flow()),
      siteCode: this.siteCode.finish(),
      siteLine: this.siteLine.finish(),
    };
  }

  /** Code ids of a process to code indexes, each resolved when a stack first names it. */
  private codeResolver(
    dictionary: Dictionary,
    pythonHex: number,
    fromCommandLine: boolean,
    parent: ForkedFrom | undefined,
  ) {
    const codeOfId = new Uint32Array(Math.max(dictionary.codes.length, parent?.codes ?? 0)).fill(NONE);
    if (parent) codeOfId.set(parent.maps.codeOfId.subarray(0, parent.codes));
    const placeOf = nativePlaces(dictionary.mappings, this.symbols);
    const resolve = (id: number): number => {
      const record = dictionary.codes[id];
      if (!record) return this.pseudoCode(UNKNOWN);
      return record.kind === "native"
        ? this.nativeCode(placeOf(record.address))
        : this.pythonCode(record, pythonHex, fromCommandLine);
    };
    return {
      get: (id: number): number => {
        if (id >= codeOfId.length) return this.pseudoCode(UNKNOWN);
        if (codeOfId[id] === NONE) codeOfId[id] = resolve(id);
        return codeOfId[id]!;
      },
      finish: () => codeOfId,
    };
  }

  /**
   * Equal codes of several processes, or made again by a reload, are one. From 3.11 on bytecode is rewritten while it runs, so there only its
   * length counts; two lambdas of one line differ in the columns of their line table.
   */
  private pythonCode(record: CodeRecord, pythonHex: number, fromCommandLine: boolean): number {
    const { name, file, firstLine, flags, lineTable: table, bytecode, exceptionTable } = record;
    const qualname = record.qualname || name;
    const content = pythonHex >= 0x030b0000 ? bytecode.length : crc32(bytecode);
    const key = [file, qualname, firstLine, flags, pythonHex >>> 16, crc32(table), content].join("\0");
    return this.intern(key, () => {
      let lines: ((offset: number) => number) | undefined;
      let flow: CodeFlow | undefined;
      return {
        name,
        qualname,
        file,
        firstLine,
        flags,
        ...ownerOfFile(file, fromCommandLine),
        line: (offset) => (lines ??= lineTable(pythonHex, firstLine, table))(offset),
        flow: () => (flow ??= decodeCode(pythonHex, bytecode, exceptionTable, table)),
      };
    });
  }

  private nativeCode({ library, name }: NativePlace): number {
    return this.intern(`native\0${library}\0${name}`, () => ({
      ...withoutBytecode(name),
      file: library,
      owner: OWNER.native,
      package: fileName(library),
    }));
  }

  /** A name that stands where no code is known. */
  private pseudoCode(name: string): number {
    return this.intern(`pseudo\0${name}`, () => withoutBytecode(name));
  }

  private intern(key: string, make: () => Code): number {
    let code = this.codeByKey.get(key);
    if (code === undefined) {
      const made = make();
      const functionKey = `${made.file}\0${made.qualname}`;
      const functionId = this.functionIds.get(functionKey) ?? this.functionIds.size;
      this.functionIds.set(functionKey, functionId);
      code = this.codes.push({ ...made, functionId }) - 1;
      this.codeByKey.set(key, code);
    }
    return code;
  }

  private frameOf(codeIndex: number, rawOffset: number): number {
    const code = this.codes[codeIndex]!;
    const isPlace = code.owner !== OWNER.native && rawOffset < OFFSET_CUT;
    const offset = isPlace ? code.flow().instructionStart(rawOffset) : NONE;
    const frame = this.frames.add(codeIndex, offset);
    if (frame === this.frameLines.length) {
      const line = isPlace ? code.line(offset) : code.firstLine;
      this.frameLines.push(line);
      this.siteOfFrame.push(this.siteOf(codeIndex, line));
      this.isUsersFrame.push(code.owner === OWNER.user ? 1 : 0);
    }
    return frame;
  }

  /** A site is a line of a function, whatever code objects the function had. */
  private siteOf(codeIndex: number, line: number): number {
    const site = this.sites.add(this.codes[codeIndex]!.functionId, line);
    if (site === this.siteCode.length) {
      this.siteCode.push(codeIndex);
      this.siteLine.push(line);
    }
    return site;
  }

  private stackOf(parent: number, frame: number): number {
    return this.stacks.add(parent, frame, this.siteOfFrame.at(frame), this.isUsersFrame.at(frame) === 1);
  }
}

function withoutBytecode(name: string): Code {
  return {
    name,
    qualname: name,
    file: "",
    firstLine: 0,
    flags: 0,
    owner: OWNER.other,
    package: "",
    line: () => 0,
    flow: () => decodeCode(0, new Uint8Array(0), new Uint8Array(0)),
  };
}

/** The outermost frame of some stack is the module "<string>": the text after `-c`, unless multiprocessing started the process that way. */
function runsCommandLine({ nodes, codes }: Dictionary): boolean {
  let found = false;
  for (let id = 1; id < nodes.code.length; id++) {
    const record = codes[nodes.code[id]!];
    if (record?.kind !== "python") continue;
    const parent = nodes.parent[id]!;
    if (parent === 0) found ||= record.file === "<string>" && record.name === "<module>";
    else if (nodes.parent[parent] === 0 && record.file.includes("/multiprocessing/")) {
      const outer = codes[nodes.code[parent]!];
      if (outer?.kind === "python" && outer.file === "<string>") return false;
    }
  }
  return found;
}
