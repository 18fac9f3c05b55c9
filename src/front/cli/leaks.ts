import type { Command } from "commander";
import { leaks } from "../../answers/index.ts";
import { registerAnswer } from "./answer-command.ts";
import { Failure } from "./failure.ts";
import { renderLeaks } from "./text-leaks.ts";

/** `tidegauge leaks FILE [SITE]`: every site's verdict, or one site in full. */
export function register(program: Command): void {
  registerAnswer(program, {
    name: "leaks",
    summary: "every line's verdict, or one in full",
    argument: ["site", "a handle (s3) or a place (main.py:9)"],
    compute: (recording, site) => {
      const answer = leaks(recording, site);
      if (site !== undefined && answer.sites.length === 0 && answer.recording.mode !== "pages") {
        throw new Failure(
          2,
          `no recorded line is called ${site}; tidegauge leaks FILE --full lists them all with their handles`,
        );
      }
      return answer;
    },
    render: renderLeaks,
  });
}
