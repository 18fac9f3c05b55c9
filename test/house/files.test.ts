import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" })
  .split("\0")
  .filter((file) => file !== "" && existsSync(join(root, file)));
const read = (file: string) => readFileSync(join(root, file), "utf8");
const lines = (file: string) => read(file).split("\n").length - 1;

/** Written in two parts, or this file would break its own rule. */
const FORBIDDEN = [
  ["/wo", "rk/"],
  ["/ro", "ot/"],
  [".pyenv/ver", "sions"],
  ["../sha", "red/"],
  ["registry.npm", "js.org"],
  ["py", "pi.org"],
  ["python", "hosted.org"],
  ["deb.", "debian.org"],
  ["snapshot.", "debian.org"],
  ["crates", ".io/"],
  ["maven", ".org"],
].map((parts) => parts.join(""));

const LONGEST = 550;
const LARGEST = 1024 * 1024;

describe("the repository", () => {
  test("has what a newcomer looks for", () => {
    const expected = [
      "README.md",
      "LICENSE",
      "CHANGELOG.md",
      "CONTRIBUTING.md",
      ".editorconfig",
      "tidegauge",
      "check",
      ".ci/run",
    ];
    const docs = ["architecture", "format", "json", "decisions", "verdicts", "benchmarks", "interpreters"].map(
      (name) => `docs/${name}.md`,
    );
    expect([...expected, ...docs].filter((file) => !existsSync(join(root, file)))).toEqual([]);
  });

  test("is licensed under Apache 2.0", () => {
    expect(read("LICENSE")).toMatch(/^\s+Apache License\n\s+Version 2\.0, January 2004\n/);
    expect(JSON.parse(read("package.json")).license).toBe("Apache-2.0");
  });

  test("has a changelog that begins with the version in package.json or with what is not released", () => {
    const heading = /^## (.+)$/m.exec(read("CHANGELOG.md"))?.[1];
    expect(["Unreleased", JSON.parse(read("package.json")).version]).toContain(heading);
  });

  test("has links in its documents that lead somewhere", () => {
    const dead = tracked
      .filter((file) => file.endsWith(".md"))
      .flatMap((file) =>
        [...read(file).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)]
          .map((match) => match[1])
          .filter((link) => !/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(file), link)))
          .map((link) => `${file} links to ${link}`),
      );
    expect(dead).toEqual([]);
  });
});

describe("tracked files", () => {
  test("name no path of one machine and no package registry", () => {
    const found = tracked.flatMap((file) => {
      const text = read(file);
      return FORBIDDEN.filter((word) => text.includes(word)).map((word) => `${file} holds ${word}`);
    });
    expect(found).toEqual([]);
  });

  test(`are short: sources up to ${LONGEST} lines`, () => {
    const long = tracked
      .filter((file) => /\.(ts|mjs|c|h|py|sh)$/.test(file) && lines(file) > LONGEST)
      .map((file) => `${file}: ${lines(file)} lines`);
    expect(long).toEqual([]);
  });

  test("are not large", () => {
    expect(tracked.filter((file) => statSync(join(root, file)).size > LARGEST)).toEqual([]);
  });

  test("that are scripts can be executed, and start with a line that says how", () => {
    const modes = execFileSync("git", ["ls-files", "-s"], { cwd: root, encoding: "utf8" }).split("\n");
    const executable = new Set(
      modes.filter((line) => line.startsWith("100755")).map((line) => line.slice(line.indexOf("\t") + 1)),
    );
    const wrong = tracked.filter((file) => {
      const script = file.endsWith(".sh") || ["check", "tidegauge", ".ci/run"].includes(file);
      return (script && !executable.has(file)) || (executable.has(file) && !read(file).startsWith("#!"));
    });
    expect(wrong).toEqual([]);
  });

  test("say what they are: no utils, helpers or misc", () => {
    expect(tracked.filter((file) => /(^|\/)(utils?|helpers?|misc|common)(\.|\/)/i.test(file))).toEqual([]);
  });
});
