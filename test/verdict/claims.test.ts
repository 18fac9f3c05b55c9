import { describe, expect, test } from "vitest";
import { Machine, turns } from "./machine.ts";

const LOOP = { main: { loops: [[2, 8]] } } as const;
const KiB = 1024;

/** Thin spaces, as numbers are written, are hard to see in a test. */
const plain = (text: string): string => text.replaceAll("\u2009", " ");

function growing(): Machine {
  const m = new Machine(LOOP);
  m.at(2).call("main", () => {
    turns(1200, () => {
      m.at(2).scratch(32);
      m.at(4).call("handle", () => void m.at(2).block(2 * KiB));
    });
  });
  return m;
}

describe("a line that grows and nobody knows why", () => {
  const said = growing().describe("handle:2");

  test("says by how much with each call, in how many of them, and how much it is now", () => {
    expect(plain(said.claim)).toBe(
      "2.00 KiB more with each call of handle from program.py:4, in all of 1 200; 2.34 MiB now",
    );
    expect(said.unit).toBe("call of handle from program.py:4");
  });

  test("advises to find its holder, and does not say that it is wrong", () => {
    expect(said.advice).toMatch(/^Find what still refers to it after its call/);
    expect(said.advice).toMatch(/this may be meant/);
  });

  test("has evidence with numbers", () => {
    expect(said.evidence.map(plain)).toEqual([
      "2.34 MiB made in all, 2.34 MiB at the most, 2.34 MiB at the end",
      "The turn: 1 call of handle from program.py:4, 1 200 times",
      expect.stringMatching(/^Growth a turn: 2\.00 KiB, 90 % interval 1\.9\d KiB to 2\.0\d KiB$/),
      expect.stringMatching(/^The least of each tenth of the turns rose in 100 % of the steps: 2\d\d KiB a tenth/),
      "100 % of the turns left something behind",
    ]);
  });
});

test("a function that recycles: who made how much, how much at a time, what is left", () => {
  const m = new Machine({ "<module>": { loops: [[2, 4]] } });
  turns(3, () =>
    m.at(2).call("eatmemory", () => {
      const x = m.at(2).block(800_000);
      m.at(4).scratch(150);
      m.free(x);
    }),
  );
  m.at(6).scratch(150);
  const said = m.describe("eatmemory:2");
  expect(said.claim).toBe("3 calls made 2.29 MiB; at most 781 KiB at a time, nothing left behind");
  expect(said.advice).toBe("");
});

test("a recursion", () => {
  const m = new Machine();
  const eat = (more: number): void =>
    m.call("eat", () => {
      const x = m.at(2).block(400 * KiB);
      m.at(4).scratch(9);
      if (more > 0) {
        m.at(6);
        eat(more - 1);
      }
      m.free(x);
    });
  m.at(2);
  eat(5);
  m.at(4).scratch(9);
  const said = m.describe("eat:2");
  expect(said.claim).toBe("6 nested calls held 2.34 MiB at the peak; all gone as they returned");
  expect(said.evidence[1]).toBe(
    "100 % of it at the peak belonged to calls that had not returned, 6 nested calls of one function",
  );
});

test("results that go with the function that gathered them", () => {
  const m = new Machine(LOOP);
  const results: number[] = [];
  m.at(2).call("main", () => {
    turns(600, () => m.at(4).call("compute", () => void results.push(m.at(2).block(3 * KiB))));
  });
  for (const block of results) m.free(block);
  m.interpreter("_shutdown", () => m.at(2).scratch(100));
  expect(m.describe("compute:2").claim).toBe(
    "3.00 KiB more with each call of compute from program.py:4 while main ran; gone when it ended",
  );
});

test("a loop of one function, and what stays small", () => {
  const m = new Machine({ serve: { loops: [[2, 8]] } });
  m.at(2).call("serve", () => {
    turns(500, () => {
      m.at(2).scratch(32);
      m.at(4).block(1024);
    });
  });
  expect(m.describe("serve:4").claim).toBe(
    "1.00 KiB more with each turn of the loop at program.py:4, in all of 500; 500 KiB now",
  );
  expect(m.describe("serve:2").claim).toBe("at most 32 B at a time");
});

test("a table that was built early", () => {
  const m = new Machine(LOOP);
  m.at(2).call("main", () => {
    turns(400, (i) => {
      m.at(4).call("request", () => {
        if (i < 3) m.at(2).block(320 * KiB);
        m.at(4).scratch(3000);
      });
    });
  });
  expect(m.describe("request:2").claim).toBe(
    "grew early to 960 KiB, made next to nothing in the last third of 400 calls of request, 960 KiB kept",
  );
});

test("what was sampled says so: about so much, from so many blocks", () => {
  const m = new Machine(LOOP);
  m.sample(4 * KiB);
  m.at(2).call("main", () => turns(800, () => m.at(4).call("handle", () => void m.at(2).block(3000))));
  const said = m.describe("handle:2");
  expect(said.claim).toMatch(
    /^~2\.\d\d KiB \(±\d+ B\) more with each call of handle from program\.py:4, ~\d+ of them; ~2\.\d\d MiB now$/,
  );
  expect(said.evidence.at(-1)).toMatch(/^Estimated from \d+ sampled blocks, \d+ of them alive at the end$/);
});

test("too few samples for a trend: says that, and how to know more", () => {
  const m = new Machine(LOOP);
  m.sample(200 * KiB);
  m.at(2).call("main", () => turns(300, () => m.at(4).call("handle", () => void m.at(2).block(3000))));
  const said = m.describe("handle:2");
  expect(said.claim).toMatch(/^too few blocks were sampled to tell a trend: /);
  expect(said.advice).toBe("Run it with --exact, or for longer");
});
