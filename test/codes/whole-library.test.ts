import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";

import { interpreters } from "../interpreters.ts";
import { differences } from "./compare.ts";
import { staticCodes } from "./oracle.ts";

const asked = process.env.TIDEGAUGE_WHOLE_LIBRARY === "1";
const BATCH = 60;

/** Every source file below the interpreter's library folder, its own test suite included. */
function library(command: readonly [string, ...string[]]): string[] {
  const program =
    "import glob, os; print('\\n'.join(f for f in glob.glob(os.path.dirname(os.__file__) + '/**/*.py', recursive=True) if os.path.exists(f)))";
  const files = execFileSync(command[0], [...command.slice(1), "-c", program], { encoding: "utf8", maxBuffer: 2 ** 26 })
    .trim()
    .split("\n");
  return files.filter((file) => !/\/(site|dist)-packages\//.test(file));
}

// Minutes: after a change of the decoders, or with a new CPython.
describe.skipIf(!asked)(
  "all of the library's bytecode (skipped unless TIDEGAUGE_WHOLE_LIBRARY=1: it takes minutes)",
  () => {
    for (const python of interpreters()) {
      test(`of CPython ${python.version}`, { timeout: 1_800_000 }, () => {
        const files = library(python.command);
        let codes = 0;
        for (let from = 0; from < files.length; from += BATCH) {
          for (const code of staticCodes(python, files.slice(from, from + BATCH))) {
            codes++;
            expect(differences(code)).toEqual([]);
          }
        }
        expect(codes).toBeGreaterThan(5_000);
        console.log(`${python.version}: ${files.length} files, ${codes} code objects`);
      });
    }
  },
);
