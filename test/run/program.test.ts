import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, ended, folderWith, python, recordings, runText, startText, tidegauge, until } from "./support.ts";

describe("the exit status is the program's:", () => {
  test.each([
    ["a quiet end", "pass", 0],
    ["a number", "raise SystemExit(7)", 7],
    ["an exception", "1 / 0", 1],
    ["os._exit", "import os; os._exit(9)", 9],
    ["abort: 128 + 6", "import os; os.abort()", 134],
    ["SIGKILL: 128 + 9", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137],
    ["a syntax error", "def", 1],
  ])("%s", (_, text, status) => {
    expect(runText(text).status).toBe(status);
  });
});

describe("the program's own", () => {
  test("output is untouched, and with -q there is nothing else", () => {
    const text = "import sys; print('out'); print('err', file=sys.stderr)";
    const { stdout, stderr } = runText(text);
    expect({ stdout, stderr }).toEqual({ stdout: "out\n", stderr: "err\n" });
  });

  test("input from a pipe reaches it", () => {
    const cwd = folderWith({ "program.py": "import sys; print(sys.stdin.read().upper())" });
    expect(call(["run", "-q", "program.py"], { cwd, input: "tide" }).stdout).toBe("TIDE\n");
  });

  test("options after the script are the script's", () => {
    const { stdout } = runText("import sys; print(sys.argv[1:])", ["-q"], ["-f", "--exact", "--", "-o", "x", "--help"]);
    expect(stdout).toBe("['-f', '--exact', '--', '-o', 'x', '--help']\n");
  });

  test("arguments and environment arrive as the bytes they are", () => {
    const text = "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]], os.environb[b'ODD'])";
    const cwd = folderWith({ "program.py": text });
    const command = `ODD=$(printf 'caf\\351') exec "$0" run -q --python "$1" program.py "$(printf 'a\\351b')" ''`;
    expect(execFileSync("sh", ["-c", command, tidegauge, python], { cwd, encoding: "utf8" })).toBe(
      "[b'a\\xe9b', b''] b'caf\\xe9'\n",
    );
  });

  test("limits, ignored signals and descriptors are those of the shell", () => {
    const text = `
import os, resource, signal
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print([s for s in (signal.SIGHUP, signal.SIGUSR1, signal.SIGINT) if signal.getsignal(s) == signal.SIG_IGN])
print(os.path.basename(os.readlink("/proc/self/fd/5")), os.path.basename(os.readlink("/proc/self/fd/30")))
print(sorted(set(os.listdir("/proc/self/fd")) - {"30", "5"}) == sorted(os.environ["USUAL"].split()))`;
    const cwd = folderWith({ "program.py": text });
    const list = `${python} -c 'import os; print(*os.listdir("/proc/self/fd"))'`;
    const command = `USUAL=$(${list}); export USUAL; ulimit -Sn 999; trap '' HUP USR1
      exec "$0" run -q --python ${python} program.py 5< /etc/passwd 30< program.py`;
    expect(execFileSync("bash", ["-c", command, tidegauge], { cwd, encoding: "utf8" })).toBe(
      "999\n[<Signals.SIGHUP: 1>, <Signals.SIGUSR1: 10>]\npasswd program.py\nTrue\n",
    );
  });

  test("descriptors that are closed stay closed", () => {
    const text = "import sys; print(sys.stdin, sys.stderr)";
    const cwd = folderWith({ "program.py": text });
    const command = `exec "$0" run -q --python ${python} program.py <&- 2>&-`;
    expect(execFileSync("sh", ["-c", command, tidegauge], { cwd, encoding: "utf8" })).toBe("None None\n");
  });

  test("ru_maxrss does not show the recorder", () => {
    const text = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)";
    const bare = Number(execFileSync(python, ["-c", text], { encoding: "utf8" }));
    const recorded = Number(runText(text).stdout);
    // Node alone has more than 35 MiB; the agent in the program is allowed its few.
    expect(recorded - bare).toBeLessThan(8 * 1024);
  });

  test("a pipe that it closes is closed: a reader sees the end while it still runs", async () => {
    const { process: child } = startText(
      "import os, time; print('last'); os.sys.stdout.flush(); os.close(1); time.sleep(60)",
    );
    await new Promise((resolve) => child.stdout!.once("end", resolve));
    expect(child.exitCode).toBe(null);
    child.kill("SIGKILL");
  });

  test("working directory may change: the recording stays where it was asked for", () => {
    const { status, folder } = runText("import os, tempfile; os.chdir(tempfile.mkdtemp())", ["-q", "-o", "day.tide"]);
    expect({ status, recordings: recordings(folder) }).toEqual({ status: 0, recordings: ["day.tide"] });
  });

  test.each([
    ["closes all descriptors", "import os; os.closerange(0, 1000); x = [bytes(1000) for _ in range(1000)]"],
    [
      "clears its environment",
      "import os, subprocess, sys; os.environ.clear(); subprocess.run([sys.executable, '-c', '1'], check=True)",
    ],
    ["calls os.execv", "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'print(1)'])"],
    [
      "forks 200 children",
      `
import os
for _ in range(200):
    if os.fork() == 0: os._exit(0)
assert all(os.wait()[1] == 0 for _ in range(200))`,
    ],
  ])("%s", (_, text) => {
    const { status, stderr, folder } = runText(text);
    expect({ status, stderr, recordings: recordings(folder) }).toEqual({
      status: 0,
      stderr: "",
      recordings: ["tidegauge-program.tide"],
    });
  });
});

