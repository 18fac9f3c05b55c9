/** `tidegauge scale`: runs a program at several sizes, fits its peak, and says whether it fits when the data grows. */
import type { Command } from "commander";
import { existsSync, writeFileSync } from "node:fs";
import { scaleAnswer, sizeText, type Point, type ScaleAnswer } from "../../answers/index.ts";
import { formatBytes } from "../../base/format.ts";
import { optimise } from "../../capture/run/compiler.ts";
import { reasonOf, statusOf } from "../../capture/run/refusal.ts";
import { problemOf, runWords, type ScaleCommand } from "../../capture/run/scale-command.ts";
import { readPoints, type ScaleRun } from "../../capture/run/scale-points.ts";
import { toJson } from "./answer-command.ts";
import { Failure } from "./failure.ts";
import { installation } from "./installation.ts";
import { openFile } from "./open.ts";
import { sizeOption } from "./options.ts";
import { measured, pointsOf } from "./scale-measure.ts";
import { envOf, limitOf, numberOf, repeatsOf, sizesOf, timeOf, type ScaleOptions } from "./scale-options.ts";
import { runSizes, type Outcome, type ScalePlan } from "./scale-runs.ts";
import { textOptions } from "./terminal.ts";
import { renderScale } from "./text-scale.ts";

const MAY_NOT_FIT = 1;
const CANNOT_SAY = 4;
/** Without --to: that far beyond the largest run. */
const DEFAULT_FACTOR = 10;
/** Least memory of --memory: less than an interpreter needs. */
const LEAST_MEMORY = 16 * 1024 * 1024;
/** Equal runs that differ by more than that share of the growth are told. */
const SCATTER = 0.1;

const each = (value: string, before: string[]): string[] => [...before, value];

export function register(program: Command): void {
  program
    .command("scale")
    .description("run a program at several sizes and say whether it fits when the data grows")
    .usage("--to N [options] -- PROGRAM ARGUMENTS... with {n}")
    .argument("[program...]")
    .option("--to <n>", "the size to foretell (default: 10 times the largest run)")
    .option("--limit <size>", "the memory that it must fit in, such as 16GiB")
    .option("--sizes <list>", "the sizes to run, such as 1e4,2e4,5e4 (default: chosen)")
    .option("--start <n>", "the smallest size to run (default: 16)")
    .option("--env <name=value>", "set a variable for the runs; {n} in it is the size", each, [])
    .option("--stdin <text>", "give the runs this text to read; {n} in it is the size")
    .option("--make <line>", "a shell line that makes the input {file} of size {n}")
    .option("--from <file>", "runs kept earlier, or N=RECORDING; may be given several times", each, [])
    .option("--time <time>", "all runs together may take that long", "10min")
    .option("--repeats <n>", "runs of the largest and of a middle size, to see the noise", "3")
    .option("--memory <size>", "a run may take that much, then it is stopped (default: half of what is free)")
    .option("--unit <word>", "what one of n is called, such as row")
    .option("--json", "print one JSON document (docs/json.md)")
    .option("--csv <file>", "write one line a run")
    .option("-o, --output <file>", "the file of points (default: tidegauge-NAME-scale.tide, numbered when taken)")
    .option("-f, --force", "write over a file of points that exists")
    .option("-q, --quiet", "no progress line")
    .option("--python <exe>", "the interpreter for a script (default: python3 of VIRTUAL_ENV or PATH)")
    .addHelpText("after", HELP)
    .action(async (words: string[], options: ScaleOptions) => {
      process.exitCode = await scale(words, options);
    });
}

const HELP = `
{n} stands for the size, in one or more places: arguments, --env, --stdin, or with --make in its line.

  tidegauge scale --to 1e8 --limit 16GiB -- analyse.py --rows {n}
  tidegauge scale --to 1e8 --make 'python3 make.py {n} {file}' -- train.py {file}
  tidegauge scale --from tidegauge-analyse-scale.tide --to 1e9 --limit 64GiB

Exit status: 0 it fits with 95 % safety (without --limit: a forecast was made), 1 it does not, or not
surely, 4 it cannot be said; 2 bad usage or input, 3 the machine does not allow it.`;

