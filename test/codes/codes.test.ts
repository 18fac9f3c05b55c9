import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { NONE } from "../../src/base/brand.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { OFFSET_UNKNOWN } from "../../src/tide/events.ts";
import type { CodeRecord } from "../../src/tide/events.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { ProgramBuilder } from "../../src/views/blocks/codes.ts";
import { OWNER } from "../../src/views/blocks/sites.ts";
import { programTables } from "../../src/views/blocks/stacks.ts";
import { PYTHON_39, dictionaryBuilder, frameText, pythonCode, siteText, stackText } from "./dictionary.ts";

const JSON_LIBRARY = "/usr/lib/python3.9/json/__init__.py:10 dumps";
const NUMPY = "/venv/lib/python3.9/site-packages/numpy/core/numeric.py:20 full";
const IMPORT = "<frozen importlib._bootstrap>:100 _find_and_load";

/** The program of one process with these stacks, and the index of each. */
function programOf(...texts: string[]) {
  const dictionary = dictionaryBuilder();
  const nodes = texts.map((text) => dictionary.stack(text));
  const builder = new ProgramBuilder();
  const { stackOfNode } = builder.addProcess(dictionary.finish(), PYTHON_39);
  return { program: builder.finish(), stacks: nodes.map((node) => stackOfNode[node]!) };
}

function siteOf(text: string): string {
  const { program, stacks } = programOf(text);
  return siteText(program, stacks[0]!);
}

/** Owner and package of the innermost frame. */
function ownerOf(text: string): [number, string] {
  const { program, stacks } = programOf(text);
  const code = program.frameCode[program.stackFrame[stacks[0]!]!]!;
  return [program.codeOwner[code]!, program.codePackage[code]!];
}

/** How many codes these become. */
function distinctCodes(...codes: CodeRecord[]): number {
  const dictionary = dictionaryBuilder();
  for (const code of codes) dictionary.node(0, dictionary.code(code), 0);
  const builder = new ProgramBuilder();
  builder.addProcess(dictionary.finish(), PYTHON_39);
  return builder.finish().codeFile.filter((file) => file !== "").length;
}

describe("the site of a stack", () => {
  test("is its innermost frame", () => {
    expect(siteOf("app/main.py:3 <module> > app/util.py:7 helper")).toBe("app/util.py:7 helper");
  });

  test("is the innermost frame of the user's own files: library and installed code belong to who called it", () => {
    expect(siteOf(`app/main.py:3 <module> > app/util.py:7 helper > ${JSON_LIBRARY}`)).toBe("app/util.py:7 helper");
    expect(siteOf(`app/main.py:3 <module> > ${NUMPY} > ${JSON_LIBRARY}`)).toBe("app/main.py:3 <module>");
    expect(siteOf(`app/main.py:1 <module> > ${IMPORT}`)).toBe("app/main.py:1 <module>");
    expect(siteOf("app/main.py:1 <module> > @7f0000001000")).toBe("app/main.py:1 <module>");
  });

  test("is a callback of the user's that library code called", () => {
    expect(siteOf(`app/main.py:3 <module> > ${JSON_LIBRARY} > app/util.py:9 default`)).toBe("app/util.py:9 default");
  });

  test("is the innermost frame where nothing is the user's own", () => {
    expect(siteOf(`${IMPORT} > ${JSON_LIBRARY}`)).toBe(JSON_LIBRARY);
  });

  test("is one for a line of a function, whatever called it and at whatever instruction of the line", () => {
    const { program, stacks } = programOf(
      "main.py:1 <module> > util.py:5 f",
      "main.py:2 <module> > util.py:5 f",
      "main.py:2 <module> > util.py:6 f",
    );
    const [first, second, third] = stacks.map((stack) => program.stackSite[stack]);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });
});

