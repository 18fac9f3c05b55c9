/** Readers of /proc that answer undefined instead of throwing: a process may be gone at any moment, and a kernel may lack a file. */
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

const buffer = Buffer.allocUnsafe(65536);

/**
 * A file of /proc that is read again and again: opened once, since opening costs more than reading. The kernel writes the text anew at
 * each read from the start.
 */
export class ProcFile {
  readonly #path: string;
  #fd = -1;

  constructor(path: string) {
    this.#path = path;
  }

  /** undefined: the process is gone, or the file cannot be read. */
  read(): string | undefined {
    try {
      if (this.#fd < 0) this.#fd = openSync(this.#path, "r");
      return buffer.toString("latin1", 0, readSync(this.#fd, buffer, 0, buffer.length, 0));
    } catch {
      return undefined;
    }
  }

  close(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}
