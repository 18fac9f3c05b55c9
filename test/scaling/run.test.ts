/** `tidegauge scale` as a user calls it: what it refuses, what it says of odd programs, what it keeps. */
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, ended, folderWith, python, tidegauge, until } from "../run/support.ts";

const LINEAR = "import sys\nx = list(range(int(sys.argv[1])))\n";
const SIZES = "100000,170000,280000,400000,650000";

function scale(words: string[], files: Record<string, string> = { "program.py": LINEAR }, env?: NodeJS.ProcessEnv) {
  const folder = folderWith(files);
  const outcome = call(["scale", "--python", python, ...words], { cwd: folder, env: env ?? process.env });
  // Thin spaces within numbers, and lines that are wrapped, are of no interest here.
  const text = outcome.stdout.replaceAll(/\s+/g, " ");
  return { text, ...outcome, folder, sentence: outcome.stderr.trimEnd().replace(/^tidegauge: /, "") };
}

function refused(words: string[], files?: Record<string, string>) {
  const { status, stdout, stderr, sentence } = scale(words, files);
  expect(stdout).toBe("");
  expect(stderr.trimEnd().split("\n").at(-1)).toMatch(/^tidegauge: /);
  return { status, sentence };
}

describe("refused before anything runs, in one sentence with status 2:", () => {
  const started = "open('started', 'w')";
  test.each([
    [["--to", "1e6", "program.py"], "no {n} in the program's words"],
    [["--sizes", "1e4,many", "program.py", "{n}"], "--sizes many: not a size of the input"],
    [["--sizes", "0,1e4", "program.py", "{n}"], "--sizes 0: a size is at least 1"],
    [["--sizes", "2e4,1e4", "program.py", "{n}"], "10000 comes after 20000"],
    [["--sizes", "1e4", "program.py", "{n}"], "one size cannot show growth"],
    [["--sizes", "1e4,2e4", "--to", "1e4", "program.py", "{n}"], "--to 10 000 is below the largest run"],
    [["--to", "much", "program.py", "{n}"], "--to much: not a size of the input"],
    [["--time", "soon", "program.py", "{n}"], "--time soon: not a time"],
    [["--env", "N", "program.py", "{n}"], "--env N: write NAME=VALUE"],
    [["--limit", "big", "program.py", "{n}"], "--limit big: not a size"],
    [["--repeats", "0", "program.py", "{n}"], "--repeats 0: write a number"],
    [["--make", "make {n}", "program.py", "{file}"], "no {file} in the line of --make"],
    [["--to", "1e6"], "nothing to run"],
    [["--from", "none.tide", "--to", "1e6"], "none.tide"],
  ])("%j", (words, problem) => {
    const { status, sentence, folder } = scale(words, { "program.py": started });
    expect(sentence.replaceAll("\u2009", " ")).toContain(problem);
    expect(sentence).not.toContain("\n");
    expect(status).toBe(2);
    expect(readdirSync(folder)).toEqual(["program.py"]);
  });
});

describe("refused after the smallest size:", () => {
  test("the program fails there; its own error is shown", () => {
    const { status, sentence } = refused(["--to", "1e6", "program.py", "{n}"], {
      "program.py": "raise ValueError('no data')",
    });
    expect(status).toBe(2);
    expect(sentence).toContain("ValueError: no data");
    expect(sentence).toContain("the program fails at the smallest size, n = 16 (failed with exit status 1)");
  });

  test("the file cannot be made", () => {
    const { status, sentence } = refused([
      "--to",
      "1e6",
      "--make",
      "echo {n} {file}; no-such-maker",
      "program.py",
      "{file}",
    ]);
    expect(status).toBe(2);
    expect(sentence).toContain("no-such-maker");
    expect(sentence).toContain("--make failed with exit status 127");
  });

  test("the limit is below the base; the point is kept", () => {
    const { status, sentence, folder } = scale(["--limit", "2MiB", "--to", "1e6", "program.py", "{n}"]);
    expect(status).toBe(2);
    expect(sentence).toMatch(/^--limit 2.00 MiB is below what the program takes at its smallest size: \d.* at n = 16$/);
    expect(readdirSync(folder)).toContain("tidegauge-program-scale.tide");
  });

  test("the time is too small for a second size", () => {
    const { status, sentence } = scale(["--time", "0.01", "--to", "1e6", "program.py", "{n}"]);
    expect(status).toBe(2);
    expect(sentence).toMatch(
      /^--time .* is too small for a second size: n = 16 alone took .*; allow about --time \d+s$/,
    );
  });
});

