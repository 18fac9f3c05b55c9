/** Every object that a process knows of itself is found from outside: at its address, with its type, its size and its references. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { interpreters, missing } from "../interpreters.ts";
import { heapOf, startWaiting } from "./process.ts";
import { compare } from "./truth.ts";

const program = fileURLToPath(new URL("truth.py", import.meta.url));

/** Where fewer references are explained than elsewhere, and why: the value stack of running frames is only guessed up to 3.10. */
const EXPLAINED = 0.99;

describe("what a process says of itself agrees with what is read from outside", () => {
  for (const python of interpreters())
    test(`on CPython ${python.version}`, { timeout: 120_000 }, async () => {
      const waiting = await startWaiting(python, (out) => [program, out, "1000"]);
      try {
        const { table, audit, runtime } = await heapOf(waiting.pid);
        const agreement = compare(table, waiting.out);
        expect(runtime.version).toBe(python.version);
        expect(agreement.objects).toBeGreaterThan(30_000);
        expect(agreement, JSON.stringify(agreement)).toMatchObject({});
        expect(agreement.found, String(agreement.missing)).toBeGreaterThanOrEqual(0.9998);
        expect(agreement.sameType).toBeGreaterThanOrEqual(0.9998);
        expect(agreement.sameSize, String(agreement.sizes)).toBeGreaterThanOrEqual(0.995);
        expect(agreement.sameReferences, String(agreement.references)).toBeGreaterThanOrEqual(0.99);
        expect(audit.explained / audit.counted).toBeGreaterThanOrEqual(EXPLAINED);
        expect(audit.unreached).toBeLessThan(20);
      } finally {
        waiting.stop();
      }
    });
  for (const { minor, skip } of missing()) test.skip(`on CPython ${minor} ${skip}`, () => {});
});
