/** The programs of examples/scale: foretold from small runs, then run at 8 times the largest of them. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, folderWith, python, root } from "../run/support.ts";

/** Runs the script and tells its high-water mark, without Tidegauge. */
const TRUTH = `
import sys
sys.argv = sys.argv[1:]
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
`;

function peakOf(script: string, n: number): number {
  const env = { ...process.env, PYTHONHASHSEED: "0" };
  const { stdout } = spawnSync(python, ["-c", TRUTH, script, String(n)], { encoding: "utf8", env });
  return Number(stdout.trim().split("\n").at(-1)) * 1024;
}

describe("an example foretold, then run at 8 times its largest size:", () => {
  test.each([
    ["linear.py", [20_000, 34_000, 61_000, 104_000, 178_000, 250_000], "linear.py:10", /grows/],
    ["doubling.py", [7_000, 11_700, 21_000, 33_000, 59_000], "levels", /grows/],
    ["hidden_square.py", [1_000, 2_100, 3_300, 4_700, 6_400, 8_300, 10_600, 13_000], "pairs", /grows like n\^2/],
  ])(
    "%s",
    (name, sizes, line, growth) => {
      const script = join(root, "examples/scale", name);
      const target = 8 * sizes.at(-1)!;
      const words = [
        "--python",
        python,
        "--repeats",
        "1",
        "--sizes",
        sizes.join(","),
        "--to",
        String(target),
        "--json",
      ];
      const { status, stdout, stderr } = call(["scale", ...words, script, "{n}"], { cwd: folderWith() });
      expect(stderr).toBe("");
      expect(status).toBe(0);
      const answer = JSON.parse(stdout);
      const [{ low, high, factor }] = answer.forecasts;
      expect(factor).toBe(8);
      // The line that counts at the target, which need not be the one that counts now.
      expect(answer.byLine[0].site).toContain(line);
      expect(answer.byLine[0].growth).toMatch(growth);
      const truth = peakOf(script, target);
      expect(truth).toBeGreaterThan(low);
      expect(truth).toBeLessThan(high);
    },
    120_000,
  );
});
