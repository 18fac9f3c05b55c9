import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { eventsWriter } from "../../src/tide/events-writer.ts";
import type { ThreadWriter, WriterOptions } from "../../src/tide/events-writer.ts";
import { SLOT_BYTES } from "../../src/tide/events.ts";
import { Replay } from "../../src/views/blocks/replay.ts";
import type { BlockListener } from "../../src/views/blocks/replay.ts";
import { CLOCK, fileOf, identity, replayOf, Scribe, told } from "./programs.ts";

/** A program of some threads with three nodes, 1 to 3. */
function program(run: (threads: ThreadWriter[]) => void, options: WriterOptions = {}, threads = 1): Uint8Array {
  const w = eventsWriter(options);
  const main = w.node(0, w.code({ qualname: "main" }), 2);
  w.node(w.node(main, w.code({ qualname: "work" }), 4), 2, 8);
  run(Array.from({ length: threads }, () => w.thread()));
  return w.finish();
}

function one(run: (thread: ThreadWriter) => void, options: WriterOptions = {}): Uint8Array {
  return program(([main]) => run(main!), options);
}

/** What is alive at the end: address -> size. */
function liveAtEnd(bytes: Uint8Array): { live: Map<number, number>; replay: Replay } {
  const live = new Map<number, number>();
  const listener: BlockListener = {
    born: (slot, _stack, _thread, size) => void live.set(replay.live.addressOf(slot), size),
    died: (slot) => void live.delete(replay.live.addressOf(slot)),
  };
  const replay = replayOf(bytes);
  replay.run(listener);
  expect(replay.live.count).toBe(live.size);
  return { live, replay };
}

/** What is left of a mapping of 0x4000 bytes at 0x100000. */
const mapped = (run: (thread: ThreadWriter) => void) =>
  liveAtEnd(one((main) => run(main.map(0x10_0000, 0x4000, 1)))).live;

/** Both processes' lines, the child's behind a bar. */
function forked(parentBytes: Uint8Array, childBytes: Uint8Array): string[] {
  const lines: string[] = [];
  const child = fileOf(childBytes);
  const reached = (): void => {
    const replay = new Replay({ file: child, stackOfNode: identity(child.header.nodes), clock: CLOCK, parent });
    const scribe = new Scribe(replay);
    replay.run(scribe);
    lines.push(...scribe.lines.map((line) => `| ${line}`), `| ${replay.live.count} alive`);
  };
  const parent: Replay = replayOf(parentBytes, { forks: [{ order: child.header.fork!.order, reached }] });
  parent.run({ born: () => lines.push("+"), died: () => lines.push("-") });
  return [...lines, `${parent.live.count} alive`];
}

/** Places lie in three address bases, some at the same offset. */
const addressOf = (place: number): number => (place % 3) * 2 ** 36 * 5 + 0x1000 + Math.floor(place / 3) * 16;

describe("births and deaths", () => {
  test("are told with stack and size, in every form of event", () => {
    const bytes = one((main) =>
      main
        .birth(0x1000, 48, 1, "pymalloc")
        .birth(0x7f00_0000_0010, 70_000, 2)
        .birth(0x2000, 2 ** 37, 3)
        .death(0x1000, "pymalloc")
        .death(0x7f00_0000_0010),
    );
    expect(told(bytes)).toEqual([
      "+1000 48 @1",
      "+7f0000000010 70000 @2",
      "+2000 137438953472 @3",
      "-1000",
      "-7f0000000010",
    ]);
  });

  test("a transient block is born and dies at once, whoever lives at its address later", () => {
    const bytes = one((main) => main.transient(0x1000, 48, 1).birth(0x1000, 64, 2).transient(0x2000, 512, 3));
    expect(told(bytes)).toEqual(["+1000 48 @1", "-1000", "+1000 64 @2", "+2000 512 @3", "-2000"]);
    const { live, replay } = liveAtEnd(bytes);
    expect([...live]).toEqual([[0x1000, 64]]);
    expect([replay.sequence, replay.deaths]).toEqual([3, 2]);
  });

  test("a block of no bytes is a block", () => {
    expect(told(one((main) => main.birth(0x1000, 0, 1).death(0x1000)))).toEqual(["+1000 0 @1", "-1000"]);
  });

  test("a stack without a record is the unknown one", () => {
    expect(told(one((main) => main.birth(0x1000, 8, 999)))).toEqual(["+1000 8 @0"]);
  });

  test("a birth at an address that is alive ends the block there", () => {
    const { live, replay } = liveAtEnd(one((main) => main.birth(0x1000, 48, 1).birth(0x1000, 64, 1)));
    expect([...live]).toEqual([[0x1000, 64]]);
    expect(replay.doubleBirths).toBe(1);
  });

  test("a death of nothing changes nothing and is counted", () => {
    const { replay } = liveAtEnd(one((main) => main.death(0x1000).birth(0x1000, 48, 1).death(0x1000).death(0x1000)));
    expect([replay.unmatchedDeaths, replay.deaths]).toEqual([2, 1]);
  });

  test("more than two address bases in turn stay apart", () => {
    const places = [1, 2, 3, 4, 3, 1].map((base, i) => base * 2 ** 36 + i * 16);
    const bytes = one((main) => places.forEach((place) => main.birth(place, 32, 1)));
    expect(told(bytes)).toEqual(places.map((place) => `+${place.toString(16)} 32 @1`));
  });
});

