/** Whose code a frame is, and the site of a stack: the innermost frame in the user's own files; where there is none, the innermost frame. */

/** `owner` of the codes table. */
export const OWNER = { user: 0, package: 1, library: 2, native: 3, other: 4 } as const;

export interface Ownership {
  owner: number;
  /** Top-level name of an installed package, file name of a native library, else "". */
  package: string;
}

const INSTALLED = /(?:^|\/)(?:site-packages|dist-packages)\/([^/]+)/;
const LIBRARY = /(?:^|\/)lib(?:32|64)?\/(?:python|pypy)(?:\d+\.\d+t?\/|\d+\.zip\/)/;
/** Typed in by the user: the prompt, a notebook cell, a doctest. */
const TYPED_IN = /^<(?:stdin|python-input|ipython-input|doctest )/;

/**
 * @param fromCommandLine the program is the text after `-c`: then "<string>" is the user's own. Otherwise it is text that some code
 *   gave to `exec`, as dataclasses and namedtuples do, and the line that called it is of more use.
 */
export function ownerOfFile(file: string, fromCommandLine: boolean): Ownership {
  const installed = INSTALLED.exec(file);
  if (installed) return { owner: OWNER.package, package: installed[1]!.replace(/\.(?:py|pyc|so|pth)$/, "") };
  if (LIBRARY.test(file) || file.startsWith("<frozen ")) return { owner: OWNER.library, package: "" };
  return { owner: isUsers(file, fromCommandLine) ? OWNER.user : OWNER.other, package: "" };
}

function isUsers(file: string, fromCommandLine: boolean): boolean {
  if (file === "" || file.startsWith("namedtuple_")) return false;
  if (file === "<string>") return fromCommandLine;
  return !file.startsWith("<") || TYPED_IN.test(file);
}

/** File name of a path: what a native library is called. */
export function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}
