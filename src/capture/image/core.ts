/** A core file (kernel's or gdb's) as a target: its PT_LOAD segments, its NT_FILE mappings, and file pages that it leaves out from the files. */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { Refusal, reasonOf, statusOf } from "../run/refusal.ts";
import { ElfFile, PT_LOAD } from "./elf.ts";
import { Image, PAGE } from "./image.ts";
import type { Region } from "./image.ts";
import type { LoadedElf, Target } from "./target.ts";

const ET_CORE = 4;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;
const PT_NOTE = 4;
const NT_PRSTATUS = 1;
const NT_PRPSINFO = 3;
const NT_FILE = 0x46494c45;
const LARGEST_HEAD = 64 * 2 ** 20;
const EXECUTABLE = 1;
const WRITABLE = 2;

interface Mapped {
  start: number;
  end: number;
  offset: number;
  path: string;
}

interface Notes {
  files: Mapped[];
  argv: string[];
  pid: number;
  threads: number;
}

/** Throws a Refusal, one sentence, when the file is no core that can be read. exe: where the program is now. */
export function captureCore(path: string, exe?: string): Target {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch (error) {
    throw new Refusal(statusOf(error), `cannot read ${path}: ${reasonOf(error)}`);
  }
  try {
    return readCore(path, fd, exe);
  } finally {
    closeSync(fd);
  }
}

function readCore(path: string, fd: number, exe: string | undefined): Target {
  const { size } = fstatSync(fd);
  const head = Buffer.alloc(Math.min(size, 64));
  readSync(fd, head, 0, head.length, 0);
  if (head.length < 64 || head.readUInt32LE(0) !== 0x464c457f)
    throw new Refusal(2, `${path} is no core file and no snapshot (.tide)`);
  if (head[4] !== 2 || head.readUInt16LE(16) !== ET_CORE)
    throw new Refusal(
      2,
      `${path} is ${head[4] === 2 ? "an ELF file, but no core" : "of a 32-bit process, which cannot be read"}`,
    );
  const machine = head.readUInt16LE(18);
  if (machine !== EM_X86_64 && machine !== EM_AARCH64)
    throw new Refusal(2, `${path} comes from another kind of machine (ELF machine ${machine})`);
  const segments = segmentsOf(path, fd, size);
  const loads = segments.filter(({ type }) => type === PT_LOAD);
  if (!loads.some(({ fileBytes }) => fileBytes > 0))
    throw new Refusal(2, `${path} holds no memory: the core was written without it (see /proc/PID/coredump_filter)`);
  const furthest = Math.max(...segments.map(({ offset, fileBytes }) => offset + fileBytes));
  if (furthest > size)
    throw new Refusal(
      2,
      `${path} is cut short: ${furthest} bytes were to be written, ${size} are there (disk or ulimit -c)`,
    );
  const notes = notesOf(
    fd,
    segments.filter(({ type }) => type === PT_NOTE),
  );
  const files = elfsOf(notes.files, exe);
  loads.sort((a, b) => a.address - b.address);
  return { ...imageOf(fd, loads, notes, files), ...aboutCore(notes, files, exe) };
}

/** Program headers only: gdb puts the section headers at the end of what may be many gigabytes. */
function segmentsOf(path: string, fd: number, size: number): ElfFile["segments"] {
  const head = Buffer.alloc(Math.min(size, LARGEST_HEAD));
  const got = readSync(fd, head, 0, head.length, 0);
  head.fill(0, 40, 48);
  head.fill(0, 60, 64);
  try {
    return new ElfFile(head.subarray(0, got)).segments;
  } catch {
    throw new Refusal(2, `${path} is damaged: its headers lie outside of it`);
  }
}

function notesOf(fd: number, segments: ElfFile["segments"]): Notes {
  const notes: Notes = { files: [], argv: [], pid: 0, threads: 0 };
  for (const { offset, fileBytes } of segments) {
    const bytes = Buffer.alloc(Math.min(fileBytes, LARGEST_HEAD));
    readSync(fd, bytes, 0, bytes.length, offset);
    for (let at = 0; at + 12 <= bytes.length;) {
      const nameBytes = bytes.readUInt32LE(at);
      const length = bytes.readUInt32LE(at + 4);
      const type = bytes.readUInt32LE(at + 8);
      const from = at + 12 + align4(nameBytes);
      if (from + length > bytes.length) break;
      readNote(type, bytes.subarray(from, from + length), notes);
      at = from + align4(length);
    }
  }
  return notes;
}

function align4(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function readNote(type: number, note: Buffer, notes: Notes): void {
  if (type === NT_PRSTATUS) notes.threads++;
  // elf_prpsinfo, 64 bit: pid at 24, the beginning of the command line at 56
  if (type === NT_PRPSINFO && note.length >= 136) {
    notes.pid = note.readUInt32LE(24);
    const text = note.toString("latin1", 56, 136).replace(/\0.*$/s, "").trim();
    notes.argv = text === "" ? [] : text.split(" ");
  }
  if (type !== NT_FILE || note.length < 16) return;
  const count = u64(note, 0);
  const unit = u64(note, 8); // the kernel counts offsets in pages, gdb in bytes
  if (16 + count * 24 > note.length) return;
  let name = 16 + count * 24;
  for (let i = 0; i < count; i++) {
    const end = note.indexOf(0, name);
    const at = 16 + i * 24;
    notes.files.push({
      start: u64(note, at),
      end: u64(note, at + 8),
      offset: u64(note, at + 16) * unit,
      path: note.toString("utf8", name, end < 0 ? note.length : end),
    });
    name = end < 0 ? note.length : end + 1;
  }
}

function u64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}

