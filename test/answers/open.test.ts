import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { explain } from "../../src/answers/index.ts";
import { naming, openFile } from "../../src/front/cli/open.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { tablesOf } from "./fixture.ts";
import { situations } from "./situations.ts";

const folder = mkdtempSync(join(tmpdir(), "tidegauge-open-"));
afterAll(() => rmSync(folder, { recursive: true }));

const whole = writeRecording(tablesOf(situations.recycled));

/** Writes a file and gives back its path. */
function fileOf(name: string, bytes: Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

function newer(): Uint8Array {
  const bytes = whole.slice();
  new DataView(bytes.buffer).setUint16(8, 99, true);
  return bytes;
}

/** A pipe that nobody writes to. */
function pipe(): string {
  const path = join(folder, "pipe");
  execFileSync("mkfifo", [path]);
  return path;
}

const noise = Uint8Array.from({ length: 5000 }, (_, i) => (i * 2_654_435_761) >>> 24);

/** The sentence and the exit status with which a file is refused, the file's folder left out. */
function refusal(path: string): [string, number] {
  try {
    const { recording, name } = openFile(path);
    naming(name, () => explain(recording));
  } catch (error) {
    const { message, status } = error as Error & { status: number };
    return [message.replaceAll(`${folder}/`, ""), status];
  }
  return ["opened", 0];
}

describe("a file that is no recording is refused in one sentence", () => {
  const cases: [string, () => string, RegExp][] = [
    ["missing", () => join(folder, "missing.tide"), /missing\.tide/],
    ["empty", () => fileOf("empty.tide", new Uint8Array()), /^empty\.tide: .*empty/],
    ["of noise", () => fileOf("noise.tide", noise), /^noise\.tide: .*not a (Tidegauge )?recording/],
    [
      "something else",
      () => fileOf("script.py", new TextEncoder().encode("print('hello')\n")),
      /^script\.py: .*not a (Tidegauge )?recording/,
    ],
    ["cut in its header", () => fileOf("cut10.tide", whole.subarray(0, 10)), /^cut10\.tide: /],
    [
      "cut in the middle",
      () => fileOf("cut.tide", whole.subarray(0, whole.length >> 1)),
      /^cut\.tide: .*(cut|incomplete|not whole|ends)/,
    ],
    ["cut by one byte", () => fileOf("cut1.tide", whole.subarray(0, whole.length - 1)), /^cut1\.tide: /],
    ["from a newer version", () => fileOf("newer.tide", newer()), /^newer\.tide: .*newer/],
    ["a folder", () => folder, /folder/],
    ["a pipe", pipe, /not a file/],
    ["a device", () => "/dev/null", /not a file/],
  ];
  test.each(cases)("%s", (_, make, sentence) => {
    const [message, status] = refusal(make());
    expect(message).toMatch(sentence);
    expect(message).not.toMatch(/\n|\.$|Error|undefined/);
    expect(status).toBe(2);
  });

  test("and one that is whole opens", () => {
    expect(refusal(fileOf("whole.tide", whole))[0]).toBe("opened");
  });

  test.skipIf(process.getuid?.() === 0)("and one that may not be read is the machine's matter", () => {
    const path = fileOf("secret.tide", whole);
    chmodSync(path, 0);
    expect(refusal(path)[1]).toBe(3);
  });

  test("and so is a run folder without a run", () => {
    mkdirSync(join(folder, "old.tide.run"));
    const [message, status] = refusal(join(folder, "old.tide.run"));
    expect(status).toBe(2);
    expect(message).toMatch(/old\.tide\.run/);
    expect(refusal(join(folder, "old.tide"))[0]).toMatch(/old\.tide\.run/);
  });
});
