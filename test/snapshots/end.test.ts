/** The objects of a program's end, kept in its recording: whoever holds them is named, and the program notices nothing. */
import { expect, test } from "vitest";
import { readdirSync } from "node:fs";
import { interpreter, MINORS } from "../interpreters.ts";
import { spawnSync } from "node:child_process";
import { call, folderWith, python, tidegauge } from "../run/support.ts";

const KEEPS = `
class Row:
    def __init__(self, i):
        self.data = [i] * 50

class Store:
    rows = []

for i in range(3000):
    Store.rows.append(Row(i))
`;

interface HeapAnswer {
  holders: { path: string[]; bytes: number }[];
  types: { name: string; module: string; count: number }[];
  audit: { refcountsExplained: number };
}

function heapOf(folder: string): HeapAnswer {
  const { status, stdout, stderr } = call(["heap", "out.tide", "--json"], { cwd: folder });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return JSON.parse(stdout) as HeapAnswer;
}

function record(text: string, command = python, env: NodeJS.ProcessEnv = {}) {
  const folder = folderWith({ "program.py": text });
  const words = ["run", "-q", "-o", "out.tide", "--snapshots", "end", "--python", command, "program.py"];
  return { folder, ...call(words, { cwd: folder, env: { ...process.env, ...env } }) };
}

function notMeasured(folder: string): string {
  const { stdout } = call(["explain", "out.tide", "--json"], { cwd: folder });
  return (JSON.parse(stdout) as { recording: { notMeasured: string[] } }).recording.notMeasured.join("\n");
}

for (const minor of MINORS) {
  const found = interpreter(minor);
  test.skipIf(found.skip !== undefined)(`the list that keeps the rows, on ${minor} ${found.skip ?? ""}`, () => {
    const { folder, status, stderr } = record(KEEPS, found.skip === undefined ? found.command[0] : undefined);
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const heap = heapOf(folder);
    expect(heap.types.find(({ name }) => name === "Row")?.count).toBe(3000);
    expect(heap.holders[0]!.path.join(" ")).toContain("rows");
    expect(heap.audit.refcountsExplained).toBeGreaterThan(0.97);
  });
}

test("also when an exception ended the program; its status stays its own", () => {
  const { folder, status, stderr } = record(`${KEEPS}\nraise SystemExit(7)\n`);
  expect(stderr).toBe("");
  expect(status).toBe(7);
  expect(heapOf(folder).types.find(({ name }) => name === "Row")?.count).toBe(3000);
});

test("the program's own waits never see the copy, and its descriptors are not held open", () => {
  const seen = `
import atexit, os, signal, sys
told = []
signal.signal(signal.SIGCHLD, lambda *_: told.append("SIGCHLD"))
read, write = os.pipe()
@atexit.register
def last():
    pass
if os.fork() == 0:
    os.close(read)
    sys.exit(0)  # an orderly end: this child is copied too
os.close(write)
assert os.read(read, 1) == b"", "the pipe is held open"
os.wait()
try:
    os.waitpid(-1, 0)
    raise AssertionError("a child that is not the program's")
except ChildProcessError:
    pass
assert told == ["SIGCHLD"], told
print("fine")
`;
  const { stdout, stderr, status } = record(seen);
  expect({ stdout, stderr, status }).toEqual({ stdout: "fine\n", stderr: "", status: 0 });
});

test("a program that is killed has none, and the recording says so", () => {
  const { folder, status } = record(`${KEEPS}\nimport os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n`);
  expect(status).toBe(137);
  expect(readdirSync(folder).toSorted()).toEqual(["out.tide", "program.py"]);
  expect(notMeasured(folder)).toContain("did not come to an orderly end");
});

test("where everything comes from malloc, too", () => {
  const { folder } = record(KEEPS, python, { PYTHONMALLOC: "malloc" });
  expect(heapOf(folder).types.find(({ name }) => name === "Row")?.count).toBe(3000);
});

test("a memory limit without room for a copy: none is made, and the recording says why", () => {
  const folder = folderWith({ "program.py": "kept = bytearray(b'x') * 900_000_000" });
  const words = `run -q -o out.tide --snapshots end --python ${python} program.py`.split(" ");
  const limited = ["-c", 'ulimit -v 1700000; exec "$0" "$@"', tidegauge, ...words];
  const { status, stderr } = spawnSync("sh", limited, { cwd: folder, encoding: "utf8" });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(notMeasured(folder)).toContain("the memory limit leaves no room for a copy of the program");
});
