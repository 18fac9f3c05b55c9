import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, folderWith, recordings, runText, tidegauge } from "./support.ts";

const PROGRAM = "open('started', 'w'); print('it runs')";

/** Calls `tidegauge run`, and expects one sentence, the status, and a program that was never started. */
function refused(words: string[], folder = folderWith({ "program.py": PROGRAM }), env = process.env) {
  const before = recordings(folder);
  const { status, stdout, stderr } = call(["run", ...words], { cwd: folder, env });
  expect(stdout).toBe("");
  expect(stderr).toMatch(/^tidegauge: .*\n$/);
  expect(existsSync(join(folder, "started"))).toBe(false);
  expect(recordings(folder)).toEqual(before);
  return { status, sentence: stderr.replace(/^tidegauge: /, "").trimEnd() };
}

describe("tidegauge run refuses before the program is started:", () => {
  test("no arguments", () => {
    const { status, sentence } = refused([]);
    expect(status).toBe(2);
    expect(sentence).toBe("nothing to run; name a script, -m MODULE, -c CODE, or -- COMMAND");
  });

  test.each([
    [["-m"], "-m needs the name of a module, such as: tidegauge run -m http.server"],
    [["-c"], "-c needs Python code, such as: tidegauge run -c 'print(1)'"],
    [["--"], "nothing to run after --"],
    [["-o"], "option '-o, --output <file>' argument missing; see tidegauge run --help"],
  ])("%j with nothing behind it", (words, sentence) => {
    expect(refused(words)).toEqual({ status: 2, sentence });
  });

  test("an unknown option, with the one that was meant", () => {
    const { status, sentence } = refused(["--exat", "program.py"]);
    expect(status).toBe(2);
    expect(sentence).toBe("unknown option '--exat'; did you mean --exact?");
  });

  test("options that exclude each other", () => {
    const { status, sentence } = refused(["--exact", "--interval", "64K", "program.py"]);
    expect(status).toBe(2);
    expect(sentence).toContain("'--exact' cannot be used with option '--interval <size>'");
  });

  test.each([
    ["--interval", "12 parsecs", "not a size"],
    ["--interval", "-5", "not a size"],
    ["--interval", "1", "too small"],
    ["--max-size", "ten", "not a size"],
    ["--max-size", "1K", "too small"],
    ["--max-overhead", "0", "not a share"],
    ["--max-overhead", "101", "not a share"],
    ["--max-overhead", "much", "not a share"],
  ])("%s %s", (option, value, problem) => {
    const { status, sentence } = refused([option, value, "program.py"]);
    expect(status).toBe(2);
    expect(sentence).toContain(`${option} ${value}: ${problem}`);
  });

  test("no such script", () => {
    const { status, sentence } = refused(["absent.py"]);
    expect(status).toBe(2);
    expect(sentence).toBe("cannot run absent.py: no such file or folder");
  });

  test("a command where a script is expected, with the way to run it", () => {
    const { status, sentence } = refused(["ls", "-l"]);
    expect(status).toBe(2);
    expect(sentence).toBe("cannot run ls: no such file or folder; for a command write: tidegauge run -- ls");
  });

  test("a folder that is no Python package to run", () => {
    const folder = folderWith();
    mkdirSync(join(folder, "pack"));
    const { status, sentence } = refused(["pack"], folder);
    expect(status).toBe(2);
    expect(sentence).toBe("cannot run pack: it is a folder without a __main__.py; name a script in it");
  });

  test("bytes that are no Python", () => {
    const folder = folderWith({ "noise.py": Buffer.from([1, 2, 0, 255, 254, 0, 7]) });
    const { status, sentence } = refused(["noise.py"], folder);
    expect(status).toBe(2);
    expect(sentence).toBe("cannot run noise.py as a Python script: it is no Python text (it holds NUL bytes)");
  });

  test("a program where a script is expected, with the way to run it", () => {
    const { status, sentence } = refused([process.execPath]);
    expect(status).toBe(2);
    expect(sentence).toContain(`it is a program; try: tidegauge run -- ${process.execPath}`);
  });

  test("an interpreter that is not there", () => {
    expect(refused(["--python", "python9", "program.py"])).toEqual({
      status: 2,
      sentence: "no Python interpreter python9: no program of this name in PATH",
    });
  });

  test("no interpreter in PATH", () => {
    const folder = folderWith({ "program.py": PROGRAM });
    const bin = join(folder, "bin");
    mkdirSync(bin);
    // The tool itself needs Node, sh and a few commands: a folder with just these.
    for (const name of ["node", "sh", "find", "readlink"]) {
      writeFileSync(join(bin, name), `#!/bin/sh\nPATH='${process.env.PATH}' exec ${name} "$@"\n`);
      chmodSync(join(bin, name), 0o755);
    }
    writeFileSync(join(bin, "node"), `#!/bin/sh\nexec '${process.execPath}' "$@"\n`);
    const { status, sentence } = refused(["program.py"], folder, { PATH: bin });
    expect(status).toBe(2);
    expect(sentence).toBe("no python3 in PATH; install Python 3, or name an interpreter with --python");
  });

  test("a command that is not executable, or not there", () => {
    expect(refused(["--", "./program.py"]).sentence).toBe(
      "cannot run ./program.py: it is not executable; try: chmod +x ./program.py",
    );
    expect(refused(["--", "no-such-command"]).sentence).toBe(
      "cannot run no-such-command: no program of this name in PATH",
    );
  });

  test("a file that the kernel cannot execute", () => {
    const folder = folderWith({ broken: Buffer.concat([Buffer.from("#!/no/such/interpreter\n")]) });
    chmodSync(join(folder, "broken"), 0o755);
    const { status, sentence } = refused(["--", "./broken"], folder);
    expect(status).toBe(3);
    expect(sentence).toBe("cannot start ./broken: no such file or folder");
  });

  test("an output folder that is missing", () => {
    const { status, sentence } = refused(["-o", "absent/day.tide", "program.py"]);
    expect(status).toBe(2);
    expect(sentence).toBe("cannot write absent/day.tide: no such file or folder; make the folder absent first");
  });

  test("an output folder that cannot be written", () => {
    // Even root cannot make a folder in /sys.
    const { status, sentence } = refused(["-o", "/sys/day.tide", "program.py"]);
    expect(status).toBe(3);
    expect(sentence).toMatch(/^cannot write into \/sys: .*; name a file elsewhere with -o$/);
  });

  test("a working directory that was deleted", () => {
    const folder = folderWith({ "program.py": PROGRAM });
    const command = `mkdir gone; cd gone; rmdir ../gone; exec "$0" run ../program.py 2>&1`;
    const { status, stdout } = spawnSync("bash", ["-c", command, tidegauge], { cwd: folder, encoding: "utf8" });
    expect(status).toBe(2);
    expect(stdout).toContain("tidegauge: the working directory does not exist any more; change to one that does\n");
  });

  test("an output that is a folder", () => {
    const folder = folderWith({ "program.py": PROGRAM });
    mkdirSync(join(folder, "there"));
    expect(refused(["-o", "there", "program.py"], folder)).toEqual({
      status: 2,
      sentence: "cannot write there: it is a folder; name a file in it",
    });
  });

  test("an output that exists, unless -f is given", () => {
    const folder = folderWith({ "program.py": PROGRAM, "day.tide": "precious" });
    expect(refused(["-o", "day.tide", "program.py"], folder)).toEqual({
      status: 2,
      sentence: "day.tide exists; -f writes over it, -o names another file",
    });
    expect(call(["run", "-q", "-f", "-o", "day.tide", "program.py"], { cwd: folder }).status).toBe(0);
  });

  test("a name that a dead recorder left behind, unless -f is given", () => {
    const folder = folderWith({ "program.py": PROGRAM });
    mkdirSync(join(folder, "day.tide.run"));
    writeFileSync(join(folder, "day.tide.run", "run"), "recorderPid=1\nrecorderStart=1\n");
    const { status, sentence } = refused(["-o", "day.tide", "program.py"], folder);
    expect(status).toBe(2);
    expect(sentence).toBe(
      "day.tide.run is left of a run whose recorder died; read it with: tidegauge explain day.tide.run, or start over with -f",
    );
    expect(call(["run", "-q", "-f", "-o", "day.tide", "program.py"], { cwd: folder }).status).toBe(0);
  });
});

describe("the command line", () => {
  test.each([
    [[], "no command; try: tidegauge run script.py, or tidegauge --help"],
    [["rum"], "unknown command 'rum'; did you mean run?"],
    [["--nonsense"], "unknown option '--nonsense'; see tidegauge --help"],
  ])("%j: one sentence, status 2", (words, sentence) => {
    const outcome = call(words, { cwd: folderWith() });
    expect(outcome).toEqual({ status: 2, stdout: "", stderr: `tidegauge: ${sentence}\n` });
  });

  test("names that are not given are never written over: they are numbered", () => {
    const { folder, status } = runText("print(1)");
    expect(status).toBe(0);
    for (let i = 0; i < 2; i++) call(["run", "-q", "program.py"], { cwd: folder });
    expect(recordings(folder).toSorted()).toEqual([
      "tidegauge-program-2.tide",
      "tidegauge-program-3.tide",
      "tidegauge-program.tide",
    ]);
  });
});
