import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { bytesOf, compile, live, ofSize, record, root0, stackOf } from "./recorded.ts";
import type { Block, Image } from "./recorded.ts";

const SOUND = { unmatchedDeaths: 0, doubleBirths: 0 };
const AROUND = 33; // bytes of a bytes object besides its contents
const venv = fileURLToPath(new URL("../../.venv-test/bin/python", import.meta.url));
const hasVenv = existsSync(venv);

/** Other allocators: where the system has them, or where the variable says. */
const mallocs = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", process.env.TIDEGAUGE_TEST_MALLOCS ?? ""]
  .filter((folder) => folder !== "" && existsSync(folder))
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => /^lib(jemalloc|tcmalloc_minimal|mimalloc)\.so\.\d+$/.test(basename(path)));

/** Bytes of blocks alive at the end whose stack goes through a line that contains `text`. */
const liveThrough = (image: Image, text: string): number =>
  bytesOf(live(image).filter(({ stack }) => stack.some((frame) => frame.includes(text))));

describe.skipIf(!hasVenv)("numpy and pandas (skipped without .venv-test, which ./check makes)", () => {
  test("arrays belong to the line that made them, with their size", () => {
    const run = record(
      `
      import os
      import numpy as np
      a = np.zeros(1_000_003)
      b = np.arange(500_009, dtype=np.int32)
      def doubled(x):
          return x * 2
      c = doubled(a)
      d = a[::2]
      del b
      e = np.empty((100, 100)); e.resize((300, 300), refcheck=False)
      os._exit(0)
      `,
      { python: venv, flags: ["-s"] },
    );
    expect(run.stderr).toBe("");
    const image = root0(run);
    const zeros = ofSize(image, 8 * 1_000_003);
    expect(zeros.map(({ stack }) => stack.filter((frame) => frame.includes(": ")))).toEqual([
      ["<module>: a = np.zeros(1_000_003)"],
      ["<module>: c = doubled(a)", "doubled: return x * 2"],
    ]);
    // An allocator called from an extension module: the library stands innermost.
    expect(zeros[0]!.stack.at(-1)).toMatch(/^\[_multiarray_umath.*\]$/);
    expect(ofSize(image, 4 * 500_009)[0]!.death).toBeDefined();
    expect(ofSize(image, 8 * 90_000)[0]!.replaces!.size).toBe(8 * 10_000);
    expect(image).toMatchObject(SOUND);
  });

  test("a data frame", () => {
    const run = record(
      `
      import os
      import pandas as pd
      def load():
          return pd.DataFrame({"a": range(200_000), "b": [0.5] * 200_000, "c": ["x", "y"] * 100_000})
      frame = load()
      grouped = frame.groupby("c").a.sum()
      os._exit(0)
      `,
      { python: venv, flags: ["-s"], settings: "mode=interval\ninterval=65536" },
    );
    expect(run.stderr).toBe("");
    const image = root0(run);
    expect(liveThrough(image, "frame = load()")).toBeGreaterThan(200_000 * 16);
    expect(image).toMatchObject(SOUND);
  });
});

describe("another malloc in the program", () => {
  const program = `
    import os
    class Thing: pass
    kept = [bytes(n) for n in range(1, 3000)]
    things = [Thing() for _ in range(3000)]
    for thing in things: thing.text = "x" * 600
    big = bytes(50001)
    del things, thing
    kept2 = [bytearray(n) for n in (1, 7, 8, 9, 100, 700, 100_000, 9_000_000)]
    last = bytes(50002)
    os._exit(0)
  `;
  for (const malloc of mallocs.length > 0 ? mallocs : ["jemalloc, tcmalloc or mimalloc (skipped: none here)"])
    for (const order of ["before", "behind"] as const)
      test.skipIf(mallocs.length === 0)(`${basename(malloc)}, named ${order} the agent`, () => {
        const run = record(program, { [order]: malloc });
        expect(run).toMatchObject({ stderr: "", status: 0 });
        const image = root0(run);
        expect(image).toMatchObject(SOUND);
        if (order === "before") {
          // Its malloc is found first: only what Python's own allocator serves is seen, and the header says so.
          expect(image.header.flags).toBe(1 | 16);
          expect(ofSize(image, 50001 + AROUND)).toEqual([]);
          expect(liveThrough(image, "kept = [")).toBeGreaterThan((500 * 500) / 2);
          return;
        }
        expect(image.header.flags).toBe(1);
        expect(stackOf(image, 50001 + AROUND)).toEqual(["<module>: big = bytes(50001)"]);
        expect(liveThrough(image, "kept = [")).toBeGreaterThan((3000 * 3000) / 2);
        expect(liveThrough(image, "things")).toBeLessThan(1000);
        expect(overlaps(image)).toBe(0);
      });

  test("a library that looks up malloc for itself (RTLD_DEEPBIND) is not seen, and nothing goes wrong", () => {
    const own = compile(`
      #include <stdlib.h>
      #include <string.h>
      void *give(void) { return malloc(71007); }
      void take(void *p) { free(p); }
    `);
    const run = record(`
      import ctypes, os
      deep = ctypes.CDLL(${JSON.stringify(own)}, mode=os.RTLD_NOW | os.RTLD_DEEPBIND)
      libc = ctypes.CDLL(None)
      for function in (deep.give, libc.malloc): function.restype = ctypes.c_void_p
      for function in (deep.take, libc.free): function.argtypes = [ctypes.c_void_p]
      libc.malloc.argtypes = [ctypes.c_size_t]
      for _ in range(100):
          libc.free(deep.give())
          deep.take(libc.malloc(71011))
      last = bytes(50001)
    `);
    expect(run).toMatchObject({ stderr: "", status: 0 });
    const image = root0(run);
    expect(ofSize(image, 71007)).toEqual([]);
    expect(ofSize(image, 71011)).toHaveLength(100); // their deaths are not seen: born again at the same address
    expect(image.unmatchedDeaths).toBe(0);
  });
});

