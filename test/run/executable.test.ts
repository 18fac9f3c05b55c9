import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findExecutable, findObstacle, parseElfHead, parseShebang } from "../../src/capture/run/executable.ts";
import { folderWith } from "./support.ts";

const PATH = process.env.PATH ?? "";

/** Compiles `int main` with the options given; undefined when this machine cannot. */
function compiled(...options: string[]): string | undefined {
  const folder = folderWith({ "main.c": "int main(void) { return 0; }\n" });
  try {
    execFileSync("cc", [...options, "-o", join(folder, "main"), join(folder, "main.c")], { stdio: "ignore" });
    return join(folder, "main");
  } catch {
    return undefined;
  }
}

const staticProgram = compiled("-static");
const muslProgram = compiled("-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1");
const why = (program: string | undefined) =>
  program === undefined ? " (skipped: the C compiler cannot make one)" : "";
const isRoot = process.getuid?.() === 0;

/** A shell script that is executable. */
function script(text: string): string {
  const file = join(folderWith({ tool: text }), "tool");
  chmodSync(file, 0o755);
  return file;
}

describe("why the agent cannot be loaded into a program", () => {
  test("an ordinary program: nothing stands against it", () => {
    expect(findObstacle("/bin/sh", PATH)).toBe(undefined);
    expect(parseElfHead(readFileSync("/bin/sh"))?.loader).toMatch(/\/ld/);
  });

  test.skipIf(!staticProgram)(`a static program loads no libraries${why(staticProgram)}`, () => {
    expect(findObstacle(staticProgram!, PATH)).toBe(`${staticProgram} is a static program, which loads no libraries`);
  });

  test("a 32-bit program, a program for another processor", () => {
    const head = Buffer.from(readFileSync("/bin/true").subarray(0, 4096));
    head[4] = 1; // ELFCLASS32
    head.writeUInt16LE(3, 18); // EM_386
    const file = join(folderWith({ old: head }), "old");
    expect(findObstacle(file, PATH)).toBe(`${file} is a 32-bit program`);
    head[4] = 2;
    head.writeUInt16LE(243, 18); // EM_RISCV
    writeFileSync(file, head);
    expect(findObstacle(file, PATH)).toBe(`${file} is a program for another kind of processor`);
  });

  test.skipIf(!muslProgram)(`a program of the musl C library${why(muslProgram)}`, () => {
    expect(findObstacle(muslProgram!, PATH)).toBe(`${muslProgram} uses the musl C library; the agent needs glibc`);
  });

  test("a setuid program of our own changes nothing", () => {
    const file = join(folderWith(), "passwd");
    copyFileSync("/bin/true", file);
    chmodSync(file, 0o4755);
    expect(findObstacle(file, PATH)).toBe(undefined);
  });

  test.skipIf(!isRoot)(`a setuid program of another user${isRoot ? "" : " (skipped: only root can make one)"}`, () => {
    const file = join(folderWith(), "passwd");
    copyFileSync("/bin/true", file);
    execFileSync("chown", ["1234", file]);
    chmodSync(file, 0o4755);
    expect(findObstacle(file, PATH)).toContain("changes its user or group (setuid)");
  });

  test.skipIf(!staticProgram)(`scripts are followed to what runs them, env included${why(staticProgram)}`, () => {
    const file = staticProgram!;
    expect(findObstacle(script(`#!${file} -x\n`), PATH)).toContain("static program");
    expect(findObstacle(script(`#!/usr/bin/env -S main -x\n`), join(file, ".."))).toContain("static program");
    expect(findObstacle(script(`#!${script(`#!${file}\n`)}\n`), PATH)).toContain("static program");
    expect(findObstacle(script("#!/no/such/thing\n"), PATH)).toBe(undefined); // starting it will tell
  });

  test("a script that runs itself does not hang anything", () => {
    const folder = folderWith();
    writeFileSync(join(folder, "loop"), `#!${join(folder, "loop")}\n`);
    expect(findObstacle(join(folder, "loop"), PATH)).toBe(undefined);
  });
});

describe("the first line of a script", () => {
  test.each([
    ["#!/bin/sh\n", { command: "/bin/sh", viaPath: false }],
    ["#! /usr/bin/python3 -I\nprint(1)", { command: "/usr/bin/python3", viaPath: false }],
    ["#!/usr/bin/env python3\n", { command: "python3", viaPath: true }],
    ["#!/usr/bin/env -S python3 -X dev\n", { command: "python3", viaPath: true }],
    ["#!/usr/bin/env A=1 python3\n", { command: "python3", viaPath: true }],
    ["#!/usr/bin/env\n", { command: "/usr/bin/env", viaPath: false }],
    ["#!\n", undefined],
    ["print(1)\n", undefined],
    ["", undefined],
  ])("%j", (text, expected) => {
    expect(parseShebang(Buffer.from(text))).toEqual(expected);
  });
});

describe("finding a command", () => {
  test("in PATH order, only files that can be executed, through links", () => {
    const [first, second] = [folderWith({ tool: "", other: "" }), folderWith({ tool: "" })];
    chmodSync(join(second, "tool"), 0o755);
    symlinkSync(join(second, "tool"), join(first, "link"));
    const path = `${first}:${second}`;
    expect(findExecutable("tool", path)).toBe(join(second, "tool"));
    expect(findExecutable("link", path)).toBe(join(first, "link"));
    expect(findExecutable("other", path)).toBe(undefined);
    expect(findExecutable(first, path)).toBe(undefined); // a folder is no command
    expect(existsSync(findExecutable("sh", PATH)!)).toBe(true);
  });
});
