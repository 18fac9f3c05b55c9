/** A live process's memory: maps and presence of pages first, then stop, copy, continue. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync, readdirSync, readlinkSync } from "node:fs";
import { parseCmdline, parseStatus } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";
import { Refusal, reasonOf, statusOf } from "../run/refusal.ts";
import { ElfFile, PT_LOAD } from "./elf.ts";
import { Image, PAGE } from "./image.ts";
import type { Region } from "./image.ts";
import type { LoadedElf, MappingUse, Target } from "./target.ts";

export interface LiveOptions {
  stop?: boolean;
}

const PRESENT = 0x80;
const SWAPPED = 0x40;

/** `/proc/PID/maps`. */
export function parseMaps(text: string): Region[] {
  const regions: Region[] = [];
  for (const line of text.split("\n")) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (.)(.)(.)(.) ([0-9a-f]+) \S+ \d+ *(.*)$/.exec(line);
    if (!match) continue;
    regions.push({
      start: Number.parseInt(match[1]!, 16),
      end: Number.parseInt(match[2]!, 16),
      readable: match[3] === "r",
      writable: match[4] === "w",
      executable: match[5] === "x",
      shared: match[6] === "s",
      offset: Number.parseInt(match[7]!, 16),
      path: match[8]!,
    });
  }
  return regions;
}

/** Throws a Refusal, one sentence, when the process cannot be read. */
export async function captureLive(pid: number, { stop = true }: LiveOptions = {}): Promise<Target> {
  const folder = `/proc/${pid}`;
  const statusText = readText(`${folder}/status`);
  if (statusText === undefined) throw new Refusal(2, `there is no process ${pid}`);
  const status = parseStatus(statusText);
  if (status.state === "Z") throw new Refusal(2, `process ${pid} is a zombie: it has ended, its memory is gone`);
  const wasStopped = status.state === "T" || status.state === "t";
  let memory: number;
  let pagemap: number;
  try {
    memory = openSync(`${folder}/mem`, "r");
    pagemap = openSync(`${folder}/pagemap`, "r");
  } catch (error) {
    throw new Refusal(
      statusOf(error),
      `cannot read the memory of process ${pid}: ${reasonOf(error)}; run it as the same user or as root`,
    );
  }
  const exe = linkOf(`${folder}/exe`);
  let stopMilliseconds = 0;
  try {
    const stops = stop && !wasStopped;
    const release = stops ? guard(pid) : undefined;
    const before = process.hrtime.bigint();
    let copied: ReturnType<typeof copy>;
    try {
      if (stops) await stopAll(pid);
      copied = copy(pid, memory, pagemap, exe);
    } finally {
      if (stops) continueAll(pid);
      release?.();
    }
    stopMilliseconds = stop && !wasStopped ? Number(process.hrtime.bigint() - before) / 1e6 : 0;
    const { image, bytes, vmRss } = copied;
    return {
      pid,
      image,
      elfs: loadedElfs(image.regions, `${folder}/root`),
      status: { vmRss, vmHwm: status.hwm, threads: threadsOf(folder) },
      smaps: smapsOf(folder),
      stopMilliseconds,
      copiedBytes: bytes,
      source: "live",
      argv: parseCmdline(readText(`${folder}/cmdline`) ?? ""),
      cwd: linkOf(`${folder}/cwd`),
      exe,
    };
  } finally {
    closeSync(memory);
    closeSync(pagemap);
  }
}

/**
 * Nobody may leave the process stopped: a signal to this program waits until it goes on, and a child that sees its pipe end, because this
 * program was killed, continues it. Returns what to call when the process goes on.
 */
