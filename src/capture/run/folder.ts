/**
 * Where a recording goes, and the run folder beside it: making it is the lock that keeps two runs from the same name, and its `run`
 * file says who holds it.
 */
import { existsSync, lstatSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parsePairs, RUN_FILE, RUN_FOLDER_SUFFIX } from "../../tide/runfolder.ts";
import { parseStat } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";
import { errorCode, reasonOf, Refusal, statusOf } from "./refusal.ts";

export interface RunPlace {
  /** The recording that will be made, as the user would write it, and absolute. */
  shown: string;
  file: string;
  /** Absolute path of the run folder. */
  folder: string;
}

export interface OutputChoice {
  /** Explicit name, or undefined: `tidegauge-NAME.tide` in the working directory, numbered when taken. */
  output: string | undefined;
  name: string;
  force: boolean;
}

/** Makes the run folder (mode 0700). Throws a Refusal when the name is taken or nothing can be written there. */
export function reserve(choice: OutputChoice): RunPlace {
  if (choice.output !== undefined) return reserveExactly(choice.output, choice.force);
  for (let n = 1; ; n++) {
    const shown = `tidegauge-${choice.name}${n === 1 ? "" : `-${n}`}.tide`;
    const place = placeOf(shown);
    if (n === 1 && choice.force) return reserveExactly(shown, true);
    if (!existsSync(place.file) && makeFolder(place)) return place;
  }
}

function placeOf(shown: string): RunPlace {
  const file = resolve(shown);
  return { shown, file, folder: file + RUN_FOLDER_SUFFIX };
}

function reserveExactly(shown: string, force: boolean): RunPlace {
  const place = placeOf(shown);
  checkOutput(place, force);
  if (makeFolder(place)) return place;
  const holder = holderOf(place.folder);
  const folder = shown + RUN_FOLDER_SUFFIX;
  if (holder !== undefined)
    throw new Refusal(2, `another run (${holder}) is writing ${shown}; name another file with -o`);
  if (!force) {
    const advice = `read it with: tidegauge explain ${folder}, or start over with -f`;
    throw new Refusal(2, `${folder} is left of a run whose recorder died; ${advice}`);
  }
  rmSync(place.folder, { recursive: true, force: true });
  if (makeFolder(place)) return place;
  throw new Refusal(2, `another run is writing ${shown}; name another file with -o`);
}

function checkOutput(place: RunPlace, force: boolean): void {
  const parent = dirname(place.file);
  const parentShown = dirname(place.shown);
  try {
    if (!statSync(parent).isDirectory())
      throw new Refusal(2, `cannot write ${place.shown}: ${parentShown} is not a folder`);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    const advice = errorCode(error) === "ENOENT" ? `; make the folder ${parentShown} first` : "";
    throw new Refusal(statusOf(error), `cannot write ${place.shown}: ${reasonOf(error)}${advice}`);
  }
  const there = lstatSync(place.file, { throwIfNoEntry: false });
  if (there?.isDirectory() || basename(place.file) === "" || place.shown.endsWith("/")) {
    throw new Refusal(2, `cannot write ${place.shown}: it is a folder; name a file in it`);
  }
  if (there && !force) throw new Refusal(2, `${place.shown} exists; -f writes over it, -o names another file`);
}

/** false: the folder exists. Also writes a first file into it, so that a folder without room is found before the program is started. */
function makeFolder(place: RunPlace): boolean {
  try {
    mkdirSync(place.folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw refusedFolder(place, error);
  }
  try {
    writeFileSync(
      join(place.folder, RUN_FILE),
      `recorderPid=${process.pid}\nrecorderStart=${startTicks(process.pid)}\n`,
    );
  } catch (error) {
    rmSync(place.folder, { recursive: true, force: true });
    throw refusedFolder(place, error);
  }
  return true;
}

function refusedFolder(place: RunPlace, error: unknown): Refusal {
  const where = dirname(place.file);
  return new Refusal(statusOf(error), `cannot write into ${where}: ${reasonOf(error)}; name a file elsewhere with -o`);
}

function startTicks(pid: number): number {
  return parseStat(readText(`/proc/${pid}/stat`) ?? "").startTicks;
}

/** A new folder without a `run` file belongs to a run that is just starting. */
const STARTING_MILLISECONDS = 2000;

/** Words for the living recorder that holds a run folder; undefined: it died, or this is no run folder. */
export function holderOf(folder: string): string | undefined {
  const text = readText(join(folder, RUN_FILE));
  if (text === undefined) {
    const stat = statSync(folder, { throwIfNoEntry: false });
    return stat && Date.now() - stat.mtimeMs < STARTING_MILLISECONDS ? "just starting" : undefined;
  }
  const pairs = parsePairs(text);
  const pid = Number(pairs.get("recorderPid") ?? NaN);
  const start = Number(pairs.get("recorderStart") ?? NaN);
  return pid > 0 && startTicks(pid) === start ? `process ${pid}` : undefined;
}

/** Removes a run folder that holds nothing worth keeping (the program could not be started). */
export function giveBack(place: RunPlace): void {
  rmSync(place.folder, { recursive: true, force: true });
}
