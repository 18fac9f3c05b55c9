import { describe, expect, test } from "vitest";

import { TideError, bytesSource } from "../../src/tide/container.ts";
import { openRecording } from "../../src/tide/recording.ts";
import { tableBuilder, writeRecording } from "../../src/tide/writer.ts";

describe("a recording", () => {
  test("gives back the rows that were written", () => {
    const marks = tableBuilder("marks");
    marks.push({ process: 0, time: 1.5, label: "start" });
    marks.push({ process: 0, time: 2.5, label: "Größe" });
    const processes = tableBuilder("processes");
    processes.push({
      pid: 7,
      parentPid: 1,
      ordinal: 0,
      argv: "python\0x.py",
      exe: "/usr/bin/python3",
      pythonHex: 0,
      start: 0,
      end: 3,
      peakRss: NaN,
      peakAt: NaN,
      peakFinal: 0,
      exitCode: -1,
      signal: 0,
      recorded: 0,
      reason: "",
      intervalBytes: 0,
      births: 0,
      deaths: 0,
      dropped: 0,
      agentBytes: 0,
    });
    const recording = openRecording(
      bytesSource(writeRecording({ marks: marks.finish(), processes: processes.finish() })),
    );
    expect(recording.table("marks")).toEqual({
      length: 2,
      process: Uint32Array.of(0, 0),
      time: Float64Array.of(1.5, 2.5),
      label: ["start", "Größe"],
    });
    expect(recording.table("processes").exitCode[0]).toBe(-1);
    expect(recording.table("codes").length).toBe(0);
    expect(recording.facts.text("nothing")).toBe("");
    expect(recording.facts.number("nothing")).toBeNaN();
  });
  test("that is empty is refused", () => {
    expect(() => openRecording(bytesSource(new Uint8Array(0)))).toThrow(TideError);
  });
});
