/**
 * What the recorder cannot do, said before anything is started: one sentence (what, where, what to do) and whose matter it is.
 * 2: the request (bad usage, bad input); 3: the machine (permission, a missing part).
 */
export class Refusal extends Error {
  readonly status: 2 | 3;
  constructor(status: 2 | 3, sentence: string) {
    super(sentence);
    this.status = status;
  }
}

/** errno codes that the user's rights or the machine's set-up cause, not the request. */
const MACHINE = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EMFILE", "ENFILE", "ENOMEM", "EIO"]);

const MEANINGS: Record<string, string> = {
  EACCES: "permission denied",
  EPERM: "not permitted",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
  EDQUOT: "the disk quota is used up",
  ENOENT: "no such file or folder",
  ENOTDIR: "a part of the path is not a folder",
  EISDIR: "it is a folder",
  ENAMETOOLONG: "the name is too long",
  ELOOP: "too many symbolic links",
  EMFILE: "too many open files",
  ENOEXEC: "it is not a program for this machine",
  ENOMEM: "not enough memory",
};

export function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? "";
}

/** What a failed system call means, in words. */
export function reasonOf(error: unknown): string {
  return MEANINGS[errorCode(error)] ?? (error instanceof Error ? error.message : String(error));
}

export function statusOf(error: unknown): 2 | 3 {
  return MACHINE.has(errorCode(error)) ? 3 : 2;
}