describe("whose code a frame is", () => {
  test.each([
    ["/home/ann/app/main.py:1 f", OWNER.user, ""],
    ["main.py:1 <module>", OWNER.user, ""],
    ["/home/ann/lib/python/tool.py:1 f", OWNER.user, ""],
    ["<stdin>:1 <module>", OWNER.user, ""],
    ["<ipython-input-3-abc>:1 <module>", OWNER.user, ""],
    [NUMPY, OWNER.package, "numpy"],
    ["/usr/lib/python3/dist-packages/six.py:3 wraps", OWNER.package, "six"],
    ["/home/ann/.venv/lib/python3.12/site-packages/pkg/sub/mod.py:3 f", OWNER.package, "pkg"],
    [JSON_LIBRARY, OWNER.library, ""],
    ["/opt/python/lib/python3.13t/threading.py:9 run", OWNER.library, ""],
    ["/usr/lib/python311.zip/os.py:9 walk", OWNER.library, ""],
    [IMPORT, OWNER.library, ""],
    ["<attrs generated init main.C>:2 __init__", OWNER.other, ""],
    ["namedtuple_Point:1 __new__", OWNER.other, ""],
    ["@7f0000001000", OWNER.native, ""],
    ["…", OWNER.other, ""],
  ])("%s", (text, owner, name) => {
    expect(ownerOf(text)).toEqual([owner, name]);
  });

  test("the text after -c is the user's own, text that a library gave to exec is not", () => {
    expect(siteOf("<string>:1 <module> > <string>:4 grow")).toBe("<string>:4 grow");
    expect(siteOf("main.py:5 <module> > <string>:2 __init__")).toBe("main.py:5 <module>");
  });

  test("the -c with which multiprocessing starts a process is not the user's", () => {
    const spawn = "<string>:1 <module> > /usr/lib/python3.9/multiprocessing/spawn.py:9 spawn_main";
    expect(siteOf(spawn)).toBe("/usr/lib/python3.9/multiprocessing/spawn.py:9 spawn_main");
    expect(siteOf(`${spawn} > /home/ann/work.py:3 job`)).toBe("/home/ann/work.py:3 job");
  });
});

