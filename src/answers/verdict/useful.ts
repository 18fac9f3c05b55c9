/** Which of the activations that repeated something may still drive a site's trend: the others are dropped, so that memory stays bounded. */

import type { Activation } from "./clock.ts";
import { lastNotAbove } from "./history.ts";
import type { SiteHistory } from "./history.ts";

/** A driver of a site has 80 % of its blocks below it, so it has at least one of these quantiles of them. */
const PROBES = [0.25, 0.5, 0.75];

/** Those that hold a probe of some site, and of the others the longest: threads of a pool share the work of one driver. */
export function usefulActivations(
  activations: readonly Activation[],
  histories: readonly (SiteHistory | undefined)[],
  others: number,
): Activation[] {
  const probes = probesByThread(histories);
  const useful: Activation[] = [];
  const rest: Activation[] = [];
  for (const activation of activations) {
    const points = probes.get(activation.thread);
    const at = points ? lastNotAbove(points, points.length, activation.last) : -1;
    if (at >= 0 && points![at]! >= activation.start) useful.push(activation);
    else rest.push(activation);
  }
  rest.sort((a, b) => b.last - b.start - (a.last - a.start));
  return [...useful, ...rest.slice(0, others)];
}

/** By thread: birth numbers at the quantiles of every site's kept blocks, in order. */
function probesByThread(histories: readonly (SiteHistory | undefined)[]): Map<number, number[]> {
  const probes = new Map<number, number[]>();
  for (const history of histories) {
    if (!history || history.blocks === 0) continue;
    for (const share of PROBES) {
      const at = Math.floor(share * (history.blocks - 1));
      const thread = history.thread[at]!;
      const points = probes.get(thread);
      if (points) points.push(history.born[at]!);
      else probes.set(thread, [history.born[at]!]);
    }
  }
  for (const points of probes.values()) points.sort((a, b) => a - b);
  return probes;
}
