import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { oneOfEachMinor } from "../interpreters.ts";
import { STATE } from "../../src/tide/events.ts";
import { compile, live, ofSize, python, record, root0, stackOf } from "./recorded.ts";
import type { Image, Recorded } from "./recorded.ts";

const library = compile(readFileSync(new URL("processes.c", import.meta.url), "utf8"));
const HELPER = `import ctypes; helper = ctypes.CDLL(${JSON.stringify(library)})`;
const SOUND = { unmatchedDeaths: 0, doubleBirths: 0 };
const AROUND = 33; // bytes of a bytes object besides its contents
const size = (n: number): number => n + AROUND;

/** The images that hold a block of this many bytes of the program's own making. */
const withBlock = (run: Recorded, n: number): Image[] =>
  run.images.filter((image) => ofSize(image, size(n)).length > 0);

describe("fork", () => {
  for (const { version, command } of oneOfEachMinor())
    test(`gives the child a file of its own that begins where its parent stood, on CPython ${version}`, () => {
      const run = record(
        `
        import os
        def before(): return bytes(50001)
        def parent(): return bytes(50002)
        def child(): return bytes(50003)
        kept = before()
        pid = os.fork()
        if pid == 0:
            mine = child()
            del kept
            os._exit(3)
        theirs = parent()
        print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
        last = bytes(50004)
        os._exit(0)
        `,
        { python: command[0] },
      );
      expect(run.stdout, run.stderr).toBe(""); // os._exit does not flush
      const [parent, child] = run.images as [Image, Image];
      expect(run.images).toHaveLength(2);
      expect(parent.header).toMatchObject({ fork: undefined, ordinal: 0 });
      expect(child.header).toMatchObject({
        parentPid: parent.header.pid,
        fork: { pid: parent.header.pid, ordinal: 0 },
        ordinal: 0,
        state: STATE.exited,
      });
      expect(child.header.pid).not.toBe(parent.header.pid);
      // The parent's block: born in the parent, dead in the child only.
      expect(ofSize(parent, size(50001))[0]!.death).toBeUndefined();
      expect(ofSize(child, size(50001))).toEqual([]);
      expect(child.inheritedDeaths).toBeGreaterThan(0);
      expect(ofSize(child, size(50002))).toEqual([]);
      // Stacks of the child go through frames that only the parent's file describes.
      expect(stackOf(child, size(50003))).toEqual([
        "<module>: mine = child()",
        "child: def child(): return bytes(50003)",
      ]);
      expect(stackOf(parent, size(50002))).toEqual([
        "<module>: theirs = parent()",
        "parent: def parent(): return bytes(50002)",
      ]);
      expect(ofSize(parent, size(50004))).toHaveLength(1);
      for (const image of run.images) expect(image).toMatchObject(SOUND);
    });

  test("of a fork of a fork", () => {
    const run = record(`
      import os
      def name(n): return bytes(n)
      a = name(50001)
      if os.fork() == 0:
          b = name(50002)
          if os.fork() == 0:
              c = name(50003)
              del a, b
              os._exit(0)
          os.wait()
          os._exit(0)
      os.wait()
    `);
    expect(run.images).toHaveLength(3);
    const [first, second, third] = run.images as [Image, Image, Image];
    expect(second.header.fork!.pid).toBe(first.header.pid);
    expect(third.header.fork!.pid).toBe(second.header.pid);
    expect(stackOf(third, size(50003))).toEqual(["<module>: c = name(50003)", "name: def name(n): return bytes(n)"]);
    expect(third.inheritedDeaths).toBeGreaterThanOrEqual(2);
    for (const image of run.images) expect(image).toMatchObject(SOUND);
  });

  test("in a thread, while other threads allocate", () => {
    const run = record(`
      import os, threading
      stop = False
      def busy():
          while not stop:
              [str(i) * 5 for i in range(50)]
      others = [threading.Thread(target=busy) for _ in range(3)]
      for t in others: t.start()
      def forks():
          for i in range(5):
              pid = os.fork()
              if pid == 0:
                  mine = [bytes(50001) for _ in range(3)]
                  os._exit(0)
              os.waitpid(pid, 0)
      t = threading.Thread(target=forks); t.start(); t.join()
      stop = True
      for t in others: t.join()
      print("done")
    `);
    expect(run.stdout).toBe("done\n");
    expect(run.images).toHaveLength(6);
    for (const child of run.images.slice(1)) {
      expect(ofSize(child, size(50001))).toHaveLength(3);
      expect(ofSize(child, size(50001))[0]!.stack.at(-1)).toMatch(/mine = \[bytes/);
      expect(child).toMatchObject(SOUND);
    }
    expect(root0(run)).toMatchObject(SOUND);
  });

  test("of 200 children, each of which says something", () => {
    const run = record(`
      import os
      for i in range(200):
          if os.fork() == 0:
              keep = bytes(50001)
              os._exit(0)
      for i in range(200): os.wait()
      print("done")
    `);
    expect(run.stdout).toBe("done\n");
    expect(withBlock(run, 50001)).toHaveLength(200);
    for (const image of run.images) expect(image).toMatchObject(SOUND);
  });

  test("that goes past the agent's handlers leaves the parent's file alone", () => {
    const run = record(`
      ${HELPER}
      before = bytes(50001)
      print(helper.bare_clone())
      after = bytes(50002)
    `);
    expect(run.stdout).toBe("7\n");
    expect(run.images).toHaveLength(1);
    const image = root0(run);
    expect(ofSize(image, 80001)).toEqual([]);
    expect(ofSize(image, size(50002))).toHaveLength(1);
    expect(image).toMatchObject(SOUND);
  });

  test("vfork: what the child asks for on its parent's memory is the parent's", () => {
    const run = record(`
      ${HELPER}
      print(helper.vfork_child())
      after = bytes(50002)
    `);
    expect(run.stdout).toBe("8\n");
    expect(run.images).toHaveLength(1);
    const image = root0(run);
    expect(ofSize(image, 80002)).toHaveLength(30000);
    expect(ofSize(image, 80003)[0]!.death).toBeDefined();
    expect(ofSize(image, size(50002))).toHaveLength(1);
    expect(image).toMatchObject(SOUND);
    expect(image.header.state).toBe(STATE.exited); // the child's _exit is not the parent's
  });
});

describe("other programs", () => {
  test("exec goes on under the next ordinal of the same process", () => {
    const run = record(`
      import os, sys
      if len(sys.argv) < 2:
          first = bytes(50001)
          os.execv(sys.executable, [sys.executable, "-I", "-S", sys.argv[0], "again"])
      second = bytes(50002)
    `);
    expect(run.images.map(({ header }) => [header.ordinal, header.state])).toEqual([
      [0, STATE.exec],
      [1, STATE.exited],
    ]);
    expect(run.images[0]!.header.pid).toBe(run.images[1]!.header.pid);
    expect(run.images[1]!.header.fork).toBeUndefined();
    expect(run.images[1]!.header.argv.at(-1)).toBe("again");
    expect(withBlock(run, 50001)).toEqual([run.images[0]]);
    expect(withBlock(run, 50002)).toEqual([run.images[1]]);
  });

  test("an exec that fails changes nothing", () => {
    const run = record(`
      import os
      try:
          os.execv("/no/such/program", ["x"])
      except FileNotFoundError:
          after = bytes(50001)
      print("still here")
    `);
    expect(run.stdout).toBe("still here\n");
    expect(run.images).toHaveLength(1);
    expect(root0(run).header.state).toBe(STATE.exited);
    expect(withBlock(run, 50001)).toHaveLength(1);
  });

  test("execl, whose arguments stand in the call", () => {
    const run = record(`
      import sys
      ${HELPER}
      print(helper.list_exec(sys.executable.encode()))
    `);
    expect(run.stdout).toBe("0\n");
    const [image] = withBlock(run, 50007);
    expect(image!.header.parentPid).toBe(root0(run).header.pid);
  });

  test("subprocess, posix_spawn and system start Pythons with files of their own; programs without Python leave none", () => {
    const run = record(`
      import os, subprocess, sys
      python = [sys.executable, "-I", "-S", "-c"]
      subprocess.run(python + ["a = bytes(50001)"])
      subprocess.run(python + ["a = bytes(50002)"], close_fds=False, start_new_session=True)
      subprocess.run(python + ["a = bytes(50003)"], preexec_fn=lambda: None)
      os.waitpid(os.posix_spawn(sys.executable, python + ["a = bytes(50004)"], os.environ), 0)
      os.system(sys.executable + ' -I -S -c "a = bytes(50005)"')
      subprocess.run(["/bin/sh", "-c", "true; /bin/ls / > /dev/null"])
      os.system("true")
      print(subprocess.check_output(["/bin/echo", "hello"]).decode().strip())
    `);
    expect(run.stdout, run.stderr).toBe("hello\n");
    for (const n of [50001, 50002, 50003, 50004, 50005]) expect(withBlock(run, n), String(n)).toHaveLength(1);
    const pids = new Set(run.images.map(({ header }) => header.pid));
    expect(run.images.filter(({ header }) => header.fork === undefined)).toHaveLength(6);
    // Forked children that only called exec may have said a word before.
    expect(pids.size).toBeLessThanOrEqual(9);
    expect(run.refused).toEqual([]);
    for (const image of run.images) expect(image).toMatchObject(SOUND);
  });

  for (const method of ["fork", "spawn"])
    test(`a pool of multiprocessing (${method})`, () => {
      const run = record(
        `
        import multiprocessing, os
        def work(n):
            return len([bytes(50000 + n) for _ in range(4)])
        if __name__ == "__main__":
            with multiprocessing.get_context("${method}").Pool(2) as pool:
                print(sum(pool.map(work, range(8))))
        `,
        { flags: ["-S", "-E"] },
      );
      expect(run.stdout, run.stderr).toBe("32\n");
      const work = [0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) =>
        run.images.flatMap((image) => ofSize(image, size(50000 + n))),
      );
      expect(work).toHaveLength(32);
      for (const { stack } of work)
        expect(stack.findLast((frame) => frame.startsWith("work"))).toMatch(/^work: return len/);
      for (const image of run.images) expect(image).toMatchObject(SOUND);
    });
});

