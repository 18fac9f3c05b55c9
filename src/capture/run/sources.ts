/** The text of the user's own files that hold a site, so that a recording can show its lines on any machine. */

import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { NONE } from "../../base/brand.ts";
import type { Table } from "../../tide/schema.ts";
import { tableBuilder } from "../../tide/writer.ts";
import type { Program } from "../../views/blocks/codes.ts";
import { OWNER } from "../../views/blocks/sites.ts";

/** Bytes of one file and of all together. */
const LARGEST_FILE = 512 * 1024;
const LARGEST_TOTAL = 4 * 1024 * 1024;
/** A file changed later than this after the launch (seconds) may not be what ran. */
const CHANGED_SECONDS = 1;

export interface SourceTexts {
  table: Table<"sources">;
  /** By site: its line without indent, "" when not at hand. */
  ofSite: string[];
}

/** What the sources of a run are found by. */
export interface SourcePlace {
  cwd: string;
  argv: readonly string[];
  /** Seconds since the epoch; NaN: not known. */
  startedRealtime: number;
}

/** @param hasBlocks by site: whether any block belongs to it */
export function readSources(program: Program, hasBlocks: (site: number) => boolean, place: SourcePlace): SourceTexts {
  const builder = tableBuilder("sources");
  const linesOf = new Map<string, string[]>();
  const ofSite: string[] = [];
  let left = LARGEST_TOTAL;
  for (let site = 0; site < program.siteCode.length; site++) {
    const code = program.siteCode[site]!;
    const file = program.codeFile[code]!;
    ofSite.push("");
    if (program.codeOwner[code] !== OWNER.user || program.siteLine[site] === NONE || !hasBlocks(site)) continue;
    let lines = linesOf.get(file);
    if (!lines) {
      const text = file === "<string>" ? commandText(place.argv) : fileText(resolve(place.cwd, file), left, place);
      left -= text.length;
      if (text !== "") builder.push({ file, text });
      lines = text.split("\n");
      linesOf.set(file, lines);
    }
    ofSite[site] = (lines[program.siteLine[site]! - 1] ?? "").trim();
  }
  return { table: builder.finish(), ofSite };
}

/** "" when the file is not there, not text of the run, or too large. */
function fileText(path: string, left: number, place: SourcePlace): string {
  try {
    const stat = statSync(path);
    const isLater = stat.mtimeMs / 1000 > place.startedRealtime + CHANGED_SECONDS;
    if (!stat.isFile() || isLater || stat.size > Math.min(LARGEST_FILE, left)) return "";
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** What follows `-c`, as its own word or attached to the option. */
function commandText(argv: readonly string[]): string {
  // The -c of a shell is no Python.
  if (!/(?:^|\/)(?:python|pypy)[^/]*$/.test(argv[0] ?? "")) return "";
  const at = argv.findIndex((word, i) => i > 0 && /^-[A-Za-z]*c/.test(word));
  if (at < 0) return "";
  const attached = argv[at]!.replace(/^-[A-Za-z]*?c/, "");
  return attached === "" ? (argv[at + 1] ?? "") : attached;
}
