/** The answer to "will it fit": its sentences, its verdicts and its refusals, on points written down. */
import { describe, expect, test } from "vitest";
import { scaleAnswer } from "../../src/answers/index.ts";
import type { Point } from "../../src/answers/index.ts";

const MEBI = 1024 ** 2;
const GIBI = 1024 ** 3;
/** The ratios that the command uses: about 1.75, never 2. */
const SIZES = [1_000, 100_000, 171_000, 305_000, 540_000, 921_000, 1_650_000, 2_900_000];

/** Thousands are set apart by thin spaces. */
const plain = (text: string | null): string => (text ?? "").replace(/[\u2009\u202f]/g, " ");

function points(peak: (n: number) => number, sizes = SIZES): Point[] {
  return sizes.map((n) => ({ n, peakBytes: Math.round(peak(n)) }));
}

function refused(given: readonly Point[], target: number): string {
  return plain(scaleAnswer({ points: given, targets: [target], limitBytes: GIBI }).claim);
}

const line = points((n) => 20 * MEBI + 412 * n);

describe("a program that grows like n", () => {
  test("says the number, its interval, where it comes from, and whether it fits", () => {
    const answer = scaleAnswer({ points: line, targets: [29e6], limitBytes: 16 * GIBI, unit: "row" });
    expect(answer.claim).toMatch(
      /^At n = 29 M rows: 11\.\d GiB \(90 %: \d+\.\d to \d+\.\d GiB\), from 8 runs up to 2\.9 M rows, 10x beyond them\. It fits in 16\.0 GiB \(with 95 % safety\)\.$/,
    );
    expect(answer.verdict).toBe("fits");
    expect(answer.model!.text).toBe("Grows like n: 412 B a row.");
    expect(answer.fits!.n).toBeGreaterThan(29e6);
    expect(answer.request!.slurm).toMatch(/^#SBATCH --mem=1[2-6]G$/);
    expect(answer.request!.kubernetes).toMatch(/^resources\.limits\.memory: 1[2-6]Gi$/);
  });

  test("does not fit where even the lower end is above the limit, may not where the limit is inside", () => {
    expect(scaleAnswer({ points: line, targets: [29e6], limitBytes: 8 * GIBI }).verdict).toBe("does-not-fit");
    const close = scaleAnswer({ points: line, targets: [29e6], limitBytes: 11.3 * GIBI });
    expect(close.verdict).toBe("unsafe");
    expect(close.claim).toContain("It may not fit in 11.3 GiB: the upper end is above.");
    expect(close.fits!.n).toBeLessThan(29e6);
  });

  test("its own test foretells the largest run from the others", () => {
    const { selfTest } = scaleAnswer({ points: line, targets: [29e6] });
    expect(selfTest!.inside).toBe(true);
    expect(selfTest!.text).toMatch(
      /^Test of this forecast: the run at n = 2\.9 M was foretold as 1\.1\d GiB \(.*\); it took 1\.13 GiB\.$/,
    );
  });

  test("is the same answer every time", () => {
    expect(scaleAnswer({ points: line, targets: [29e6] })).toEqual(
      scaleAnswer({ points: [...line].reverse(), targets: [29e6] }),
    );
  });
});

describe("no number, with the reason and the next size", () => {
  test("four sizes", () => {
    expect(refused(line.slice(0, 4), 1e6)).toBe(
      "No forecast for n = 1 M: 4 sizes are too few, at least 5 are needed. Run n = 534 000 next. Whether it fits in 1.00 GiB cannot be said.",
    );
  });

  test("more than 30 times the largest run", () => {
    expect(refused(line, 290e6)).toMatch(
      /^No forecast for n = 290 M: n = 290 M is 100 times the largest run\. Run n = 32\.3 M next\./,
    );
  });

  test("no growth at all", () => {
    expect(
      refused(
        points(() => 20 * MEBI),
        1e7,
      ),
    ).toMatch(/^No forecast for n = 10 M: no growth was seen up to n = 2\.9 M\. Run n = /);
  });

  test("doublings of n itself: nothing fits", () => {
    const exponential = points((n) => 15 * MEBI + 60 * 2 ** n, [4, 14, 16, 18, 20, 21, 22, 23]);
    expect(refused(exponential, 30)).toMatch(
      /^No forecast for n = 30: (no model explains the points|what fits the runs differs)/,
    );
  });

  test("no run at all", () => {
    const answer = scaleAnswer({
      points: [{ n: 1_000, peakBytes: GIBI, censored: "above", reason: "was killed" }],
      targets: [1e6],
      limitBytes: GIBI,
    });
    expect(answer.claim).toBe("No forecast: no size ran to its end. Run a smaller one: n = 250.");
    expect(answer.verdict).toBe("cannot-say");
  });
});

describe("runs that were stopped", () => {
  test("count against the limit even where no forecast is given", () => {
    const stopped: Point = {
      n: 5e6,
      peakBytes: 2 * GIBI,
      censored: "above",
      reason: "was stopped at half of the free memory",
    };
    const answer = scaleAnswer({ points: [...line, stopped], targets: [29e6], limitBytes: 1.5 * GIBI });
    expect(answer.verdict).toBe("does-not-fit");
    expect(answer.claim).toContain("It does not fit in 1.50 GiB: n = 5 M already took 2.00 GiB or more.");
  });

  test("that contradict the smaller ones refuse the number", () => {
    const stopped: Point = { n: 3.2e6, peakBytes: 8 * GIBI, censored: "above", reason: "was killed" };
    const answer = scaleAnswer({ points: [...line, stopped], targets: [29e6] });
    expect(answer.refused!.kind).toBe("stopped-run-contradicts");
    expect(answer.refused!.nextSize).toBeGreaterThan(2.9e6);
    expect(answer.refused!.nextSize).toBeLessThan(3.2e6);
  });
});

test("a bound that the verdicts found ends the growth", () => {
  const bounds = [{ what: "lru_cache of g", fill: 640, limit: 1_000, bytes: 64e6 }];
  const sizes = [10, 60, 105, 184, 322, 560, 640];
  const answer = scaleAnswer({ points: points((n) => 15 * MEBI + 100_000 * n, sizes), targets: [10_000], bounds });
  expect(plain(answer.forecasts[0].capped)).toBe(
    "lru_cache of g, 640 of 1 000: stops growing at n = 1 000, if it goes on filling",
  );
  expect(answer.forecasts[0].bytes / (15 * MEBI + 100_000_000)).toBeCloseTo(1, 1);
});

describe("lines", () => {
  const sizes = [500, 1_000, 1_750, 3_060, 5_360, 9_380, 16_400];
  const given = sizes.map((n): Point => {
    const rows = 5_000 * n;
    const square = 0.02 * n * n;
    return {
      n,
      peakBytes: 20 * MEBI + rows + square,
      perSite: [
        { site: "load.py:3 load", source: "rows.append(row)", bytes: rows, arrays: [] },
        {
          site: "pairs.py:9 pairs",
          source: "d = x @ x.T",
          bytes: square,
          arrays: [
            { bytes: square / 2, type: "ndarray", dtype: "float64", shape: [n, 1_024] },
            { bytes: square / 2, type: "ndarray", dtype: "float64", shape: [n, 1_024] },
          ],
        },
      ],
    };
  });

  test("that are small today and grow faster are warned of", () => {
    const { byLine, notes } = scaleAnswer({ points: given, targets: [400_000] });
    expect(byLine[0].site).toBe("pairs.py:9 pairs");
    expect(byLine[0].growth).toBe("grows like n^2");
    expect(byLine[0].share).toBeLessThan(0.1);
    expect(byLine[0].target!.share).toBeGreaterThan(0.5);
    expect(byLine[1].growth).toBe("grows like n");
    expect(notes.join("\n")).toMatch(
      /pairs\.py:9 pairs has 6\.\d % of the lines' bytes now and 6\d % there: it grows like n\^2\./,
    );
  });

  test("tell their arrays' shapes as functions of n", () => {
    const { byLine } = scaleAnswer({ points: given, targets: [400_000] });
    expect(byLine[0].arrays).toEqual([
      { type: "ndarray", dtype: "float64", shape: "(n, 1024)", bytes: 0.01 * 16_400 ** 2, count: 2 },
    ]);
    expect(byLine[0].text).toContain("; 2 of (n, 1024) float64, copies?");
  });
});
