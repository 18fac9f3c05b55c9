/** Asks a snapshot of all objects what the command line wants to know. Loaded when it is called: reading heaps takes a lot of code. */
import { existsSync, writeFileSync } from "node:fs";
import {
  hasHeap,
  heapAnswer,
  heapDiff,
  objectAnswer,
  rowOf,
  snapshotOf,
  snapshotFile,
  typeAnswer,
  withoutAnswer,
} from "../../answers/index.ts";
import type { Snapshot } from "../../answers/index.ts";
import { takeSnapshot } from "../../capture/heap.ts";
import { reasonOf, statusOf } from "../../capture/run/refusal.ts";
import { heapSnapshot } from "../export/heapsnapshot.ts";
import { toJson } from "./answer-command.ts";
import { Failure, say } from "./failure.ts";
import { installation } from "./installation.ts";
import { naming, openFile } from "./open.ts";
import { textOptions } from "./terminal.ts";
import { renderObject, renderType, renderWithout } from "./text-heap-object.ts";
import { renderHeap, renderHeapDiff } from "./text-heap.ts";
import type { TextOptions } from "./text.ts";

export interface HeapOptions {
  readonly type?: string;
  readonly output?: string;
  readonly exe?: string;
  readonly diff?: boolean;
  readonly without?: string;
  readonly heapsnapshot?: string;
  readonly retainedBy?: string;
  readonly values?: boolean;
  readonly json?: boolean;
  readonly full?: boolean;
}

export async function heap(target: string, handle: string | undefined, options: HeapOptions): Promise<void> {
  const look = { ...textOptions(process.stdout), full: options.full ?? false, file: target };
  const print = <A>(answer: A, render: (answer: A, look: TextOptions) => string): void =>
    void process.stdout.write(options.json ? toJson(answer) : render(answer, look));
  if (options.diff) {
    if (handle === undefined) throw new Failure(2, "--diff needs two snapshots: tidegauge heap --diff BEFORE NOW");
    const before = openSnapshot(target);
    const after = openSnapshot(handle);
    return print(heapDiff(before, after, options.full), renderHeapDiff);
  }
  if (options.output !== undefined && existsSync(options.output))
    throw new Failure(2, `${options.output} exists already; name a new file`);
  const snapshot = await snapshotFrom(target, options);
  if (options.output !== undefined) save(options.output, snapshotFile(snapshot, installation.version));
  if (options.heapsnapshot !== undefined) {
    const root = options.retainedBy === undefined ? undefined : rowFor(snapshot, options.retainedBy);
    const { text, note } = heapSnapshot(snapshot, root);
    save(options.heapsnapshot, text);
    if (note !== null) say(note);
  }
  if (options.without !== undefined) {
    const rows = options.without.split(",").map((word) => rowFor(snapshot, word.trim()));
    return print(withoutAnswer(snapshot, rows), renderWithout);
  }
  if (options.type !== undefined) {
    const answer = typeAnswer(snapshot, options.type, options.full);
    if (!answer)
      throw new Failure(2, `no object has the type ${options.type}; tidegauge heap ${target} --full lists all types`);
    return print(answer, renderType);
  }
  if (handle !== undefined) return print(objectAnswer(snapshot, rowFor(snapshot, handle), options.full), renderObject);
  print(heapAnswer(snapshot, options.full), renderHeap);
}

/** A process id, a `.tide` file or a core file. */
async function snapshotFrom(target: string, options: HeapOptions): Promise<Snapshot> {
  const isProcess = /^\d+$/.test(target) && !existsSync(target);
  if (!isProcess && (target.endsWith(".tide") || isRecording(target))) return openSnapshot(target);
  return takeSnapshot(target, {
    isProcess,
    exe: options.exe,
    values: options.values ?? false,
    launcher: installation.launcher,
  });
}

function isRecording(path: string): boolean {
  if (!existsSync(path)) throw new Failure(2, `${path} is neither a process id nor a file`);
  return path.endsWith(".tide.run");
}

function openSnapshot(path: string): Snapshot {
  const { recording, name } = openFile(path);
  return naming(name, () => {
    if (!hasHeap(recording))
      throw new Failure(2, `${name} has no snapshot of objects; make one: tidegauge heap PID -o FILE`);
    return snapshotOf(recording);
  });
}

function rowFor(snapshot: Snapshot, handle: string): number {
  const row = rowOf(snapshot, handle);
  if (row === undefined)
    throw new Failure(
      2,
      `no object is called ${handle}; handles look like o17 and belong to one snapshot (keep it with -o)`,
    );
  return row;
}

function save(path: string, content: Uint8Array | string): void {
  if (existsSync(path)) throw new Failure(2, `cannot write ${path}: it exists already; name a new file`);
  try {
    writeFileSync(path, content, { flag: "wx", mode: 0o600 });
  } catch (error) {
    throw new Failure(statusOf(error), `cannot write ${path}: ${reasonOf(error)}`);
  }
}
