import fc from "fast-check";
import { describe, expect, test } from "vitest";

import { NONE } from "../../src/base/brand.ts";
import { TideError, bytesSource, view } from "../../src/tide/container.ts";
import type { ByteSource } from "../../src/tide/container.ts";
import { openRecording } from "../../src/tide/recording.ts";
import type { Format } from "../../src/tide/recording.ts";
import type { Row, TableName } from "../../src/tide/schema.ts";
import { tableBuilder, writeRecording } from "../../src/tide/writer.ts";
import { TABLES, arbitraryRows, tablesOf } from "./arbitrary.ts";
import { sealAgain } from "./mutate.ts";

const PYTHON: Row<"processes"> = {
  pid: 7,
  parentPid: 1,
  ordinal: 0,
  argv: "python3\0main.py",
  exe: "/usr/bin/python3",
  pythonHex: 0x030b07f0,
  start: 0,
  end: 3,
  peakRss: 2 ** 31 + 1,
  peakAt: 2.5,
  peakFinal: 1,
  exitCode: -1,
  signal: 9,
  recorded: 1,
  reason: "",
  intervalBytes: 0,
  births: 10,
  deaths: 4,
  dropped: 0,
  agentBytes: 4096,
};

/** A recording of one process with two marks and two facts. */
function small(): Uint8Array {
  const processes = tableBuilder("processes");
  processes.push(PYTHON);
  const marks = tableBuilder("marks");
  marks.push({ process: 0, time: 1.5, label: "start" });
  marks.push({ process: 0, time: 2.5, label: "Größe\0雪" });
  const facts = tableBuilder("facts");
  facts.push({ key: "cwd", text: "/home/ann", number: NaN });
  facts.push({ key: "pid", text: "", number: 7 });
  return writeRecording({ processes: processes.finish(), marks: marks.finish(), facts: facts.finish() });
}

/** Replaces the n-th occurrence of a text in a file by one of equal length, and makes its checksums fit again. */
function replaced(file: Uint8Array, before: string, after: string, occurrence = 1): Uint8Array {
  const changed = Buffer.from(file);
  let at = -1;
  for (let n = 0; n < occurrence; n++) at = changed.indexOf(before, at + 1, "latin1");
  changed.write(after, at, "latin1");
  sealAgain(changed);
  return changed;
}

function sentence(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof TideError) return error.message;
    throw error;
  }
  return "no error";
}

/** What opening says. */
function refusal(bytes: Uint8Array, format?: Format): string {
  return sentence(() => openRecording(bytesSource(bytes), format));
}

/** What opening and reading one table says. */
function tableRefusal(bytes: Uint8Array, name: TableName): string {
  return sentence(() => openRecording(bytesSource(bytes)).table(name));
}

describe("a recording", () => {
  test("gives back the rows that were written", () => {
    const recording = openRecording(bytesSource(small()));
    expect(recording.table("marks")).toEqual({
      length: 2,
      process: Uint32Array.of(0, 0),
      time: Float64Array.of(1.5, 2.5),
      label: ["start", "Größe\0雪"],
    });
    const processes = recording.table("processes");
    expect(processes.exitCode[0]).toBe(-1);
    expect(processes.peakRss[0]).toBe(2 ** 31 + 1);
    expect(processes.argv).toEqual(["python3\0main.py"]);
  });

  test("has facts by key; a key that it does not have reads empty and not a number", () => {
    const { facts } = openRecording(bytesSource(small()));
    expect([facts.text("cwd"), facts.number("pid")]).toEqual(["/home/ann", 7]);
    expect([facts.text("nothing"), facts.number("nothing")]).toEqual(["", NaN]);
  });

  test("has every table, those that were not written without rows", () => {
    const recording = openRecording(bytesSource(writeRecording({})));
    expect(TABLES.map((name) => recording.table(name).length)).toEqual(TABLES.map(() => 0));
  });

  test("comes back the same, whatever is in its tables", () => {
    fc.assert(
      fc.property(arbitraryRows(), (rows) => {
        const tables = tablesOf(rows);
        const recording = openRecording(bytesSource(writeRecording(tables)));
        for (const name of TABLES) expect(recording.table(name)).toEqual(tables[name]);
      }),
      { numRuns: 200 },
    );
  });

  test("is read where it lies: from an odd place in a buffer it is the same", () => {
    const file = small();
    const shifted = new Uint8Array(file.length + 3);
    shifted.set(file, 3);
    const recording = openRecording(bytesSource(shifted.subarray(3)));
    expect(recording.table("processes")).toEqual(openRecording(bytesSource(file)).table("processes"));
  });

  test("is opened by its ends; a table is read when it is asked for, once", () => {
    const file = writeRecording({ ...tablesOf(fc.sample(arbitraryRows(200), { numRuns: 1, seed: 1 })[0]!) });
    let bytesRead = 0;
    const source: ByteSource = {
      size: file.length,
      read(offset, length) {
        bytesRead += length;
        return file.subarray(offset, offset + length);
      },
    };
    const recording = openRecording(source);
    expect(bytesRead).toBeLessThan(2_000);
    expect(file.length).toBeGreaterThan(100_000);
    recording.table("frames");
    const afterOne = bytesRead;
    recording.table("frames");
    expect(bytesRead).toBe(afterOne);
  });
});

