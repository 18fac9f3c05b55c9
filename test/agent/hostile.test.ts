import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { STATE } from "../../src/tide/events.ts";
import { compile, ofSize, record, recordKilled, root0 } from "./recorded.ts";

const SOUND = { unmatchedDeaths: 0, doubleBirths: 0 };
const AROUND = 33; // bytes of a bytes object besides its contents
const isRoot = process.getuid?.() === 0;
/** Reasons in the header. */
const OFF = { diskFull: 1, fileLimit: 2, maxBytes: 3, fileGone: 4, addressSpace: 5, noDescriptor: 7, notPermitted: 8 };

/** A file system of 1.3 MB, where one can be mounted. */
const small = mkdtempSync(join(tmpdir(), "agent-test-small-"));
const hasSmall = isRoot && spawnSync("mount", ["-t", "tmpfs", "-o", "size=1300k", "tmpfs", small]).status === 0;
afterAll(() => {
  if (hasSmall) spawnSync("umount", [small]);
  rmSync(small, { recursive: true, force: true });
});

/** Records more than a file of a megabyte holds, before and after `middle`. */
const long = (middle: string): string => `
  import os, sys
  first = bytes(50001)
  ${middle}
  for i in range(8000):
      texts = [str(n) * 7 for n in range(20)]
  last = bytes(50002)
  print("done", flush=True)
`;

describe("where the recording cannot go on, the program does", () => {
  test("file size limit: no SIGXFSZ, what was written stays", () => {
    const run = record(long(""), { shell: 'ulimit -f 1300; "$@"; exit $?' });
    expect(run).toMatchObject({ stdout: "done\n", status: 0 });
    const image = root0(run);
    expect(image.header).toMatchObject({ state: STATE.off, reason: OFF.fileLimit });
    expect(ofSize(image, 50001 + AROUND)).toHaveLength(1);
    expect(run.bytes).toBeLessThanOrEqual(1300 * 1024);
    expect(image).toMatchObject(SOUND);
  });

  test("the file may not even begin", () => {
    const run = record(long(""), { shell: 'ulimit -f 1; "$@"; exit $?' });
    expect(run).toMatchObject({ stdout: "done\n", status: 0 });
  });

  test("over maxBytes", () => {
    const run = record(long(""), { settings: "mode=exact\nmaxBytes=1300000" });
    expect(run.stdout).toBe("done\n");
    expect(root0(run).header).toMatchObject({ state: STATE.off, reason: OFF.maxBytes });
    expect(run.bytes).toBeLessThanOrEqual(1300000);
  });

  test("address space: the agent takes a quarter at most, and the program starts", () => {
    const run = record(long(""), { shell: 'ulimit -v 500000; "$@"; exit $?' });
    expect(run).toMatchObject({ stdout: "done\n", status: 0, stderr: "" });
    expect(ofSize(root0(run), 50001 + AROUND)).toHaveLength(1);
    const tight = record(long(""), { shell: 'ulimit -v 60000; "$@"; exit $?' });
    const bare = record(long(""), { shell: 'ulimit -v 60000; "$@"; exit $?', bare: true });
    expect(tight).toMatchObject({ stdout: bare.stdout, status: bare.status, stderr: bare.stderr });
  });

  test("hundreds of threads under an address space limit", () => {
    const program = `
      import threading
      threading.stack_size(1 << 17)
      gate = threading.Event()
      threads = [threading.Thread(target=gate.wait, daemon=True) for _ in range(200)]
      for t in threads: t.start()
      gate.set()
      for t in threads: t.join()
      print("done")
    `;
    const run = record(program, { shell: 'ulimit -v 600000; "$@"; exit $?', env: { MALLOC_ARENA_MAX: "1" } });
    expect(run).toMatchObject({ stdout: "done\n", status: 0, stderr: "" });
  });

  test.skipIf(!hasSmall)(
    "full disk: no SIGBUS, what was written stays (skipped where a small file system cannot be mounted)",
    () => {
      const run = record(long(""), { below: small });
      expect(run).toMatchObject({ stdout: "done\n", status: 0, stderr: "" });
      const image = root0(run);
      expect(image.header).toMatchObject({ state: STATE.off, reason: OFF.diskFull });
      expect(ofSize(image, 50001 + AROUND)).toHaveLength(1);
      expect(image).toMatchObject(SOUND);
    },
  );

  test("the run folder is removed meanwhile", () => {
    const run = record(long("import shutil; shutil.rmtree(os.environ['TIDEGAUGE_RUN'])"));
    expect(run).toMatchObject({ stdout: "done\n", status: 0, stderr: "", images: [] });
  });

  test("the file is replaced by another: not a byte goes into that", () => {
    const run = record(
      long(`
  folder = os.environ["TIDEGAUGE_RUN"]
  name, = (n for n in os.listdir(folder) if n.endswith(".events"))
  os.rename(os.path.join(folder, name), os.path.join(folder, "mine"))
  open(os.path.join(folder, name), "w").write("precious")
  import atexit; atexit.register(lambda: print(open(os.path.join(folder, name)).read(), os.remove(os.path.join(folder, name))))
`),
    );
    expect(run.stdout).toBe("done\nprecious None\n");
  });

  test.skipIf(!isRoot)("chroot and other rights (skipped: only root can change them)", () => {
    for (const [middle, reason] of [
      ["os.chroot(os.path.dirname(sys.argv[0]) + '/x.tide.run')", OFF.fileGone],
      ["os.setresgid(65534, 65534, 65534), os.setresuid(65534, 65534, 65534)", OFF.notPermitted],
    ] as const) {
      const run = record(long(middle));
      expect(run).toMatchObject({ stdout: "done\n", status: 0, stderr: "" });
      const image = root0(run);
      expect(image.header).toMatchObject({ state: STATE.off, reason });
      expect(ofSize(image, 50001 + AROUND)).toHaveLength(1);
    }
  });
});

