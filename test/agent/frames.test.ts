import { describe, expect, test } from "vitest";
import { interpreters, oneOfEachMinor } from "../interpreters.ts";
import { ofSize, record, root0, stackOf } from "./recorded.ts";

/** `bytes(n)` is one block of n bytes and this much around them, in every version. */
const AROUND = 33;

/** Comprehensions have a frame of their own up to 3.11. */
const inlined = (minor: string): boolean => Number(minor.slice(2)) >= 12;

describe("every block has the frames that asked for it, each at its line", () => {
  for (const { version, minor, command } of interpreters()) {
    test(`on CPython ${version}`, () => {
      const run = record(
        `
        import sys
        keep = []

        # nested calls, several lines of one function
        def outer():
            keep.append(bytes(50001))
            inner(
                50002,
            )
        def inner(n):
            keep.append(bytes(n))
        outer()

        # methods, properties, class bodies, decorators
        class C:
            keep.append(bytes(50003))
            def method(self):
                keep.append(bytes(50004))
            @property
            def property(self):
                return self.method()
            @staticmethod
            def static(n):
                return bytes(n)
            def __len__(self):
                keep.append(bytes(50005))
                return 1
        C().property
        keep.append(C.static(50006))
        len(C())

        # comprehensions, lambdas, generators
        keep.append([bytes(n) for n in (50007,)])
        keep.append((lambda n: bytes(n))(50008))
        def generate(n):
            yield 1
            keep.append(bytes(n))
            yield from [2]
        def delegate():
            yield from generate(50009)
        sum(delegate())

        # coroutines, driven by hand and suspended on the way
        class Pause:
            def __await__(self):
                yield
        async def leaf():
            await Pause()
            keep.append(bytes(50010))
        async def trunk():
            await leaf()
        def drive(coroutine):
            coroutine.send(None)
            try:
                coroutine.send(None)
            except StopIteration:
                pass
        drive(trunk())

        # callbacks from C, exceptions, exec
        keep.append(sorted([1], key=lambda _: keep.append(bytes(50011))))
        def catches():
            try:
                raise ValueError
            except ValueError:
                keep.append(bytes(50012))
            finally:
                keep.append(bytes(50013))
        catches()
        exec(compile("def made():\\n\\n  keep.append(bytes(50014))", "made.py", "exec"))
        made()
        `,
        { python: command[0] },
      );
      expect(run.stderr).toBe("");
      const image = root0(run);
      const stack = (n: number): string[] => stackOf(image, n + AROUND);

      expect(stack(50001)).toEqual(["<module>: outer()", "outer: keep.append(bytes(50001))"]);
      // A call over several lines stands where it begins; up to 3.7 it did not.
      expect(stack(50002)).toEqual(["<module>: outer()", "outer: inner(", "inner: keep.append(bytes(n))"]);
      expect(stack(50003)).toEqual(["<module>: class C:", "C: keep.append(bytes(50003))"]);
      expect(stack(50004)).toEqual([
        "<module>: C().property",
        "property: return self.method()",
        "method: keep.append(bytes(50004))",
      ]);
      expect(stack(50005)).toEqual(["<module>: len(C())", "__len__: keep.append(bytes(50005))"]);
      expect(stack(50006)).toEqual(["<module>: keep.append(C.static(50006))", "static: return bytes(n)"]);
      const comprehension = "keep.append([bytes(n) for n in (50007,)])";
      expect(stack(50007)).toEqual([
        `<module>: ${comprehension}`,
        ...(inlined(minor) ? [] : [`<listcomp>: ${comprehension}`]),
      ]);
      const lambda = "keep.append((lambda n: bytes(n))(50008))";
      expect(stack(50008)).toEqual([`<module>: ${lambda}`, `<lambda>: ${lambda}`]);
      expect(stack(50009)).toEqual([
        "<module>: sum(delegate())",
        "delegate: yield from generate(50009)",
        "generate: keep.append(bytes(n))",
      ]);
      expect(stack(50010)).toEqual([
        "<module>: drive(trunk())",
        "drive: coroutine.send(None)",
        "trunk: await leaf()",
        "leaf: keep.append(bytes(50010))",
      ]);
      const callback = "keep.append(sorted([1], key=lambda _: keep.append(bytes(50011))))";
      expect(stack(50011)).toEqual([`<module>: ${callback}`, `<lambda>: ${callback}`]);
      expect(stack(50012)).toEqual(["<module>: catches()", "catches: keep.append(bytes(50012))"]);
      expect(stack(50013)).toEqual(["<module>: catches()", "catches: keep.append(bytes(50013))"]);
      expect(stack(50014)).toEqual(["<module>: made()", "made (made.py)"]);

      // Nothing was missed on the way: every death has its birth, no address was born twice.
      expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
      expect(image.header).toMatchObject({ state: 1, reason: 0, dropped: 0, mode: "exact" });
      expect(image.header.pythonHex >>> 8).toBe(Number.parseInt(hexOf(version), 16));
    });
  }
});

/** "3.11.7" as the first three bytes of PY_VERSION_HEX. */
function hexOf(version: string): string {
  return version
    .split(".")
    .map((part) => Number(part).toString(16).padStart(2, "0"))
    .join("");
}

