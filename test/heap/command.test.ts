import { join } from "node:path";
import { expect, test } from "vitest";
import { snapshotFile } from "../../src/answers/index.ts";
import { call, folderWith } from "../run/support.ts";
import { writeRecording } from "../../src/tide/writer.ts";
import { serviceHeap } from "./service.ts";

const now = Buffer.from(snapshotFile(serviceHeap(), "0"));
const folder = folderWith({
  "now.tide": now,
  "later.tide": Buffer.from(snapshotFile(serviceHeap(900), "0")),
  "short.tide": now.subarray(0, now.length - 100),
  "recording.tide": Buffer.from(writeRecording({})),
  "notes.txt": "not a core file, not a snapshot",
});
const heap = (...words: string[]) => call(["heap", ...words], { cwd: folder });

test.each([
  [["now.tide"], "29.6 MiB resident"],
  [["now.tide", "--type", "Report"], "300 app.report.Report take"],
  [["now.tide", "o1"], "held by native code"],
  [["now.tide", "--without", "o17,o20"], "Without them"],
  [["--diff", "now.tide", "later.tide"], "objects more"],
])("%j answers", (words, text) => {
  const { status, stdout, stderr } = heap(...words);
  expect(stderr).toBe("");
  expect(stdout.replaceAll("\u2009", " ")).toContain(text);
  expect(status).toBe(0);
  const json = JSON.parse(heap(...words, "--json").stdout);
  expect(json.schema).toBe(1);
  expect(json.program.pid).toBe(4711);
});

test("the export for DevTools is written beside the answer", () => {
  expect(heap("now.tide", "--heapsnapshot", "now.heapsnapshot").status).toBe(0);
  const { stderr, status } = heap("now.tide", "--heapsnapshot", "now.heapsnapshot");
  expect(stderr).toBe(`tidegauge: cannot write now.heapsnapshot: it exists already; name a new file\n`);
  expect(status).toBe(2);
});

test.each([
  [["nowhere"], "nowhere is neither a process id nor a file"],
  [["nowhere.tide"], "cannot read nowhere.tide: no such file or folder"],
  [
    ["short.tide"],
    "short.tide: The recording is cut short: its end is missing, so it was copied incompletely or the disk was full",
  ],
  [["recording.tide"], "recording.tide has no snapshot of objects; make one: tidegauge heap PID -o FILE"],
  [
    ["now.tide", "o99999"],
    "no object is called o99999; handles look like o17 and belong to one snapshot (keep it with -o)",
  ],
  [
    ["now.tide", "--without", "o17,x"],
    "no object is called x; handles look like o17 and belong to one snapshot (keep it with -o)",
  ],
  [["now.tide", "--type", "Nothing"], "no object has the type Nothing; tidegauge heap now.tide --full lists all types"],
  [["now.tide", "--diff"], "--diff needs two snapshots: tidegauge heap --diff BEFORE NOW"],
  [["now.tide", "-o", "later.tide"], "later.tide exists already; name a new file"],
  [[], "missing required argument 'target'; see tidegauge heap --help"],
])("%j is refused in one sentence", (words, sentence) => {
  const { status, stdout, stderr } = heap(...words);
  expect(stdout).toBe("");
  expect(stderr).toBe(`tidegauge: ${sentence}\n`);
  expect(status).toBe(2);
});

test("a snapshot is the same asked by its whole path", () => {
  expect(heap(join(folder, "now.tide")).status).toBe(0);
});
