import { describe, expect, test } from "vitest";
import { isAccused, Machine, turns } from "./machine.ts";
import type { Judged } from "./machine.ts";

const KB = 1000;

/** A main program whose function `main` has one loop, from instruction 2 to 8. */
const LOOP = { main: { loops: [[2, 8]] } } as const;

function of(rows: Map<string, Judged>, site: string): Judged {
  const row = rows.get(site);
  if (!row) throw new Error(`no row for ${site}: ${[...rows.keys()].join(", ")}`);
  return row;
}

describe("the help page's programs", () => {
  test("a list that is deleted is recycled; one that stays is held", () => {
    const m = new Machine();
    const x = m.at(2).block(800 * KB);
    m.at(4).scratch(200);
    m.free(x);
    m.at(6).block(800 * KB);
    m.at(8).scratch(200);
    const rows = m.judge();
    expect(of(rows, "<module>:2").said).toBe("recycled");
    expect(of(rows, "<module>:6").said).toBe("held");
  });

  test("what a function makes and frees in each of three calls is recycled: too few for a trend, enough to see it", () => {
    const m = new Machine({ "<module>": { loops: [[2, 4]] } });
    turns(3, () => {
      m.at(2).call("eatmemory", () => {
        const x = m.at(2).block(800 * KB);
        m.at(4).scratch(150);
        m.free(x);
      });
    });
    m.at(6).scratch(150);
    const row = of(m.judge(), "eatmemory:2");
    expect(row).toMatchObject({ said: "recycled", sure: "high", calls: 3, liveBytes: 0, peakBytes: 800 * KB });
  });

  test("a function that calls itself six times holds six lists until the calls return", () => {
    const m = new Machine();
    const eat = (more: number): void =>
      m.call("eatmemory", () => {
        const x = m.at(2).block(800 * KB);
        m.at(4).scratch(150);
        if (more > 0) {
          m.at(6);
          eat(more - 1);
        }
        m.free(x);
      });
    m.at(2);
    eat(5);
    m.at(4).scratch(150);
    expect(of(m.judge(), "eatmemory:2")).toMatchObject({
      said: "held by recursion",
      depth: 6,
      heldByCalls: 1,
      liveBytes: 0,
    });
  });
});

/** Nothing else is made: only when the global list itself is moved do births show that the loop turned. */
function globalList(): Map<string, Judged> {
  const m = new Machine(LOOP);
  let table = m.at(0).block(64);
  m.at(2).call("main", () => {
    turns(200, (i) => {
      m.at(4).call("call", () => {
        m.at(2).block(72);
        m.block(8 * KB);
        if (i > 3 && (i & (i - 1)) === 0) table = m.at(4).grow(table, 16 * i);
      });
    });
  });
  return m.judge();
}

describe("a global list that grows by one list in each of 200 calls", () => {
  test("is undecided as long as nobody knows who holds it, and is shown as growing", () => {
    const row = of(globalList(), "call:2");
    expect(row.said).toBe("undecided");
    expect(isAccused(row)).toBe(true);
  });

  test("grows by what one call makes, in all of 200 calls from main", () => {
    expect(of(globalList(), "call:2")).toMatchObject({
      units: 200,
      growthPerUnit: 8 * KB + 72,
      growthLow: 8 * KB + 72,
      growingUnits: 1,
      turn: "call",
      driver: "main:4",
    });
  });
});

test("a leak of one block in ten calls hides behind the scratch of each call, and is seen", () => {
  const m = new Machine(LOOP);
  m.at(2).call("main", () => {
    turns(1500, (i) => {
      m.at(4).call("request", () => {
        const scratch = m.at(2).block(160 * KB);
        if (i % 10 === 0) m.at(4).block(3 * KB);
        m.free(scratch);
      });
    });
  });
  const rows = m.judge();
  expect(of(rows, "request:2").said).toBe("recycled");
  const leak = of(rows, "request:4");
  expect(isAccused(leak)).toBe(true);
  expect(leak.growthPerUnit).toBeCloseTo(300, -1);
  expect(leak.growingUnits).toBeCloseTo(0.1, 2);
});

