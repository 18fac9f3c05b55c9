import { readFileSync } from "node:fs";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { call, folderWith, python, recordings, runText, tidegauge } from "./support.ts";

/** Allocates enough to fill a small disk with its events. */
const HUNGRY = "x = [dict(a=i) for i in range(300000)]; print('done', len(x))";

/** Whether this user may mount file systems of its own. */
const mayMount = spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;
const why = mayMount ? "" : " (skipped: mounting is not allowed here)";

const makesStatic =
  spawnSync("cc", ["-static", "-x", "c", "-o", "/dev/null", "-"], { input: "int main(void) { return 0; }" }).status ===
  0;

/** Runs a shell text in a mount namespace of its own; `$0` is the tool, `$1` the interpreter. */
function inOwnMounts(text: string, cwd: string) {
  const { status, stdout, stderr } = spawnSync("unshare", ["-m", "sh", "-c", text, tidegauge, python], {
    cwd,
    encoding: "utf8",
  });
  return { status, stdout, stderr };
}

describe("trouble while the program runs is told, the program runs on, what was written is kept:", () => {
  test.skipIf(!mayMount)(`the disk is full${why}`, () => {
    const cwd = folderWith({ "program.py": HUNGRY });
    const { status, stdout, stderr } = inOwnMounts(
      `mount -t tmpfs -o size=1500k tmpfs /mnt
       "$0" run -q --exact --python "$1" -o /mnt/day.tide program.py || exit
       "$0" explain /mnt/day.tide.run > explained || exit
       tr -s '\\n ' ' ' < explained | grep -c "recording stopped: the disk was full"`,
      cwd,
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "done 300000\n1\n" });
    const sentences = stderr.trimEnd().split("\n");
    expect(
      sentences.every((line) => line.startsWith("tidegauge: cannot write ") && line.includes("the disk is full")),
    ).toBe(true);
    expect(sentences.at(-1)).toContain("what was recorded stays in /mnt/day.tide.run");
  });

  test.skipIf(!mayMount)(`/dev/shm cannot be written${why}`, () => {
    const cwd = folderWith({ "program.py": HUNGRY });
    const { status, stdout, stderr } = inOwnMounts(
      `mount -t tmpfs -o ro tmpfs /dev/shm; "$0" run -q --python "$1" program.py`,
      cwd,
    );
    expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "done 300000\n", stderr: "" });
    expect(recordings(cwd)).toEqual(["tidegauge-program.tide"]);
  });

  test("the recording is larger than --max-size", () => {
    const { status, stdout, stderr, folder } = runText(HUNGRY, ["-q", "--exact", "--max-size", "2M"]);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "done 300000\n" });
    expect(stderr).toBe(
      "tidegauge: blocks were recorded only up to a point: its events filled the size that --max-size allows; the program ran on, what was recorded is kept\n",
    );
    expect(recordings(folder)).toEqual(["tidegauge-program.tide"]);
  });

  test("the limit of file sizes", () => {
    const cwd = folderWith({ "program.py": HUNGRY });
    const command = `ulimit -f 2000; exec "$0" run -q --exact --python ${python} program.py`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", command, tidegauge], { cwd, encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 0, stdout: "done 300000\n" });
    expect(stderr).toContain("the limit of file sizes (ulimit -f) was reached; the program ran on");
  });
});

describe("limits of the shell", () => {
  test("a soft limit of address space is the program's, and the answer's", () => {
    const cwd = folderWith({ "program.py": "import resource; print(resource.getrlimit(resource.RLIMIT_AS)[0])" });
    const command = `ulimit -S -v 400000; exec "$0" run --json=answer.json --python ${python} program.py`;
    expect(execFileSync("bash", ["-c", command, tidegauge], { cwd, encoding: "utf8" })).toBe("409600000\n");
    const answer = JSON.parse(readFileSync(join(cwd, "answer.json"), "utf8"));
    expect(answer.peak.limitBytes).toBe(409600000);
  });

  test("one that Node cannot live in is told, with what to do", () => {
    const cwd = folderWith({ "program.py": "print(1)" });
    const command = `ulimit -v 400000; exec "$0" run program.py`;
    const { status, stdout, stderr } = spawnSync("bash", ["-c", command, tidegauge], { cwd, encoding: "utf8" });
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(
      /^tidegauge: the limit of address space \(ulimit -v 400000\) is too small for Node\.js; set it .*\n$/,
    );
  });
});

describe("what cannot be recorded by blocks still has pages, and a reason", () => {
  test("a command without Python", () => {
    const cwd = folderWith();
    const { status, stderr } = call(["run", "--json", "--", "sleep", "0.1"], { cwd });
    const answer = JSON.parse(stderr);
    expect(status).toBe(0);
    expect(answer.recording.mode).toBe("pages");
    expect(answer.peak.rssBytes).toBeGreaterThan(100_000);
    expect(answer.unknown.join()).toContain("no Python ran in it (sleep)");
  });

  test.skipIf(!makesStatic)(
    `a static program${makesStatic ? "" : " (skipped: the C compiler cannot make one)"}`,
    () => {
      const cwd = folderWith({
        "main.c":
          "int main(void) { static char x[8 << 20]; for (int i = 0; i < 8 << 20; i += 4096) x[i] = 1; return 5; }",
      });
      execFileSync("cc", ["-static", "-o", "main", "main.c"], { cwd });
      const { status, stderr } = call(["run", "--json", "--", "./main"], { cwd });
      const answer = JSON.parse(stderr);
      expect(status).toBe(5);
      expect(answer.recording.mode).toBe("pages");
      expect(answer.unknown.join()).toContain("is a static program, which loads no libraries");
      // It is over before the second sample: the kernel's own figure at the end counts.
      expect(answer.peak.rssBytes).toBeGreaterThan(8 << 20);
    },
  );
});
