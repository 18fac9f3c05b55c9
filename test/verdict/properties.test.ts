import { assert, integer, property, record, array, boolean } from "fast-check";
import { describe, expect, test } from "vitest";
import { SiteHistory } from "../../src/answers/verdict/history.ts";
import { Turns } from "../../src/answers/verdict/turns.ts";
import { isAccused, Machine, turns } from "./machine.ts";

/** One allocation of a turn: how large, after how many turns it goes, from a function of its own or in the loop itself. */
const allocation = record({
  size: integer({ min: 8, max: 60_000 }),
  spread: integer({ min: 1, max: 4000 }),
  // More than half of the shortest run: a queue that fills for so long looks like growth, and only what goes tells that it is none.
  life: integer({ min: 0, max: 12 }),
  every: integer({ min: 1, max: 5 }),
  called: boolean(),
});

/** Bits without a pattern: sizes that drift would be a level that grows. */
function noise(turn: number): number {
  const mixed = Math.imul(turn ^ (turn >>> 3), 0x2c1b_3c6d);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

describe("for any program", () => {
  test("what frees in the end all that it makes, within a few turns, is never shown as growing", () => {
    assert(
      property(array(allocation, { minLength: 1, maxLength: 5 }), integer({ min: 20, max: 300 }), (plan, rounds) => {
        const m = new Machine({ main: { loops: [[2, 40]] } });
        const alive: { block: number; until: number }[] = [];
        m.at(2).call("main", () => {
          turns(rounds, (turn) => {
            plan.forEach(({ size, spread, life, every, called }, k) => {
              if (turn % every !== 0) return;
              const bytes = size + (noise(turn) % spread);
              const make = (): void => void alive.push({ block: m.block(bytes), until: turn + life });
              if (called)
                m.at(4 + 2 * k).call(`f${k}`, () => {
                  m.at(2);
                  make();
                });
              else {
                m.at(4 + 2 * k);
                make();
              }
            });
            for (let i = alive.length - 1; i >= 0; i--) {
              if (alive[i]!.until > turn) continue;
              m.free(alive[i]!.block);
              alive.splice(i, 1);
            }
          });
        });
        m.at(4).scratch(100);
        const accused = [...m.judge()].filter(([, row]) => isAccused(row)).map(([site]) => site);
        expect(accused).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test("one block of the same size left behind by each turn is shown as growing by that size", () => {
    assert(
      property(
        integer({ min: 600, max: 20_000 }),
        integer({ min: 40, max: 300 }),
        integer({ min: 0, max: 3 }),
        (size, rounds, scratch) => {
          const m = new Machine({ main: { loops: [[2, 40]] } });
          m.at(2).call("main", () => {
            turns(rounds, () => {
              turns(scratch, (k) => m.at(6 + 2 * k).scratch(64 + k));
              m.at(4).call("leak", () => void m.at(2).block(size));
            });
          });
          const row = m.judge().get("leak:2")!;
          if (size * rounds * 0.7 < 8192) return; // too little to be told from noise
          expect(isAccused(row)).toBe(true);
          expect(row.growthPerUnit).toBeCloseTo(size, 5);
          expect(row.units).toBe(rounds);
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe("memory stays bounded", () => {
  test("of one site's history, over a million births", () => {
    const history = new SiteHistory();
    let live = 0;
    for (let sequence = 1; sequence <= 1_000_000; sequence++) {
      live += 10;
      history.birth(sequence, live, 0, 100 * (sequence - 1), 100, 0, 0, false);
      if (sequence % 3 === 0) history.death(sequence - 1, sequence, (live -= 5), 0, 100 * sequence);
    }
    expect(history.slices).toBeLessThanOrEqual(768);
    expect(history.slices).toBeGreaterThan(300);
    expect(history.blocks).toBeLessThanOrEqual(1024);
    expect(history.blocks).toBeGreaterThan(400);
  });

  test("of the starts of turns, thinned in pairs of neighbours that keep their numbers", () => {
    const rows = new Turns();
    for (let i = 0; i < 100_000; i++) rows.add(10 * i);
    expect(rows.count).toBe(100_000);
    expect(rows.starts.length).toBeLessThanOrEqual(4096);
    expect(rows.starts.length).toBeGreaterThan(1500);
    rows.starts.forEach((start, at) => expect(rows.numbers[at]).toBe(start / 10));
    const single = rows.starts.filter((_, at) => rows.isSingle(at));
    expect(single.length).toBeGreaterThanOrEqual(Math.floor(rows.starts.length / 2));
    expect([rows.longest(), rows.latest]).toEqual([10, 999_990]);
  });
});