describe("descriptors", () => {
  test("the program has the same ones as without the agent, and its files never hold the agent's bytes", () => {
    const program = `
      import os
      def mine(): return sorted(int(n) for n in os.listdir("/proc/self/fd"))
      print(mine())
      kept = [open(os.devnull) for _ in range(5)]
      print([f.fileno() for f in kept], mine())
    `;
    expect(record(program).stdout).toBe(record(program, { bare: true }).stdout);
  });

  test("all closed: recording goes on, the next file is only the program's", () => {
    const run = record(
      long(`
  out = os.dup(1)
  keep = os.open(sys.argv[0] + ".mine", os.O_RDWR | os.O_CREAT)
  os.dup2(out, 200); os.closerange(0, 200)
  first_free = os.open(sys.argv[0] + ".mine", os.O_RDWR)
  assert first_free == 0
  for i in range(2000): texts = [str(n) * 7 for n in range(20)]
  assert os.fstat(first_free).st_size == 0
  os.dup2(200, 1)
  `),
    );
    expect(run.stdout).toBe("done\n");
    const image = root0(run);
    expect(image.header.state).toBe(STATE.exited);
    expect(ofSize(image, 50002 + AROUND)).toHaveLength(1);
    expect(image).toMatchObject(SOUND);
  });

  const exhausted = long(`
  import resource
  soft, hard = 30, HARD
  resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
  files = []
  try:
      while True: files.append(os.open("/dev/null", os.O_RDONLY))
  except OSError:
      pass
  `);
  test("none left below the soft limit: the agent's few microseconds go above it", () => {
    const run = record(exhausted.replace("HARD", "1000"));
    expect(run.stdout).toBe("done\n");
    expect(root0(run).header.state).toBe(STATE.exited);
    expect(ofSize(root0(run), 50002 + AROUND)).toHaveLength(1);
  });
  test("none left at all: recording ends and says why", () => {
    const run = record(exhausted.replace("HARD", "30"));
    expect(run.stdout).toBe("done\n");
    expect(root0(run).header).toMatchObject({ state: STATE.off, reason: OFF.noDescriptor });
    expect(ofSize(root0(run), 50001 + AROUND)).toHaveLength(1);
    expect(root0(run)).toMatchObject(SOUND);
  });
});