test("a backlog that takes two and gives back one grows by one a step", () => {
  const m = new Machine(LOOP);
  const queue: number[] = [];
  m.at(2).call("main", () => {
    turns(900, () => {
      m.at(4).call("produce", () => {
        queue.push(m.at(2).block(2500), m.at(4).block(2500));
      });
      m.free(queue.shift()!);
    });
  });
  const row = of(m.judge(), "produce:2");
  expect(isAccused(row)).toBe(true);
  expect(row.growthPerUnit).toBeCloseTo(1250, -2);
});

test("one string that is made anew and longer in each turn grows, though one generation of it lives at a time", () => {
  const m = new Machine(LOOP);
  let text = NaN;
  m.at(2).call("main", () => {
    turns(400, (i) => {
      m.at(4).call("tick", () => {
        m.at(2).scratch(40);
        const longer = m.at(4).block(1000 + 200 * i);
        if (i > 0) m.free(text);
        text = longer;
      });
    });
  });
  const row = of(m.judge(), "tick:4");
  expect(isAccused(row)).toBe(true);
  expect(row.growthPerUnit).toBeCloseTo(200, 0);
});

test("a loop inside one function is a unit too", () => {
  const m = new Machine({ serve: { loops: [[2, 8]] } });
  m.at(2).call("serve", () => {
    turns(500, () => {
      m.at(2).scratch(32);
      m.at(4).block(1200);
      m.at(6).scratch(90);
    });
  });
  const row = of(m.judge(), "serve:4");
  expect(row).toMatchObject({ turn: "turn", units: 500, growthPerUnit: 1200, driver: "serve:4" });
  expect(isAccused(row)).toBe(true);
});

describe("what does not grow is never shown as growing", () => {
  test("scratch of random size", () => {
    const m = new Machine(LOOP);
    m.at(2).call("main", () => {
      turns(800, (i) => {
        m.at(4).call("f", () => m.at(2).scratch(100 + ((i * 7919) % 200_000)));
      });
    });
    expect(of(m.judge(), "f:2").said).toBe("recycled");
  });

  test("work that needs more in each call and frees all of it", () => {
    const m = new Machine(LOOP);
    m.at(2).call("main", () => {
      turns(600, (i) => {
        m.at(4).call("f", () => m.at(2).scratch(400 * (i + 1)));
      });
    });
    expect(of(m.judge(), "f:2").said).toBe("recycled");
  });

  test("a global that always holds the newest frame", () => {
    const m = new Machine(LOOP);
    let newest = NaN;
    m.at(2).call("main", () => {
      turns(500, (i) => {
        m.at(4).call("frame", () => {
          const next = m.at(2).block(60 * KB + (i % 7) * 100);
          if (i > 0) m.free(newest);
          newest = next;
        });
      });
    });
    expect(of(m.judge(), "frame:2").said).toBe("recycled");
  });

  test("cycles that wait for the collector: a sawtooth", () => {
    const m = new Machine(LOOP);
    let waiting: number[] = [];
    m.at(2).call("main", () => {
      turns(3000, (i) => {
        m.at(4).call("make", () => {
          waiting.push(m.at(2).block(2 * KB));
          if (i % 300 === 299) {
            for (const block of waiting) m.free(block);
            waiting = [];
          }
        });
      });
    });
    expect(of(m.judge(), "make:2").said).toBe("recycled");
  });

  test("a document that one C call parses in every turn: its thousands of blocks are one turn", () => {
    const m = new Machine({ ...LOOP, loads: { owner: 2 }, decode: { owner: 2 } });
    m.at(2).call("main", () => {
      turns(30, () => {
        const document: number[] = [];
        m.at(4).call("loads", () => {
          m.at(2).call("decode", () => {
            m.at(2).scratch(180);
            m.at(4);
            turns(400, (k) => void document.push(m.block(50 + 8 * (k % 3))));
          });
        });
        for (const block of document) m.free(block);
      });
    });
    expect(of(m.judge(), "main:4")).toMatchObject({ said: "recycled", units: 30 });
  });
});

