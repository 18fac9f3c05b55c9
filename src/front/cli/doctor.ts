import type { Command } from "commander";
export function register(program: Command): void {
  program.command("doctor").description("what works on this machine, and how to mend the rest");
}
