/** What the allocators say of themselves is what is read from outside. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { GranuleMap } from "../../src/capture/allocators/blocks.ts";
import { walkGlibc } from "../../src/capture/allocators/glibc.ts";
import { walkPymalloc } from "../../src/capture/allocators/pymalloc.ts";
import { locate } from "../../src/capture/cpython/read.ts";
import { captureLive } from "../../src/capture/image/live.ts";
import { startWaiting } from "../cpython/process.ts";
import { interpreters, launcher } from "../interpreters.ts";

const program = fileURLToPath(new URL("books.py", import.meta.url));

/** The program makes a few objects more while it writes down what it found. */
const TOLERANCE = 16_384;

async function booksOf(pid: number) {
  const target = await captureLive(pid, { launcher });
  const blocks = new GranuleMap(target.image);
  const small = walkPymalloc(target.image, locate(target), blocks);
  const bytes = small.arenaBytes / Math.max(1, small.arenas);
  return { small, large: walkGlibc(target, blocks, { addresses: small.addresses, bytes }) };
}

/** The figure after a text that the interpreter prints, such as "# bytes in allocated blocks". */
function figure(printed: string, text: string): number {
  const line = printed.split("\n").find((one) => one.includes(text))!;
  return Number(/= +([\d,]+)/.exec(line)![1]!.replaceAll(",", ""));
}

function near(actual: number, said: number, what: string): void {
  expect(Math.abs(actual - said), `${what}: read ${actual}, said ${said}`).toBeLessThanOrEqual(TOLERANCE);
}

describe.each([...interpreters()])("the allocators of CPython $version", (python) => {
  test("agree with sys._debugmallocstats and mallinfo2", { timeout: 60_000 }, async () => {
    const waiting = await startWaiting(python, (out) => [program, out]);
    try {
      const { small, large } = await booksOf(waiting.pid);
      const printed = readFileSync(`${waiting.out}.small`, "utf8");
      expect(small.badPools).toBe(0);
      expect(small.arenas).toBe(figure(printed, "# arenas allocated current"));
      near(small.liveBytes, figure(printed, "# bytes in allocated blocks"), "pymalloc, live");
      near(small.freeBytes, figure(printed, "# bytes in available blocks"), "pymalloc, free blocks");
      near(small.freePoolBytes, figure(printed, "unused pools *"), "pymalloc, free pools");
      expect(large.badHeaps).toBe(0);
      // mallinfo2 came with glibc 2.33.
      if (!existsSync(waiting.out)) return;
      const said = Object.fromEntries(
        readFileSync(waiting.out, "utf8")
          .trim()
          .split("\n")
          .map((line) => line.split(" "))
          .map(([name, value]) => [name, Number(value)]),
      ) as Record<"arena" | "fordblks" | "uordblks" | "hblks" | "hblkhd", number>;
      const sum = (of: (arena: (typeof large.arenas)[number]) => number): number =>
        large.arenas.reduce((total, arena) => total + of(arena), 0);
      // What threads keep in their caches is in use for mallinfo2, what lies in fastbins is not.
      const threads = sum(({ threadBytes }) => threadBytes);
      near(
        sum(({ bytes }) => bytes),
        said.arena,
        "glibc, arenas",
      );
      near(sum(({ freeBytes }) => freeBytes) - threads, said.fordblks, "glibc, free");
      near(sum(({ usedBytes }) => usedBytes) + threads, said.uordblks, "glibc, in use");
      expect(large.mappedChunks).toBe(said.hblks);
      near(large.mappedBytes, said.hblkhd, "glibc, mapped");
    } finally {
      waiting.stop();
    }
  });
});
