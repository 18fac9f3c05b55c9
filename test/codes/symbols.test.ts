import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { symbolResolver } from "../../src/capture/proc/symbols.ts";

/** Prints the offsets in its own file of a static function, an exported one and a variable. */
const PROGRAM = `
#include <stdio.h>
__attribute__((noinline)) static int hidden(int x) { return x * 3 + 1; }
__attribute__((noinline)) int shown(int x) { return hidden(x) * 5 + 2; }
int variable = 1;
static unsigned long in_file(void *address) {
  unsigned long start, end, offset; char line[4096], path[4096], self[4096] = "";
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, maps)) {
    if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4095s", &start, &end, &offset, path) != 4) continue;
    if ((unsigned long)address >= start && (unsigned long)address < end) return (unsigned long)address - start + offset;
  }
  return 0 * self[0];
}
int main(int argc, char **argv) { printf("%lu %lu %lu\\n", in_file(hidden), in_file(shown), in_file(&variable)); return shown(argc) == 0; }
`;

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;

describe.skipIf(!hasCompiler)("symbols of a program (skipped without cc)", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "tidegauge-symbols-"));
    writeFileSync(join(folder, "program.c"), PROGRAM);
    const compile = (name: string, ...options: string[]) =>
      execFileSync("cc", ["-O1", "-rdynamic", ...options, "-o", join(folder, name), join(folder, "program.c")]);
    compile("whole");
    compile("stripped", "-s");
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const offsetsOf = (program: string) =>
    execFileSync(join(folder, program), { encoding: "utf8" }).trim().split(" ").map(Number);

  test("name the function that an offset lies in, its first and a later byte", () => {
    const [hidden, shown, variable] = offsetsOf("whole");
    const symbol = symbolResolver();
    const file = join(folder, "whole");
    expect([symbol(file, hidden!), symbol(file, hidden! + 2)]).toEqual(["hidden", "hidden"]);
    expect([symbol(file, shown!), symbol(file, variable!)]).toEqual(["shown", undefined]);
  });

  test("of a stripped program are those that it exports; what lies between them has no name", () => {
    const [hidden, shown] = offsetsOf("stripped");
    const symbol = symbolResolver();
    expect(symbol(join(folder, "stripped"), shown! + 1)).toBe("shown");
    expect(symbol(join(folder, "stripped"), hidden!)).toBe(undefined);
  });

  test("of a file that is gone, cut short, no program or no file are unknown", () => {
    const symbol = symbolResolver();
    const whole = readFileSync(join(folder, "whole"));
    for (const length of [0, 10, 63, 64, 100, 1_000, whole.length - 1]) {
      const cut = join(folder, `cut-${length}`);
      writeFileSync(cut, whole);
      truncateSync(cut, length);
      expect(symbol(cut, 0x1100)).toBe(undefined);
    }
    expect(symbol(join(folder, "program.c"), 100)).toBe(undefined);
    expect(symbol(join(folder, "nothing"), 100)).toBe(undefined);
    expect(symbol(folder, 100)).toBe(undefined);
    expect(symbol("[vdso]", 100)).toBe(undefined);
  });

  test("of a damaged program are right, wrong or unknown, but nothing is thrown", () => {
    const whole = readFileSync(join(folder, "whole"));
    const damaged = join(folder, "damaged");
    for (let at = 0; at < 64; at++) {
      const bytes = Buffer.from(whole);
      bytes[at] = bytes[at]! ^ 0xff;
      writeFileSync(damaged, bytes);
      const name = symbolResolver()(damaged, 0x1149);
      expect(name === undefined || typeof name === "string").toBe(true);
    }
  });
});
