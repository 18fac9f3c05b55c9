/** At a site's peak: were its blocks alive because the calls that made them had not returned? */

import { ALIVE } from "./history.ts";
import type { SiteHistory } from "./history.ts";
import type { Places } from "./places.ts";

export interface HeldByCalls {
  /** Share of the bytes at the peak whose call was still running. */
  share: number;
  /** Running calls among them of one function, at most. */
  depth: number;
}

export function heldByCalls(history: SiteHistory, peakAt: number, places: Places): HeldByCalls {
  const running = history.atPeak;
  let bytes = 0;
  let held = 0;
  let rounds = 0;
  const calls = new Map<number, Set<number>>();
  if (!running) return { share: 0, depth: 0 };
  for (let i = 0; i < history.blocks; i++) {
    const born = history.born[i]!;
    if (born > peakAt) break;
    if (history.died[i]! !== ALIVE && history.died[i]! < peakAt) continue;
    bytes += history.bytes[i]!;
    const starts = running.get(history.thread[i]!);
    const depth = places.siteDepth[history.stack[i]!]!;
    if (!starts || depth >= starts.length || starts[depth]! > born) continue;
    held += history.bytes[i]!;
    const call = places.cut(history.stack[i]!, depth + 1);
    const code = places.codeOf(call);
    rounds = Math.max(rounds, places.roundsOf(call));
    const depths = calls.get(code);
    if (depths) depths.add(depth);
    else calls.set(code, new Set([depth]));
  }
  const depth = Math.max(rounds, ...[...calls.values()].map((depths) => depths.size));
  return { share: bytes > 0 ? held / bytes : 0, depth };
}
