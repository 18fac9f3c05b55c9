import { describe, expect, test } from "vitest";
import { isAccused, Machine, turns } from "./machine.ts";
import type { Judged } from "./machine.ts";

const LOOP = { main: { loops: [[2, 8]] } } as const;

/** A leak of 1,000 bytes at `leak:2`, so that what drives it is told. */
function leak(m: Machine): void {
  m.call("leak", () => void m.at(2).block(1000));
}

function leakOf(m: Machine): Judged {
  return m.judge().get("leak:2")!;
}

describe("what is one turn", () => {
  test("the outermost call that repeats: a request, not what it does twenty times", () => {
    const m = new Machine({ ...LOOP, request: { loops: [[2, 6]] } });
    m.at(2).call("main", () => {
      turns(60, () => {
        m.at(2).scratch(32);
        m.at(4).call("request", () => {
          turns(20, () => {
            m.at(2).scratch(32);
            leak(m.at(4));
          });
        });
      });
    });
    expect(leakOf(m)).toMatchObject({ driver: "main:4", units: 60, growthPerUnit: 20_000 });
  });

  test("a key function that C code calls back thousands of times is not a turn of the loop outside", () => {
    const m = new Machine({ ...LOOP, work: {}, key: {} });
    m.at(2).call("main", () => {
      turns(40, () => {
        m.at(2).scratch(32);
        m.at(4).call("work", () => {
          m.at(2);
          turns(50, () =>
            m.call("key", () => {
              m.at(2).scratch(60);
              m.at(4).scratch(90);
            }),
          );
          leak(m.at(4));
        });
      });
    });
    expect(leakOf(m)).toMatchObject({ driver: "main:4", units: 40 });
  });

  test("a mark that the program sets is the turn, whatever its loops do", () => {
    const m = new Machine({ ...LOOP });
    m.at(2).call("main", () => {
      turns(200, (i) => {
        m.at(2).scratch(32);
        if (i % 10 === 0) m.mark("request");
        leak(m.at(4));
      });
    });
    expect(leakOf(m)).toMatchObject({ turn: "mark", units: 20, growthPerUnit: 10_000 });
  });

  test("nothing that repeats eight times: no turn, and no trend", () => {
    const m = new Machine({ ...LOOP });
    m.at(2).call("main", () => {
      turns(7, () => {
        m.at(2).scratch(32);
        m.at(4).call("leak", () => void m.at(2).block(20_000));
      });
    });
    expect(leakOf(m)).toMatchObject({ said: "held", turn: "none", driver: "", growthPerUnit: NaN });
  });

  test("turns that only a second allocation shows later are told from the first on", () => {
    const m = new Machine({ ...LOOP });
    m.at(2).call("main", () => {
      turns(400, (i) => {
        if (i > 256) m.at(2).scratch(32); // numbers up to 256 exist already
        m.at(4).call("leak", () => {
          m.at(2).scratch(48);
          m.block(1000);
        });
      });
    });
    expect(leakOf(m)).toMatchObject({ units: 400, growingUnits: 1 });
  });

  test("a generator that hands out item after item is one call", () => {
    const m = new Machine({ ...LOOP, items: { loops: [[2, 6]], generator: true } });
    m.at(2).call("main", () => {
      turns(100, () => {
        m.at(2).call("items", () => {
          m.at(2).scratch(40);
          m.at(4).block(600);
        });
        m.at(4).scratch(80);
      });
    });
    const row = m.judge().get("items:4")!;
    expect(row).toMatchObject({ driver: "main:2", units: 100 });
    expect(isAccused(row)).toBe(true);
  });
});

