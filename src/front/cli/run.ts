/** `tidegauge run`: starts a program, records it, and answers on stderr when it ended. Its exit status is the program's. */
import { type Command, Option } from "commander";
import { closeSync, openSync, writeFileSync } from "node:fs";
import { installation, loadableAgent } from "./installation.ts";
import { keepCompiled, optimise, optimiseFor } from "../../capture/run/compiler.ts";
import { reasonOf, statusOf } from "../../capture/run/refusal.ts";
import type { RecordPlan } from "../../capture/run/record.ts";
import type { Target } from "../../capture/run/program.ts";
import type { RunPlace } from "../../capture/run/folder.ts";
import { Failure, reportFailure, say } from "./failure.ts";
import { percentOption, sizeOption } from "./options.ts";
import { statusLine } from "./status-line.ts";
import { errorTextOptions, writeError } from "./shared-stdio.ts";

interface RunOptions {
  output?: string;
  force?: boolean;
  quiet?: boolean;
  exact?: boolean;
  interval?: string;
  maxOverhead?: string;
  maxSize?: string;
  snapshots?: RecordPlan["settings"]["snapshots"];
  json?: string | true;
  python?: string;
}

const DEFAULT_OVERHEAD_PERCENT = 3;
/** Below this a sample costs more than the blocks that it stands for; --exact is the way to see them all. */
const LEAST_INTERVAL = 16;
/** The dictionary and the staging regions of one thread need about this much. */
const LEAST_MAX_SIZE = 1024 * 1024;
/** After this time the recorder's own loop is worth optimising. */
const LONG_RUN_SECONDS = 5;

export function register(program: Command): void {
  program
    .command("run")
    .description("run a program and say how much memory it took, when, and which lines")
    .usage("[options] (SCRIPT | -m MODULE | -c CODE | -- COMMAND) [ARGUMENTS...]")
    .argument("[program...]")
    .option("-o, --output <file>", "the recording to write (default: tidegauge-NAME.tide, numbered when taken)")
    .option("-f, --force", "write over a recording that exists")
    .option("-q, --quiet", "no answer and no status line; problems are still told")
    .addOption(new Option("--exact", "record every block").conflicts(["interval", "maxOverhead"]))
    .addOption(new Option("--interval <size>", "record one block in SIZE bytes on average").conflicts("maxOverhead"))
    .option(
      "--max-overhead <percent>",
      `record as many blocks as this share of CPU time pays for (default: ${DEFAULT_OVERHEAD_PERCENT})`,
    )
    .option("--max-size <size>", "stop recording a process whose events fill SIZE; the program runs on")
    .addOption(
      new Option(
        "--snapshots <when>",
        "read its objects: none, auto (at its end, where that is cheap), or end",
      ).choices(["none", "auto", "end"]),
    )
    .option("--json [=file]", "the answer as JSON, on stderr or into a file")
    .option("--python <exe>", "the interpreter for SCRIPT, -m and -c (default: python3 of VIRTUAL_ENV or PATH)")
    .addHelpText("after", HELP)
    .action(async (words: string[], options: RunOptions) => {
      process.exitCode = await run(targetOf(words), options);
    });
}

const HELP = `
Options after the program are the program's own. Its output, exit status and signals stay its own:
the exit status is the program's, 128 + n when signal n ended it; 2 and 3 come from tidegauge
itself when the program was not started.

  tidegauge run script.py --its-option
  tidegauge run --exact -o day.tide -m pytest tests
  tidegauge run -- ./manage.py runserver`;

/**
 * Makes the words after \`run\` unambiguous: tidegauge's own options, then \`--\`, the kind of the program and its words. Where the
 * program begins is decided here, since \`-m http.server --bind ::\` and \`script.py -f\` must keep their options.
 */
export function arrangeRunWords(words: string[], command: Command): string[] {
  const takesValue = new Set(command.options.flatMap((o) => (o.required ? [o.short, o.long] : [])));
  const own: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const rest = words.slice(i + 1);
    if (word === "--") return [...own, "--", "command", ...rest];
    if (/^-[mc]/.test(word)) {
      const attached = word.length > 2 ? [word.slice(2)] : [];
      return [...own, "--", word[1] === "m" ? "module" : "code", ...attached, ...rest];
    }
    if (!word.startsWith("-") || word === "-") return [...own, "--", "script", word, ...rest];
    own.push(word);
    // `-fo FILE`: only the last letter of a group can wait for its value in the next word.
    const flag = word.startsWith("--") ? word : lastFlag(word, takesValue);
    if (flag !== undefined && takesValue.has(flag) && rest.length > 0) own.push(words[++i]!);
  }
  return own;
}

/** The last option of a group of letters, unless an earlier one takes the rest of the word as its value. */
function lastFlag(word: string, takesValue: ReadonlySet<string | undefined>): string | undefined {
  for (let i = 1; i < word.length; i++) {
    const flag = `-${word[i]}`;
    if (takesValue.has(flag)) return i === word.length - 1 ? flag : undefined;
  }
  return undefined;
}