describe("versions", () => {
  test("a newer format is refused, and the sentence says what to do", () => {
    const file = small();
    view(file).setUint16(10, 1, true);
    expect(sentence(() => openRecording(bytesSource(file)))).toBe(
      "The recording was written by a newer Tidegauge (format 1.1; this one reads up to 1.0): update Tidegauge to open it.",
    );
  });

  test("a format of more than two minor versions ago is refused", () => {
    expect(refusal(small(), { minor: 2, since: {} })).toBe("no error");
    expect(refusal(small(), { minor: 3, since: {} })).toMatch(/^The recording has the old format 1\.0, .*\.$/);
  });

  test("chunks and tables that this version does not know are skipped", () => {
    const file = replaced(small(), "marks", "murks");
    expect(openRecording(bytesSource(file)).table("marks").length).toBe(0);
    expect(openRecording(bytesSource(file)).table("processes").length).toBe(1);
  });

  test("a column that came later reads as not measured in an older file, one that it does not know is skipped", () => {
    const file = replaced(small(), "label", "lapel");
    expect(sentence(() => openRecording(bytesSource(file)).table("marks"))).toBe(
      'The recording is damaged: its table "marks" lacks the column "label".',
    );
    const later = { minor: 1, since: { "marks.label": 1 } };
    expect(openRecording(bytesSource(file), later).table("marks").label).toEqual(["", ""]);
    const processes = replaced(replaced(small(), "peakRss", "peakRSS"), "signal", "siGnal");
    const table = openRecording(bytesSource(processes), {
      minor: 1,
      since: { "processes.peakRss": 1, "processes.signal": 1 },
    }).table("processes");
    expect([table.peakRss[0], table.signal[0], table.pid[0]]).toEqual([NaN, NONE, 7]);
  });
});

describe("a file that is no recording, or not a whole one, is refused in one sentence", () => {
  test("an empty one", () => {
    expect(refusal(new Uint8Array(0))).toBe(
      "The recording is empty (0 bytes): the run that should have written it did not finish.",
    );
  });

  test("another kind of file", () => {
    expect(refusal(Buffer.from("import sys\n"))).toBe("This is not a Tidegauge recording: it does not begin as one.");
  });

  test("one that is cut short", () => {
    expect(refusal(small().subarray(0, 1_000))).toMatch(/^The recording is cut short: /);
  });

  test("one with a flipped bit, when the table is read", () => {
    const file = small();
    const at = Buffer.from(file).indexOf("marks") - 1; // any place will do; this one is in the footer
    file[at] = file[at]! ^ 1;
    expect(refusal(file)).toBe("The recording is damaged: its index does not have the bytes that were written.");
    const data = small();
    data[60] = data[60]! ^ 1;
    expect(tableRefusal(data, "facts")).toBe(
      'The recording is damaged: its table "facts" does not have the bytes that were written.',
    );
    expect(tableRefusal(data, "processes")).toBe("no error");
  });

  test("one that has a table twice", () => {
    expect(refusal(replaced(small(), "marks", "facts"))).toBe(
      'The recording is damaged: it has the table "facts" twice.',
    );
  });

  test("one whose rows point to rows that it does not have", () => {
    const marks = tableBuilder("marks");
    marks.push({ process: 5, time: 0, label: "" });
    expect(tableRefusal(writeRecording({ marks: marks.finish() }), "marks")).toBe(
      "The recording is damaged: row 0 of marks.process points to nothing.",
    );
  });

  test("one whose stacks go round in a circle", () => {
    const stacks = tableBuilder("stacks");
    stacks.push({ parent: 1, frame: 0, site: 0 });
    stacks.push({ parent: 0, frame: 0, site: 0 });
    expect(tableRefusal(writeRecording({ stacks: stacks.finish() }), "stacks")).toBe(
      "The recording is damaged: row 0 of stacks.parent points to nothing.",
    );
  });
});

test("columns of unequal length are the caller's mistake and not written", () => {
  const marks = { length: 2, process: Uint32Array.of(0), time: Float64Array.of(0, 1), label: ["", ""] };
  expect(() => writeRecording({ marks })).toThrow("table marks: column process has not 2 rows");
});
