/**
 * What the kernel would run for a path, and whether the agent can be loaded into it: follows `#!` lines and `env`, reads the ELF header
 * of what stands at the end. The loader ignores LD_PRELOAD in static and in setuid programs, and cannot load a library made for another
 * machine or C library.
 */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";

/** undefined: the agent can be loaded as far as can be seen from here. Otherwise why not, as the end of "…: no blocks". */
export type Obstacle = string | undefined;

/** The first bytes of a file that decide what it is. */
export const HEAD_BYTES = 4096;
/** The kernel follows at most this many scripts. */
const MOST_SCRIPTS = 5;

export interface ElfHead {
  bits: 32 | 64;
  /** e_machine: 62 x86-64, 183 aarch64. */
  machine: number;
  /** PT_INTERP: the dynamic loader; "" in a static program. */
  loader: string;
}

/**
 * undefined when the bytes are no little-endian ELF program, or too short to tell. `read` gives bytes of the file beyond its head: tools
 * that change a program's loader (patchelf and the like) put the new name there.
 */
export function parseElfHead(
  head: Uint8Array,
  read: (offset: number, size: number) => Uint8Array = () => new Uint8Array(0),
): ElfHead | undefined {
  if (head.length < 64 || head[0] !== 0x7f || head[1] !== 0x45 || head[2] !== 0x4c || head[3] !== 0x46)
    return undefined;
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const bits = head[4] === 2 ? 64 : 32;
  const machine = view.getUint16(18, true);
  const table = bits === 64 ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
  const entry = view.getUint16(bits === 64 ? 54 : 42, true);
  const count = view.getUint16(bits === 64 ? 56 : 44, true);
  for (let i = 0; i < count; i++) {
    const at = table + i * entry;
    if (at + entry > head.length) break;
    if (view.getUint32(at, true) !== 3) continue;
    const offset = bits === 64 ? Number(view.getBigUint64(at + 8, true)) : view.getUint32(at + 4, true);
    const size = bits === 64 ? Number(view.getBigUint64(at + 32, true)) : view.getUint32(at + 16, true);
    const text =
      offset + size <= head.length ? head.subarray(offset, offset + size) : read(offset, Math.min(size, 4096));
    return { bits, machine, loader: new TextDecoder().decode(text).replace(/\0.*$/s, "") };
  }
  return { bits, machine, loader: "" };
}

/**
 * The interpreter line of a script: command and argument, with `/usr/bin/env [-S] NAME` resolved to NAME. undefined: not a script.
 * `viaPath`: NAME is to be looked up in PATH.
 */
export function parseShebang(head: Uint8Array): { command: string; viaPath: boolean } | undefined {
  if (head[0] !== 0x23 || head[1] !== 0x21) return undefined;
  const line = new TextDecoder().decode(head.subarray(2, 258)).split("\n")[0]!.trim();
  const [command, ...rest] = line.split(/[ \t]+/);
  if (!command) return undefined;
  if (!/(^|\/)env$/.test(command)) return { command, viaPath: false };
  const named = rest.find((word) => !word.startsWith("-") && !word.includes("="));
  return named ? { command: named, viaPath: true } : { command, viaPath: false };
}

export function readHead(path: string, bytes = HEAD_BYTES, offset = 0): Uint8Array {
  const fd = openSync(path, "r");
  try {
    const head = new Uint8Array(bytes);
    return head.subarray(0, readSync(fd, head, 0, bytes, offset));
  } finally {
    closeSync(fd);
  }
}

/** The executable file that a shell would run for a command word; undefined: there is none. */
export function findExecutable(word: string, path: string): string | undefined {
  if (word.includes("/")) return isExecutable(word) ? word : undefined;
  for (const folder of path.split(":")) {
    const candidate = `${folder === "" ? "." : folder}/${word}`;
    if (isExecutable(candidate)) return candidate;
  }
  return undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

const MACHINES: Record<string, number> = { x64: 62, arm64: 183 };

/** Why the agent cannot be loaded into what `path` runs. `searchPath`: PATH, for `env` in a script's first line. */
export function findObstacle(path: string, searchPath: string): Obstacle {
  let file = path;
  for (let scripts = 0; scripts <= MOST_SCRIPTS; scripts++) {
    let head: Uint8Array;
    try {
      head = readHead(file);
    } catch {
      return undefined; // not readable but perhaps executable: what happens will tell
    }
    const elf = parseElfHead(head, (offset, size) => readHead(file, size, offset));
    if (elf) return elfObstacle(file, elf);
    const shebang = parseShebang(head);
    const next = shebang && (shebang.viaPath ? findExecutable(shebang.command, searchPath) : shebang.command);
    if (!next) return undefined;
    file = next;
  }
  return undefined;
}

function elfObstacle(file: string, elf: ElfHead): Obstacle {
  if (elf.machine !== MACHINES[process.arch]) {
    return elf.bits === 32 ? `${file} is a 32-bit program` : `${file} is a program for another kind of processor`;
  }
  if (elf.loader === "") return `${file} is a static program, which loads no libraries`;
  if (/musl/.test(elf.loader)) return `${file} uses the musl C library; the agent needs glibc`;
  const { mode, uid, gid } = statSync(file);
  const changesUser = (mode & 0o4000) !== 0 && uid !== process.getuid?.();
  const changesGroup = (mode & 0o2010) === 0o2010 && gid !== process.getgid?.();
  if (changesUser || changesGroup) return `${file} changes its user or group (setuid), so the loader ignores the agent`;
  return undefined;
}
