/** Event files as byte sources: a run can have thousands, so small ones are read whole and only large ones keep a descriptor. */

import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { bytesSource } from "../../tide/container.ts";
import type { ByteSource } from "../../tide/container.ts";

const SMALL_BYTES = 1024 * 1024;

export class EventSources {
  private readonly descriptors: number[] = [];

  /** Throws as the file system does. */
  open(path: string): ByteSource {
    const fd = openSync(path, "r");
    this.descriptors.push(fd);
    const { size } = fstatSync(fd);
    if (size <= SMALL_BYTES) {
      const bytes = readFileSync(fd);
      closeSync(this.descriptors.pop()!);
      return bytesSource(bytes);
    }
    return { size, read: (offset, length) => readAt(fd, offset, Math.max(0, Math.min(length, size - offset))) };
  }

  close(): void {
    for (const fd of this.descriptors.splice(0)) closeSync(fd);
  }
}

function readAt(fd: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let got = 0;
  while (got < length) {
    const n = readSync(fd, bytes, got, length - got, offset + got);
    if (n === 0) break;
    got += n;
  }
  return bytes.subarray(0, got);
}
