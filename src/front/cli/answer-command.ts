/** What the commands that read a recording share: FILE, --json, --full, the look of the terminal. */
import type { Command } from "commander";
import type { Recording } from "../../answers/index.ts";
import { naming, openFile } from "./open.ts";
import { textOptions } from "./terminal.ts";
import type { TextOptions } from "./text.ts";

export interface AnswerOptions {
  readonly json?: boolean;
  readonly full?: boolean;
}

export interface AnswerCommand<Answer> {
  readonly name: string;
  readonly summary: string;
  /** an argument after FILE, with its explanation */
  readonly argument?: readonly [string, string];
  /** Computes the answer; may throw a Failure when the argument names nothing. */
  compute(recording: Recording, argument: string | undefined, options: AnswerOptions): Answer;
  render(answer: Answer, options: TextOptions): string;
}

/** Adds a command that computes an answer from FILE and prints it. */
export function registerAnswer<Answer>(program: Command, command: AnswerCommand<Answer>): void {
  const added = program
    .command(command.name)
    .summary(command.summary)
    .description(command.summary)
    .argument("<file>", "a recording (.tide), or the .tide.run folder of an interrupted run");
  if (command.argument) added.argument(`[${command.argument[0]}]`, command.argument[1]);
  added
    .option("--json", "print one JSON document (docs/json.md)")
    .option("--full", "everything, however long")
    .action((file: string, ...rest: unknown[]) => {
      const argument = command.argument ? (rest[0] as string | undefined) : undefined;
      const options = (command.argument ? rest[1] : rest[0]) as AnswerOptions;
      const { recording, name } = openFile(file);
      const answer = naming(name, () => command.compute(recording, argument, options));
      const look = { ...textOptions(process.stdout), full: options.full ?? false, file: name };
      process.stdout.write(options.json ? toJson(answer) : command.render(answer, look));
    });
}

/** One document that ends with a line feed. */
export function toJson(answer: unknown): string {
  return `${JSON.stringify(answer, undefined, 2)}\n`;
}
