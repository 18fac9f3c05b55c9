/** From the address of a native caller to a library and a symbol. The event file has the executable mappings as text. */

import { lastNotAbove } from "./linetable.ts";
import { fileName } from "./sites.ts";

/** The symbol at a file offset of a library; undefined when its symbols are not at hand. */
export type SymbolResolver = (library: string, offset: number) => string | undefined;

export interface NativePlace {
  /** Path of the library or executable; "" for memory that no file stands behind. */
  library: string;
  /** Symbol, else the offset in the library, else the address. */
  name: string;
}

interface Mappings {
  starts: number[];
  ends: number[];
  offsets: number[];
  paths: string[];
}

/**
 * A function from an address to its place. Texts are as the agent wrote them, the oldest first; a later one wins, since a library may have gone
 * and another have come to its place.
 */
export function nativePlaces(
  texts: readonly string[],
  symbols: SymbolResolver | undefined,
): (address: number) => NativePlace {
  const parsed: (Mappings | undefined)[] = [];
  return (address) => {
    const called = address - 1; // the address is where the call returns to: the call itself lies before it
    for (let i = texts.length - 1; i >= 0; i--) {
      const mappings = (parsed[i] ??= parseMappings(texts[i]!));
      const at = lastNotAbove(mappings.starts, called);
      if (at < 0 || called >= mappings.ends[at]!) continue;
      const library = mappings.paths[at]!;
      const offset = called - mappings.starts[at]! + mappings.offsets[at]!;
      const symbol = library.startsWith("/") ? symbols?.(library, offset) : undefined;
      return { library, name: symbol ?? `${fileName(library) || "?"}+0x${offset.toString(16)}` };
    }
    return { library: "", name: `0x${address.toString(16)}` };
  };
}

/** Lines `START-END OFFSET PATH`, hexadecimal; a line that is none (a torn text) is left out. */
function parseMappings(text: string): Mappings {
  const rows: [number, number, number, string][] = [];
  for (const line of text.split("\n")) {
    const match = /^([\da-f]{1,16})-([\da-f]{1,16}) ([\da-f]{1,16}) ?(.*)$/.exec(line);
    if (match) rows.push([parseInt(match[1]!, 16), parseInt(match[2]!, 16), parseInt(match[3]!, 16), match[4]!]);
  }
  rows.sort((a, b) => a[0] - b[0]);
  return {
    starts: rows.map((row) => row[0]),
    ends: rows.map((row) => row[1]),
    offsets: rows.map((row) => row[2]),
    paths: rows.map((row) => row[3]),
  };
}