function guard(pid: number): () => void {
  const child = spawn("/bin/sh", ["-c", `read _ || kill -CONT ${pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  child.on("error", () => {}); // no shell: then without it
  child.stdin?.on("error", () => {});
  child.unref();
  const received: NodeJS.Signals[] = [];
  const names: NodeJS.Signals[] = ["SIGINT", "SIGTERM", "SIGHUP"];
  const note = (name: NodeJS.Signals): void => void received.push(name);
  for (const name of names) process.on(name, note);
  return () => {
    child.stdin?.end("\n");
    // Signals that came during the copy are told to JavaScript only now.
    setImmediate(() => {
      for (const name of names) process.off(name, note);
      for (const name of received) process.kill(process.pid, name);
    });
  };
}

async function stopAll(pid: number): Promise<void> {
  process.kill(pid, "SIGSTOP");
  for (let i = 0; i < 2000; i++) {
    const states = readdirSync(`/proc/${pid}/task`).map((tid) => readText(`/proc/${pid}/task/${tid}/stat`) ?? "");
    if (states.every((text) => text === "" || /\) [TtXZ] /.test(text))) return;
    await new Promise((resolve) => setTimeout(resolve, 0.2));
  }
  throw new Refusal(3, `process ${pid} did not stop: one of its threads waits inside the kernel; try again`);
}

function continueAll(pid: number): void {
  try {
    process.kill(pid, "SIGCONT");
  } catch {
    // It was killed meanwhile.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path).replace(/ \(deleted\)$/, "");
  } catch {
    return "";
  }
}

/** What is copied: everything writable, and the constants of files. */
function isWanted({ readable, writable, executable, path, shared }: Region, exe: string): boolean {
  if (!readable || path === "[vvar]" || path === "[vsyscall]" || path.startsWith("[vvar")) return false;
  if (writable) return !shared || path === "";
  if (!path.startsWith("/")) return false;
  return !executable || path === exe;
}

function copy(pid: number, memory: number, pagemap: number, exe: string) {
  const maps = readText(`/proc/${pid}/maps`);
  if (maps === undefined || maps === "") throw new Refusal(2, `process ${pid} ended while it was read`);
  const regions = parseMaps(maps);
  const resident: Float64Array[] = [];
  const runs: { start: number; pages: number }[] = [];
  const absent: { region: Region; start: number; pages: number }[] = [];
  const binaries = new Set(regions.filter(({ executable }) => executable).map(({ path }) => path));
  for (const region of regions) {
    const pages = (region.end - region.start) / PAGE;
    const entries = Buffer.alloc(region.path.startsWith("[v") ? 0 : pages * 8);
    const got = entries.length === 0 ? 0 : readAt(pagemap, entries, (region.start / PAGE) * 8);
    const there: number[] = [];
    const wanted = isWanted(region, exe);
    for (let page = 0; page * 8 < got; page++) {
      const top = entries[page * 8 + 7]!;
      if ((top & PRESENT) !== 0) there.push(region.start + page * PAGE);
      if (!wanted) continue;
      const address = region.start + page * PAGE;
      if ((top & (PRESENT | SWAPPED)) === 0) {
        if (!binaries.has(region.path) || !region.path.startsWith("/")) continue;
        const last = absent.at(-1);
        if (last?.region === region && last.start + last.pages * PAGE === address) last.pages++;
        else absent.push({ region, start: address, pages: 1 });
        continue;
      }
      const last = runs.at(-1);
      if (last !== undefined && last.start + last.pages * PAGE === address) last.pages++;
      else runs.push({ start: address, pages: 1 });
    }
    resident.push(Float64Array.from(there));
  }
  const copied = runs.reduce((sum, { pages }) => sum + pages, 0);
  const total = absent.reduce((sum, { pages }) => sum + pages, copied);
  const buffer = new ArrayBuffer(total * PAGE);
  const addresses = new Float64Array(total);
  const bytes = new Uint8Array(buffer);
  let at = 0;
  for (const { start, pages } of runs) {
    for (let page = 0; page < pages; page++) addresses[at + page] = start + page * PAGE;
    readAt(memory, bytes.subarray(at * PAGE, (at + pages) * PAGE), start);
    at += pages;
  }
  for (const { region, start, pages } of absent) {
    for (let page = 0; page < pages; page++) addresses[at + page] = start + page * PAGE;
    const offset = region.offset + (start - region.start);
    readFilePart(`/proc/${pid}/root${region.path}`, bytes.subarray(at * PAGE, (at + pages) * PAGE), offset);
    at += pages;
  }
  const vmRss = parseStatus(readText(`/proc/${pid}/status`) ?? "").rss;
  return { image: new Image(regions, buffer, addresses, resident), bytes: copied * PAGE, vmRss };
}

/**
 * A page of a binary that the process never touched, or that its kernel took back, is what the file says: a private page that was written to is
 * present or swapped. A copy made by clone() begins with none of them. Reading them through the process would make them resident there.
 */
function readFilePart(path: string, into: Uint8Array, offset: number): void {
  try {
    const fd = openSync(path, "r");
    readAt(fd, into, offset);
    closeSync(fd);
  } catch {
    // The file is gone: the page stays 0, as one that was never read.
  }
}

/** Reads as much as there is; a page that went meanwhile stays 0. */
function readAt(fd: number, into: Uint8Array, position: number): number {
  const PIECE = 16 * 2 ** 20;
  let got = 0;
  while (got < into.length) {
    let n: number;
    try {
      n = readSync(fd, into, got, Math.min(PIECE, into.length - got), position + got);
    } catch {
      return got;
    }
    if (n === 0) break;
    got += n;
  }
  return got;
}

function loadedElfs(regions: readonly Region[], root: string): LoadedElf[] {
  const byPath = new Map<string, Region[]>();
  for (const region of regions)
    if (region.path.startsWith("/")) byPath.set(region.path, [...(byPath.get(region.path) ?? []), region]);
  const elfs: LoadedElf[] = [];
  for (const [path, mapped] of byPath) {
    if (!mapped.some(({ executable }) => executable)) continue;
    const file = elfFile(root + path) ?? elfFile(path);
    const [first] = mapped;
    const load = file?.segments.find(
      ({ type, offset, fileBytes }) =>
        type === PT_LOAD && first!.offset >= offset - (offset % PAGE) && first!.offset < offset + fileBytes,
    );
    const bias =
      load === undefined
        ? first!.start
        : first!.start -
          (load.address - (load.address % PAGE)) -
          (first!.offset - (load.offset - (load.offset % PAGE)));
    const end = Math.max(mapped.at(-1)!.end, file === null ? 0 : bias + file.memoryEnd);
    elfs.push({ path, bias, file, start: first!.start, end });
  }
  return elfs;
}

function elfFile(path: string): ElfFile | null {
  try {
    return new ElfFile(readFileSync(path));
  } catch {
    return null;
  }
}

function threadsOf(folder: string): { tid: number; name: string }[] {
  try {
    return readdirSync(`${folder}/task`).map((tid) => ({
      tid: Number(tid),
      name: (readText(`${folder}/task/${tid}/comm`) ?? "").trim(),
    }));
  } catch {
    return [];
  }
}

function smapsOf(folder: string): MappingUse[] {
  const uses: MappingUse[] = [];
  for (const line of (readText(`${folder}/smaps`) ?? "").split("\n")) {
    const head = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \d+ *(.*)$/.exec(line);
    const last = uses.at(-1);
    if (head)
      uses.push({
        start: Number.parseInt(head[1]!, 16),
        end: Number.parseInt(head[2]!, 16),
        path: head[3]!,
        rss: 0,
        pss: 0,
      });
    else if (last && line.startsWith("Rss:")) last.rss = Number(/\d+/.exec(line)![0]) * 1024;
    else if (last && line.startsWith("Pss:")) last.pss = Number(/\d+/.exec(line)![0]) * 1024;
  }
  return uses;
}
