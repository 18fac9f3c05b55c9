import type { Command } from "commander";
import { timeline } from "../../answers/index.ts";
import { registerAnswer } from "./answer-command.ts";
import { renderTimeline } from "./text-timeline.ts";

/** `tidegauge timeline FILE`: memory over time. */
export function register(program: Command): void {
  registerAnswer(program, {
    name: "timeline",
    summary: "memory over time, of every process",
    compute: (recording) => timeline(recording),
    render: renderTimeline,
  });
}
