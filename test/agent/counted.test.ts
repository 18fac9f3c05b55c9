import { expect, test } from "vitest";
import { countedAt, ofSize, record, root0 } from "./recorded.ts";

/** Bytes of a small `bytes` object beyond its text. */
const HEADER = 33;

test("of a million temporaries most are only counted, and none is lost", () => {
  const image = root0(
    record(`
      def work():
        for _ in range(1000000):
          bytes(101)
      work()
    `),
  );
  const told = ofSize(image, 101 + HEADER).filter(({ stack }) => stack.at(-1) === "work: bytes(101)");
  expect(told.length + countedAt(image, "work: bytes(101)", 101 + HEADER)).toBe(1_000_000);
  expect(told.length).toBeGreaterThan(100_000); // the first chunks, and one in sixteen, are whole
  expect(told.length).toBeLessThan(600_000);
  expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
});

test("blocks that live on for a while are told with their deaths, in whatever chunk they die", () => {
  const image = root0(
    record(`
      def work():
        kept = [None] * 5000
        for i in range(400000):
          kept[i % 5000] = bytes(102)
      work()
    `),
  );
  const blocks = ofSize(image, 102 + HEADER).filter(
    ({ stack }) => stack.at(-1) === "work: kept[i % 5000] = bytes(102)",
  );
  expect(blocks).toHaveLength(400_000);
  expect(blocks.every(({ death }) => death !== undefined)).toBe(true);
  const lives = blocks.slice(0, -5000).map(({ birth, death }) => death! - birth);
  expect(Math.min(...lives.slice(0, 1000))).toBeGreaterThanOrEqual(5000);
  expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
});
