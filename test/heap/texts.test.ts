import { expect, test } from "vitest";
import {
  heapAnswer,
  heapDiff,
  objectAnswer,
  openRecording,
  rowOf,
  snapshotFile,
  snapshotOf,
  typeAnswer,
  withoutAnswer,
} from "../../src/answers/index.ts";
import { bytesSource } from "../../src/tide/container.ts";
import { renderObject, renderType, renderWithout } from "../../src/front/cli/text-heap-object.ts";
import { renderHeap, renderHeapDiff } from "../../src/front/cli/text-heap.ts";
import { heapSnapshot } from "../../src/front/export/heapsnapshot.ts";
import { serviceHeap } from "./service.ts";

const LOOK = { width: 80, color: false, file: "now.tide" };
const service = serviceHeap();

/** Thousands are set apart by thin spaces. */
const plain = (text: string): string => text.replaceAll("\u2009", " ");

const idOf = (type: string): string => {
  const { heap } = service;
  const wanted = heap.table.types.name.indexOf(type);
  return `o${heap.table.type.indexOf(wanted, 1)}`;
};

test("the first lines say how much and who keeps it, the next what to do", () => {
  const text = plain(renderHeap(heapAnswer(service), LOOK));
  const lines = text.split("\n");
  expect(lines.length).toBeLessThanOrEqual(41);
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
  expect(lines[0]).toBe("tidegauge  server.py --port 0 · CPython 3.12.1 · pid 4711 · stopped for 0.11 s");
  expect(text).toContain(
    "29.6 MiB resident (RSS: memory the process occupies now); 1 512 Python objects\ntake 12.6 MiB, 43 % of it.",
  );
  expect(text).toMatch(/o\d+ +7\.63 MiB +61% {2}local window of handle at app\/server\.py:58 → base\n/);
  expect(text).toMatch(
    /o\d+ +4\.73 MiB +38% {2}app\.report\.Report\.tot.*no limit\) → C field \+64\n +dict, 300 × app\.report\.Report below it\n/,
  );
  expect(text).toContain("Bound or drop the cache: lru_cache without a limit keeps");
  expect(text).toContain("Copy what is needed (view.copy()) and let the rest go.");
  expect(text).toContain("97.8 KiB in 2 objects wait for the cyclic collector");
  expect(text).toContain("Checked: 99 % of 1 000 reference counts explained");
});

test("a snapshot answers from its file as it did from the process", () => {
  const file = snapshotFile(service, "0");
  const again = snapshotOf(openRecording(bytesSource(file)));
  // The contents' hashes are kept only where they repeat: the answers must not see the difference.
  expect(heapAnswer(again)).toEqual(heapAnswer(service));
  expect(JSON.parse(JSON.stringify(heapAnswer(again)))).toEqual(heapAnswer(again));
});

test("one object: what it is, what it alone keeps, who refers to it", () => {
  const id = idOf("Report");
  const answer = objectAnswer(service, rowOf(service, id)!);
  expect(answer).toMatchObject({
    id,
    type: "app.report.Report",
    bytes: 48,
    keepsCount: 4,
    refcount: 2,
    referencesFound: 2,
  });
  expect(answer.retainedBytes).toBe(48 + 184 + 16056 + 64);
  expect(answer.fields.map(({ edge }) => edge)).toEqual([".__dict__", ".buffer", ".status"]);
  expect(answer.holder).toMatchObject({ kind: "module", bound: { kind: "lru_cache", limit: null, fill: 7 } });
  expect(renderObject(answer, LOOK)).toContain("48 B of its own, 16.0 KiB with what it alone keeps (4 objects)");
  expect(rowOf(service, "o999999")).toBeUndefined();
  expect(rowOf(service, "s3")).toBeUndefined();
});

test("a type: who keeps its objects and how", () => {
  const answer = typeAnswer(service, "Report")!;
  expect(answer).toMatchObject({ name: "Report", module: "app.report", count: 300, bytes: 300 * 48 });
  expect(answer.keptBy).toMatchObject([{ count: 300, type: "dict" }]);
  expect(answer.referredBy).toEqual([
    { edge: "value of dict", count: 300 },
    { edge: "item of tuple", count: 300 },
  ]);
  expect(typeAnswer(service, "app.report.Report")!.count).toBe(300);
  expect(typeAnswer(service, "Nothing")).toBeUndefined();
  expect(renderType(answer, LOOK)).toContain("300 app.report.Report take 14.1 KiB, 4.68 MiB with what only they keep.");
});

test("without some objects", () => {
  const row = rowOf(service, idOf("Report"))!;
  const answer = withoutAnswer(service, [row, row + 2]);
  expect(answer.gone).toEqual({ objects: 4, bytes: 48 + 184 + 16056 + 64 });
  expect(renderWithout(answer, LOOK)).toContain("Without them, 4 objects would go: 16.0 KiB, 0.1 % of the heap.");
});

test("two snapshots: what grew, and where", () => {
  const answer = heapDiff(service, serviceHeap(900));
  expect(answer.types[0]).toMatchObject({ name: "bytearray", countBefore: 300, countAfter: 900 });
  expect(answer.holders).toHaveLength(1);
  expect(answer.holders[0]).toMatchObject({ isNew: false, type: "dict" });
  expect(plain(renderHeapDiff(answer, LOOK))).toContain(
    "3 000 objects more, 9.39 MiB more: 12.6 MiB before, 22.0 MiB now.",
  );
  expect(heapDiff(service, service)).toMatchObject({ types: [], holders: [] });
});

test("the export has the structure that DevTools reads, and says what it left out", () => {
  const { text, note } = heapSnapshot(service);
  const { snapshot, nodes, edges, strings } = JSON.parse(text);
  const { table } = service.heap;
  expect(note).toBeNull();
  expect(snapshot.node_count).toBe(table.count);
  expect(nodes).toHaveLength(snapshot.node_count * snapshot.meta.node_fields.length);
  expect(edges).toHaveLength(snapshot.edge_count * snapshot.meta.edge_fields.length);
  let counted = 0;
  for (let at = 0; at < nodes.length; at += 6) {
    expect(strings[nodes[at + 1]]).toBeTypeOf("string");
    counted += nodes[at + 4];
  }
  expect(counted).toBe(snapshot.edge_count);
  for (let at = 0; at < edges.length; at += 3)
    expect(edges[at + 2] % 6 === 0 && edges[at + 2] < nodes.length).toBe(true);

  const part = heapSnapshot(service, rowOf(service, idOf("Report")));
  expect(JSON.parse(part.text).snapshot.node_count).toBe(5); // with the root
  const capped = heapSnapshot(service, undefined, 100);
  expect(JSON.parse(capped.text).snapshot.node_count).toBe(100);
  expect(capped.note).toMatch(/the 100 that keep most were written/);
});
