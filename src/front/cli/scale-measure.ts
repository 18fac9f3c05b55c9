/** From a run's recording to what a fit needs of it, and from runs to points. */
import { explain, shownFunction, shownPlace, type Point, type Recording } from "../../answers/index.ts";
import { formatBytes } from "../../base/format.ts";
import type { ScaleRun, SiteBytes } from "../../capture/run/scale-points.ts";
import type { RunEnd } from "../../capture/run/scale-run.ts";
import { openFile } from "./open.ts";

/** Lines kept of a run. */
const SITES = 30;

/** What a recording says about its peak: without the memory of the recording code itself. */
export function measured(r: Recording): Pick<ScaleRun, "peakBytes" | "intervalBytes" | "sites"> {
  const { peak, recording, program } = explain(r);
  const bytes = (peak.together?.bytes ?? peak.rssBytes ?? NaN) - (recording.agentBytes ?? 0);
  const sites = peak.sites
    .filter(({ site }) => site.own)
    .slice(0, SITES)
    .map(({ site, bytes: live, count }): SiteBytes => ({
      site: [shownPlace(site, program.cwd), shownFunction(site)].filter(Boolean).join(" "),
      source: site.source ?? "",
      bytes: live,
      count,
    }));
  return { peakBytes: bytes, intervalBytes: recording.intervalBytes ?? 0, sites };
}

export function runOf(n: number, end: RunEnd, limit: number): ScaleRun {
  const nothing = { peakBytes: NaN, intervalBytes: 0, sites: [] };
  let seen: Pick<ScaleRun, "peakBytes" | "intervalBytes" | "sites"> = nothing;
  try {
    if (end.recording !== undefined && (end.status === 0 || end.stopped))
      seen = measured(openFile(end.recording).recording);
  } catch {
    seen = nothing; // no recording was made: the state says why
  }
  const peakBytes =
    Number.isNaN(seen.peakBytes) || end.stopped ? Math.max(end.mostBytes, seen.peakBytes || 0) : seen.peakBytes;
  const killed = end.status === 137 && !end.stopped;
  const state = end.stopped || killed ? "stopped" : end.status === 0 ? "ok" : "failed";
  const reason = end.stopped
    ? `was stopped at the ${formatBytes(limit)} that a run may take`
    : killed
      ? "was killed (SIGKILL: most likely out of memory)"
      : end.status === 0
        ? ""
        : endingOf(end);
  return { n, ...seen, peakBytes, state, reason, seconds: end.seconds };
}

/** "failed with exit status 1: ValueError: too large" */
function endingOf(end: RunEnd): string {
  const last = end.errors.trimEnd().split("\n").at(-1)?.trim() ?? "";
  const how = end.status > 128 ? `died of signal ${end.status - 128}` : `failed with exit status ${end.status}`;
  return `${end.step === "make" ? "--make " : ""}${how}${last === "" ? "" : `: ${last.slice(0, 160)}`}`;
}

/** One point a size; sizes that failed by themselves are none. */
export function pointsOf(runs: readonly ScaleRun[]): Point[] {
  const sizes = [...new Set(runs.filter((run) => run.state !== "failed").map((run) => run.n))].sort((a, b) => a - b);
  return sizes.map((n): Point => {
    const all = runs.filter((run) => run.n === n && run.state !== "failed");
    const ended = all.filter((run) => run.state === "ok");
    if (ended.length < all.length) {
      const worst = all.find((run) => run.state === "stopped")!;
      return { n, peakBytes: Math.max(...all.map((run) => run.peakBytes)), censored: "above", reason: worst.reason };
    }
    const first = ended.find((run) => run.sites.length > 0);
    const peaks = ended.map((run) => run.peakBytes).sort((a, b) => a - b);
    const point = { n, peakBytes: peaks[Math.floor(peaks.length / 2)] };
    const repeats = peaks.length > 1 ? { repeats: ended.map((run) => run.peakBytes) } : undefined;
    const perSite = first && {
      perSite: first.sites.map(({ site, source, bytes, count }) => ({ site, source: source || null, bytes, count })),
    };
    return Object.assign(point, repeats, perSite);
  });
}
