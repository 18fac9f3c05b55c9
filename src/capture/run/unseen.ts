/** What a run could not see, in sentences: only what the tables themselves do not tell. */

import { formatBytes } from "../../base/format.ts";
import { FLAG, STATE } from "../../tide/events.ts";
import type { Table } from "../../tide/schema.ts";
import type { ReplayFacts } from "../../views/blocks/build.ts";
import type { Program } from "../../views/blocks/codes.ts";
import { OWNER } from "../../views/blocks/sites.ts";
import type { Image } from "./images.ts";

/** `reason` of an event file's header: why the agent stopped recording while the program went on. */
const OFF_REASONS: Record<number, string> = {
  1: "the disk was full",
  2: "the limit of file sizes (ulimit -f) was reached",
  3: "its events filled the size that --max-size allows",
  4: "the file of its events was deleted or replaced",
  5: "the limit of its address space (ulimit -v) was reached",
  6: "it had more different stacks than are kept",
  7: "it had no free file descriptor left",
  8: "it gave up the permission to write the file of its events",
  9: "the file system of the recording cannot map files into memory",
};

/** Why the agent turned itself off, undefined: it did not. */
export function offReason(image: Image): string | undefined {
  const header = image.record?.file.header;
  if (header?.state !== STATE.off) return undefined;
  return OFF_REASONS[header.reason] ?? `the agent turned itself off (reason ${header.reason})`;
}

/** Memory below this, or this share of what was alive at the peak, is not worth a sentence. */
const WORTH_BYTES = 1024 * 1024;
const WORTH_SHARE = 0.01;

/** `recorded` images with what their replay found, in step. */
export function unseenOf(
  recorded: readonly Image[],
  facts: readonly (ReplayFacts | undefined)[],
  program: Program,
  peakStacks: Table<"peakStacks">,
): string[] {
  const name = (image: Image): string => (recorded.length === 1 ? "the program" : `process ${image.pid}`);
  const sentences: string[] = [];
  recorded.forEach((image, i) => {
    const { flags } = image.record!.file.header;
    const off = offReason(image);
    if (off !== undefined) sentences.push(`Blocks that ${name(image)} asked for after recording stopped: ${off}.`);
    if ((flags & FLAG.late) !== 0 && image.record!.file.header.mode !== "exact") {
      sentences.push(
        `The first blocks of ${name(image)}: its allocators (PYTHONMALLOC, -X dev) came into force after recording had begun.`,
      );
    }
    if ((flags & FLAG.otherMalloc) !== 0) {
      sentences.push(
        `Blocks that ${name(image)} asked malloc for: another library's malloc is loaded in front, so only Python's small objects were seen.`,
      );
    }
    const lost = facts[i]?.lostChunks ?? 0;
    if (lost > 0) {
      sentences.push(
        `Some events of ${name(image)}: ${lost === 1 ? "a piece" : `${lost} pieces`} of its event file could not be written.`,
      );
    }
  });
  const without = withoutPython(program, peakStacks);
  if (without) sentences.push(without);
  return sentences;
}

/** Blocks at the peak on whose stack no Python code stood, when they matter. */
function withoutPython(program: Program, peakStacks: Table<"peakStacks">): string | undefined {
  const byLibrary = new Map<string, number>();
  let bytes = 0;
  let all = 0;
  for (let row = 0; row < peakStacks.length; row++) {
    const stack = peakStacks.stack[row]!;
    all += peakStacks.bytes[row]!;
    const code = program.frameCode[program.stackFrame[stack]!]!;
    if (program.stackDepth[stack] !== 1 || program.codeOwner[code] !== OWNER.native) continue;
    const library = program.codePackage[code]!;
    // What the interpreter needs for itself, above all while it starts, is in every program and no gap in what was seen.
    if (/^(?:lib)?python\d/.test(library)) continue;
    bytes += peakStacks.bytes[row]!;
    byLibrary.set(library, (byLibrary.get(library) ?? 0) + peakStacks.bytes[row]!);
  }
  if (bytes < WORTH_BYTES || bytes < all * WORTH_SHARE) return undefined;
  const [library] = [...byLibrary].toSorted((a, b) => b[1] - a[1])[0]!;
  const where = library === "" ? "code" : byLibrary.size === 1 ? library : `${library} and others`;
  return `Lines of ${formatBytes(bytes)} at the peak: asked for by ${where} while no Python code of that thread was running.`;
}
