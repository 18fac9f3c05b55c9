/**
 * Forecasts of programs that exist on paper, of ways of growing in and off the family of models.
 *
 *     npx esbuild bench/scaling/simulated.ts --bundle --platform=node --format=esm --outfile=build/simulated.mjs
 *     node build/simulated.mjs [PROGRAMS A ROW]
 */
import { median } from "simple-statistics";
import { fit } from "../../src/answers/scaling/fit.ts";
import { forecast } from "../../src/answers/scaling/forecast.ts";
import { FAMILIES, simulate } from "./simulate.ts";

const FACTORS = [2, 5, 10, 30];
const NOISES = [0, 0.001, 0.01, 0.03];
const count = Number(process.argv[2] ?? 30);

console.log("Each cell: coverage / upper end exceeded / median error / answered");
console.log(`| grows like | noise | ${FACTORS.map((factor) => `${factor}x`).join(" | ")} |`);
console.log(`|---|---|${FACTORS.map(() => "---|").join("")}`);
for (const name of Object.keys(FAMILIES)) {
  for (const noise of NOISES) {
    const told = FACTORS.map(() => ({ inside: 0, exceeded: 0, answered: 0, errors: [] as number[] }));
    for (let seed = 1; seed <= count; seed++) {
      const program = simulate(name, seed, { noise });
      const fitted = fit(program.points, { draws: 3_000 });
      for (const [i, factor] of FACTORS.entries()) {
        const n = factor * program.largest;
        const { low, bytes, high, refused } = forecast(fitted, n);
        const truth = program.run(n);
        told[i].inside += Number(truth >= low && truth <= high);
        told[i].exceeded += Number(truth > high);
        told[i].answered += Number(refused === null);
        told[i].errors.push(Math.abs(bytes / program.peak(n) - 1));
      }
    }
    const share = (part: number): string => (part / count).toFixed(2);
    const cells = told.map(
      (each) =>
        `${share(each.inside)} / ${share(each.exceeded)} / ${(100 * median(each.errors)).toFixed(1)} % / ${share(each.answered)}`,
    );
    console.log(`| ${name} | ${noise * 100} % | ${cells.join(" | ")} |`);
  }
}
