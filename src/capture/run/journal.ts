/**
 * The recorder's files in the run folder, written while the program runs. Nothing that goes wrong here may disturb the program: the
 * first trouble is told in one sentence, and what was written is kept. A folder that the program deletes is made again from the open
 * files, so that the pages of the run are not lost.
 */
import {
  appendFileSync,
  closeSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import {
  encodePairs,
  encodeProcessLine,
  encodeTimeline,
  PROCESSES_FILE,
  RUN_FILE,
  SETTINGS_FILE,
  TIMELINE_FILE,
  TIMELINE_ROW_BYTES,
  type ProcessLine,
  type TimelineSample,
} from "../../tide/runfolder.ts";
import { errorCode, reasonOf } from "./refusal.ts";

export type Facts = Record<string, string | number>;

/** Rows wait this long before they are written: what a killed recorder loses of the timeline. */
const FLUSH_SECONDS = 0.5;
const FLUSH_ROWS = 256;
/** Room for so many rows is taken before the start: the disk may be full when they come. */
const RESERVED_ROWS = 512;

export class Journal {
  readonly #folder: string;
  readonly #settings: string;
  readonly #onTrouble: (sentence: string) => void;
  readonly #told = new Set<string>();
  #timeline: number;
  #processes: number;
  #facts: Facts;
  #rows: TimelineSample[] = [];
  #flushedAt = 0;
  /** Bytes of rows in the timeline. */
  #written = 0;
  #wasDeleted = false;
  #isLost = false;

  /** Throws when the folder cannot be written: nothing has been started then. */
  constructor(folder: string, settings: string, facts: Facts, onTrouble: (sentence: string) => void) {
    this.#folder = folder;
    this.#settings = settings;
    this.#facts = facts;
    this.#onTrouble = onTrouble;
    writeFileSync(join(folder, SETTINGS_FILE), settings, { mode: 0o600 });
    writeFileSync(join(folder, RUN_FILE), encodePairs(Object.entries(facts)), { mode: 0o600 });
    this.#timeline = openSync(join(folder, TIMELINE_FILE), "w+", 0o600);
    writeAt(this.#timeline, new Uint8Array(RESERVED_ROWS * TIMELINE_ROW_BYTES), 0);
    this.#processes = openSync(join(folder, PROCESSES_FILE), "a+", 0o600);
  }

  /** The program deleted the run folder at some time. */
  get wasDeleted(): boolean {
    return this.#wasDeleted;
  }

  /** The folder is gone for good: there is nothing to finish. */
  get isLost(): boolean {
    return this.#isLost;
  }

  process(line: ProcessLine): void {
    this.#attempt(() => writeSync(this.#processes, encodeProcessLine(line)));
  }

  sample(row: TimelineSample): void {
    this.#rows.push(row);
    if (this.#rows.length >= FLUSH_ROWS || row.time - this.#flushedAt >= FLUSH_SECONDS) this.flush(row.time);
  }

  flush(time: number): void {
    this.#flushedAt = time;
    if (this.#rows.length === 0) return;
    const bytes = encodeTimeline(this.#rows);
    this.#rows = [];
    this.#attempt(() => {
      writeAt(this.#timeline, bytes, this.#written);
      this.#written += bytes.length;
    });
  }

  /** What the folder holds now. A deleted folder is made again, once: who deletes it twice means it. */
  fileNames(): string[] {
    try {
      return readdirSync(this.#folder);
    } catch (error) {
      if (errorCode(error) === "ENOENT" && !this.#wasDeleted) this.#remake();
      return [];
    }
  }

  /** Adds facts to the `run` file, or replaces some: later lines win, and a full disk takes nothing away that is there. */
  facts(more: Facts): void {
    this.#facts = { ...this.#facts, ...more };
    this.#attempt(() =>
      appendFileSync(join(this.#folder, RUN_FILE), encodePairs(Object.entries(more)), { mode: 0o600 }),
    );
  }

  close(): void {
    closeQuietly(this.#timeline);
    closeQuietly(this.#processes);
  }

  #attempt(write: () => unknown): void {
    if (this.#isLost) return;
    try {
      write();
    } catch (error) {
      this.#trouble(
        `cannot write into ${this.#folder}: ${reasonOf(error)}; the program runs on, what was recorded so far is kept`,
      );
    }
  }

  #trouble(sentence: string): void {
    if (this.#told.has(sentence)) return;
    this.#told.add(sentence);
    this.#onTrouble(sentence);
  }

  #remake(): void {
    const deleted = `${this.#folder} was deleted while the program ran`;
    this.#wasDeleted = true;
    try {
      mkdirSync(this.#folder, { mode: 0o700 });
      writeFileSync(join(this.#folder, SETTINGS_FILE), this.#settings, { mode: 0o600 });
      writeFileSync(join(this.#folder, RUN_FILE), encodePairs(Object.entries(this.#facts)), { mode: 0o600 });
      this.#timeline = copyToNew(join(this.#folder, TIMELINE_FILE), "w+", this.#timeline);
      this.#processes = copyToNew(join(this.#folder, PROCESSES_FILE), "a+", this.#processes);
      this.#trouble(`${deleted}: its blocks are lost, its pages are still recorded`);
    } catch (error) {
      this.#isLost = true;
      this.#trouble(
        `${deleted} and cannot be made again (${reasonOf(error)}): the program runs on without being recorded`,
      );
    }
  }
}

function writeAt(fd: number, bytes: Uint8Array, offset: number): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, offset + at);
}

/** A file with the content of an open one that has no name any more; the open one is closed. */
function copyToNew(path: string, flags: "w+" | "a+", old: number): number {
  const bytes = Buffer.alloc(fstatSync(old).size);
  const length = readSync(old, bytes, 0, bytes.length, 0);
  const fd = openSync(path, flags, 0o600);
  writeAt(fd, bytes.subarray(0, length), 0);
  closeQuietly(old);
  return fd;
}

function closeQuietly(fd: number): void {
  try {
    closeSync(fd);
  } catch {
    // already closed: nothing to keep
  }
}