interface CoreFile extends LoadedElf {
  bytes: Uint8Array | null;
}

function elfsOf(files: readonly Mapped[], exe: string | undefined): CoreFile[] {
  const byPath = new Map<string, Mapped[]>();
  for (const file of files) byPath.set(file.path, [...(byPath.get(file.path) ?? []), file]);
  return [...byPath].flatMap(([path, mapped], i) => {
    // The program is mapped first where it does not come from a library's address.
    const bytes = fileBytes(i === 0 && exe !== undefined ? exe : path);
    const file = bytes === null ? null : elfOf(bytes);
    if (file === null) return [];
    const [first] = mapped;
    const load = file.segments.find(({ type }) => type === PT_LOAD);
    const bias = load === undefined ? first!.start : first!.start - first!.offset - (load.address - load.offset);
    return [{ path, bias, file, bytes, start: first!.start, end: Math.max(mapped.at(-1)!.end, bias + file.memoryEnd) }];
  });
}

function fileBytes(path: string): Uint8Array | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}

function elfOf(bytes: Uint8Array): ElfFile | null {
  try {
    return new ElfFile(bytes);
  } catch {
    return null;
  }
}

/** Pages that the core has, and pages of files that it left out. */
function imageOf(fd: number, loads: ElfFile["segments"], notes: Notes, files: readonly CoreFile[]) {
  const regions: Region[] = [];
  const pieces: { address: number; bytes: number; from: Uint8Array | number }[] = [];
  for (const { address, memoryBytes, fileBytes: there, flags, offset } of loads) {
    const file = notes.files.find(({ start, end }) => address >= start && address < end);
    const end = address + memoryBytes;
    regions.push({
      start: address,
      end,
      readable: true,
      writable: (flags & WRITABLE) !== 0,
      executable: (flags & EXECUTABLE) !== 0,
      shared: false,
      offset: file === undefined ? 0 : file.offset + address - file.start,
      path: file?.path ?? "",
    });
    const whole = Math.floor(there / PAGE) * PAGE;
    if (whole > 0) pieces.push({ address, bytes: whole, from: offset });
    const source = file === undefined ? undefined : files.find(({ path }) => path === file.path);
    if (!source?.bytes || file === undefined || whole >= memoryBytes) continue;
    const at = file.offset + address - file.start + whole;
    const rest = source.bytes.subarray(at, at + memoryBytes - whole);
    pieces.push({ address: address + whole, bytes: Math.ceil(rest.length / PAGE) * PAGE, from: rest });
  }
  // gdb leaves read-only mappings out altogether: constants, such as the names of types, come from the files.
  for (const { start, end, offset, path } of notes.files) {
    if (loads.some(({ address, memoryBytes }) => start < address + memoryBytes && end > address)) continue;
    const source = files.find((file) => file.path === path);
    if (!source?.bytes) continue;
    const content = source.bytes.subarray(offset, offset + end - start);
    regions.push({ start, end, readable: true, writable: false, executable: false, shared: false, offset, path });
    pieces.push({ address: start, bytes: Math.ceil(content.length / PAGE) * PAGE, from: content });
  }
  regions.sort((a, b) => a.start - b.start);
  pieces.sort((a, b) => a.address - b.address);
  const total = pieces.reduce((sum, { bytes }) => sum + bytes, 0);
  const buffer = new ArrayBuffer(total);
  const u8 = new Uint8Array(buffer);
  const pages = new Float64Array(total / PAGE);
  let at = 0;
  for (const { address, bytes, from } of pieces) {
    if (typeof from === "number") readAll(fd, u8.subarray(at, at + bytes), from);
    else u8.set(from, at);
    for (let page = 0; page < bytes; page += PAGE) pages[(at + page) / PAGE] = address + page;
    at += bytes;
  }
  const resident = regions.map(({ start, end }) => pages.filter((page) => page >= start && page < end));
  return { image: new Image(regions, buffer, pages, resident), copiedBytes: total };
}

function readAll(fd: number, into: Uint8Array, position: number): void {
  for (let got = 0; got < into.length;) {
    const n = readSync(fd, into, got, Math.min(2 ** 30, into.length - got), position + got);
    if (n === 0) return;
    got += n;
  }
}

function aboutCore(notes: Notes, elfs: LoadedElf[], exe: string | undefined): Omit<Target, "image" | "copiedBytes"> {
  return {
    pid: notes.pid,
    elfs,
    status: { vmRss: NaN, vmHwm: NaN, threads: Array.from({ length: notes.threads }, () => ({ tid: 0, name: "" })) },
    smaps: [],
    stopMilliseconds: 0,
    source: "core",
    argv: notes.argv,
    cwd: "",
    exe: exe ?? notes.files[0]?.path ?? "",
  };
}