describe("mremap", () => {
  test("is a realloc of the mapping, wherever it went", () => {
    const bytes = one((main) => main.map(0x10_0000, 0x4000, 1).remap(0x10_0000, 0x4000, 0x20_0000, 0x8000, 2));
    expect(told(bytes)).toEqual(["+100000 16384 @1", "-100000", "+200000 32768 @2 moved"]);
  });

  test("of a mapping that is not the program's own (a file's) makes none", () => {
    const bytes = one((main) => main.remap(0x10_0000, 0x4000, 0x20_0000, 0x8000, 2).birth(0x1000, 8, 1));
    expect(told(bytes)).toEqual(["+1000 8 @1"]);
  });
});

describe("short forms", () => {
  test("a local birth is ended by a death that names its word", () => {
    const bytes = one((main) => {
      const word = main.birth(0x1000, 8, 1).local(0x2000, 16, 2);
      main.birth(0x3000, 24, 3).localDeath(word).death(0x1000);
    });
    expect(told(bytes)).toEqual(["+1000 8 @1", "+2000 16 @2", "+3000 24 @3", "-2000", "-1000"]);
  });

  test("a local death whose birth was not changed in time goes by its address", () => {
    const bytes = one((main) => {
      const word = main.local(0x2000, 16, 2);
      main.localDeath(word);
    });
    const words = new Uint32Array(bytes.buffer, SLOT_BYTES + 64);
    const birth = words.findIndex((low, i) => i % 2 === 0 && (low & 7) === 0);
    words[birth]! |= 1;
    expect(told(bytes)).toEqual(["+2000 16 @2", "-2000"]);
  });

  test("a word of another chunk is none of this one's", () => {
    const bytes = one((main) => {
      const word = main.local(0x2000, 16, 2);
      main.flush().birth(0x3000, 8, 1).birth(0x4000, 8, 1).localDeath(word);
    });
    expect(told(bytes)).not.toContain("-2000");
  });

  test("transient births that were only counted are in the totals alone", () => {
    const bytes = one((main) => main.transients(2, 1000, 48_000).birth(0x1000, 8, 1));
    expect(told(bytes)).toEqual(["+1000 8 @1"]);
    const counted: number[][] = [];
    const replay = replayOf(bytes);
    replay.run({ born: () => {}, died: () => {}, transients: (...of) => void counted.push(of) });
    expect(counted).toEqual([[2, 0, 1000, 48_000]]);
  });
});

describe("realloc", () => {
  test("that moves a block is a death and a birth that says what it replaces", () => {
    const bytes = one((main) => main.birth(0x1000, 48, 1).realloc(0x1000, 0x2000, 96, 2));
    expect(told(bytes)).toEqual(["+1000 48 @1", "-1000", "+2000 96 @2 moved"]);
  });

  test("that fails leaves the block as it was", () => {
    const bytes = one((main) => main.birth(0x1000, 48, 1).failedRealloc(0x1000).birth(0x2000, 8, 1));
    expect(told(bytes)).toEqual(["+1000 48 @1", "+2000 8 @1"]);
  });

  test("that fails is understood where a chunk ends between death and undo", () => {
    const bytes = one((main) => main.birth(0x1000, 48, 1).failedRealloc(0x1000).birth(0x2000, 8, 1), { chunkBytes: 8 });
    expect(told(bytes)).toEqual(["+1000 48 @1", "+2000 8 @1"]);
  });

  test("names no block whose slot another thread's birth may have taken meanwhile", () => {
    const bytes = program(
      ([a, b]) => {
        a!.birth(0x1000, 48, 1).realloc(0x1000, 0x3000, 96, 2, () => b!.birth(0x4000, 1, 1));
        a!.realloc(0x3000, 0x5000, 97, 2, () => b!.death(0x4000));
      },
      {},
      2,
    );
    expect(told(bytes)).toEqual([
      "+1000 48 @1",
      "-1000",
      "+4000 1 @1 thread 1",
      "+3000 96 @2",
      "-3000",
      "-4000",
      "+5000 97 @2 moved",
    ]);
  });
});