function targetOf(words: string[]): Target {
  const [kind, first, ...args] = words;
  if (kind === undefined) throw new Failure(2, "nothing to run; name a script, -m MODULE, -c CODE, or -- COMMAND");
  if (kind === "module") {
    if (!first) throw new Failure(2, "-m needs the name of a module, such as: tidegauge run -m http.server");
    return { kind, name: first, args };
  }
  if (kind === "code") {
    if (first === undefined) throw new Failure(2, "-c needs Python code, such as: tidegauge run -c 'print(1)'");
    return { kind, code: first, args };
  }
  if (first === undefined || first === "")
    throw new Failure(2, `nothing to run after ${kind === "command" ? "--" : "run"}`);
  return kind === "command" ? { kind, argv: [first, ...args] } : { kind: "script", path: first, args };
}

function settingsOf(options: RunOptions) {
  const maxBytes = options.maxSize === undefined ? 0 : sizeOption("--max-size", options.maxSize, LEAST_MAX_SIZE);
  const interval = options.interval === undefined ? 0 : sizeOption("--interval", options.interval, LEAST_INTERVAL);
  const overhead =
    options.maxOverhead === undefined ? DEFAULT_OVERHEAD_PERCENT : percentOption("--max-overhead", options.maxOverhead);
  const mode = options.exact ? ("exact" as const) : interval > 0 ? ("interval" as const) : ("adaptive" as const);
  return { mode, interval, overhead, maxBytes, snapshots: options.snapshots ?? "none" };
}

async function run(target: Target, options: RunOptions): Promise<number> {
  const { prepareProgram } = await import("../../capture/run/program.ts");
  const { reserve } = await import("../../capture/run/folder.ts");
  const { record } = await import("../../capture/run/record.ts");
  const settings = settingsOf(options);
  checkWorkingFolder();
  if (typeof options.json === "string") checkJsonFile(options.json);
  const program = prepareProgram(target, options.python, process.env);
  const agent = loadableAgent();
  const reason = installation.agent === undefined ? "the agent is not built; tidegauge doctor says how to mend it" : "";
  const place = reserve({ output: options.output, name: program.name, force: options.force === true });
  const status = statusLine(options.quiet === true);
  const { pid, end, kept } = await record({
    version: installation.version,
    program,
    place,
    settings,
    agent: program.obstacle === undefined ? agent : undefined,
    launcher: installation.launcher,
    inherited: installation.inherited,
    reason: program.obstacle ?? reason,
    onTrouble: (sentence) => {
      status.erase();
      say(sentence);
    },
    onLevel: (level) => {
      if (level.seconds > LONG_RUN_SECONDS) optimise();
      status.show(level);
    },
    onStarted: () => void loadAnswering(),
  });
  status.erase();
  if (kept) await answer(place, options, pid);
  keepCompiled();
  return end.signal !== 0 ? 128 + end.signal : (end.exitCode ?? 1);
}

/** Loaded while the program runs, so that its end need not wait for it. */
async function loadAnswering() {
  const [answers, judge, text, open, finish] = await Promise.all([
    import("../../answers/index.ts"),
    import("../../answers/verdict/judge.ts"),
    import("./text-explain.ts"),
    import("./open.ts"),
    import("../../capture/run/finish.ts"),
  ]);
  return { ...answers, ...judge, ...text, ...open, ...finish };
}

/** What reads objects is loaded only where they were asked for. */
async function frozenObjects({ folder }: RunPlace, pid: number) {
  const { readFrozen } = await import("../../capture/run/snapshots.ts");
  return { frozen: await readFrozen(folder, pid) };
}

/** Finishes the recording and shows the answer. Whatever goes wrong here is told; the exit status stays the program's. */
async function answer(place: RunPlace, options: RunOptions, pid: number): Promise<void> {
  try {
    const { createJudge, explain, finishRun, openFile, renderExplain } = await loadAnswering();
    optimiseFor(place.folder);
    const frozen = options.snapshots === "end" || options.snapshots === "auto" ? await frozenObjects(place, pid) : {};
    const tables = finishRun(place.folder, createJudge, { file: place.file, force: options.force === true, ...frozen });
    if (options.quiet) tellWhatStopped(tables.processes);
    if (options.quiet && options.json === undefined) return;
    const value = explain(openFile(place.file).recording);
    if (options.json === undefined) {
      writeError(renderExplain(value, { ...errorTextOptions(), file: place.shown, saved: true }));
      return;
    }
    const text = `${JSON.stringify(value, undefined, 2)}\n`;
    if (options.json === true) writeError(text);
    else writeFileSync(options.json, text);
  } catch (error) {
    reportFailure(error);
  }
}

/** The answer says it where there is one; a quiet run says no more than this. */
function tellWhatStopped(processes: { recorded: ArrayLike<number>; reason: readonly string[] }): void {
  const reasons = new Set(processes.reason.filter((reason, i) => reason !== "" && processes.recorded[i] === 1));
  for (const reason of reasons) {
    say(`blocks were recorded only up to a point: ${reason}; the program ran on, what was recorded is kept`);
  }
}

function checkWorkingFolder(): void {
  try {
    process.cwd();
  } catch {
    throw new Failure(2, "the working directory does not exist any more; change to one that does");
  }
}

/** A JSON file that cannot be written is found before the program is started. */
function checkJsonFile(path: string): void {
  try {
    closeSync(openSync(path, "a"));
  } catch (error) {
    throw new Failure(statusOf(error), `cannot write ${path}: ${reasonOf(error)}`);
  }
}
