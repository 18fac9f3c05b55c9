import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { explain, leaks, lines, processes, timeline } from "../../src/answers/index.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { arbitraryRows, tablesOf } from "./arbitrary.ts";
import { arbitraryMutation, damaged } from "./mutate.ts";
import { answerOrRefuse, readOrRefuse, strictSource } from "./touch.ts";

const RUNS = 100_000;
const MOST_BYTES_KEPT = 256 * 2 ** 20;

describe("a damaged recording", () => {
  const files = fc.sample(arbitraryRows(4), { numRuns: 20, seed: 1 }).map((rows) => writeRecording(tablesOf(rows)));

  test("is read or refused in one sentence, whatever happened to it", { timeout: 300_000 }, () => {
    let read = 0;
    const sentences = new Set<string>();
    const before = process.memoryUsage().rss;
    fc.assert(
      fc.property(
        fc.nat({ max: files.length - 1 }),
        fc.array(arbitraryMutation, { minLength: 1, maxLength: 3 }),
        fc.boolean(),
        (file, mutations, reseal) => {
          const outcome = readOrRefuse(damaged(files[file]!, mutations, reseal));
          if (outcome === "read") read++;
          else sentences.add(outcome.replaceAll(/"[^"]*"|\d+|[a-z]+\.[a-zA-Z]+/g, "…"));
        },
      ),
      { numRuns: RUNS },
    );
    // The damage is of many kinds, and not all of it makes a file unreadable: both ways were taken.
    expect(read).toBeGreaterThan(RUNS / 100);
    expect(sentences.size).toBeGreaterThan(10);
    expect(process.memoryUsage().rss - before).toBeLessThan(MOST_BYTES_KEPT);
  });

  test("makes every answer answer or refuse", { timeout: 300_000 }, () => {
    fc.assert(
      fc.property(
        fc.nat({ max: files.length - 1 }),
        fc.array(arbitraryMutation, { maxLength: 3 }),
        (file, mutations) => {
          const bytes = damaged(files[file]!, mutations, true);
          for (const answer of [explain, leaks, lines, timeline, processes]) {
            answerOrRefuse(() => void answer(openRecording(strictSource(bytes))));
          }
        },
      ),
      { numRuns: RUNS / 20 },
    );
  });

  test("is refused at every length that it can be cut to", () => {
    for (let length = 0; length < files[0]!.length; length++)
      expect(readOrRefuse(files[0]!.subarray(0, length))).not.toBe("read");
  });

  test("is refused when any byte that is not padding is another", () => {
    const file = files[0]!;
    const survivors = [];
    for (let at = 0; at < file.length; at++) {
      const changed = file.slice();
      changed[at] = changed[at]! ^ 0x55;
      if (readOrRefuse(changed) === "read") survivors.push(at);
    }
    // Not under a checksum: the reserved field of the header.
    expect(survivors).toEqual([12, 13, 14, 15]);
  });
});
