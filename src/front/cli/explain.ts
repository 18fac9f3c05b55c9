import type { Command } from "commander";
import { explain } from "../../answers/index.ts";
import { registerAnswer } from "./answer-command.ts";
import { renderExplain } from "./text-explain.ts";

/** `tidegauge explain FILE`: the answer that `run` printed, again. */
export function register(program: Command): void {
  registerAnswer(program, {
    name: "explain",
    summary: "what happened: the peak, its owners, what each line did",
    compute: (recording) => explain(recording),
    render: renderExplain,
  });
}
