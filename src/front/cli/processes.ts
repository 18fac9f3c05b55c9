import type { Command } from "commander";
import { processes } from "../../answers/index.ts";
import { registerAnswer } from "./answer-command.ts";
import { renderProcesses } from "./text-processes.ts";

/** `tidegauge processes FILE`: the tree of processes with their peaks and ends. */
export function register(program: Command): void {
  registerAnswer(program, {
    name: "processes",
    summary: "the processes that ran: peak and end of each",
    compute: (recording) => processes(recording),
    render: renderProcesses,
  });
}
