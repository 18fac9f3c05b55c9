/**
 * A million damaged recordings, each read fully or refused in one sentence; prints how many of each, and the memory that it took.
 *
 *     npx esbuild bench/fuzz-tide.ts --bundle --platform=node --format=esm --outfile=build/fuzz-tide.mjs
 *     node build/fuzz-tide.mjs [MILLIONS] [SEED]
 */

import fc from "fast-check";

import { writeRecording } from "../src/tide/writer.ts";
import { arbitraryRows, tablesOf } from "../test/tide/arbitrary.ts";
import { arbitraryMutation, damaged } from "../test/tide/mutate.ts";
import { readOrRefuse } from "../test/tide/touch.ts";

const runs = Number(process.argv[2] ?? 1) * 1_000_000;
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 31);
const files = fc.sample(arbitraryRows(8), { numRuns: 100, seed }).map((rows) => writeRecording(tablesOf(rows)));

const outcomes = new Map<string, number>();
let mostResident = 0;
let done = 0;
const began = performance.now();
fc.assert(
  fc.property(
    fc.nat({ max: files.length - 1 }),
    fc.array(arbitraryMutation, { minLength: 1, maxLength: 4 }),
    fc.boolean(),
    (file, mutations, reseal) => {
      const kind = readOrRefuse(damaged(files[file]!, mutations, reseal)).replaceAll(
        /"[^"]*"|\d+|[a-zA-Z]+\.[a-zA-Z]+/g,
        "…",
      );
      outcomes.set(kind, (outcomes.get(kind) ?? 0) + 1);
      if (++done % 10_000 === 0) mostResident = Math.max(mostResident, process.memoryUsage().rss);
    },
  ),
  { numRuns: runs, seed },
);

for (const [kind, count] of [...outcomes].toSorted((a, b) => b[1] - a[1]))
  console.log(`${String(count).padStart(9)}  ${kind}`);
console.log(
  `${runs} damaged recordings, seed ${seed}: ${((performance.now() - began) / 1000).toFixed(0)} s, at most ${(mostResident / 2 ** 20).toFixed(0)} MiB resident`,
);