describe("asyncio", () => {
  for (const { version, command } of oneOfEachMinor())
    test(`each task has its own stack below the event loop, on CPython ${version}`, () => {
      const run = record(
        `
        import asyncio
        kept = []
        async def worker(n):
            await asyncio.sleep(0)
            kept.append(bytes(n))
            return n
        async def main():
            results = await asyncio.gather(*(worker(50000 + i) for i in range(20)))
            kept.append(bytes(60000))
        asyncio.run(main())
        `,
        { python: command[0], settings: "mode=interval\ninterval=65536" }, // large blocks are recorded all the same
      );
      expect(run.stderr).toBe("");
      const image = root0(run);
      for (const n of [50000, 50019]) {
        const stack = stackOf(image, n + AROUND);
        expect(stack[0]).toBe("<module>: asyncio.run(main())");
        expect(stack).toContain("_run_once (base_events.py)");
        expect(stack.at(-1)).toBe("worker: kept.append(bytes(n))");
        expect(stack.filter((frame) => frame.startsWith("worker"))).toHaveLength(1);
      }
      expect(stackOf(image, 60000 + AROUND).at(-1)).toBe("main: kept.append(bytes(60000))");
      expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
    });
});

describe("names", () => {
  test("in any script, and lone surrogates as a question mark", () => {
    const run = record(`
      keep = []
      def größe(): keep.append(bytes(50001))
      def 大小(): keep.append(bytes(50002))
      def 𝓪(): keep.append(bytes(50003))
      größe(); 大小(); 𝓪()
      import types
      f = (lambda: keep.append(bytes(50004)))
      exec(compile("def g(): keep.append(bytes(50005))\\ng()", "ein\\udc80.py", "exec"))
    `);
    const image = root0(run);
    expect(stackOf(image, 50001 + AROUND)[1]).toMatch(/^größe: /);
    expect(stackOf(image, 50002 + AROUND)[1]).toMatch(/^大小: /);
    expect(stackOf(image, 50003 + AROUND)[1]).toMatch(/^a: /); // Python itself folds the letter
    expect(stackOf(image, 50005 + AROUND).at(-1)).toBe("g (ein?.py)");
  });
  test("of a very long path are cut, not lost", () => {
    const run = record(`
      keep = []
      exec(compile("def g(): keep.append(bytes(50001))\\ng()", "/tmp/" + "long" * 2000, "exec"))
    `);
    expect(stackOf(root0(run), 50001 + AROUND).at(-1)).toMatch(/^g \((long){300,600}l?o?n?\)$/);
  });
});

describe("code objects that come and go", () => {
  test("a later code at the same address never inherits the name of the earlier", () => {
    const run = record(`
      keep = []
      for i in range(2000):
          scope = {"keep": keep}
          exec(f"def f{i}(): keep.append(bytes({60000 + i}))\\nf{i}()", scope)
          del scope[f"f{i}"]
          del keep[:]
    `);
    const image = root0(run);
    const made = image.blocks.filter(({ size }) => size >= 60000 + AROUND && size < 62000 + AROUND);
    expect(made.map(({ stack }) => stack.at(-1))).toEqual(
      made.map(({ size }) => `f${size - AROUND - 60000} (<string>)`),
    );
    expect(made).toHaveLength(2000);
  });
  test("20,000 of them", () => {
    const run = record(`
      import marshal
      keep = []
      data = marshal.dumps(compile("def f(): keep.append(bytes(60000))\\nf()\\nkeep.clear()", "made.py", "exec"))
      for i in range(20000):
          exec(marshal.loads(data)) # new code objects each time
    `);
    const image = root0(run);
    expect(ofSize(image, 60000 + AROUND)).toHaveLength(20000);
    expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
    expect(image.header.codes).toBeGreaterThan(20000);
  });
  test("code longer than a slot of the file keeps its name and lines", () => {
    const run = record(`
      keep = []
      body = "\\n".join(f" x{i} = {i}.5 + x0" for i in range(12000))
      exec(f"def big():\\n x0 = 0\\n{body}\\n keep.append(bytes(50001))\\nbig()")
    `);
    expect(stackOf(root0(run), 50001 + AROUND).at(-1)).toBe("big (<string>)");
  });
});

describe("deep and branching recursion", () => {
  for (const { version, command } of interpreters()) {
    test(`20,000 frames on CPython ${version}`, () => {
      const run = record(
        `
        import sys, threading
        sys.setrecursionlimit(30000)
        threading.stack_size(512 << 20)
        keep = []
        def down(n):
            if n == 0:
                keep.append(bytes(50001))
            else:
                keep.append([n])
                down(n - 1)
        t = threading.Thread(target=down, args=(20000,)); t.start(); t.join()
        print(len(keep))
        `,
        { python: command[0] },
      );
      expect(run.stdout).toBe("20001\n");
      const image = root0(run);
      const stack = stackOf(image, 50001 + AROUND);
      expect(stack.at(-1)).toBe("down: keep.append(bytes(50001))");
      expect(stack.at(-2)).toBe("down: down(n - 1)");
      expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
      // Folded: as many nodes as rounds would fill the file and the memory.
      expect(image.header.nodes).toBeLessThan(20_000);
    });
  }
  test("a tree that calls itself twice keeps few nodes and right lines", () => {
    const run = record(`
      keep = []
      def tree(depth):
          if depth == 0:
              keep.append(bytes(50001))
              return
          tree(depth - 1)
          tree(depth - 1)
      tree(13)
    `);
    const image = root0(run);
    const leaves = ofSize(image, 50001 + AROUND);
    expect(leaves).toHaveLength(2 ** 13);
    expect(new Set(leaves.map((block) => block.stack.at(-1)))).toEqual(new Set(["tree: keep.append(bytes(50001))"]));
    expect(image.header.nodes).toBeLessThan(20_000);
  });
});
