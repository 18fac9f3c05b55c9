/**
 * How good the forecasts of the peak are, on sizes that were measured and not fitted.
 *
 *     npx esbuild bench/scaling/coverage.ts --bundle --platform=node --format=esm --outfile=build/coverage.mjs
 *     node build/coverage.mjs [--plan consecutive|product] [--bounds] [--programs] [--only NAME,…] [--without NAME,…]
 *
 * corpus/scaling/measured.jsonl holds the peaks of its programs at 9 to 27 sizes. Every window of 5 to 8 of them is fitted and every larger size foretold:
 * `consecutive` takes neighbouring sizes (a ratio of 1.4 from one to the next), `product` every other one and the smallest as the base, as `tidegauge scale`
 * chooses them. With --bounds the programs that state a limit (lru_cache, maxlen) are fitted with it, as the verdicts find it. All figures are means over the programs, so that programs with many sizes do not dominate. Pure arithmetic: the same table on every machine.
 */
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { median } from "simple-statistics";
import { fit } from "../../src/answers/scaling/fit.ts";
import { forecast } from "../../src/answers/scaling/forecast.ts";
import type { Point } from "../../src/answers/scaling/types.ts";
import { linear, oneTerm, powerLaw } from "./baselines.ts";
import type { Forecaster } from "./baselines.ts";

interface Row {
  readonly program: string;
  readonly method: string;
  readonly factor: number;
  readonly low: number;
  readonly bytes: number;
  readonly high: number;
  readonly truth: number;
  readonly refused: string | null;
}

const BANDS = [1, 2.2, 4.5, 9, 30, Infinity];
const LEAST_GROWTH = 3e6;
const BASELINES: Record<string, Forecaster> = { linear, "power law": powerLaw, "one term": oneTerm };

/** Limits that programs of the corpus state, as a snapshot at the largest run would show them: entries at n. Only with --bounds. */
const BOUNDS: Record<string, { what: string; limit: number; entryBytes: number }> = {
  lru_bounded: { what: "lru_cache of g", limit: 2_000, entryBytes: 20_250 },
  deque_bound: { what: "deque d", limit: 50_000, entryBytes: 180 },
};

const { values } = parseArgs({
  options: {
    plan: { type: "string", default: "consecutive" },
    programs: { type: "boolean", default: false },
    bounds: { type: "boolean", default: false },
    only: { type: "string" },
    without: { type: "string" },
  },
});

function programs(): Map<string, Point[]> {
  const out = new Map<string, Point[]>();
  for (const line of readFileSync("corpus/scaling/measured.jsonl", "utf8").split("\n")) {
    if (line.trim() === "") continue;
    const row = JSON.parse(line) as { program: string; n: number; peak_kb: number[] };
    const name = row.program.replace(/\.py$/, "");
    if (values.only && !values.only.split(",").includes(name)) continue;
    if (values.without?.split(",").includes(name)) continue;
    const repeats = row.peak_kb.map((kb) => kb * 1024);
    out.set(name, [...(out.get(name) ?? []), { n: row.n, peakBytes: median(repeats), repeats }]);
  }
  for (const points of out.values()) points.sort((a, b) => a.n - b.n);
  return out;
}

/** Sets of sizes to fit; what is larger than the last of each is foretold. A window in which 3 MB of growth are not yet seen counts only if the program never grows. */
function windows(points: readonly Point[], plan: string): Point[][] {
  const step = plan === "product" ? 2 : 1;
  const out: Point[][] = [];
  const grows = points[points.length - 1].peakBytes - points[0].peakBytes >= LEAST_GROWTH;
  for (let size = 5; size <= 8; size++) {
    for (let end = 0; end < points.length - 1; end++) {
      const first = end - (size - 1) * step;
      if (first < 0) continue;
      const window: Point[] = [];
      for (let i = first; i <= end; i += step) window.push(points[i]);
      if (plan === "product") window[0] = points[0];
      if (grows && window[size - 1].peakBytes - window[0].peakBytes < LEAST_GROWTH) continue;
      out.push(window);
    }
  }
  return out;
}

