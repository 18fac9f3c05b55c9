/** A run whose recorder died, read where nothing can be written. */
import type { ByteSource } from "../../tide/container.ts";
import { writeRecording } from "../../tide/writer.ts";
import type { JudgeFactory } from "../../views/blocks/judge.ts";
import { readRun } from "./finish.ts";

/** The recording that the folder would be finished into, in memory. Throws a TideError or a Refusal, one sentence. */
export function unfinishedSource(folder: string, judge: JudgeFactory): ByteSource {
  const bytes = writeRecording(readRun(folder, judge));
  return { size: bytes.length, read: (offset, length) => bytes.subarray(offset, offset + length) };
}