describe("signals to the recorder go to the program:", () => {
  test.each(["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGINT", "SIGQUIT"] as const)("%s", async (name) => {
    const text = `
import signal, sys, time
signal.signal(signal.${name}, lambda *_: sys.exit(40))
print("ready", flush=True)
time.sleep(30)`;
    const { process: child, output } = startText(text);
    await until("the program is ready", () => output().includes("ready"));
    child.kill(name);
    expect(await ended(child)).toBe(40);
  });

  test("SIGTERM that it does not catch ends both: 128 + 15", async () => {
    const { process: child, output } = startText("import time; print('ready', flush=True); time.sleep(30)");
    await until("the program is ready", () => output().includes("ready"));
    child.kill("SIGTERM");
    expect(await ended(child)).toBe(143);
  });

  test("but when the recorder itself is killed, the program runs on untouched", async () => {
    const text = "import time; print('ready', flush=True); time.sleep(0.5); open('done', 'w').write('all of it')";
    const { process: child, folder, output } = startText(text);
    await until("the program is ready", () => output().includes("ready"));
    child.kill("SIGKILL");
    await until("the program is done", () => existsSync(join(folder, "done")));
    await until("it wrote all", () => readFileSync(join(folder, "done"), "utf8") === "all of it");
    expect(recordings(folder)).toEqual(["tidegauge-program.tide.run"]);
  });
});