function rows(): Row[] {
  const out: Row[] = [];
  for (const [program, points] of programs()) {
    for (const window of windows(points, values.plan)) {
      // The product repeats the largest and one other size; the rest are run once.
      const middle = Math.floor(window.length / 2);
      const given = window.map((point, i): Point =>
        i === window.length - 1 || i === middle ? point : { n: point.n, peakBytes: point.repeats![0] },
      );
      const last = given[given.length - 1].n;
      const stated = values.bounds ? BOUNDS[program] : undefined;
      const fill = Math.min(last, stated?.limit ?? 0);
      const fitted = fit(
        given,
        stated ? { bounds: [{ what: stated.what, limit: stated.limit, fill, bytes: fill * stated.entryBytes }] } : {},
      );
      const n = given.map((point) => point.n);
      const y = given.map((point) => point.peakBytes);
      for (const target of points) {
        if (target.n <= fitted.largest) continue;
        const factor = target.n / fitted.largest;
        const truth = target.peakBytes;
        const told = forecast(fitted, target.n);
        out.push({
          program,
          method: "tidegauge",
          factor,
          truth,
          low: told.low,
          bytes: told.bytes,
          high: told.high,
          refused: told.refused?.kind ?? null,
        });
        for (const [method, foretell] of Object.entries(BASELINES))
          out.push({ program, method, factor, truth, ...foretell(n, y, target.n), refused: null });
      }
    }
  }
  return out;
}

interface Figures {
  readonly count: number;
  readonly programs: number;
  readonly cover: number;
  readonly exceeded: number;
  readonly error: number;
  readonly width: number;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Means over programs of what each program's forecasts did; error and width: the median over programs of the median. */
function figures(rows: readonly Row[]): Figures {
  const byProgram = new Map<string, Row[]>();
  for (const row of rows) byProgram.set(row.program, [...(byProgram.get(row.program) ?? []), row]);
  const each = [...byProgram.values()];
  return {
    count: rows.length,
    programs: each.length,
    cover: mean(each.map((all) => mean(all.map((row) => Number(row.truth >= row.low && row.truth <= row.high))))),
    exceeded: mean(each.map((all) => mean(all.map((row) => Number(row.truth > row.high))))),
    error: median(each.map((all) => median(all.map((row) => Math.abs(row.bytes / row.truth - 1))))),
    width: median(each.map((all) => median(all.map((row) => (row.high - row.low) / row.truth)))),
  };
}

function show({ cover, exceeded, error, width }: Figures): string {
  return `${cover.toFixed(3)} / ${(exceeded * 100).toFixed(1)} % / ${(error * 100).toFixed(1)} % / ${width.toFixed(2)}`;
}

const all = rows();
const methods = [...Object.keys(BASELINES), "tidegauge"];
console.log(
  `plan: ${values.plan}. Each cell: coverage / upper end exceeded / median error / width relative to the truth`,
);
console.log(`| factor (forecasts, programs) | ${methods.join(" | ")} | answered | of those |`);
console.log(`|---|${methods.map(() => "---|").join("")}---|---|`);
for (let band = 0; band + 1 < BANDS.length; band++) {
  const here = all.filter((row) => row.factor > BANDS[band] && row.factor <= BANDS[band + 1]);
  const own = here.filter((row) => row.method === "tidegauge");
  if (own.length === 0) continue;
  const cells = methods.map((method) => show(figures(here.filter((row) => row.method === method))));
  const answered = own.filter((row) => row.refused === null);
  const label = BANDS[band + 1] === Infinity ? `> ${BANDS[band]}` : `${BANDS[band]}-${BANDS[band + 1]}`;
  const share = `${((answered.length / own.length) * 100).toFixed(0)} %`;
  const programs = new Set(own.map((row) => row.program)).size;
  console.log(
    `| ${label} (${own.length}, ${programs}) | ${cells.join(" | ")} | ${share} | ${answered.length > 0 ? show(figures(answered)) : "-"} |`,
  );
}
if (values.programs) {
  console.log(
    "\n| program | coverage at 1-2.2 | 2.2-4.5 | 4.5-9 | 9-30 | error at 4.5-9 | answered there | covered of those |",
  );
  console.log("|---|---|---|---|---|---|---|---|");
  for (const program of new Set(all.map((row) => row.program))) {
    const own = all.filter((row) => row.program === program && row.method === "tidegauge");
    const cells = [0, 1, 2, 3].map((band) => {
      const here = own.filter((row) => row.factor > BANDS[band] && row.factor <= BANDS[band + 1]);
      return here.length === 0 ? "-" : `${figures(here).cover.toFixed(2)} (${here.length})`;
    });
    const middle = own.filter((row) => row.factor > 4.5 && row.factor <= 9);
    const error = middle.length === 0 ? "-" : `${(figures(middle).error * 100).toFixed(1)} %`;
    const far = own.filter((row) => row.factor > 9 && row.factor <= 30);
    const answered = far.filter((row) => row.refused === null);
    const covered = answered.length === 0 ? "-" : figures(answered).cover.toFixed(2);
    console.log(
      `| ${program} | ${cells.join(" | ")} | ${error} | ${far.length === 0 ? "-" : `${answered.length} of ${far.length}`} | ${covered} |`,
    );
  }
}