describe("threads", () => {
  test("are merged by order numbers", () => {
    const bytes = program(
      ([a, b]) => {
        a!.birth(0x1000, 1, 1);
        b!.birth(0x2000, 2, 2);
        a!.birth(0x3000, 3, 3).birth(0x4000, 4, 1);
        b!.death(0x3000);
      },
      {},
      2,
    );
    expect(told(bytes)).toEqual(["+1000 1 @1", "+2000 2 @2 thread 1", "+3000 3 @3", "+4000 4 @1", "-3000"]);
  });

  test("may free what another made, chunk by chunk", () => {
    const bytes = program(
      ([maker, eater]) => {
        for (let i = 0; i < 100; i++) {
          maker!.birth(0x1000 * (i + 1), 24, 1);
          if (i % 7 === 3) eater!.death(0x1000 * (i - 2));
        }
      },
      { chunkBytes: 24 },
      2,
    );
    const { live, replay } = liveAtEnd(bytes);
    expect([live.size, replay.unmatchedDeaths, replay.doubleBirths]).toEqual([86, 0, 0]);
  });
});

describe("time", () => {
  test("comes from the ticks, and never runs backwards over threads", () => {
    const bytes = program(
      ([a, b]) => {
        a!.time(100).birth(0x1000, 1, 1);
        b!.time(90).birth(0x2000, 1, 1).time(120).mark("half time");
      },
      {},
      2,
    );
    expect(told(bytes)).toEqual(["100 us", "+1000 1 @1", "+2000 1 @1 thread 1", "120 us", "mark half time"]);
  });

  test("of a thread that begins later does not come before its turn", () => {
    const bytes = program(
      ([a, b]) => {
        a!.time(100).birth(0x1000, 1, 1);
        b!.time(500).birth(0x2000, 1, 1);
        a!.time(600).birth(0x3000, 1, 1);
      },
      {},
      2,
    );
    expect(told(bytes)).toEqual(["100 us", "+1000 1 @1", "500 us", "+2000 1 @1 thread 1", "600 us", "+3000 1 @1"]);
  });

  test("goes on in a chunk from the chunk's own start", () => {
    const bytes = one((main) => main.time(100).birth(0x1000, 1, 1).flush().time(150).birth(0x2000, 1, 1));
    expect(told(bytes)).toEqual(["100 us", "+1000 1 @1", "150 us", "+2000 1 @1"]);
  });
});

describe("sampling", () => {
  test("gives a block the weight that its size has under the interval in force", () => {
    const bytes = one((main) =>
      main.birth(0x1000, 1024, 1).interval(1024).birth(0x2000, 1024, 1).interval(0).birth(0x3000, 1024, 1),
    );
    const weight = (1 / (1 - Math.exp(-1))).toFixed(3);
    expect(told(bytes)).toEqual(["+1000 1024 @1", `+2000 1024 @1 for ${weight}`, "+3000 1024 @1"]);
  });

  test("leaves large blocks and mappings at weight 1", () => {
    const bytes = one((main) => main.birth(0x1000, 32_768, 1).map(0x10_0000, 4096, 1), {
      interval: 65_536,
      mode: "interval",
    });
    expect(told(bytes)).toEqual(["+1000 32768 @1", "+100000 4096 @1"]);
  });
});

describe("mappings", () => {
  test("go with munmap", () => {
    expect([...mapped((main) => main.unmap(0x10_0000, 0x4000))]).toEqual([]);
  });

  test("lose their front, their back, or a hole in the middle", () => {
    expect([...mapped((main) => main.unmap(0x0f_0000, 0x1_1000))]).toEqual([[0x10_1000, 0x3000]]);
    expect([...mapped((main) => main.unmap(0x10_3000, 0x9000))]).toEqual([[0x10_0000, 0x3000]]);
    expect([...mapped((main) => main.unmap(0x10_1000, 0x1000))]).toEqual([
      [0x10_0000, 0x1000],
      [0x10_2000, 0x2000],
    ]);
  });

  test("several can go at once", () => {
    expect([
      ...mapped((main) => main.map(0x10_4000, 0x1000, 2).map(0x20_0000, 0x1000, 2).unmap(0x10_2000, 0x20_0000)),
    ]).toEqual([[0x10_0000, 0x2000]]);
  });

  test("give way to a new one at their place", () => {
    expect([...mapped((main) => main.map(0x10_1000, 0x1000, 2))]).toEqual([
      [0x10_0000, 0x1000],
      [0x10_2000, 0x2000],
      [0x10_1000, 0x1000],
    ]);
  });

  test("tell what is left as no new request", () => {
    const lines = told(
      one((main) => main.map(0x10_0000, 0x4000, 1).unmap(0x10_1000, 0x1000).unmap(0x7000_0000, 0x1000)),
    );
    expect(lines).toEqual([
      "+100000 16384 @1",
      "-100000",
      "+100000 4096 @1 moved left over",
      "+102000 8192 @1 left over",
    ]);
  });
});

