import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compile, countedAt, live, ofSize, record, root0 } from "./recorded.ts";
import type { Block, Image } from "./recorded.ts";

const BIG = 32_768; // blocks of this size and more are always recorded

/**
 * Forks children that each make the same known blocks amid much churn and leave with them alive. One run gives so many independent samples; the first
 * line of the output is the truth: bytes and number of the kept blocks.
 */
const program = (children: number, churn: number): string => `
  import os
  sizes = [1 + (i * 7919) % 500 for i in range(3000)] + [600 + (i * 104729) % 5000 for i in range(400)] + [40000]
  if True:
      print(sum(sizes) + 33 * len(sizes), len(sizes), flush=True)
  def child():
      kept = [None] * len(sizes)
      for i, n in enumerate(sizes):
          kept[i] = bytes(n)
          for k in range(${churn}):
              [k, str(k)]
      os._exit(0)
  for i in range(${children}):
      if os.fork() == 0:
          child()
      os.wait()
`;

/** Estimates of one child: bytes and count with their variances (docs/format.md, Estimates). */
interface Estimate {
  bytes: number;
  varBytes: number;
  count: number;
  varCount: number;
}

function estimate(blocks: readonly Block[]): Estimate {
  const sum: Estimate = { bytes: 0, varBytes: 0, count: 0, varCount: 0 };
  for (const { size, weight } of blocks) {
    const p = 1 / weight;
    sum.bytes += size * weight;
    sum.varBytes += (size * size * (1 - p)) / (p * p);
    sum.count += weight;
    sum.varCount += (1 - p) / (p * p);
  }
  return sum;
}

const kept = (image: Image): Block[] => live(image).filter(({ stack }) => stack.at(-1) === "child: kept[i] = bytes(n)");

describe("sampled figures are true on average", () => {
  const CHILDREN = 40;
  const MODES: [string, string, number][] = [
    ["interval 4,096", "mode=interval\ninterval=4096", 1],
    ["interval 16,384", "mode=interval\ninterval=16384", 1],
    ["interval 524,288", "mode=interval\ninterval=524288", 1],
    ["adaptive, with little to spend", "mode=adaptive\noverhead=1", 60],
  ];
  for (const [name, settings, churn] of MODES)
    test(name, () => {
      const run = record(program(CHILDREN, churn), { settings });
      const [bytes, count] = run.stdout.split(" ").map(Number) as [number, number];
      const estimates = run.images.slice(1).map((image) => estimate(kept(image)));
      expect(estimates).toHaveLength(CHILDREN);
      const mean = (key: keyof Estimate): number => estimates.reduce((sum, one) => sum + one[key], 0) / CHILDREN;

      // 4 standard errors: once in 16,000 runs of this test by chance.
      expect(Math.abs(mean("bytes") - bytes)).toBeLessThan(4 * Math.sqrt(mean("varBytes") / CHILDREN));
      expect(Math.abs(mean("count") - count)).toBeLessThan(4 * Math.sqrt(mean("varCount") / CHILDREN));

      // The interval that is printed covers the truth about as often as it says.
      if (mean("varBytes") > 0.0001 * bytes * bytes && mean("count") > 0) {
        const sampled = estimates.filter(({ varBytes }) => varBytes > 0);
        const covers = sampled.filter((one) => Math.abs(one.bytes - bytes) <= 1.645 * Math.sqrt(one.varBytes));
        if (!name.includes("524,288")) expect(covers.length / sampled.length).toBeGreaterThan(0.7);
      }
      // Children are independent: each has drawn its own samples.
      const totals = estimates.map((one) => one.bytes);
      if (mean("varBytes") > 0) expect(new Set(totals).size).toBeGreaterThan(CHILDREN / 2);
    });

  test("adaptive does raise the interval, and each block has the weight of its own moment", () => {
    const run = record(program(2, 60), { settings: "mode=adaptive\noverhead=1" });
    const weights = new Set(run.images.flatMap((image) => image.blocks.map(({ weight }) => weight)));
    expect(weights.size).toBeGreaterThan(100);
    expect(run.images.some((image) => image.header.intervalChanges > 0)).toBe(true);
  });

  test("blocks of 32 KiB and more, and mappings, are all there whatever the interval", () => {
    const run = record(
      `
      import mmap
      kept = [bytes(${BIG} - 33) for _ in range(50)] + [mmap.mmap(-1, 50 * 4096) for _ in range(20)]
      `,
      { settings: "mode=interval\ninterval=4000000" },
    );
    const image = root0(run);
    const big = ofSize(image, BIG);
    expect(big).toHaveLength(50);
    expect(new Set(big.map(({ weight }) => weight))).toEqual(new Set([1]));
    expect(ofSize(image, 50 * 4096)).toHaveLength(20);
  });

  test("a death is told whenever the birth was", () => {
    const run = record(
      `
      import threading
      def work():
          for i in range(30000):
              bytes(600 + i % 100)
      threads = [threading.Thread(target=work) for _ in range(3)]
      for t in threads: t.start()
      for t in threads: t.join()
      `,
      { settings: "mode=interval\ninterval=8192" },
    );
    const image = root0(run);
    const made = image.blocks.filter(
      ({ size, stack }) => size >= 633 && size < 733 && stack.at(-1)?.startsWith("work: bytes("),
    );
    expect(made.length).toBeGreaterThan(3000);
    expect(made.filter(({ death }) => death === undefined)).toEqual([]);
    expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
  });
});

/** What a C program says that it did, and what the agent says: the same, block for block. */
describe("exact mode against a program that keeps its own books", () => {
  const library = compile(readFileSync(new URL("books.c", import.meta.url), "utf8"));
  for (const threads of [1, 6])
    test(`${threads} thread${threads > 1 ? "s" : ""}, 60,000 requests of every kind`, () => {
      const run = record(`
        import ctypes, os, sys
        books = ctypes.CDLL(${JSON.stringify(library)})
        books.work(${threads}, ${60_000 / threads})
        books.tell()
        os._exit(0)
      `);
      const image = root0(run);
      const [requests, frees, ...lines] = run.stdout.trim().split("\n");
      const theirs = new Map(lines.map((line) => line.split(" ").map(Number) as [number, number]));
      const mine = image.blocks.filter(({ stack }) => stack.at(-1) === "[libhelper.so]");
      const alive = new Map(
        mine.filter(({ death }) => death === undefined).map(({ address, size }) => [address, size]),
      );
      expect(alive).toEqual(theirs);
      const counted = countedAt(image, "[libhelper.so]");
      expect(mine.length + counted).toBe(Number(requests));
      expect(mine.length + counted - alive.size).toBe(Number(frees));
      expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
    });
});