async function scale(words: readonly string[], options: ScaleOptions): Promise<number> {
  const target = options.to === undefined ? undefined : numberOf("--to", options.to);
  const limitBytes = limitOf(options.limit);
  const before = options.from.flatMap(runsFrom);
  const sizes = options.sizes === undefined ? undefined : sizesOf(options.sizes, before.length > 0 ? 1 : 2);
  checkTarget(target, sizes ?? [], before);
  optimise();
  const command = commandOf(words, options);
  let outcome: Outcome = { runs: before, ending: "", seconds: 0 };
  const program = command ? textOf(command) : (options.from[0] ?? "");
  let file: string | undefined;
  if (command) {
    const plan: ScalePlan = {
      command,
      commandText: program,
      sizes,
      start: options.start === undefined ? undefined : numberOf("--start", options.start),
      most: target ?? Infinity,
      limitBytes,
      seconds: timeOf(options.time),
      repeats: repeatsOf(options.repeats),
      memory: options.memory === undefined ? undefined : sizeOption("--memory", options.memory, LEAST_MEMORY),
      python: options.python,
      self: selfWords(),
      file: (file = placeOf(command, options)),
      quiet: options.quiet === true,
    };
    outcome = await runSizes(plan, before);
  } else if (before.length === 0) {
    throw new Failure(2, "nothing to run; name a program with {n} after --, or runs kept earlier with --from");
  }
  if (options.csv !== undefined) writeCsv(options.csv, outcome.runs);
  const points = pointsOf(outcome.runs);
  if (points.length === 0) throw new Failure(2, `no run to fit${outcome.ending ? `: ${outcome.ending}` : ""}`);
  const failed = outcome.runs.filter((run) => run.state === "failed").sort((a, b) => a.n - b.n)[0];
  const answer = answerOf(points, outcome.runs, { target, limitBytes, unit: options.unit, failed });
  const remarks = remarksOf(points, outcome, failed).filter((text) => !answer.claim.includes(text.slice(0, -1)));
  if (options.json) {
    process.stdout.write(toJson({ ...answer, notes: [...answer.notes, ...remarks], pointsFile: file ?? null }));
  } else {
    const look = { ...textOptions(process.stdout), program, seconds: outcome.seconds, remarks };
    process.stdout.write(renderScale(answer, file === undefined ? look : { ...look, file, saved: true }));
  }
  return statusOfAnswer(answer, target, limitBytes);
}

interface Asked {
  target: number | undefined;
  limitBytes: number | null;
  unit: string | undefined;
  failed: ScaleRun | undefined;
}

function answerOf(
  points: readonly Point[],
  runs: readonly ScaleRun[],
  { target, limitBytes, unit, failed }: Asked,
): ScaleAnswer {
  const ended = points.filter((point) => !point.censored);
  const largest = Math.max(...ended.map((point) => point.n));
  const answer = scaleAnswer({
    points,
    targets: [target ?? Math.max(largest, 1) * DEFAULT_FACTOR],
    limitBytes,
    ...(unit === undefined ? {} : { unit }),
    intervalBytes: Math.max(0, ...runs.map((run) => run.intervalBytes || 0)),
  });
  const asked = answer.forecasts.at(-1)?.n ?? 0;
  const run = ended.find((point) => point.n === asked);
  if (answer.refused && run) return ranThere(answer, run, limitBytes);
  if (failed === undefined || failed.n > asked) return answer;
  // Whatever it would take: it does not get there.
  const text = `n = ${sizeText(failed.n)} ${failed.reason}; the largest that ran is n = ${sizeText(largest)}`;
  const refused = { kind: "nothing-fits" as const, text, nextSize: null };
  return {
    ...answer,
    refused,
    verdict: limitBytes === null ? null : "cannot-say",
    request: null,
    claim: `No forecast for n = ${sizeText(asked)}: ${text}.`,
  };
}

/** The target itself was run: no forecast is needed to say whether it fits. */
function ranThere(answer: ScaleAnswer, point: Point, limitBytes: number | null): ScaleAnswer {
  const highest = Math.max(point.peakBytes, ...(point.repeats ?? []));
  const why = answer.refused!.kind === "no-growth" ? "; no growth was seen up to there: does the program use {n}?" : "";
  const claim = `n = ${sizeText(point.n)} was run: it takes ${formatBytes(highest)}${why}`.replace(/[^?]$/, "$&.");
  if (limitBytes === null) return { ...answer, refused: null, curve: [], claim };
  const fits = highest <= limitBytes;
  const verdict = fits ? "fits" : "does-not-fit";
  const limit = formatBytes(limitBytes);
  return {
    ...answer,
    refused: null,
    curve: [],
    verdict,
    fits: null,
    claim: `${claim} It ${fits ? "fits" : "does not fit"} in ${limit}.`,
  };
}

/** What the answer does not know of: how the runs went. */
function remarksOf(points: readonly Point[], { ending }: Outcome, failed: ScaleRun | undefined): string[] {
  const remarks = ending === "" ? [] : [ending];
  if (failed) remarks.push(`n = ${sizeText(failed.n)} ${failed.reason}.`);
  const smallest = Math.min(...points.map((point) => point.peakBytes));
  for (const { n, repeats = [], peakBytes } of points) {
    const [low, high] = [Math.min(...repeats), Math.max(...repeats)];
    if (repeats.length > 1 && high - low > Math.max(SCATTER * (peakBytes - smallest), 1024 * 1024)) {
      remarks.push(
        `Equal runs differ: ${formatBytes(low)} to ${formatBytes(high)} at n = ${sizeText(n)}. Is something random? A fixed seed narrows the interval.`,
      );
      break;
    }
  }
  return remarks;
}

