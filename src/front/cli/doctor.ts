/** `tidegauge doctor`: what works on this machine, and how to mend the rest. */
import type { Command } from "commander";
import type { Condition, Finding } from "../../capture/run/diagnosis.ts";
import type { Interpreter } from "../../capture/run/interpreters.ts";
import { installation, loadableAgent } from "./installation.ts";
import { toJson } from "./answer-command.ts";
import { textOptions } from "./terminal.ts";
import { hanging, padEnd, painter, type Painter, type Style } from "./text.ts";

/** Version of the JSON document. */
const SCHEMA = 1;

export function register(program: Command): void {
  program
    .command("doctor")
    .description("what works on this machine, and how to mend the rest")
    .option("--json", "print one JSON document")
    .addHelpText("after", "\nExit status: 0 when programs can be recorded with their lines, 3 when they cannot.")
    .action(async (options: { json?: boolean }) => {
      const { diagnose } = await import("../../capture/run/diagnosis.ts");
      const { findInterpreters } = await import("../../capture/run/interpreters.ts");
      const agent = loadableAgent();
      const findings = diagnose({ root: installation.root, launcher: installation.launcher, agent });
      const interpreters = await findInterpreters(agent, process.env);
      const works = findings.every(({ condition }) => condition !== "broken") && interpreters.some((i) => i.supported);
      const answer = { schema: SCHEMA, version: installation.version, works, findings, interpreters };
      process.stdout.write(options.json ? toJson(answer) : renderDoctor(answer, textOptions(process.stdout)));
      process.exitCode = works ? 0 : 3;
    });
}

interface DoctorAnswer {
  version: string;
  works: boolean;
  findings: readonly Finding[];
  interpreters: readonly Interpreter[];
}

const LOOKS: Record<Condition, readonly [glyph: string, style: Style]> = {
  ok: [".", "green"],
  mend: ["?", "yellow"],
  broken: ["!", "red"],
};

/** One line a finding, the remedy below it. */
export function renderDoctor(answer: DoctorAnswer, { width, color }: { width: number; color: boolean }): string {
  const paint = painter(color);
  const { findings, interpreters, works } = answer;
  const title = works
    ? "Programs can be recorded with their lines."
    : "Programs cannot be recorded with their lines yet.";
  const lines = [`tidegauge ${answer.version}  ${title}`, ""];
  for (const { name, condition, found, mend } of findings)
    lines.push(...entry(name, condition, found, mend, width, paint));
  if (interpreters.length === 0)
    lines.push(...entry("python", "broken", "no interpreter found", "install Python 3.8 or later", width, paint));
  for (const { version, path, supported, reason } of interpreters) {
    lines.push(...entry("python", supported ? "ok" : "mend", `${padEnd(version, 16)}  ${path}`, reason, width, paint));
  }
  return `${lines.join("\n")}\n`;
}

const NAME_WIDTH = 10;

function entry(
  name: string,
  condition: Condition,
  found: string,
  below: string,
  width: number,
  paint: Painter,
): string[] {
  const [glyph, style] = LOOKS[condition];
  const indent = " ".repeat(NAME_WIDTH + 2);
  const [first, ...rest] = hanging(`${glyph} ${padEnd(name, NAME_WIDTH)}`, found, width);
  const more = below === "" ? [] : hanging(indent, below, width);
  return [`${paint(style, first!.slice(0, 1))}${first!.slice(1)}`, ...rest, ...more];
}
