/** The command line: one file per command, exit statuses as in the manual (0 fine, 1 "no", 2 bad usage or input, 3 not possible here). */
import { basename, dirname } from "node:path";
import { Command, CommanderError } from "commander";
import { register as registerDoctor } from "./doctor.ts";
import { register as registerExplain } from "./explain.ts";
import { Failure, reportFailure } from "./failure.ts";
import { register as registerHeap } from "./heap.ts";
import { installation } from "./installation.ts";
import { register as registerLeaks } from "./leaks.ts";
import { register as registerLines } from "./lines.ts";
import { register as registerProcesses } from "./processes.ts";
import { arrangeRunWords, register as registerRun } from "./run.ts";
import { register as registerScale } from "./scale.ts";
import { register as registerTimeline } from "./timeline.ts";

const COMMANDS = [
  registerRun,
  registerExplain,
  registerLines,
  registerLeaks,
  registerTimeline,
  registerProcesses,
  registerHeap,
  registerScale,
  registerDoctor,
];

function commandLine(): Command {
  const program = new Command("tidegauge");
  program
    .description("Measures and explains the memory of Python programs on Linux.")
    .version(installation.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  for (const register of COMMANDS) register(program);
  for (const command of program.commands) command.configureOutput({ outputError: () => {} }).exitOverride();
  return program;
}

async function main(words: string[]): Promise<number> {
  const program = commandLine();
  // Those that take a program: where its own words begin is decided before options are read.
  const starter = program.commands.find((command) => command.name() === words[0] && /^(?:run|scale)$/.test(words[0]));
  try {
    if (words.length === 0) throw new Failure(2, "no command; try: tidegauge run script.py, or tidegauge --help");
    await program.parseAsync(starter ? [words[0], ...arrangeRunWords(words.slice(1), starter)] : words, {
      from: "user",
    });
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportFailure(error);
    if (error.exitCode === 0) return 0; // --help and --version
    return reportFailure(new Failure(2, usageSentence(error, words[0] ?? "")));
  }
}

/** commander's "error: unknown option '--exat'\n(Did you mean --exact?)" as one sentence that says where to look. */
function usageSentence(error: CommanderError, command: string): string {
  const [what, hint] = error.message.replace(/^error: /, "").split("\n");
  const suggestion = hint ? `; ${hint.replace(/^\(Did you mean (.*)\?\)$/, "did you mean $1?")}` : "";
  const help =
    error.code === "commander.unknownCommand" || command.startsWith("-")
      ? "tidegauge --help"
      : `tidegauge ${command} --help`;
  return `${what!.trim()}${suggestion}${suggestion ? "" : `; see ${help}`}`;
}

/** `--inherited=NOTE` and `--called=NAME` come from `./tidegauge`, before everything that the user wrote. */
function takeNotes(words: string[]): string[] {
  const [first = "", ...rest] = words;
  if (first.startsWith("--inherited=")) installation.inherited = first.slice("--inherited=".length);
  else if (first.startsWith("--called=")) installation.called = nameOf(first.slice("--called=".length));
  else return words;
  return takeNotes(rest);
}

/** What to type to call it again: the bare name where the shell finds it in PATH. */
function nameOf(called: string): string {
  const folder = dirname(called);
  return (process.env.PATH ?? "").split(":").includes(folder) ? basename(called) : called;
}

void main(takeNotes(process.argv.slice(2))).then((status) => (process.exitCode = status));
