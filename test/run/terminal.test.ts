import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { folderWith, python, tidegauge } from "./support.ts";

type Step = ["see" | "type", string] | ["wait", number];
const driver = fileURLToPath(new URL("terminal.py", import.meta.url));
const CTRL_C = "\x03";
const CTRL_Z = "\x1a";
const CTRL_BACKSLASH = "\x1c";

/** Runs a command in a terminal; `program.py` holds the text. */
function inTerminal(text: string, steps: Step[], command = [tidegauge, "run", "-q", "--python", python, "program.py"]) {
  const cwd = folderWith({ "program.py": text });
  const env = { ...process.env, PS1: "$ ", HISTFILE: "", NO_COLOR: "" };
  const result = execFileSync(python, [driver, JSON.stringify(steps), ...command], { cwd, env, encoding: "utf8" });
  return JSON.parse(result) as { status: number; shown: string; failure: string | null };
}

const WAITS = "import time; print('ready', flush=True); time.sleep(30)";

describe("at a terminal", () => {
  test("Ctrl-C reaches the program once, and its end is ours", () => {
    const text = `
import os, signal, sys, time
arrived, wakeup = os.pipe()
os.set_blocking(wakeup, False)
signal.signal(signal.SIGINT, lambda *_: None)
signal.set_wakeup_fd(wakeup)  # gets a byte for every arrival; Python's own handler may run once for two
print("ready", flush=True)
end = time.monotonic() + 1
while time.monotonic() < end: time.sleep(0.05)
print("interrupted", len(os.read(arrived, 9)), "times")
sys.exit(7)`;
    const { status, shown } = inTerminal(text, [
      ["see", "ready"],
      ["type", CTRL_C],
      ["see", "interrupted 1 times"],
    ]);
    expect(shown).toContain("interrupted 1 times");
    expect(status).toBe(7);
  });

  test("Ctrl-C that the program does not catch ends it: 128 + 2", () => {
    const { status, shown } = inTerminal(WAITS, [
      ["see", "ready"],
      ["type", CTRL_C],
    ]);
    expect(shown).toContain("KeyboardInterrupt");
    expect(status).toBe(130);
  });

  test("Ctrl-\\ ends the program: 128 + 3", () => {
    expect(
      inTerminal(WAITS, [
        ["see", "ready"],
        ["type", CTRL_BACKSLASH],
      ]).status,
    ).toBe(131);
  });

  test("Ctrl-Z stops it, fg continues it, and a shell sees both", () => {
    const text = "print('ready', flush=True); print('read', input())";
    const steps: Step[] = [
      ["see", "$ "],
      ["type", `${tidegauge} run -q --python ${python} program.py\n`],
      ["see", "ready"],
      ["wait", 0.3],
      ["type", CTRL_Z],
      ["see", "Stopped"],
      ["see", "$ "], // what is typed before may be thrown away with the change of the terminal's settings
      ["type", "echo shell $((40 + 2))\n"],
      ["see", "shell 42"],
      ["type", "fg\n"],
      ["wait", 0.3],
      ["type", "typed\n"],
      ["see", "read typed"],
      ["type", "exit $((40 + 3))\n"],
    ];
    const { failure, status } = inTerminal(text, steps, ["bash", "--norc", "--noprofile", "-i"]);
    expect(failure).toBe(null);
    expect(status).toBe(43);
  });

  test("Ctrl-Z: the program puts its things in order before the shell has the terminal", () => {
    const text = `
import os, signal, time
def tidy(*_):
    time.sleep(0.2)
    print("in order", flush=True)
    signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
signal.signal(signal.SIGTSTP, tidy)
print("ready", flush=True)
while True:
    time.sleep(0.01)
    if signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL:
        break
print("goes on")
`;
    const steps: Step[] = [
      ["see", "$ "],
      ["type", `${tidegauge} run -q --python ${python} program.py\n`],
      ["see", "ready"],
      ["type", CTRL_Z],
      ["see", "in order"],
      ["see", "Stopped"],
      ["see", "$ "],
      ["type", "fg\n"],
      ["see", "goes on"],
      ["type", "exit\n"],
    ];
    expect(inTerminal(text, steps, ["bash", "--norc", "--noprofile", "-i"]).failure).toBe(null);
  });

  test("a program that stops itself gives the terminal back to the shell", () => {
    const text =
      "import os, signal; print('ready', flush=True); os.kill(os.getpid(), signal.SIGSTOP); print('goes on')";
    const steps: Step[] = [
      ["see", "$ "],
      ["type", `${tidegauge} run -q --python ${python} program.py\n`],
      ["see", "Stopped"],
      ["see", "$ "], // what is typed before may be thrown away with the change of the terminal's settings
      ["type", "fg\n"],
      ["see", "goes on"],
      ["type", "exit\n"],
    ];
    expect(inTerminal(text, steps, ["bash", "--norc", "--noprofile", "-i"]).failure).toBe(null);
  });

  test("the program has the terminal: input, size, isatty", () => {
    const text =
      "import os, sys; print([os.isatty(n) for n in (0, 1, 2)]); print('name?', flush=True); print('hello', input())";
    const { shown, status } = inTerminal(text, [
      ["see", "name?"],
      ["type", "Ada\n"],
    ]);
    expect(shown).toContain("[True, True, True]");
    expect(shown).toContain("hello Ada");
    expect(status).toBe(0);
  });
});

describe("the status line", () => {
  const LONG = "import time; print('partial', end='', flush=True); time.sleep(2.2); print(' line', flush=True)";
  const loud = [tidegauge, "run", "--json=answer.json", "--python", python, "program.py"];

  test("shows a long run, to the right of what the program wrote, and is erased at the end", () => {
    const shown = inTerminal(LONG, [], loud).shown.replaceAll("\x1b", "ESC");
    expect(shown).toMatch(/partialESC7ESC\[\?7lESC\[Ktidegauge \S+ s · RSS \S+ MiB · peak \S+ MiBESC\[\?7hESC8/);
    expect(shown).toMatch(/ line\r\nESC\[K/);
  });

  test("is not there in a short run, with -q, or when stderr is no terminal", () => {
    expect(inTerminal("print(1)", [], loud).shown).not.toContain("RSS");
    expect(inTerminal(LONG, []).shown).not.toContain("RSS");
    const redirected = ["sh", "-c", `exec "$0" "$@" 2> errors`, ...loud];
    expect(inTerminal(LONG, [], redirected).shown).not.toContain("RSS");
  });
});