describe("frames", () => {
  test("that were not kept, were folded or are unknown are named so", () => {
    const { program, stacks } = programOf("main.py:1 <module> > … > main.py:again walk > main.py:7 visit");
    expect(stackText(program, stacks[0]!)).toBe(
      "main.py:1 <module> > … frames not kept > main.py:1 walk > main.py:7 visit",
    );
    const folded = program.stackFrame[program.stackParent[stacks[0]!]!]!;
    expect(program.frameOffset[folded]).toBe(NONE);
  });

  test("of 3.11 that stand at the last cache entry of a call stand at the call", () => {
    const CALL = 171; // with four entries of cache
    const dictionary = dictionaryBuilder();
    const bytecode = Uint8Array.of(9, 0, CALL, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const code = dictionary.code(pythonCode("main.py", "f", { bytecode, lineTable: Uint8Array.of(0xf5, 0, 0) }));
    const atCall = dictionary.node(0, code, 2);
    const atCache = dictionary.node(0, code, 10);
    const builder = new ProgramBuilder();
    const { stackOfNode } = builder.addProcess(dictionary.finish(), 0x030b07f0);
    const program = builder.finish();
    expect(stackOfNode[atCache]).toBe(stackOfNode[atCall]);
    expect(program.frameOffset[program.stackFrame[stackOfNode[atCall]!]!]).toBe(2);
  });

  test("of native code have library and symbol, or the offset in the library", () => {
    const dictionary = dictionaryBuilder();
    dictionary.mappings("7f0000000000-7f0000002000 1000 /usr/lib/libz.so.1\n7f0000004000-7f0000005000 0 [vdso]\n");
    const known = dictionary.stack("main.py:1 <module> > @7f0000000501");
    const unknown = dictionary.stack("main.py:1 <module> > @7f0000000801");
    const nowhere = dictionary.stack("@666000");
    const builder = new ProgramBuilder((library, offset) =>
      library === "/usr/lib/libz.so.1" && offset === 0x1500 ? "inflateInit_" : undefined,
    );
    const { stackOfNode } = builder.addProcess(dictionary.finish(), PYTHON_39);
    const program = builder.finish();
    const innermost = (node: number) => frameText(program, program.stackFrame[stackOfNode[node]!]!);
    expect(innermost(known)).toBe("/usr/lib/libz.so.1:0 inflateInit_");
    expect(innermost(unknown)).toBe("/usr/lib/libz.so.1:0 libz.so.1+0x1800");
    expect(innermost(nowhere)).toBe("0x666000");
    expect(program.codePackage[program.frameCode[program.stackFrame[stackOfNode[known]!]!]!]).toBe("libz.so.1");
  });

  test("of a library that came to the place of another are looked up in the later mappings", () => {
    const dictionary = dictionaryBuilder();
    dictionary.mappings("1000-2000 0 /old.so\n");
    dictionary.mappings("1000-2000 0 /new.so\n");
    dictionary.stack("@1801");
    const builder = new ProgramBuilder();
    builder.addProcess(dictionary.finish(), PYTHON_39);
    expect(builder.finish().codeFile).toContain("/new.so");
  });
});

describe("several processes", () => {
  test("that run the same code share its frames, stacks and sites, whatever their ids", () => {
    const [one, two] = [dictionaryBuilder(), dictionaryBuilder()];
    const first = one.stack("main.py:3 <module> > main.py:9 work");
    two.stack("main.py:8 <module>");
    const second = two.stack("main.py:3 <module> > main.py:9 work");
    const builder = new ProgramBuilder();
    const maps = [one, two].map((dictionary) => builder.addProcess(dictionary.finish(), PYTHON_39));
    expect(maps[1]!.stackOfNode[second]).toBe(maps[0]!.stackOfNode[first]);
  });

  test("of other versions do not: their bytecode differs", () => {
    const builder = new ProgramBuilder();
    const [one, two] = [PYTHON_39, 0x030812f0].map((hex) => {
      const dictionary = dictionaryBuilder();
      const node = dictionary.stack("main.py:3 <module>");
      return builder.addProcess(dictionary.finish(), hex).stackOfNode[node];
    });
    expect(two).not.toBe(one);
  });

  test("made by fork go on with the ids of their parent, as it was at the fork", () => {
    const parent = dictionaryBuilder();
    const shared = parent.stack("main.py:3 <module> > main.py:9 work");
    const fork = { nodes: shared + 1, codes: parent.finish().codes.length };
    parent.stack("main.py:3 <module> > main.py:20 parent_only");
    const child = dictionaryBuilder(fork);
    const own = child.node(shared, child.code(pythonCode("main.py", "child_only")), 2 * 29);
    const builder = new ProgramBuilder();
    const parentMaps = builder.addProcess(parent.finish(), PYTHON_39);
    const childMaps = builder.addProcess(child.finish(), PYTHON_39, { maps: parentMaps, ...fork });
    const program = builder.finish();
    expect(childMaps.stackOfNode[shared]).toBe(parentMaps.stackOfNode[shared]);
    expect(stackText(program, childMaps.stackOfNode[own]!)).toBe(
      "main.py:3 <module> > main.py:9 work > main.py:30 child_only",
    );
    expect(childMaps.stackOfNode[own]).not.toBe(parentMaps.stackOfNode[own]);
  });

  test("a node without a record, as in a torn file, is unknown and not the parent's", () => {
    const parent = dictionaryBuilder();
    parent.stack("main.py:1 a > main.py:2 b > main.py:3 c");
    const child = dictionaryBuilder({ nodes: 4, codes: 4 });
    const builder = new ProgramBuilder();
    const maps = builder.addProcess(parent.finish(), PYTHON_39);
    const { stackOfNode } = builder.addProcess(child.finish(), PYTHON_39, { maps, nodes: 2, codes: 2 });
    const program = builder.finish();
    expect(Array.from(stackOfNode, (stack) => stackText(program, stack))).toEqual([
      "unknown",
      "main.py:1 a",
      "unknown",
      "unknown",
    ]);
  });
});

describe("code objects", () => {
  test("made again by a reload are one", () => {
    expect(distinctCodes(pythonCode("main.py", "f"), pythonCode("main.py", "f"))).toBe(1);
  });

  test("of two lambdas on one line are two", () => {
    const [first, second] = [0, 1].map((constant) => Uint8Array.of(100, constant, 83, 0));
    const [one, two] = [first, second].map((bytecode) => pythonCode("main.py", "<lambda>", { bytecode }));
    expect(distinctCodes(one, two)).toBe(2);
  });
});

test("stacks of any depth and number are merged without recursion", () => {
  const DEEP = 200_000;
  const dictionary = dictionaryBuilder();
  const code = dictionary.code(pythonCode("main.py", "descend"));
  let node = 0;
  for (let depth = 0; depth < DEEP; depth++) node = dictionary.node(node, code, 2 * (depth % 400));
  const builder = new ProgramBuilder();
  const { stackOfNode } = builder.addProcess(dictionary.finish(), PYTHON_39);
  const again = builder.addProcess(dictionary.finish(), PYTHON_39);
  const program = builder.finish();
  expect(program.stackDepth[stackOfNode[node]!]).toBe(DEEP);
  expect(again.stackOfNode).toEqual(stackOfNode);
});

test("every node keeps its stack, however stacks are spread over processes (property)", () => {
  const frame = fc
    .record({
      file: fc.constantFrom("main.py", "util.py", "/usr/lib/python3.9/json/__init__.py"),
      line: fc.integer({ min: 1, max: 4 }),
      name: fc.constantFrom("f", "g"),
    })
    .map(({ file, line, name }) => `${file}:${line} ${name}`);
  const stack = fc.array(frame, { minLength: 1, maxLength: 6 }).map((frames) => frames.join(" > "));
  fc.assert(
    fc.property(fc.array(fc.array(stack, { maxLength: 8 }), { maxLength: 4 }), (processes) => {
      const builder = new ProgramBuilder();
      const added = processes.map((stacks) => {
        const dictionary = dictionaryBuilder();
        const nodes = stacks.map((text) => dictionary.stack(text));
        return { stacks, nodes, maps: builder.addProcess(dictionary.finish(), PYTHON_39) };
      });
      const program = builder.finish();
      for (const { stacks, nodes, maps } of added) {
        expect(nodes.map((node) => stackText(program, maps.stackOfNode[node]!))).toEqual(stacks);
      }
      const distinct = new Set(Array.from(program.stackParent, (_, stack) => stackText(program, stack)));
      expect(distinct.size).toBe(program.stackParent.length);
      expect(program.stackParent.every((parent, stack) => parent === NONE || parent < stack)).toBe(true);
    }),
  );
});

test("the tables of a program stand in a recording as they were", () => {
  const { program, stacks } = programOf("main.py:3 <module> > util.py:9 work", `main.py:4 <module> > ${NUMPY}`);
  const sites = program.siteCode.length;
  const details = {
    source: Array.from({ length: sites }, (_, site) => `line of ${site}`),
    innerFrame: new Uint32Array(sites).fill(NONE),
    heaviestStack: new Uint32Array(sites).fill(stacks[1]!),
  };
  const tables = programTables(program, details);
  const recording = openRecording(bytesSource(writeRecording(tables)));
  expect(recording.table("codes")).toEqual(tables.codes);
  expect(recording.table("frames")).toEqual(tables.frames);
  expect(recording.table("stacks")).toEqual(tables.stacks);
  expect(recording.table("sites")).toEqual(tables.sites);
  expect(recording.table("codes").package).toContain("numpy");
});

test("a node that stands nowhere in the bytecode still has a line", () => {
  const dictionary = dictionaryBuilder();
  const code = dictionary.code(pythonCode("main.py", "f"));
  const nodes = [
    dictionary.node(0, code, 10_000_000),
    dictionary.node(0, code, OFFSET_UNKNOWN),
    dictionary.node(0, 77, 4),
  ];
  const builder = new ProgramBuilder();
  const { stackOfNode } = builder.addProcess(dictionary.finish(), PYTHON_39);
  const program = builder.finish();
  expect(nodes.map((node) => stackText(program, stackOfNode[node]!))).toEqual([
    "main.py:501 f",
    "main.py:1 f",
    "unknown",
  ]);
});