describe("answers", () => {
  test("whether it fits; keeps the points, tells them as CSV, and goes on from them", () => {
    const first = scale([
      "--repeats",
      "2",
      "--sizes",
      SIZES,
      "--to",
      "3e6",
      "--limit",
      "1GiB",
      "--csv",
      "points.csv",
      "program.py",
      "{n}",
    ]);
    expect(first.stderr).toBe("");
    expect(first.status).toBe(0);
    const [head, , claim] = first.stdout.replaceAll("\u2009", " ").split("\n");
    expect(head).toMatch(/^tidegauge {2}program.py \{n\} · 7 runs of 5 sizes up to n = 650 000/u);
    expect(claim).toMatch(/^At n = 3 M: 1[23]\d MiB \(90 %: /u);
    expect(first.stdout).toContain("It fits in 1.00 GiB");
    expect(first.stdout).toContain("#SBATCH --mem=");
    expect(first.stdout).toContain("program.py:2");
    expect(first.stdout.split("\n").length).toBeLessThan(40);
    const rows = readFileSync(join(first.folder, "points.csv"), "utf8").trim().split("\n");
    expect(rows[0]).toBe("n,peak_bytes,state,seconds");
    expect(rows.length).toBe(8);

    const words = ["scale", "--from", "tidegauge-program-scale.tide", "--to", "3e6", "--limit", "64MiB", "--json"];
    const again = call(words, { cwd: first.folder });
    expect(again.status).toBe(1);
    const answer = JSON.parse(again.stdout);
    expect(answer.verdict).toBe("does-not-fit");
    expect(answer.fits.n).toBeLessThan(1_500_000);
    expect(answer.points.length).toBe(5);

    const more = call(
      [...words.slice(0, 5), "--json", "--repeats", "1", "--sizes", "800000,900000", "program.py", "{n}"],
      { cwd: first.folder },
    );
    expect(JSON.parse(more.stdout).points.map(({ n }: { n: number }) => n)).toEqual([
      100_000, 170_000, 280_000, 400_000, 650_000, 800_000, 900_000,
    ]);
  }, 120_000);

  test("that it cannot say, with a status of its own: less than 3 MiB of growth", () => {
    const { status, text } = scale([
      "--repeats",
      "1",
      "--sizes",
      "1000,2000,3000,4000,5000",
      "--to",
      "50000",
      "--limit",
      "1GiB",
      "program.py",
      "{n}",
    ]);
    expect(status).toBe(4);
    expect(text).toContain("No forecast for n = 50 000: ");
  }, 60_000);

  test("a size that does nothing", () => {
    const { status, text } = scale(["--repeats", "1", "--to", "1000", "program.py", "{n}"], {
      "program.py": "x = list(range(200000))",
    });
    expect(status).toBe(0);
    expect(text).toContain("n = 1 000 was run: it takes ");
    expect(text).toContain("does the program use {n}?");
  }, 60_000);

  test("a program that fails above a size", () => {
    const program = `${LINEAR}if len(x) > 500000: sys.exit('too many rows')`;
    const { status, text } = scale(
      ["--repeats", "1", "--sizes", "1e5,4e5,6.5e5", "--to", "3e6", "--limit", "1GiB", "program.py", "{n}"],
      { "program.py": program },
    );
    expect(status).toBe(4);
    expect(text).toContain(
      "No forecast for n = 3 M: n = 650 000 failed with exit status 1: too many rows; the largest that ran is n = 400 000.",
    );
  }, 60_000);

  test("a run that is stopped before it takes the machine's memory", () => {
    const { status, stdout } = scale([
      "--memory",
      "48MiB",
      "--time",
      "9h",
      "--repeats",
      "1",
      "--sizes",
      "100000,300000,50000000",
      "--to",
      "1e8",
      "--limit",
      "64MiB",
      "--json",
      "program.py",
      "{n}",
    ]);
    const answer = JSON.parse(stdout);
    const last = answer.points.at(-1);
    expect(last.n).toBe(50_000_000);
    expect(last.stopped).toBe("was stopped at the 48.0 MiB that a run may take");
    expect(last.peakBytes).toBeGreaterThan(48 * 1024 ** 2);
    expect(last.peakBytes).toBeLessThan(1024 ** 3);
    expect([1, 4]).toContain(status);
  }, 60_000);

  test("a random one: that equal runs differ", () => {
    const program =
      "import sys, random\nx = bytearray(int(int(sys.argv[1]) * random.uniform(50, 200)))\nx[::4096] = b'x' * len(x[::4096])";
    const { text } = scale(["--sizes", "1e5,3e5,4e5", "--to", "3e6", "program.py", "{n}"], { "program.py": program });
    expect(text).toContain("Equal runs differ: ");
  }, 60_000);

  test("a leak of the program's own is named by its line", () => {
    const program =
      "import sys\nlog = []\ndef handle(i):\n    log.append('x%d' % i * 20)\nfor i in range(int(sys.argv[1])): handle(i)";
    const words = ["--repeats", "1", "--sizes", SIZES, "--to", "3e6", "--limit", "100MiB", "program.py", "{n}"];
    const { status, stdout } = scale(words, { "program.py": program });
    expect(status).toBe(1);
    expect(stdout).toMatch(/^Stopped by +program.py:4 handle/m);
  }, 60_000);
});

const peaksOf = (stdout: string): number[] =>
  JSON.parse(stdout).points.map((point: { peakBytes: number }) => point.peakBytes);

describe("the size reaches the program", () => {
  const words = ["--repeats", "1", "--sizes", "100000,200000", "--json"];
  test.each([
    ["by the environment", ["--env", "N={n}", "program.py"], "import os\nx = list(range(int(os.environ['N'])))"],
    ["by its input", ["--stdin", "{n}", "program.py"], "x = list(range(int(input())))"],
    [
      "by a file that is made",
      ["--make", "seq {n} > {file}", "program.py", "{file}"],
      "import sys\nx = open(sys.argv[1]).readlines()",
    ],
    ["by code", ["-c", "x = list(range({n}))"], ""],
    ["by a command", ["--", python, "program.py", "{n}"], LINEAR],
  ])(
    "%s, with the same hash seed for all",
    (_, more, text) => {
      const { stdout, stderr } = scale([...words, ...more], {
        "program.py": `${text}\nimport os\nassert os.environ['PYTHONHASHSEED'] == '0'`,
      });
      expect(stderr).toBe("");
      const [small, large] = peaksOf(stdout);
      expect(large - small).toBeGreaterThan(3e6);
    },
    60_000,
  );
});

test("Ctrl-C: what is known is told, and no run is left", async () => {
  const program = `${LINEAR}import time\nopen(f'ran-{sys.argv[1]}', 'w')\ntime.sleep(60 if len(x) > 100000 else 0)`;
  const folder = folderWith({ "program.py": program });
  const child = spawn(tidegauge, ["scale", "--python", python, "--sizes", "50000,90000,200000", "program.py", "{n}"], {
    cwd: folder,
  });
  let stdout = "";
  child.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
  await until("the third size runs", () => readdirSync(folder).includes("ran-200000"));
  child.kill("SIGINT");
  expect(await ended(child)).toBe(4);
  expect(stdout).toContain("Interrupted: this is what the runs so far tell.");
  expect(stdout).toContain("2 runs of 2 sizes");
}, 60_000);