describe("threads", () => {
  const WORKERS = { worker: { loops: [[2, 6]], owner: 2 } } as const;

  test("workers of a pool that do the same at the same place drive a site together", () => {
    const m = new Machine(WORKERS);
    turns(400, (i) =>
      m.in(1 + (i % 4), "worker", () => {
        m.at(2).scratch(32);
        leak(m.at(4));
      }),
    );
    const row = leakOf(m);
    expect(row).toMatchObject({ driver: "worker:4", turn: "call", units: 400, growthPerUnit: 1000 });
    expect(isAccused(row)).toBe(true);
  });

  test("where every request has a thread of its own, the thread is the turn", () => {
    const m = new Machine({ thread: { owner: 2 } });
    turns(100, (i) =>
      m.in(1 + i, "thread", () => {
        m.at(2).scratch(500);
        leak(m.at(4));
      }),
    );
    const row = leakOf(m);
    expect(row).toMatchObject({ turn: "call", units: 100, growthPerUnit: 1000, driver: "" });
    expect(isAccused(row)).toBe(true);
  });

  test("what another thread does at the same time is no turn of this one", () => {
    const m = new Machine({ ...LOOP, ...WORKERS });
    m.at(2).call("main", () => {
      turns(100, () => {
        m.at(2).scratch(32);
        m.in(1, "worker", () => turns(7, () => m.at(2).scratch(300)));
        leak(m.at(4));
      });
    });
    expect(leakOf(m)).toMatchObject({ driver: "main:4", units: 100 });
  });
});

describe("recursion", () => {
  test("as deep as the recorder tells frames apart, and deeper: the rounds of a folded recursion end together", () => {
    const m = new Machine(LOOP);
    const blocks: number[] = [];
    const down = (level: number): void =>
      m.call("down", () => {
        blocks.push(m.at(2).block(400));
        m.at(4);
        if (level < 8) down(level + 1);
        else turns(300, () => void blocks.push(m.at(2).block(400))); // deeper calls, all at one stack
      });
    m.at(2).call("main", () => {
      m.at(4);
      down(0);
    });
    for (const block of blocks) m.free(block);
    m.at(4).scratch(100);
    const row = m.judge().get("down:2")!;
    expect(row).toMatchObject({ said: "held by recursion", heldByCalls: 1, liveBytes: 0 });
    expect(row.depth).toBeGreaterThanOrEqual(8);
  });

  test("what outlives the calls of a recursion is not held by it", () => {
    const m = new Machine();
    const down = (level: number): void =>
      m.call("memo", () => {
        if (level < 6) {
          m.at(2);
          down(level + 1);
        }
        m.at(4).block(30_000);
      });
    m.at(2);
    down(0);
    m.at(4).scratch(100);
    expect(m.judge().get("memo:4")!.said).toBe("held");
  });
});

/** 600 calls that keep 3,000 bytes each, beside scratch. */
function sampled(interval: number): Judged {
  const m = new Machine({ ...LOOP });
  m.sample(interval);
  m.at(2).call("main", () => {
    turns(600, () => {
      m.at(4).call("leak", () => {
        m.at(4).scratch(2000);
        m.at(2).block(3000);
      });
    });
  });
  return m.judge().get("leak:2")!;
}

describe("a sampled run", () => {
  test("tells the figure a call with an interval that holds the truth", () => {
    const row = sampled(8192);
    expect(isAccused(row)).toBe(true);
    expect(row.growthLow).toBeLessThan(3000);
    expect(row.growthHigh).toBeGreaterThan(3000);
    expect(row.growthPerUnit).toBeGreaterThan(2400);
    expect(row.growthPerUnit).toBeLessThan(3600);
  });

  test("says nothing of a trend when fewer than twenty blocks were recorded", () => {
    const row = sampled(200_000);
    expect(row.allocatedSampled).toBeLessThan(20);
    expect(row).toMatchObject({ said: "undecided", sure: "low", growthPerUnit: NaN });
  });

  test("does not take missing samples for the end of growth", () => {
    const m = new Machine({ ...LOOP });
    m.sample(16_384);
    m.at(2).call("main", () => {
      turns(500, (i) => {
        m.at(4).call("request", () => {
          if (i < 80) m.at(2).block(9000);
          m.at(4).scratch(3000);
        });
      });
    });
    const row = m.judge().get("request:2")!;
    expect(isAccused(row)).toBe(false);
    expect(["warm-up", "undecided"]).toContain(row.said);
  });
});
