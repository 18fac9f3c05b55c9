import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

/**
 * The rooms of src/ and what each may import (docs/architecture.md). `node`: modules of Node; `packages`: npm packages.
 * A room is the longest prefix that fits, so `front/ui` has rules of its own.
 */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  tide: ["base"],
  views: ["base", "tide"],
  answers: ["base", "tide", "views", "packages"],
  capture: ["base", "tide", "views", "node"],
  "front/cli": ["answers", "capture", "base", "front/export", "node", "packages"],
  "front/server": ["answers", "capture", "base", "node", "packages"],
  "front/report": ["answers", "capture", "base", "packages"],
  "front/export": ["answers", "capture", "base", "packages"],
  "front/push": ["answers", "capture", "base", "packages"],
  "front/ui": ["answers", "base", "packages"],
};

/** Packages that run in a browser as they are: all that `answers` may use. */
const PURE_PACKAGES = new Set(["simple-statistics"]);

const root = fileURLToPath(new URL("../../src/", import.meta.url));

/** What a source imports, in order: static, re-exported, types and `import("…")` alike. Text inside comments is not seen. */
export function importsOf(source: string): string[] {
  const code = source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const found = [
    ...code.matchAll(/^\s*import\s*["']([^"']+)["']/gm),
    ...code.matchAll(/\bimport\(\s*["']([^"']+)["']/g),
  ];
  found.push(...code.matchAll(/^\s*(?:import|export)\b[^;"'`=()]*?\bfrom\s*["']([^"']+)["']/gm));
  return found.toSorted((a, b) => a.index - b.index).map((match) => match[1]);
}

/** The room of a file given relative to src/, or undefined when it stands outside every room. */
function roomOf(file: string): string | undefined {
  return Object.keys(MAY_IMPORT).find((room) => file.startsWith(`${room}/`));
}

/** Why an import is not allowed, or undefined. `from` and a relative `to` are relative to src/. */
export function objection(from: string, to: string): string | undefined {
  const room = roomOf(from);
  if (room === undefined) return "the file stands in no room";
  const allowed = MAY_IMPORT[room];
  if (to.startsWith("node:"))
    return allowed.includes("node") ? undefined : `${room} runs in a browser too: no node: modules`;
  if (isBuiltin(to)) return `write node:${to}`;
  if (!to.startsWith(".")) {
    if (!allowed.includes("packages")) return `${room} has no dependencies`;
    return room !== "answers" || PURE_PACKAGES.has(to) ? undefined : `${to} is not known to be pure`;
  }
  if (!/\.(ts|json)$/.test(to)) return "write the extension";
  const target = join(dirname(from), to);
  if (target === "../package.json") return room === "front/cli" ? undefined : "only front/cli asks for the version";
  const targetRoom = roomOf(target);
  if (targetRoom === undefined) return `${target} stands in no room`;
  return targetRoom === room || allowed.includes(targetRoom) ? undefined : `${room} may not import ${targetRoom}`;
}

/** A cycle of a graph as a list of its nodes, or undefined. */
export function cycleIn(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (node: string): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    path.push(node);
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next);
      if (cycle) return cycle;
    }
    path.pop();
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node);
    if (cycle) return cycle;
  }
  return undefined;
}

const sources = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((file) => /\.tsx?$/.test(file))
  .map((file) => ({ file, imports: importsOf(readFileSync(join(root, file), "utf8")) }));

describe("the import rule", () => {
  test("holds for every import in src/", () => {
    const broken = sources.flatMap(({ file, imports }) =>
      imports.flatMap((to) => {
        const why = objection(file, to);
        return why === undefined ? [] : [`src/${file} imports ${to}: ${why}`];
      }),
    );
    expect(broken).toEqual([]);
  });

  test("allows no cycle of files, not even of types", () => {
    const graph = new Map(
      sources.map(({ file, imports }) => [
        file,
        imports.filter((to) => to.startsWith(".")).map((to) => relative(root, join(root, dirname(file), to))),
      ]),
    );
    expect(cycleIn(graph)).toBeUndefined();
  });

  test("has sources to look at", () => expect(sources.length).toBeGreaterThan(10));
});

describe("the scanner behind the rule", () => {
  test("sees every form of import and nothing in comments or strings", () => {
    const source = `
      import a from "./a.ts";
      import type { B } from "./b.ts";
      import {
        c,
        d as e,
      } from './c.ts';
      import "./effect.ts";
      export * from "./f.ts";
      export { type G } from "./g.ts";
      // import x from "./no.ts"
      /* export * from "./no.ts" */
      export const text = "from './no.ts'";
      const lazy = await import("./lazy.ts");`;
    expect(importsOf(source)).toEqual(["./a.ts", "./b.ts", "./c.ts", "./effect.ts", "./f.ts", "./g.ts", "./lazy.ts"]);
  });

  test.each([
    ["views/blocks/live.ts", "../../tide/schema.ts", undefined],
    ["capture/run/finish.ts", "node:fs", undefined],
    ["front/cli/run.ts", "../../answers/index.ts", undefined],
    ["tide/events.ts", "../views/blocks/live.ts", "tide may not import views"],
    ["capture/run/finish.ts", "../../answers/index.ts", "capture may not import answers"],
    ["front/cli/run.ts", "../../tide/recording.ts", "front/cli may not import tide"],
    ["front/ui/app.ts", "../../capture/proc/parse.ts", "front/ui may not import capture"],
    ["base/format.ts", "node:fs", "base runs in a browser too: no node: modules"],
    ["capture/run/launch.ts", "fs", "write node:fs"],
    ["tide/schema.ts", "zod", "tide has no dependencies"],
    ["answers/peak.ts", "./sites", "write the extension"],
    ["helper.ts", "./base/format.ts", "the file stands in no room"],
  ])("%s importing %s: %s", (from, to, why) => expect(objection(from, to)).toBe(why));

  test("finds a cycle and names it in order", () => {
    const graph = new Map([
      ["a", ["b", "d"]],
      ["b", ["c"]],
      ["c", ["b"]],
      ["d", []],
    ]);
    expect(cycleIn(graph)).toEqual(["b", "c", "b"]);
    expect(
      cycleIn(
        new Map([
          ["a", ["b", "c"]],
          ["b", ["c"]],
          ["c", []],
        ]),
      ),
    ).toBeUndefined();
  });
});