describe("a fork child", () => {
  const fork = { pid: 100, ordinal: 0, order: 2, nodes: 4, codes: 3 };

  test("has its parent's blocks as they were at the fork, and frees its own copies", () => {
    const parent = one(
      (main) => main.order(1).birth(0x1000, 8, 1).birth(0x2000, 8, 1).order(3).death(0x1000).birth(0x3000, 8, 1),
      { autoOrder: false },
    );
    const w = eventsWriter({ pid: 101, fork });
    w.thread().death(0x1000).birth(0x1000, 16, 3).death(0x2000).death(0x1000).death(0x3000);
    expect(forked(parent, w.finish())).toEqual([
      "+",
      "+",
      "| -1000 inherited",
      "| +1000 16 @3",
      "| -2000 inherited",
      "| -1000",
      "| 0 alive",
      "-",
      "+",
      "2 alive",
    ]);
  });

  test("may fork when its parent has ended", () => {
    const parent = one((main) => main.order(1).birth(0x1000, 8, 1), { autoOrder: false });
    const w = eventsWriter({ pid: 101, fork });
    w.thread().birth(0x2000, 16, 3);
    expect(forked(parent, w.finish())).toEqual(["+", "| +2000 16 @3", "| 2 alive", "1 alive"]);
  });

  test("moves an inherited block as a death that it was told nothing else of", () => {
    const parent = one((main) => main.order(1).birth(0x1000, 8, 1), { autoOrder: false });
    const w = eventsWriter({ pid: 101, fork });
    w.thread().realloc(0x1000, 0x1000, 16, 3);
    expect(forked(parent, w.finish())).toEqual(["+", "| -1000 inherited", "| +1000 16 @3", "| 1 alive", "1 alive"]);
  });
});

describe("a file that stops anywhere", () => {
  const whole = one(
    (main) => {
      for (let i = 1; i <= 50; i++) main.birth(i * 0x1000, i * 40, 1);
    },
    { chunkBytes: 64 },
  );
  const lines = told(whole);

  test("replays to a prefix of the truth", () => {
    fc.assert(
      fc.property(fc.integer({ min: SLOT_BYTES, max: whole.length }), (length) => {
        const cut = told(whole.subarray(0, length));
        expect(cut).toEqual(lines.slice(0, cut.length));
      }),
    );
  });

  test("is read up to an event that nobody knows", () => {
    const bytes = whole.slice();
    bytes[SLOT_BYTES + 64 + 3 * 8] = 7;
    expect(told(bytes)[0]).toBe(lines[0]);
  });
});

describe("any program", () => {
  type Step = { thread: number; what: "birth" | "death" | "realloc" | "fail"; place: number; size: number };
  const step: fc.Arbitrary<Step> = fc.record({
    thread: fc.nat(3),
    what: fc.constantFrom("birth", "birth", "birth", "death", "death", "realloc", "fail"),
    place: fc.nat(40),
    size: fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: 2 ** 40 })),
  });
  test("of several threads ends with the blocks that a map of addresses ends with", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.constantFrom(8, 40, 65_000), (steps, chunkBytes) => {
        const truth = new Map<number, number>();
        const bytes = program(
          (threads) => {
            for (const { thread, what, place, size } of steps) {
              const at = addressOf(place);
              const t = threads[thread]!;
              if (what === "birth" && !truth.has(at)) {
                truth.set(at, size);
                t.birth(at, size, 1 + (place % 3));
              } else if (!truth.has(at)) continue;
              else if (what === "death") {
                truth.delete(at);
                t.death(at);
              } else if (what === "fail") t.failedRealloc(at);
              else if (what === "realloc") {
                const to = addressOf((place * 7 + size) % 41);
                truth.delete(at);
                if (truth.has(to)) t.death(at);
                else {
                  truth.set(to, size);
                  t.realloc(at, to, size, 2);
                }
              }
            }
          },
          { chunkBytes },
          4,
        );
        const { live, replay } = liveAtEnd(bytes);
        expect([...live].sort()).toEqual([...truth].sort());
        expect([replay.doubleBirths, replay.unmatchedDeaths]).toEqual([0, 0]);
      }),
      { numRuns: 200 },
    );
  });
});
