import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { interpreters, oneOfEachMinor } from "../interpreters.ts";
import { compile, ofSize, record, root0 } from "./recorded.ts";

const library = compile(readFileSync(new URL("threads.c", import.meta.url), "utf8"));
const HELPER = `import ctypes; helper = ctypes.CDLL(${JSON.stringify(library)})`;
const SOUND = { unmatchedDeaths: 0, doubleBirths: 0 };
const AROUND = 33; // bytes of a bytes object besides its contents

describe("threads of the program", () => {
  test("each block belongs to the thread that asked, whoever frees it", () => {
    const run = record(`
      import threading
      queue = []
      def make():
          queue.append(bytes(50001))
      def drop():
          queue.clear()
      for target in (make, drop):
          t = threading.Thread(target=target); t.start(); t.join()
      marker = bytes(50002)
    `);
    const image = root0(run);
    const [block] = ofSize(image, 50001 + AROUND);
    expect(block!.stack.at(-1)).toBe("make: queue.append(bytes(50001))");
    expect(block!.thread).not.toBe(0);
    expect(block!.death).toBeLessThan(ofSize(image, 50002 + AROUND)[0]!.birth);
    const named = image.file.dictionary.threads;
    expect(new Set(named.map((thread) => thread.tid)).size).toBe(named.length);
    expect(named[0]).toMatchObject({ index: 0, tid: image.header.pid });
    expect(image).toMatchObject(SOUND);
  });

  for (const { version, command } of interpreters())
    test(`that run Python at the same time do not mix their stacks, on CPython ${version}`, () => {
      const run = record(
        `
        import sys, threading
        sys.setswitchinterval(1e-5)
        def one(n):
            for _ in range(3000):
                two(n)
        def two(n):
            bytes(n); [n, str(n) * 30]
        threads = [threading.Thread(target=one, args=(60000 + i,)) for i in range(4)]
        for t in threads: t.start()
        for t in threads: t.join()
        `,
        { python: command[0] },
      );
      const image = root0(run);
      for (let i = 0; i < 4; i++) {
        const blocks = ofSize(image, 60000 + i + AROUND);
        expect(blocks).toHaveLength(3000);
        expect(new Set(blocks.map(({ thread }) => thread)).size).toBe(1);
        expect(new Set(blocks.map(({ stack }) => stack.slice(-2).join(" > ")))).toEqual(
          new Set(["one: two(n) > two: bytes(n); [n, str(n) * 30]"]),
        );
      }
      expect(image).toMatchObject(SOUND);
    });

  test("without Python, passing blocks around freely: causes stand before effects", () => {
    const run = record(`
      ${HELPER}
      helper.pass_around(8)
    `);
    const image = root0(run);
    expect(run.status).toBe(0);
    const blocks = image.blocks.filter((block) => block.stack.at(-1) === "[libhelper.so]");
    expect(blocks.length).toBeGreaterThan(8 * 20000);
    expect(blocks.filter((block) => block.death === undefined)).toEqual([]);
    expect(image).toMatchObject(SOUND);
  });

  test("2,000 short ones re-use the agent's memory and lose nothing", () => {
    const run = record(`
      ${HELPER}
      def go(): helper.short_threads(2000)
      go()
    `);
    const image = root0(run);
    for (const size of [90001, 90002]) {
      const blocks = ofSize(image, size);
      expect(blocks).toHaveLength(2000);
      expect(blocks.every(({ death }) => death !== undefined)).toBe(true);
      expect(new Set(blocks.map(({ thread }) => thread)).size).toBe(2000);
    }
    expect(image).toMatchObject(SOUND);
    // What each has told is kept in a slot of its own, and no thread's memory stays behind.
    expect(image.header.ownBytes).toBeLessThan(24 << 20);
  });

  test("500 short ones of Python's", () => {
    const run = record(`
      import threading
      done = []
      for i in range(500):
          t = threading.Thread(target=lambda: done.append(bytes(50001))); t.start(); t.join()
      print(len(done))
    `);
    const image = root0(run);
    expect(run.stdout).toBe("500\n");
    expect(ofSize(image, 50001 + AROUND)).toHaveLength(500);
    expect(image).toMatchObject(SOUND);
  });

  test("that allocate in key destructors after the agent's own has run", () => {
    const run = record(`
      ${HELPER}
      helper.key_destructors(50)
    `);
    const image = root0(run);
    const blocks = ofSize(image, 90003);
    expect(blocks).toHaveLength(50 * 4);
    expect(blocks.every(({ death }) => death !== undefined)).toBe(true);
    expect(image).toMatchObject(SOUND);
  });
});

const inInterpreters = (threads: number): string => `
    import threading
    try:
        import _interpreters as inter
    except ImportError:
        import _xxsubinterpreters as inter
    def work():
        for _ in range(3):
            one = inter.create()
            inter.run_string(one, """if True:
                def inner(n):
                    return [bytes(n), [n] * 10, {n: str(n)}]
                kept = [inner(n) for n in range(700)]
                big = inner(50001)
                del kept
            """)
            inter.destroy(one)
    threads = [threading.Thread(target=work) for _ in range(${threads})]
    for t in threads: t.start()
    for t in threads: t.join()
  `;

describe("sub-interpreters", () => {
  for (const { version, minor, command } of oneOfEachMinor())
    test(`${Number(minor.slice(2)) >= 12 ? "with a GIL each" : "sharing the GIL"}, on CPython ${version}`, () => {
      // 3.8 and 3.9 crash, bare as well, when several threads make interpreters at once.
      const threads = Number(minor.slice(2)) >= 12 ? 4 : 1;
      const run = record(inInterpreters(threads), { python: command[0] });
      expect(run.status, run.stderr).toBe(0);
      const image = root0(run);
      const blocks = ofSize(image, 50001 + AROUND);
      expect(blocks).toHaveLength(threads * 3);
      for (const { stack } of blocks)
        expect(stack.slice(-2).map((frame) => frame.split(" ")[0])).toEqual(["<module>", "inner"]);
      expect(image).toMatchObject(SOUND);
    });
});

describe("signals", () => {
  test("a C handler at 5 kHz, faulthandler and Python handlers at 1 kHz disturb nothing", () => {
    const run = record(`
      import faulthandler, os, signal, threading, time
      ${HELPER}
      faulthandler.enable()
      faulthandler.register(signal.SIGUSR1, file=open(os.devnull, "w"), all_threads=True)
      seen = []
      signal.signal(signal.SIGVTALRM, lambda *_: seen.append(bytes(100)))
      signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
      helper.timer(200)
      end = time.time() + 20
      i = 0
      while time.time() < end and (helper.ticked() < 200 or len(seen) < 10):
          texts = [str(n) * 3 for n in range(20)]
          i += 1
          if i % 50 == 0:
              os.kill(os.getpid(), signal.SIGUSR1)
      helper.timer(0)
      signal.setitimer(signal.ITIMER_VIRTUAL, 0)
      print(helper.ticked() >= 200, len(seen) >= 10)
    `);
    expect(run.stderr).toBe("");
    expect(run.stdout).toBe("True True\n");
    const image = root0(run);
    expect(image).toMatchObject(SOUND);
    expect(image.header.dropped).toBe(0);
  });
});