function statusOfAnswer(answer: ScaleAnswer, target: number | undefined, limitBytes: number | null): number {
  if (limitBytes === null) return answer.refused ? CANNOT_SAY : 0;
  // Without --to the question was how far it goes.
  if (target === undefined && answer.fits) return answer.fits.n === null ? CANNOT_SAY : 0;
  if (answer.verdict === "fits") return 0;
  return answer.verdict === "cannot-say" ? CANNOT_SAY : MAY_NOT_FIT;
}

function checkTarget(target: number | undefined, sizes: readonly number[], before: readonly ScaleRun[]): void {
  const largest = Math.max(0, ...sizes, ...before.filter((run) => run.state === "ok").map((run) => run.n));
  if (target !== undefined && target < largest)
    throw new Failure(
      2,
      `--to ${sizeText(target)} is below the largest run, n = ${sizeText(largest)}: there is nothing to foretell; ask for a larger size`,
    );
}

function commandOf(words: readonly string[], options: ScaleOptions): ScaleCommand | undefined {
  const [kind, ...rest] = words;
  if (kind === undefined) return undefined;
  const program = kind === "module" ? ["-m", ...rest] : kind === "code" ? ["-c", ...rest] : rest;
  const command: ScaleCommand = {
    words: kind === "command" ? runWords(program, process.env.PATH ?? "") : program,
    env: envOf(options.env),
    stdin: options.stdin,
    make: options.make,
  };
  const problem = program.length === 0 ? "nothing to run after --" : problemOf(command);
  if (problem !== undefined) throw new Failure(2, problem);
  return command;
}

function textOf(command: ScaleCommand): string {
  const env = command.env.map(([name, value]) => `${name}=${value}`);
  return [...env, ...command.words.filter((word, i) => i > 0 || word !== "--")].join(" ");
}

/** Starts this command line again, as it was started: the limits that the user's shell gave, none of the descriptors. */
function selfWords(): string[] {
  const note = (installation.inherited ?? "").replace(/fds:[\d.]*/, "fds:");
  return [process.execPath, process.argv[1], ...(note === "" ? [] : [`--inherited=${note}`])];
}

/** `--from FILE`: a file of points; `--from N=RECORDING`: a recording whose size is told. */
function runsFrom(text: string): ScaleRun[] {
  const [, size, path] = /^([\d._ekMGT+]+)=(.+)$/i.exec(text) ?? [undefined, undefined, text];
  const { recording } = openFile(path);
  const kept = readPoints(recording);
  if (kept) return kept.runs;
  const own = recording.facts.number("n");
  const n = size === undefined ? own : numberOf("--from", size);
  if (!(n > 0))
    throw new Failure(2, `--from ${path}: the recording does not know its size; say it, such as --from 50000=${path}`);
  const seen = measured(recording);
  if (Number.isNaN(seen.peakBytes)) throw new Failure(2, `--from ${path}: its peak was not measured`);
  return [{ n, ...seen, state: "ok", reason: "", seconds: recording.facts.number("seconds") || 0 }];
}

function placeOf(command: ScaleCommand, options: ScaleOptions): string {
  const extended = options.from.length === 1 && !/^[\d._ekMGT+]+=/i.test(options.from[0]) ? options.from[0] : undefined;
  if (options.output === undefined && extended !== undefined && extended.endsWith(".tide")) return extended;
  if (options.output !== undefined) {
    if (existsSync(options.output) && !options.force)
      throw new Failure(2, `${options.output} exists; -f writes over it, -o names another file, --from extends it`);
    return options.output;
  }
  const word = command.words.find((each) => !each.startsWith("-")) ?? "program";
  const name =
    word
      .replace(/^.*\//, "")
      .replace(/\.pyw?$/, "")
      .replace(/[^\p{L}\p{N}._-]+/gu, "_")
      .slice(0, 60) || "program";
  for (let i = 1; ; i++) {
    const file = `tidegauge-${name}-scale${i === 1 ? "" : `-${i}`}.tide`;
    if (!existsSync(file) || (i === 1 && options.force)) return file;
  }
}

function writeCsv(path: string, runs: readonly ScaleRun[]): void {
  const rows = runs.map((run) => [run.n, Math.round(run.peakBytes), run.state, run.seconds.toFixed(3)].join(","));
  try {
    writeFileSync(path, `n,peak_bytes,state,seconds\n${rows.join("\n")}\n`);
  } catch (error) {
    throw new Failure(statusOf(error), `cannot write ${path}: ${reasonOf(error)}`);
  }
}