/** Pairs of live blocks that share bytes. */
function overlaps(image: Image): number {
  const blocks: Block[] = live(image).sort((a, b) => a.address - b.address);
  return blocks.filter((block, i) => i > 0 && blocks[i - 1]!.address + blocks[i - 1]!.size > block.address).length;
}

describe("an interpreter in a shared library, inside another program", () => {
  const shared = ["3.11", "3.12", "3.13"]
    .map((minor) => `/usr/lib/x86_64-linux-gnu/libpython${minor}.so.1.0`)
    .find((path) => existsSync(path));
  test.skipIf(!shared)("is recorded like any other (skipped without libpython3.x.so)", () => {
    const program = compile(
      `
      #include <stdlib.h>
      int Py_BytesMain(int, char **);
      int main(int count, char **arguments) {
          free(malloc(70777));
          return Py_BytesMain(count, arguments);
      }
      `,
      "-pie",
      shared!,
    );
    const run = record("def f(): return bytes(50001)\na = f()", { python: program });
    const image = root0(run);
    expect(stackOf(image, 50001 + AROUND)).toEqual(["<module>: a = f()", "f: def f(): return bytes(50001)"]);
    expect(stackOf(image, 70777)).toEqual(["[helper]"]);
    expect(image).toMatchObject(SOUND);
  });
});

describe("marks", () => {
  test("stand between the blocks before and after, with their label", () => {
    const run = record(`
      import ctypes
      mark = ctypes.CDLL(None).tidegauge_mark
      a = bytes(50001)
      print(mark(b"loaded"))
      b = bytes(50002)
      print(mark("größe ü".encode()), mark(None), mark(b""), mark(b"x" * 5000))
      mark(b"loaded")
    `);
    expect(run.stdout).toBe("1\n1 0 1 1\n");
    const image = root0(run);
    const [first, second, third, long, again] = image.marks;
    expect([first, second, third, again].map((mark) => mark!.label)).toEqual(["loaded", "größe ü", "", "loaded"]);
    expect(long!.label).toMatch(/^x{1000,1024}$/);
    const [a, b] = [ofSize(image, 50001 + AROUND)[0]!, ofSize(image, 50002 + AROUND)[0]!];
    expect(first!.births).toBeGreaterThan(a.birth);
    expect(first!.births).toBeLessThanOrEqual(b.birth);
    expect(second!.births).toBeGreaterThan(b.birth);
    expect(first!.live).toContainEqual(expect.objectContaining({ size: 50001 + AROUND }));
  });

  test("from many threads at once", () => {
    const run = record(`
      import ctypes, threading
      mark = ctypes.CDLL(None).tidegauge_mark
      def work(name):
          for i in range(200): mark(f"{name} {i}".encode())
      threads = [threading.Thread(target=work, args=(n,)) for n in "abcd"]
      for t in threads: t.start()
      for t in threads: t.join()
    `);
    const labels = root0(run).marks.map(({ label }) => label);
    expect(labels).toHaveLength(800);
    for (const name of "abcd")
      expect(labels.filter((label) => label.startsWith(name))).toEqual(
        Array.from({ length: 200 }, (_, i) => `${name} ${i}`),
      );
  });

  test("without a recording say so", () => {
    expect(
      record("import ctypes\nprint(ctypes.CDLL(None).tidegauge_mark(b'x'))", { env: { TIDEGAUGE_RUN: "/none" } })
        .stdout,
    ).toBe("0\n");
  });
});

/** A program that looks like an interpreter from outside. */
const likeness = (version: string, more = ""): string =>
  compile(
    `
    #include <stdio.h>
    #include <string.h>
    void PyMem_SetAllocator(void) {}
    const char *Py_GetVersion(void) { return "${version} (like) [x]"; }
    ${more}
    int main(void) { puts("ran"); return 5; }
    `,
    "-pie",
    "-rdynamic",
  );

describe("interpreters that the agent does not know are left alone, with one line why", () => {
  const CASES: [string, string, RegExp][] = [
    ["3.7", likeness("3.7.17"), /3\.8 to 3\.15/],
    ["3.16", likeness("3.16.0"), /3\.8 to 3\.15/],
    ["4.1", likeness("4.1.0"), /3\.8 to 3\.15/],
    ["PyPy", likeness("3.10.13", "int PyPy_Version;"), /resembles/],
    ["a debug build", likeness("3.11.7", "void _Py_PrintReferences(void) {}"), /debug build/],
    [
      "a free-threaded build",
      likeness(
        "3.13.1",
        'struct { char cookie[8]; unsigned long version, threaded; char more[900]; } _PyRuntime = { "xdebugpy", 0, 1, "" };',
      ),
      /free-threaded/,
    ],
    ["one without the symbols", likeness("3.12.1"), /symbols/],
  ];
  for (const [name, path, reason] of CASES)
    test(name, () => {
      const run = record("", { python: path, flags: [] });
      expect(run).toMatchObject({ stdout: "ran\n", stderr: "", status: 5, images: [] });
      expect(run.refused).toEqual([expect.stringMatching(reason)]);
    });
});
