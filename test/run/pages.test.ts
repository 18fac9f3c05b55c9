import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { call, folderWith, python } from "./support.ts";

const MIB = 1024 * 1024;

interface ProcessAnswer {
  pid: number;
  parentPid: number;
  argv: string[];
  peakRssBytes: number | null;
  peakFinal: boolean;
  exitCode: number | null;
  signal: string | null;
}

/** Runs words in a folder and gives the JSON of a later command on the recording. */
function recorded(words: string[], command: "explain" | "processes" | "timeline", files: Record<string, string> = {}) {
  const cwd = folderWith(files);
  const { status } = call(["run", "-q", "-o", "day.tide", ...words], { cwd });
  const answer = call([command, "--json", "day.tide"], { cwd });
  expect(answer.stderr).toBe("");
  return { status, answer: JSON.parse(answer.stdout) };
}

describe("pages without blocks", () => {
  test("a tree of processes that have no Python: each with its command, parent, peak and end", () => {
    const { status, answer } = recorded(
      ["--", "sh", "-c", "sleep 0.4 & sh -c 'sleep 0.3; exit 3'; wait; exit 4"],
      "processes",
    );
    expect(status).toBe(4);
    const processes = answer.processes as ProcessAnswer[];
    const root = processes.find(({ argv }) => argv[2]?.startsWith("sleep 0.4"))!;
    expect(root).toMatchObject({ exitCode: 4, signal: null });
    for (const seconds of ["0.4", "0.3"]) {
      const sleep = processes.find(({ argv }) => argv.join(" ") === `sleep ${seconds}`)!;
      expect(sleep.peakRssBytes).toBeGreaterThan(100_000);
    }
    const inner = processes.find(({ argv }) => argv[2] === "sleep 0.3; exit 3")!;
    expect(inner.parentPid).toBe(root.pid);
    expect(processes.find(({ argv }) => argv.join(" ") === "sleep 0.3")!.parentPid).toBe(inner.pid);
  });

  test("a daemon that leaves its parent and its session is still seen, when it has Python", () => {
    const text = `
import os, subprocess, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        x = b"x" * (30 << 20)
        time.sleep(0.3)
    os._exit(0)
os.wait()
time.sleep(0.8)`;
    const { answer } = recorded(["--python", python, "daemon.py"], "processes", { "daemon.py": text });
    const peaks = (answer.processes as ProcessAnswer[]).map(({ peakRssBytes }) => peakRssBytes ?? 0);
    expect(peaks.length).toBe(3);
    expect(peaks.filter((peak) => peak > 30 * MIB).length).toBe(1);
  });

  test("the peak is the kernel's own figure, though the program was killed between two looks", () => {
    const text = "import os, signal; x = b'x' * (40 << 20); os.kill(os.getpid(), signal.SIGKILL)";
    const { status, answer } = recorded(["--python", python, "killed.py"], "processes", { "killed.py": text });
    expect(status).toBe(137);
    const [root] = answer.processes as ProcessAnswer[];
    expect(root).toMatchObject({ signal: "SIGKILL", peakFinal: true });
    expect(root!.peakRssBytes).toBeGreaterThan(40 * MIB);
    expect(root!.peakRssBytes).toBeLessThan(70 * MIB);
  });

  test("a level that stays takes few rows, however long it stays; up and down are both there", () => {
    const text = `
import mmap, time
time.sleep(0.3)
with mmap.mmap(-1, 50 << 20) as block:
    block.write(bytes(50 << 20))
    time.sleep(1.2)
time.sleep(0.3)`;
    const { answer } = recorded(["--python", python, "steps.py"], "timeline", { "steps.py": text });
    const points = answer.processes[0].points as { seconds: number; rssBytes: number; ussBytes: number | null }[];
    const highest = Math.max(...points.map(({ rssBytes }) => rssBytes));
    expect(highest - points.at(-1)!.rssBytes).toBeGreaterThan(45 * MIB);
    // The first and the last row of the level, and those that carry PSS and USS.
    const level = points.filter(({ rssBytes }) => rssBytes > highest - MIB);
    expect(level.length).toBeLessThan(12);
    expect(level.at(-1)!.seconds - level[0]!.seconds).toBeGreaterThan(0.8);
    expect(points.some(({ ussBytes }) => ussBytes !== null && ussBytes > 45 * MIB)).toBe(true);
  });
});

/** A control group with a limit that this user may make, or why there is none. */
function limitedGroup(bytes: number): { folder: string } | { why: string } {
  for (const [parent, file] of [
    ["/sys/fs/cgroup/memory", "memory.limit_in_bytes"],
    ["/sys/fs/cgroup", "memory.max"],
  ] as const) {
    const folder = join(parent, `tidegauge-test-${process.pid}`);
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, file), String(bytes));
      return { folder };
    } catch {
      // another version, or not ours to make
    }
  }
  return { why: "no control group can be made here" };
}

const group = limitedGroup(80 * MIB);
afterAll(() => {
  if ("folder" in group) rmdirSync(group.folder);
});

describe("limits of a control group", () => {
  const skipped = "why" in group ? ` (skipped: ${group.why})` : "";
  test.skipIf("why" in group)(
    `an OOM kill is told, with the limit, also when the program moved there itself${skipped}`,
    () => {
      const { folder } = group as { folder: string };
      const text = `
open("${folder}/cgroup.procs", "w").write("0")
import time
x = []
while True:
    x.append(bytearray(1 << 20))
    time.sleep(0.005)`;
      const { status, answer } = recorded(["--python", python, "greedy.py"], "explain", { "greedy.py": text });
      expect(status).toBe(137);
      expect(answer.peak.limitBytes).toBe(80 * MIB);
      expect(answer.program.ending).toContain("oom_kill 1");
      expect(readFileSync(join(folder, "cgroup.procs"), "utf8")).toBe("");
    },
  );
});
