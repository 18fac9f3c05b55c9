/** Sites and frames as plain values, and how a place in a program is written. */
import { NONE } from "../base/brand.ts";
import { relativePath } from "../base/format.ts";
import type { Recording } from "../tide/recording.ts";

export interface Place {
  /** as the interpreter knows the file; the name of the library for native code */
  readonly file: string;
  /** null: native code has no line */
  readonly line: number | null;
  readonly function: string;
}

export interface Site extends Place {
  /** "s1", the same in every answer from this recording */
  readonly id: string;
  /** false: no line of the program's own files led here (start-up of the interpreter, a thread of a library) */
  readonly own: boolean;
  /** the source line without its indent; null: not at hand */
  readonly source: string | null;
  /** the frame that asked for the memory: the site itself or library code below it; package: null for the program's own code */
  readonly inner: Place & { readonly package: string | null };
  /** the heaviest stack from the site outwards, at most STACK_FRAMES */
  readonly stack: readonly Place[];
  /** frames of that stack, those that were left out included */
  readonly stackDepth: number;
}

/** Enough for every real program; a deep recursion repeats itself anyway. */
const STACK_FRAMES = 64;

/** A code's owner in the tables: the user's own file, native code. */
const OWN = 0;
const NATIVE = 3;

/** Site `index` as a value; `id` is its handle (see leaks.ts, which ranks them). */
export function siteOf(r: Recording, index: number, id: string): Site {
  const sites = r.table("sites");
  const line = sites.line[index];
  const place = placeOfCode(r, sites.code[index], line);
  const innerFrame = sites.innerFrame[index];
  const frames = outwards(r, sites.heaviestStack[index], sites.code[index], line);
  return {
    id,
    own: isOwn(r, index),
    ...place,
    source: sites.source[index] || null,
    inner: innerFrame === NONE ? { ...place, package: null } : innerPlace(r, innerFrame),
    stack: frames.slice(0, STACK_FRAMES).map((frame) => placeOfFrame(r, frame)),
    stackDepth: frames.length,
  };
}

export function placeOfFrame(r: Recording, frame: number): Place {
  const frames = r.table("frames");
  return placeOfCode(r, frames.code[frame], frames.line[frame]);
}

function placeOfCode(r: Recording, code: number, line: number): Place {
  const codes = r.table("codes");
  const native = codes.owner[code] === NATIVE;
  return {
    file: native ? codes.package[code] || codes.file[code] : codes.file[code],
    line: native || line === NONE ? null : line,
    function: codes.qualname[code] || codes.name[code],
  };
}

function innerPlace(r: Recording, frame: number): Site["inner"] {
  const code = r.table("frames").code[frame];
  return { ...placeOfFrame(r, frame), package: r.table("codes").package[code] || null };
}

/** Frames of a stack from the site's own frame to the outermost. */
function outwards(r: Recording, stack: number, code: number, line: number): number[] {
  const { parent, frame } = r.table("stacks");
  const frames = r.table("frames");
  const result: number[] = [];
  for (let at = stack; at !== NONE; at = parent[at]) result.push(frame[at]);
  const own = result.findIndex((f) => frames.code[f] === code && frames.line[f] === line);
  return result.slice(Math.max(0, own));
}

/** Whether the site's code is the user's own. */
export function isOwn(r: Recording, site: number): boolean {
  return r.table("codes").owner[r.table("sites").code[site]] === OWN;
}

/** A file as people know it: below its package folder or the standard library, else relative to the working directory. */
export function shownPath(file: string, cwd: string): string {
  const library = /^.*\/(?:(?:site|dist)-packages|lib\/python\d+\.\d+)\/(.+)$/.exec(file);
  return library ? library[1] : relativePath(file, cwd);
}

/** "app/report.py:31". */
export function shownPlace(place: Place, cwd: string): string {
  if (place.file === "") return "(native code)";
  const path = shownPath(place.file, cwd);
  return place.line === null ? path : `${path}:${place.line}`;
}

/** "Report.total"; a function inside a function loses the outer one's name; "" for the body of a module. */
export function shownFunction(place: Place): string {
  if (place.function === "<module>" || place.file === "") return "";
  return place.function.replace(/^.*<locals>\./, "");
}