describe("surroundings", () => {
  test("another folder, an empty environment: recording goes on, and children that lost it are bare", () => {
    const run = record(
      long(`
  os.chdir("/")
  os.environ.clear()
  import subprocess
  print(subprocess.check_output([sys.executable, "-c", "print('child')"]).decode().strip())
  `),
    );
    expect(run.stdout).toBe("child\ndone\n");
    expect(run.images.filter((image) => image.header.fork === undefined)).toHaveLength(1);
    expect(root0(run).header.state).toBe(STATE.exited);
    expect(ofSize(root0(run), 50002 + AROUND)).toHaveLength(1);
  });

  test("a run folder whose path is very long", () => {
    const deep = join(mkdtempSync(join(tmpdir(), "agent-test-")), ...Array.from({ length: 14 }, () => "d".repeat(200)));
    mkdirSync(deep, { recursive: true });
    const run = record(long(""), { below: deep });
    rmSync(deep.slice(0, deep.indexOf("/ddd")), { recursive: true });
    expect(ofSize(root0(run), 50002 + AROUND)).toHaveLength(1);
  });

  test("without a run folder, or one that is gone, the agent does nothing", () => {
    const run = record("print('here')", { env: { TIDEGAUGE_RUN: "/no/such/folder" } });
    expect(run).toMatchObject({ stdout: "here\n", stderr: "", status: 0 });
  });

  test("output, error output and status are the program's own", () => {
    const program = `
      import sys, warnings
      print("out")
      print("err", file=sys.stderr)
      warnings.warn("careful")
      print(sys.stdin.read())
      sys.exit("last words")
    `;
    const [run, bare] = [record(program, { input: "typed" }), record(program, { input: "typed", bare: true })];
    const place = /\/\S*agent-test-\w+/g;
    expect(run.stdout).toBe(bare.stdout);
    expect(run.stderr.replace(place, "")).toBe(bare.stderr.replace(place, ""));
    expect(run.status).toBe(1);
  });

  test("limits and usage that the program asks for", () => {
    const program = `
      import resource, signal
      print(resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_STACK))
      print([int(signal.getsignal(s) or 0) if not callable(signal.getsignal(s)) else "python" for s in signal.valid_signals()])
      print(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    `;
    expect(record(program, { flags: ["-I", "-S"] }).stdout).toBe(record(program, { bare: true }).stdout);
  });

  test("a core's worth of locked memory (mlockall) and no memory overcommit are survived", () => {
    const run = record(long("import ctypes; ctypes.CDLL(None).mlockall(3)"));
    expect(run.stdout).toBe("done\n");
  });
});

describe("programs that are not for the agent", () => {
  test("without Python: no file at all", () => {
    for (const program of ["/bin/ls", "/bin/sh"]) {
      const run = record("", { python: program, flags: program === "/bin/sh" ? ["-c", "exit 3"] : ["/"] });
      expect(run.images).toEqual([]);
      expect(run.refused).toEqual([]);
      expect(run.status).toBe(program === "/bin/sh" ? 3 : 0);
    }
  });
  test("static ones", () => {
    const program = compile('#include <stdio.h>\nint main(void) { puts("static"); return 4; }', "-static");
    const run = record("", { python: program, flags: [] });
    expect(run).toMatchObject({ stdout: "static\n", status: 4, images: [], refused: [] });
  });
});

describe("kill -9", () => {
  test("at any moment: every event told before is there, and no event is half", async () => {
    for (let i = 0; i < 12; i++) {
      // The program says how far it came; all of that must be in the file.
      const run = await recordKilled(
        `
        import os
        kept = [None] * 10
        n = 0
        while True:
            kept[n % 10] = bytes(50000 + n % 5000)
            n += 1
            os.write(1, b"x")
        `,
        60 + i * 23,
      );
      if (run.images.length === 0) {
        expect(run.stdout).toBe(""); // killed before Python began
        continue;
      }
      const image = root0(run);
      expect(run.signal).toBe("SIGKILL");
      const told = image.blocks.filter(
        ({ size, stack }) => size >= 50000 + AROUND && stack.at(-1)?.includes("kept[n % 10]"),
      );
      expect(told.length).toBeGreaterThanOrEqual(run.stdout.length);
      expect(told.length).toBeLessThanOrEqual(run.stdout.length + 1);
      expect(told.map(({ size }) => size)).toEqual(told.map((_, n) => 50000 + (n % 5000) + AROUND));
      expect(image).toMatchObject(SOUND);
    }
  });
});
