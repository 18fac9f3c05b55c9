/** A recording on disk as the reader wants it. */
import { constants, fstatSync, openSync, readSync } from "node:fs";
import type { ByteSource } from "../../tide/container.ts";
import { Refusal, reasonOf, statusOf } from "./refusal.ts";

/** Throws a Refusal when the file cannot be opened. It stays open as long as the process lives: recordings are read on demand. */
export function fileSource(path: string): ByteSource {
  try {
    // Without O_NONBLOCK a pipe would wait for a writer that never comes.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    if (!stat.isFile()) throw new Refusal(2, `cannot read ${path}: it is not a file`);
    return {
      size: stat.size,
      read(offset, length) {
        const bytes = new Uint8Array(Math.max(0, Math.min(length, stat.size - offset)));
        let got = 0;
        while (got < bytes.length) {
          const n = readSync(fd, bytes, got, bytes.length - got, offset + got);
          if (n === 0) break;
          got += n;
        }
        return bytes.subarray(0, got);
      },
    };
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(statusOf(error), `cannot read ${path}: ${reasonOf(error)}`);
  }
}
