/**
 * The CPythons on this machine, for tests that run once per version. `scripts/interpreters.sh` fetches the later ones;
 * `./check` calls it first. A test names what it needs and is skipped, with the reason, where that is missing:
 *
 *     for (const python of interpreters()) test(`… on ${python.version}`, …)
 *     const python = interpreter("3.14");
 *     test.skipIf(python.skip !== undefined)(`… ${python.skip ?? ""}`, …)
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Interpreter {
  /** Full version, such as "3.11.7". */
  readonly version: string;
  /** Minor version, such as "3.11". */
  readonly minor: string;
  /** What to execute, before the interpreter's own arguments. */
  readonly command: readonly [string, ...string[]];
}

/** The versions that Tidegauge supports and tests. */
export const MINORS = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"] as const;

/** What makes a process stand still while it is read (scripts/prepare.sh builds it). */
export const launcher = fileURLToPath(new URL("../build/tidegauge-launch", import.meta.url));

const script = fileURLToPath(new URL("../scripts/interpreters.sh", import.meta.url));
let found: readonly Interpreter[] | undefined;

/** Every usable interpreter, oldest first; several of one minor version are possible. */
export function interpreters(): readonly Interpreter[] {
  found ??= execFileSync("bash", [script, "list"], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [version, path] = line.split("\t");
      return { version, minor: version.split(".").slice(0, 2).join("."), command: [path] };
    });
  return found;
}

/** The newest interpreter of a minor version, or why there is none. */
export function interpreter(minor: string): (Interpreter & { skip?: undefined }) | { skip: string } {
  return (
    interpreters().findLast((one) => one.minor === minor) ?? {
      skip: `(skipped: no CPython ${minor} here, see scripts/interpreters.sh)`,
    }
  );
}

/** One interpreter a minor version (the newest of each), for matrices where patch releases do not matter. */
export function oneOfEachMinor(): readonly Interpreter[] {
  return MINORS.flatMap((minor) => interpreters().findLast((one) => one.minor === minor) ?? []);
}

/** Minor versions that nothing on this machine runs, with the reason a test prints. */
export function missing(): readonly { minor: string; skip: string }[] {
  return MINORS.filter((minor) => !interpreters().some((one) => one.minor === minor)).map((minor) => ({
    minor,
    skip: `(skipped: no CPython ${minor} here, see scripts/interpreters.sh)`,
  }));
}
