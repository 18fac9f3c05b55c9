import type { Command } from "commander";
import { lines, shownPath } from "../../answers/index.ts";
import { registerAnswer } from "./answer-command.ts";
import { Failure } from "./failure.ts";
import { renderLines } from "./text-lines.ts";

/** `tidegauge lines FILE [SOURCE]`: the source with its memory. */
export function register(program: Command): void {
  registerAnswer(program, {
    name: "lines",
    summary: "the source with the memory of each line",
    argument: ["source", "a source file: its name, its path, or the end of it"],
    compute: (recording, selector, { full }) => {
      const answer = lines(recording, { selector, context: full ? Infinity : 2 });
      if (selector !== undefined && answer.files.length === 0 && answer.recording.mode !== "pages") {
        const some = answer.paths.slice(0, 3).map((path) => shownPath(path, answer.program.cwd));
        const known =
          some.length === 0
            ? "there are none"
            : `${some.join(", ")}${answer.paths.length > 3 ? " and more" : ""} have some`;
        throw new Failure(2, `no recorded line lies in ${selector}; ${known}`);
      }
      return answer;
    },
    render: renderLines,
  });
}