describe("what a program is", () => {
  test("a module, code, a command, a script with a shebang, standard input", () => {
    const cwd = folderWith({ "greet.py": "import sys; print('hello', *sys.argv[1:])" });
    const run = (...words: string[]) => call(["run", "-q", ...words], { cwd, input: "print('from stdin')" }).stdout;
    expect(run("-m", "greet", "-x", "--exact")).toBe("hello -x --exact\n");
    expect(run("-mgreet", "y")).toBe("hello y\n");
    expect(run("-c", "import sys; print(sys.argv)", "--json")).toBe("['-c', '--json']\n");
    expect(run("--", "echo", "-n", "plain")).toBe("plain");
    expect(run("-")).toBe("from stdin\n");
    execFileSync("sh", ["-c", `printf '#!/usr/bin/env python3\\nprint("shebang")' > tool; chmod +x tool`], { cwd });
    expect(run("--", "./tool")).toBe("shebang\n");
  });

  test("the interpreter of the virtual environment is taken, else python3 of PATH", () => {
    const cwd = folderWith({ "program.py": "import sys; print(sys.prefix)" });
    execFileSync(python, ["-m", "venv", "--without-pip", join(cwd, "env")]);
    const run = (env: NodeJS.ProcessEnv) =>
      call(["run", "-q", "program.py"], { cwd, env: { ...process.env, ...env } }).stdout.trim();
    expect(run({ VIRTUAL_ENV: join(cwd, "env") })).toBe(join(cwd, "env"));
    expect(run({ PATH: `${join(cwd, "env/bin")}:${process.env.PATH}`, VIRTUAL_ENV: undefined })).toBe(join(cwd, "env"));
  });

  test("an existing LD_PRELOAD stays, behind the agent", () => {
    const library = findLibrary();
    const cwd = folderWith({ "program.py": "import os; print(os.environ['LD_PRELOAD'])" });
    const { stdout } = call(["run", "-q", "program.py"], { cwd, env: { ...process.env, LD_PRELOAD: library } });
    expect(stdout.trim()).toMatch(new RegExp(`libtidegauge-agent\\.so:${library.replaceAll(".", "\\.")}$`));
  });
});

/** Some library that every process has loaded already, so that preloading it changes nothing. */
function findLibrary(): string {
  return /\s(\/\S*libc\.so\.6)$/m.exec(execFileSync("cat", ["/proc/self/maps"], { encoding: "utf8" }))![1]!;
}

describe("two runs into one name", () => {
  test("the second is refused while the first goes on", async () => {
    const {
      process: child,
      folder,
      output,
    } = startText("print('ready', flush=True); input()", ["-q", "-o", "day.tide"]);
    await until("the program is ready", () => output().includes("ready"));
    for (const force of [[], ["-f"]]) {
      const { status, stderr } = call(["run", ...force, "-o", "day.tide", "program.py"], { cwd: folder });
      expect(status).toBe(2);
      expect(stderr).toMatch(
        /^tidegauge: another run \(process \d+\) is writing day\.tide; name another file with -o\n$/,
      );
    }
    child.stdin!.end("\n");
    expect(await ended(child)).toBe(0);
    expect(recordings(folder)).toEqual(["day.tide"]);
  });

  test("of two that start together exactly one gets it", async () => {
    const cwd = folderWith({ "program.py": "import time; time.sleep(0.5)" });
    const start = () =>
      ended(spawn(tidegauge, ["run", "-q", "-o", "day.tide", "program.py"], { cwd, stdio: "ignore" }));
    expect((await Promise.all([start(), start(), start()])).toSorted()).toEqual([0, 2, 2]);
    expect(recordings(cwd)).toEqual(["day.tide"]);
  });
});

describe("trouble while the program runs is told, and the program runs on:", () => {
  test("it deletes the folder of its recording", () => {
    const text = `
import glob, shutil, time
shutil.rmtree(glob.glob("*.tide.run")[0])
time.sleep(0.4)
print("goes on")`;
    const { status, stdout, stderr, folder } = runText(text);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "goes on\n" });
    expect(stderr).toMatch(/^tidegauge: \S+\.tide\.run was deleted while the program ran: .*\n$/);
    expect(recordings(folder)).toEqual(["tidegauge-program.tide"]);
  });

  test("the folder around the recording vanishes", () => {
    const outer = folderWith({
      "program.py": "import shutil, time; shutil.rmtree('place'); time.sleep(0.4); print('goes on')",
    });
    execFileSync("mkdir", [join(outer, "place")]);
    const { status, stdout, stderr } = call(["run", "-q", "-o", "place/day.tide", "program.py"], { cwd: outer });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "goes on\n" });
    expect(stderr).toMatch(
      /^tidegauge: \S+day\.tide\.run was deleted .* cannot be made again \(no such file or folder\): .*\n$/,
    );
  });
});
