/** Opens what a user names as a recording: a `.tide` file, or the folder of a run that was never finished. */
import { statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { openRecording, TideError, type Recording } from "../../answers/index.ts";
import { createJudge } from "../../answers/verdict/judge.ts";
import { optimiseFor } from "../../capture/run/compiler.ts";
import { fileSource } from "../../capture/run/file-source.ts";
import { finishRun } from "../../capture/run/finish.ts";
import { holderOf } from "../../capture/run/folder.ts";
import { Refusal } from "../../capture/run/refusal.ts";
import { unfinishedSource } from "../../capture/run/unfinished.ts";
import { Failure } from "./failure.ts";

/** A recording and the name by which the user can ask for it again. */
export interface Opened {
  recording: Recording;
  name: string;
}

/** Throws a Failure or a Refusal, in one sentence with the file's name, when it cannot be opened. */
export function openFile(path: string): Opened {
  optimiseFor(path);
  const there = statSync(path, { throwIfNoEntry: false });
  if (there?.isDirectory()) return openFolder(path);
  // The recorder died before it could make the recording: its folder has all that there is.
  if (!there && statSync(`${path}.run`, { throwIfNoEntry: false })?.isDirectory()) return openFolder(`${path}.run`);
  return { name: path, recording: naming(path, () => openRecording(fileSource(path))) };
}

/** Adds the file's name to what is found wrong with its content. */
export function naming<T>(name: string, compute: () => T): T {
  try {
    return compute();
  } catch (error) {
    if (error instanceof TideError) throw new Failure(2, `${name}: ${error.message.replace(/\.$/, "")}`);
    throw error;
  }
}

/** Finishes the run into the file that its recorder would have made. */
function openFolder(path: string): Opened {
  const folder = resolve(path);
  if (!basename(folder).endsWith(".run")) {
    throw new Failure(
      2,
      `${path} is a folder; name a recording (.tide), or the .tide.run folder of an interrupted run`,
    );
  }
  const holder = holderOf(folder);
  if (holder !== undefined)
    throw new Failure(2, `${path} belongs to a run that still goes on (${holder}); wait for its end`);
  return naming(path, () => {
    const name = path.replace(/\/+$/, "").replace(/\.run$/, "");
    try {
      finishRun(folder, createJudge, { file: name });
      return { name, recording: openRecording(fileSource(name)) };
    } catch (error) {
      // The name is taken, or nothing can be written there: the answer needs neither.
      if (!(error instanceof Refusal)) throw error;
      return { name: path, recording: openRecording(unfinishedSource(folder, createJudge)) };
    }
  });
}
