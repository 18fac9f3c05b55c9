/** Reads all of a recording, as the most thorough front end would. */

import { TideError } from "../../src/tide/container.ts";
import type { ByteSource } from "../../src/tide/container.ts";
import { TABLE_NAMES, openRecording } from "../../src/tide/recording.ts";

/** "read", or the sentence of the refusal, see answerOrRefuse. */
export function readOrRefuse(bytes: Uint8Array): string {
  return answerOrRefuse(() => {
    const recording = openRecording(strictSource(bytes));
    for (const name of TABLE_NAMES) {
      const table = recording.table(name);
      for (const column of Object.values(table)) {
        const isRagged = typeof column !== "number" && (column as ArrayLike<unknown>).length !== table.length;
        if (isRagged) throw new Error(`ragged table ${name}`);
      }
    }
    recording.facts.text("argv");
    recording.facts.number("pid");
  });
}

/**
 * "read" when the action succeeds, or the sentence of its refusal. Anything else that goes wrong is thrown: an error that is no TideError,
 * a message that is not one sentence.
 */
export function answerOrRefuse(action: () => void): string {
  try {
    action();
    return "read";
  } catch (error) {
    if (!(error instanceof TideError)) throw error;
    if (!/^[A-Z][^\n\r]{10,300}\.$/.test(error.message))
      throw new Error(`not one sentence: ${error.message}`, { cause: error });
    return error.message;
  }
}

/** A file that may not be read outside its bounds. */
export function strictSource(bytes: Uint8Array): ByteSource {
  return {
    size: bytes.length,
    read(offset, length) {
      const isInside =
        Number.isInteger(offset) && Number.isInteger(length) && offset >= 0 && length >= 0 && offset <= bytes.length;
      if (!isInside || length > bytes.length)
        throw new RangeError(`read of ${length} bytes at ${offset} of ${bytes.length}`);
      return bytes.subarray(offset, offset + length);
    },
  };
}