describe("the end", () => {
  const END: [string, string, Partial<{ status: number; signal: string; state: number }>][] = [
    ["a script that ends", "pass", { status: 0, state: STATE.exited }],
    ["sys.exit", "import sys; sys.exit(5)", { status: 5, state: STATE.exited }],
    ["an exception", "1 / 0", { status: 1, state: STATE.exited }],
    ["os._exit", "import os; os._exit(6)", { status: 6, state: STATE.exited }],
    ["abort", "import os; os.abort()", { signal: "SIGABRT", state: STATE.running }],
    ["SIGKILL", "import os; os.kill(os.getpid(), 9)", { signal: "SIGKILL", state: STATE.running }],
    ["SIGTERM", "import os; os.kill(os.getpid(), 15)", { signal: "SIGTERM", state: STATE.running }],
    ["SIGSEGV", "import os; os.kill(os.getpid(), 11)", { signal: "SIGSEGV", state: STATE.running }],
    ["a bad pointer", "import ctypes; ctypes.string_at(8)", { signal: "SIGSEGV", state: STATE.running }],
    [
      "a stack overflow in C",
      "import ctypes; f = ctypes.CFUNCTYPE(None)(lambda: f()); import sys; sys.setrecursionlimit(10**8); f()",
      { signal: "SIGSEGV", state: STATE.running },
    ],
    ["Ctrl-C", "import os, signal; os.kill(os.getpid(), signal.SIGINT)", { signal: "SIGINT" }],
    [
      "exit in a thread that holds on",
      "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
      { status: 0, state: STATE.exited },
    ],
  ];
  for (const [name, code, expected] of END)
    test(`${name}: the program's own status, and everything up to the last block is there`, () => {
      const source = `
        import resource
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        kept = [bytes(50001) for _ in range(10)]
        last = bytes(50002)
        ${code}
      `;
      const run = record(source);
      const bare = record(source, { bare: true });
      expect({ status: run.status, signal: run.signal }).toEqual({ status: bare.status, signal: bare.signal });
      if (expected.status !== undefined) expect(run.status).toBe(expected.status);
      if (expected.signal !== undefined) expect(run.signal).toBe(expected.signal);
      const image = root0(run);
      if (expected.state !== undefined) expect(image.header.state).toBe(expected.state);
      expect(ofSize(image, size(50001))).toHaveLength(10);
      expect(ofSize(image, size(50002))).toHaveLength(1);
      expect(image).toMatchObject(SOUND);
    });

  test("memory that runs out: the last request fails as it would, and what came before is told", () => {
    const source = `
      import resource
      kept = []
      resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
      try:
          while True:
              kept.append(bytes(10_000_000))
      except MemoryError:
          print(len(kept) > 20)
    `;
    const run = record(source);
    expect(run.stdout).toBe("True\n");
    const image = root0(run);
    expect(image.header.state).toBe(STATE.exited);
    expect(ofSize(image, size(10_000_000)).length).toBeGreaterThan(20);
    expect(image).toMatchObject(SOUND);
  });

  test("peak and resident bytes are read when the process leaves", () => {
    const run = record(`
      import os
      big = bytearray(80 << 20)
      del big
      os._exit(0)
    `);
    const { hwmBytes, rssBytes } = root0(run).header;
    expect(hwmBytes).toBeGreaterThan(80 << 20);
    expect(rssBytes).toBeLessThan(80 << 20);
    expect(live(root0(run)).length).toBeGreaterThan(0);
  });

  test("the interpreter used is the one that the header names", () => {
    const { header } = root0(record("pass", { args: ["one", "zwei ü"] }));
    expect(header.argv).toEqual([python, "-I", "-S", expect.stringMatching(/program\.py$/), "one", "zwei ü"]);
    expect(header.exe).toMatch(/python3/);
    expect(header.cwd).toMatch(/agent-test-/);
  });
});
