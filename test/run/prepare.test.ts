import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { folderWith, python, root } from "./support.ts";

/** A clone in a folder whose name has a space, as it is before the first call; the packages are those of this clone. */
const clone = join(folderWith(), "my clone");

beforeAll(() => {
  mkdirSync(clone);
  for (const name of ["tidegauge", "package.json", "package-lock.json", "scripts", "src", "agent"]) {
    cpSync(join(root, name), join(clone, name), { recursive: true });
  }
  // Older than the packages, so that nobody installs any: they are this clone's own, behind a link.
  utimesSync(join(clone, "package-lock.json"), 0, 0);
  symlinkSync(join(root, "node_modules"), join(clone, "node_modules"));
});

interface Circumstances {
  command?: string;
  cwd?: string;
  path?: string;
}

function inClone(words: string[], { command = join(clone, "tidegauge"), cwd = clone, path }: Circumstances = {}) {
  const env = {
    ...process.env,
    XDG_CACHE_HOME: join(dirname(clone), "cache"),
    ...(path === undefined ? {} : { PATH: path }),
  };
  const { status, stdout, stderr } = spawnSync(command, words, { cwd, env, encoding: "utf8" });
  return { status, stdout, stderr };
}

/** A folder for PATH that has only these commands of this machine, and those given as shell texts. */
function pathWith(names: string[], own: Record<string, string> = {}): string {
  const folder = folderWith();
  for (const name of names) {
    const real = execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    symlinkSync(real, join(folder, name));
  }
  for (const [name, text] of Object.entries(own)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  return folder;
}

const USUAL = ["sh", "find", "dirname", "mkdir", "tail", "touch", "mv", "ls", "readlink"];
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };

describe("./tidegauge in a clone", () => {
  test("without Node.js: one sentence, status 3", () => {
    const { status, stdout, stderr } = inClone(["--version"], { path: pathWith(USUAL) });
    expect({ status, stdout }).toEqual({ status: 3, stdout: "" });
    expect(stderr).toMatch(/^tidegauge: Node\.js is not installed; install version 20\.19 or later .*\n$/);
  });

  test("with a Node.js that is too old: one sentence, status 3", () => {
    const old = pathWith(USUAL, { node: "echo 18.20.4" });
    const { status, stderr } = inClone(["--version"], { path: old });
    expect({ status, stderr }).toEqual({
      status: 3,
      stderr: "tidegauge: Node.js 18.20.4 is too old; version 20.19 or later is needed\n",
    });
  });

  test("the first call says in one line what it prepares, without a C compiler too", () => {
    const { status, stdout, stderr } = inClone(["--version"], { path: pathWith([...USUAL, "node"]) });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${version}\n` });
    expect(stderr).toBe(
      "tidegauge: no C compiler (cc), so recordings will have no lines, only pages; install gcc or clang\n" +
        "tidegauge: preparing the bundle (once)…\n",
    );
  });

  test("what was missing is prepared when it can be", () => {
    const now = new Date();
    utimesSync(join(clone, "src/capture/run/launcher.c"), now, now);
    const { status, stderr } = inClone(["--version"]);
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: "tidegauge: preparing the bundle, the agent, the launcher (once)…\n",
    });
  });

  test("from then on there is nothing to say, from every folder and through links", () => {
    const elsewhere = folderWith();
    symlinkSync(join(clone, "tidegauge"), join(elsewhere, "tg"));
    symlinkSync("tg", join(elsewhere, "tg2"));
    for (const [command, cwd] of [
      ["./tidegauge", clone],
      ["../tidegauge", join(clone, "src")],
      [join(clone, "tidegauge"), "/"],
      ["./tg2", elsewhere],
      [join(elsewhere, "tg"), dirname(clone)],
    ] as const) {
      expect(inClone(["--version"], { command, cwd })).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
    }
    const found = inClone(["--version"], { command: "tg", cwd: "/", path: `${elsewhere}:${process.env.PATH}` });
    expect(found).toEqual({ status: 0, stdout: `${version}\n`, stderr: "" });
  });

  test("the agent is loaded from a folder with a space in its name", () => {
    const cwd = folderWith({ "program.py": "x = [bytes(1000) for _ in range(1000)]; print(len(x))" });
    const words = ["run", "--exact", "--json=answer.json", "--python", python, "program.py"];
    expect(inClone(words, { cwd })).toEqual({ status: 0, stdout: "1000\n", stderr: "" });
    expect(JSON.parse(readFileSync(join(cwd, "answer.json"), "utf8")).recording.mode).toBe("exact");
  });

  test("a part that cannot be built: what the compiler said, one sentence, status 3", () => {
    writeFileSync(join(clone, "src/front/cli/main.ts"), "this is no TypeScript");
    const { status, stderr } = inClone(["--version"]);
    expect(status).toBe(3);
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      `tidegauge: could not prepare the bundle; the whole output is in ${clone}/build/prepare.log`,
    );
  });
});
