/** `tidegauge heap PID|core|FILE …`: all objects of a process, a core file or a kept snapshot, and questions about them. */
import type { Command } from "commander";
import type { HeapOptions } from "./heap-answer.ts";

export function register(program: Command): void {
  program
    .command("heap")
    .summary("all objects of a process: types, who keeps them, biggest arrays")
    .description(
      "Reads all Python objects of a live process, a core file or a kept snapshot from outside and says what keeps what alive. " +
        "Nothing runs in the process; it is stopped for as long as its memory is copied.",
    )
    .argument("<target>", "a process id, a core file, or a snapshot (.tide)")
    .argument("[object]", "a handle (o17): that object in full; with --diff the later of two snapshots")
    .option("--type <name>", "the objects of one type: who keeps them, examples")
    .option("--without <handles>", "what would go without these objects (o17,o20)")
    .option("--diff", "what changed between two snapshots")
    .option("-o, --output <file>", "keep the snapshot, to ask it again later")
    .option("--heapsnapshot <file>", "write the heap for Chrome DevTools (.heapsnapshot)")
    .option("--retained-by <handle>", "with --heapsnapshot: only what this object alone keeps")
    .option("--exe <file>", "the program of a core file, where it is not at its old place")
    .option("--values", "show short strings and numbers: heaps hold secrets, so not without asking")
    .option("--json", "print one JSON document (docs/json.md)")
    .option("--full", "everything, however long")
    .action(async (target: string, object: string | undefined, options: HeapOptions) => {
      const { heap } = await import("./heap-answer.ts");
      await heap(target, object, options);
    });
}