describe("caches, tables and pools", () => {
  test("old entries give way to new ones: a bounded cache", () => {
    const m = new Machine(LOOP);
    const entries: number[] = [];
    m.at(2).call("main", () => {
      turns(1000, () => {
        m.at(4).call("load", () => {
          m.at(2).scratch(40);
          entries.push(m.at(4).block(8 * KB));
          if (entries.length > 64) m.free(entries.shift()!);
        });
      });
    });
    const row = of(m.judge(), "load:4");
    expect(row.said).toBe("bounded cache");
    expect(row.replaced).toBeGreaterThan(0.9);
  });

  test("tables built in the first three calls of 400: warm-up", () => {
    const m = new Machine(LOOP);
    m.at(2).call("main", () => {
      turns(400, (i) => {
        m.at(4).call("request", () => {
          if (i < 3) m.at(2).block(320 * KB);
          m.at(4).scratch(3 * KB);
        });
      });
    });
    expect(of(m.judge(), "request:2")).toMatchObject({ said: "warm-up", allocLate: 0 });
  });

  test("a table filled during a fifth of the run, then no more: warm-up", () => {
    const m = new Machine(LOOP);
    m.at(2).call("main", () => {
      turns(500, (i) => {
        m.at(4).call("request", () => {
          if (i < 80) m.at(2).block(9 * KB);
          m.at(4).scratch(3 * KB);
        });
      });
    });
    const row = of(m.judge(), "request:2");
    expect(row.said).toBe("warm-up");
    expect(isAccused(row)).toBe(false);
  });

  test("less than 16 KiB is minor, whatever it does", () => {
    const m = new Machine(LOOP);
    m.at(2).call("main", () => turns(300, () => m.at(4).call("f", () => void m.at(2).block(50))));
    expect(of(m.judge(), "f:2").said).toBe("minor");
  });
});

describe("held on purpose", () => {
  test("results in a list of the function that runs the loop: all of it goes when that function returns", () => {
    const m = new Machine(LOOP);
    const results: number[] = [];
    m.at(2).call("main", () => {
      turns(600, () => m.at(4).call("compute", () => void results.push(m.at(2).block(3200))));
    });
    for (const block of results) m.free(block);
    m.interpreter("_shutdown", () => m.at(2).scratch(100));
    const row = of(m.judge(), "compute:2");
    expect(row).toMatchObject({ said: "held", growthPerUnit: 3200 });
    expect(row.released).toBeGreaterThan(0.95);
  });

  test("rows loaded in the first part of a run that then serves from them", () => {
    const m = new Machine({ load: { loops: [[2, 6]] }, main: { loops: [[4, 8]] } });
    m.at(2).call("main", () => {
      m.at(2).call("load", () =>
        turns(500, () => {
          m.at(2).scratch(32);
          m.at(4).block(1 * KB);
        }),
      );
      turns(3000, () => m.at(6).call("serve", () => m.at(2).scratch(2 * KB)));
    });
    const row = of(m.judge(), "load:4");
    expect(row.said).toBe("held");
    expect(row.driverEnd).toBeLessThan(0.5);
  });

  test("the interpreter taking itself apart is not part of the program: what a module holds is alive at the end", () => {
    const m = new Machine();
    const kept = m.at(2).block(500 * KB);
    m.at(4).scratch(100);
    m.interpreter("_shutdown", () => m.at(2).scratch(100));
    m.free(kept);
    m.interpreter("_clear", () => m.at(2).scratch(100));
    expect(of(m.judge(), "<module>:2")).toMatchObject({ said: "held", liveBytes: 500 * KB });
  });
});
