import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { bytesOf, compile, live, ofSize, record, root0 } from "./recorded.ts";
import type { Block, Image } from "./recorded.ts";

const library = compile(readFileSync(new URL("allocators.c", import.meta.url), "utf8"));
const script = (calls: string): string => `
  import ctypes
  helper = ctypes.CDLL(${JSON.stringify(library)})
  def go():
      ${calls}
  go()
`;
const PAGE = 4096;

/** What the helper's own code asked for. */
const fromHelper = (image: Image): Block[] => image.blocks.filter((block) => block.stack.at(-1) === "[libhelper.so]");

/** The blocks that one block was before, oldest first, itself last. */
function chain(block: Block): Block[] {
  return [...(block.replaces ? chain(block.replaces) : []), block];
}

describe("each function of the malloc family", () => {
  const run = record(script("helper.each_function(); helper.free_each()"));
  const image = root0(run);

  test("serves what it serves without the agent, errno untouched", () => {
    expect(run.stdout).toBe(record(script("helper.each_function(); helper.free_each()"), { bare: true }).stdout);
    expect(run.stdout).toContain("malloc served 77\n");
    expect(run.stdout).toContain("aligned 0 0 0 0\n");
  });
  test.each([
    ["malloc", 70001],
    ["calloc: count times size", 70021],
    ["realloc of NULL", 70041],
    ["reallocarray", 70063],
    ["memalign", 70081],
    ["aligned_alloc", 70144],
    ["posix_memalign", 70161],
    ["valloc", 70181],
    ["pvalloc: whole pages", 18 * PAGE],
  ])("%s is one block with the size asked for, born and freed once", (_, size) => {
    const [block, ...more] = ofSize(image, size);
    expect(more).toEqual([]);
    expect(block!.death).toBeDefined();
    expect(block!.stack).toEqual([
      "<module>: go()",
      "go: helper.each_function(); helper.free_each()",
      "[libhelper.so]",
    ]);
  });
  test("strdup's block is seen too: libc asks by the same door", () => {
    // The original and its copy; the copy's caller is libc, so that only the Python frames stand.
    expect(ofSize(image, 70222).map((block) => block.stack.length)).toEqual([3, 2]);
  });
  test("nothing of it is left, nothing is counted twice", () => {
    expect(fromHelper(image).filter((block) => block.death === undefined)).toEqual([]);
    expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
  });
});

describe("requests that fail", () => {
  for (const settings of ["mode=exact", "mode=interval\ninterval=4096"]) {
    test(`fail as they do without the agent, with the same errno, and leave no block (${settings.split("\n")[0]})`, () => {
      const run = record(script("helper.refused()"), { settings });
      expect(run.stdout).toBe(record(script("helper.refused()"), { bare: true }).stdout);
      expect(run.stdout).toContain("malloc refused 12\n");
      expect(fromHelper(root0(run)).filter(({ size }) => size > 65536)).toEqual([]);
    });
  }
});

describe("realloc", () => {
  const run = record(script("helper.reallocs()"));
  const image = root0(run);

  test("does what it does without the agent", () => {
    expect(run.stdout).toBe(record(script("helper.reallocs()"), { bare: true }).stdout);
  });
  test("is one block with a history: grown, shrunk, moved", () => {
    const last = ofSize(image, 71201).at(-1)!;
    expect(chain(last).map(({ size }) => size)).toEqual([71001, 71101, 300, 71201]);
    expect(chain(last).every(({ death }) => death !== undefined)).toBe(true);
  });
  test("that fails leaves the old block as it was, until realloc to 0 frees it", () => {
    const [block, ...again] = ofSize(image, 71201);
    expect(again).toEqual([]); // two failures did not end it and begin it anew
    const [clock] = ofSize(image, 71250);
    expect(block!.death).toBeGreaterThan(clock!.birth);
  });
  test("of an array is the product", () => {
    expect(chain(ofSize(image, 71213)[0]!).map(({ size }) => size)).toEqual([71301, 71213]);
  });
  test("to and from nothing: blocks of 0 bytes are born and die as others do", () => {
    expect(fromHelper(image).filter((block) => block.death === undefined)).toEqual([]);
    expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
  });
});

describe("anonymous mappings", () => {
  const run = record(script("helper.maps()"));
  const image = root0(run);
  const mine = fromHelper(image);

  test("work as they do without the agent", () => {
    expect(run.stdout).toBe(record(script("helper.maps()"), { bare: true }).stdout);
    expect(run.stdout).toContain(
      "mmap served 77\nmmap 0 refused 22\nmmap no file refused 9\nmunmap -1 22\nmunmap middle 0 77\n",
    );
  });
  test("are blocks of whole pages; a hole in the middle leaves two", () => {
    expect(
      live(image)
        .filter((block) => mine.includes(block))
        .map(({ size }) => size / PAGE),
    ).toEqual([10, 25, 430]);
  });
  test("moved and grown by mremap stay one block, and a failed mremap changes nothing", () => {
    const [grown] = ofSize(image, 430 * PAGE);
    expect(chain(grown!).map(({ size }) => size / PAGE)).toEqual([43, 430]);
  });
  test("unmapped are gone", () => {
    expect(ofSize(image, 44 * PAGE).map(({ death }) => death !== undefined)).toEqual([true]);
  });
  test("reservations without rights and mappings of files are none", () => {
    for (const pages of [41, 45, 450]) expect(ofSize(image, pages * PAGE)).toEqual([]);
  });
});

describe("Python's own mappings", () => {
  test("mmap.mmap of anonymous memory is a block of the line that made it; resizing keeps the line's", () => {
    const run = record(`
      import mmap
      a = mmap.mmap(-1, 40 * 4096)
      b = mmap.mmap(-1, 41 * 4096)
      b.close()
      a.resize(4000 * 4096)
    `);
    const image = root0(run);
    const [grown] = ofSize(image, 4000 * PAGE);
    expect(grown!.stack[0]).toBe("<module>: a.resize(4000 * 4096)");
    expect(chain(grown!).map(({ size, stack }) => [size / PAGE, stack[0]])).toEqual([
      [40, "<module>: a = mmap.mmap(-1, 40 * 4096)"],
      [4000, "<module>: a.resize(4000 * 4096)"],
    ]);
    expect(ofSize(image, 41 * PAGE)[0]!.death).toBeDefined();
  });
  test("arenas of pymalloc and the interpreter's frame stack are told as regions, not as blocks", () => {
    const run = record(`
      import os
      keep = [object() for _ in range(300_000)]
      os._exit(0)
    `);
    const image = root0(run);
    const blocks = live(image);
    expect(blocks.filter(({ size }) => size === 1 << 20 || size === 1 << 18)).toEqual([]);
    expect(bytesOf(blocks)).toBeGreaterThan(300_000 * 16);
    expect(image).toMatchObject({ unmatchedDeaths: 0, doubleBirths: 0 });
  });
});
