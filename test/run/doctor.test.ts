import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { renderDoctor } from "../../src/front/cli/doctor.ts";
import { call, folderWith, python } from "./support.ts";

interface Answer {
  works: boolean;
  findings: { name: string; condition: string; found: string; mend: string }[];
  interpreters: { path: string; version: string; supported: boolean; reason: string }[];
}

function doctor(path: string): { status: number | null; answer: Answer } {
  const env = { PATH: path, HOME: folderWith() };
  const { status, stdout, stderr } = call(["doctor", "--json"], { cwd: folderWith(), env });
  expect(stderr).toBe("");
  return { status, answer: JSON.parse(stdout) };
}

const PATH = process.env.PATH ?? "";

describe("tidegauge doctor", () => {
  test("names what was found, and tries the interpreters of PATH", () => {
    const bin = folderWith({ python3: `#!/bin/sh\nexec '${python}' "$@"\n` });
    chmodSync(join(bin, "python3"), 0o755);
    const { status, answer } = doctor(`${bin}:${PATH}`);
    expect(status).toBe(0);
    expect(answer.works).toBe(true);
    expect(answer.findings.map(({ name }) => name)).toEqual([
      "node",
      "compiler",
      "agent",
      "launcher",
      "cgroup",
      "clock",
      "ptrace",
      "kernel",
    ]);
    const found = answer.interpreters.find(({ path }) => path.startsWith(python));
    expect(found).toMatchObject({ supported: true, reason: "" });
    expect(found!.version).toMatch(/^CPython 3\.\d+\.\d+$/);
  });

  test("an interpreter that is not CPython is told as such", () => {
    const bin = folderWith({ python3: "#!/bin/sh\necho PyPy 3.10.14 /bin/sh\n" });
    chmodSync(join(bin, "python3"), 0o755);
    const { answer } = doctor(`${bin}:${PATH}`);
    const found = answer.interpreters.find(({ version }) => version === "PyPy 3.10.14");
    expect(found).toMatchObject({ supported: false, reason: "the agent does not recognise it" });
  });

  test("a compiler that is missing: what to install", () => {
    const compiler = doctor(PATH).answer.findings.find(({ name }) => name === "compiler")!;
    expect(compiler.condition).toBe("ok");
    const env = { ...process.env, CC: "no-such-compiler" };
    const { stdout } = call(["doctor", "--json"], { cwd: folderWith(), env });
    const missing = (JSON.parse(stdout) as Answer).findings.find(({ name }) => name === "compiler")!;
    expect(missing).toMatchObject({ condition: "mend", found: "no C compiler (no-such-compiler)" });
    expect(missing.mend).toContain("install gcc or clang");
  });

  test("reads well: one line a finding, the remedy below it", () => {
    const answer = {
      version: "1.2.3",
      works: false,
      findings: [
        { name: "node", condition: "ok" as const, found: "Node.js 20.19.0", mend: "" },
        { name: "agent", condition: "broken" as const, found: "not built", mend: "run ./tidegauge once more" },
      ],
      interpreters: [
        { path: "/usr/bin/python3.12", version: "CPython 3.12.1", supported: true, reason: "" },
        {
          path: "/usr/bin/pypy3",
          version: "PyPy 3.10.14",
          supported: false,
          reason: "the agent does not recognise it",
        },
      ],
    };
    expect(renderDoctor(answer, { width: 80, color: false })).toBe(
      `tidegauge 1.2.3  Programs cannot be recorded with their lines yet.

. node      Node.js 20.19.0
! agent     not built
            run ./tidegauge once more
. python    CPython 3.12.1    /usr/bin/python3.12
? python    PyPy 3.10.14      /usr/bin/pypy3
            the agent does not recognise it
`,
    );
  });
});

describe("marks of a program", () => {
  const TEXT = `
import tidegauge
assert tidegauge.is_recording()
tidegauge.mark("loaded")
x = [bytes(1000) for _ in range(1000)]
tidegauge.mark("filled \\N{WATER WAVE}")`;

  test("come back with their labels, in order, with the time", () => {
    const cwd = folderWith();
    writeFileSync(join(cwd, "program.py"), TEXT);
    const env = { ...process.env, PYTHONPATH: join(import.meta.dirname, "../../python") };
    const { status, stderr } = call(["run", "-q", "-o", "day.tide", "--python", python, "program.py"], { cwd, env });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const timeline = JSON.parse(call(["timeline", "--json", "day.tide"], { cwd }).stdout);
    const marks = timeline.marks as { label: string; seconds: number }[];
    expect(marks.map(({ label }) => label)).toEqual(["loaded", "filled \u{1f30a}"]);
    expect(marks[0]!.seconds).toBeLessThanOrEqual(marks[1]!.seconds);
  });

  test("run does not make the package importable: the environment is the program's own", () => {
    const cwd = folderWith({ "program.py": "import tidegauge" });
    const env = { ...process.env, PYTHONPATH: "" };
    const { status, stderr } = call(["run", "-q", "--python", python, "program.py"], { cwd, env });
    expect(status).toBe(1);
    expect(stderr).toContain("No module named 'tidegauge'");
  });
});
