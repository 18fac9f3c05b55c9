/**
 * Which lines make the peak, today and at the target. Each line's live bytes at the peak are fitted as the whole peak is, with far less noise (counts of blocks
 * carry almost none). The number comes from the whole peak, the reason from the lines: on programs that were measured, sums of lines covered less often.
 */
import { fit } from "./fit.ts";
import type { Fit } from "./fit.ts";
import { forecast } from "./forecast.ts";
import { shapeText } from "./shapes.ts";
import type { ArrayAtPeak, ArrayCurve, Point, SiteAtPeak, SiteCurve } from "./types.ts";
import { growthText, perUnit } from "./words.ts";

export interface SiteOptions {
  /** Mean bytes between two samples of the recordings; 0: every block was recorded. */
  readonly intervalBytes?: number;
  readonly seed?: number;
  /** Lines to return; the rest is not fitted. Default 8. */
  readonly most?: number;
}

const EXACT_FLOOR = 512;
const EXACT_SHARE = 0.004;
/** Enough for a line's median and its ends. */
const DRAWS = 1_500;
const MOST = 8;
/** Lines looked at before the target ranks them: a small line may be the one that counts there. */
const LOOKED_AT = 3;

/** Worst at `target` first. Empty when fewer than three sizes know their lines. */
export function siteCurves(points: readonly Point[], target: number, options: SiteOptions = {}): SiteCurve[] {
  const known = points.filter((point) => !point.censored && point.perSite).sort((a, b) => a.n - b.n);
  if (new Set(known.map((point) => point.n)).size < 3) return [];
  const most = options.most ?? MOST;
  const last = known[known.length - 1];
  const total = last.perSite!.reduce((sum, site) => sum + site.bytes, 0);
  const candidates = [...last.perSite!].sort((a, b) => b.bytes - a.bytes).slice(0, most * LOOKED_AT);
  const curves = candidates.map((site) => curveOf(site, known, total, target, options));
  const all = curves.reduce((sum, curve) => sum + (curve.target?.bytes ?? curve.bytes), 0);
  for (const curve of curves) if (curve.target) curve.target.share = all > 0 ? curve.target.bytes / all : 0;
  return curves.sort((a, b) => (b.target?.bytes ?? b.bytes) - (a.target?.bytes ?? a.bytes)).slice(0, most);
}

type Mutable = Omit<SiteCurve, "target"> & {
  target: { n: number; bytes: number; low: number; high: number; share: number } | null;
};

function curveOf(
  site: SiteAtPeak,
  known: readonly Point[],
  total: number,
  target: number,
  options: SiteOptions,
): Mutable {
  const same = known.map((point) => ({ n: point.n, site: point.perSite!.find((each) => each.site === site.site) }));
  const fitted = fitSite(
    same.map((each) => ({ n: each.n, peakBytes: each.site?.bytes ?? 0 })),
    site.bytes,
    options,
  );
  const told = forecast(fitted, target);
  // Of a line the spread alone decides: its growth may be small and still known to the byte.
  const clear = told.refused === null || told.refused.kind === "too-little-growth" || told.refused.kind === "no-growth";
  const here = forecast(fitted, fitted.largest).bytes;
  const grown = told.bytes > 0 && here > 0 && told.factor > 1;
  return {
    site: site.site,
    source: site.source ?? null,
    bytes: site.bytes,
    share: total > 0 ? site.bytes / total : 0,
    target: clear ? { n: target, bytes: told.bytes, low: Math.max(told.low, 0), high: told.high, share: 0 } : null,
    growth: clear ? growthText(fitted) : "grows in a way that the runs do not tell",
    exponent: clear && grown ? Math.log(told.bytes / here) / Math.log(told.factor) : null,
    perUnit: clear ? perUnit(fitted) : null,
    arrays: arraysOf(
      site,
      same.map((each) => ({ n: each.n, arrays: each.site?.arrays ?? [] })),
    ),
  };
}

/** Sampled bytes have a variance of interval times bytes. */
function fitSite(points: readonly Point[], bytes: number, { intervalBytes = 0, seed }: SiteOptions): Fit {
  return fit(points, {
    noiseFloorBytes: Math.max(EXACT_FLOOR, intervalBytes),
    noiseShare: Math.max(EXACT_SHARE, bytes > 0 ? Math.sqrt(intervalBytes / bytes) : 0),
    draws: DRAWS,
    ...(seed === undefined ? {} : { seed }),
  });
}

/** The line's large buffers, equal ones taken together. The i-th largest of a kind at one size is the i-th largest of it at another. */
function arraysOf(site: SiteAtPeak, seen: readonly { n: number; arrays: readonly ArrayAtPeak[] }[]): ArrayCurve[] {
  const out = new Map<string, { curve: ArrayCurve; count: number }>();
  const ranks = new Map<string, number>();
  for (const array of site.arrays ?? []) {
    const kind = kindOf(array);
    const rank = ranks.get(kind) ?? 0;
    ranks.set(kind, rank + 1);
    const shapes = seen.flatMap(({ n, arrays }) => {
      const shape = arrays.filter((each) => kindOf(each) === kind)[rank]?.shape;
      return shape ? [{ n, shape }] : [];
    });
    const shape = array.shape ? shapeText(shapes) : null;
    const key = `${kind} ${shape ?? array.bytes}`;
    const before = out.get(key);
    if (before) before.count++;
    else
      out.set(key, {
        curve: { type: array.type ?? "buffer", dtype: array.dtype ?? null, shape, bytes: array.bytes, count: 1 },
        count: 1,
      });
  }
  return [...out.values()].map(({ curve, count }): ArrayCurve => ({
    type: curve.type,
    dtype: curve.dtype,
    shape: curve.shape,
    bytes: curve.bytes,
    count,
  }));
}

function kindOf(array: ArrayAtPeak): string {
  return `${array.type ?? ""} ${array.dtype ?? ""} ${array.shape?.length ?? ""}`;
}
