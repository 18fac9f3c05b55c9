/** A live process's memory: looked over while it runs; then it stands still, is copied, and goes on. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync, readdirSync, readlinkSync } from "node:fs";
import { constants } from "node:os";
import { parseCmdline, parseStat, parseStatus } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";
import { Refusal, reasonOf, statusOf } from "../run/refusal.ts";
import { ElfFile, PT_LOAD } from "./elf.ts";
import { Image, PAGE } from "./image.ts";
import type { Region } from "./image.ts";
import type { LoadedElf, MappingUse, Target } from "./target.ts";

export interface LiveOptions {
  /** the program of this installation that makes a process stand still (capture/run/launcher.c); undefined: it is not built */
  launcher?: string | undefined;
  /** false: nothing in the process runs, as in a copy that waits to be read */
  runs?: boolean;
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
export async function captureLive(pid: number, { launcher, runs = true }: LiveOptions = {}): Promise<Target> {
  const folder = `/proc/${pid}`;
  const statusText = readText(`${folder}/status`);
  if (statusText === undefined) throw new Refusal(2, `there is no process ${pid}`);
  const status = parseStatus(statusText);
  if (status.state === "Z") throw new Refusal(2, `process ${pid} is a zombie: it has ended, its memory is gone`);
  const started = startTicks(pid);
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
  try {
    // Pages of the reader's own that are there already are filled twice as fast as fresh ones.
    const buffer = touched(planOf(pid, pagemap, exe).presentPages);
    const release = runs && !/^t$/i.test(status.state) ? await hold(pid, launcher) : undefined;
    let copied: Copied;
    let held = 0;
    try {
      copied = copyPresent(planOf(pid, pagemap, exe), memory, buffer);
      copied.vmRss = parseStatus(readText(`${folder}/status`) ?? "").rss;
    } finally {
      held = (await release?.()) ?? 0;
    }
    if (startTicks(pid) !== started || Number.isNaN(copied.vmRss)) throw ended(pid);
    const image = withFilePages(copied, `${folder}/root`);
    return {
      pid,
      image,
      elfs: loadedElfs(image.regions, `${folder}/root`),
      status: { vmRss: copied.vmRss, vmHwm: status.hwm, threads: threadsOf(folder) },
      smaps: smapsOf(folder),
      stopMilliseconds: held,
      copiedBytes: copied.plan.presentPages * PAGE,
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

const ended = (pid: number): Refusal => new Refusal(2, `process ${pid} ended while it was read`);

/** NaN when the process is gone, or only waits for its parent to notice. */
function startTicks(pid: number): number {
  const text = readText(`/proc/${pid}/stat`);
  const stat = text === undefined ? undefined : parseStat(text);
  return stat === undefined || stat.state === "Z" || stat.state === "X" ? NaN : stat.startTicks;
}

const REFUSED: Record<number, (pid: number) => string> = {
  [constants.errno.EPERM]: (pid) =>
    `process ${pid} cannot be made to stand still: a debugger or tracer has it, or this machine forbids it (ptrace); let it go, or run as root`,
  [constants.errno.EBUSY]: (pid) =>
    `process ${pid} does not stand still: one of its threads waits inside the kernel; try again`,
};

/**
 * Makes the process stand still. Returns what lets it go, and then says for how many milliseconds it stood. This program cannot be stopped
 * (Ctrl-Z) in between: that would hold the process for as long.
 */
async function hold(pid: number, launcher: string | undefined): Promise<() => Promise<number>> {
  if (launcher === undefined)
    throw new Refusal(
      3,
      "the part that makes a process stand still is not built; tidegauge doctor says how to mend it",
    );
  const received: NodeJS.Signals[] = [];
  const note = (): void => void received.push("SIGTSTP");
  process.on("SIGTSTP", note);
  const child = spawn(launcher, ["hold", String(pid)], { stdio: ["pipe", "pipe", "ignore"], detached: true });
  let said = "";
  const line = new Promise<void>((resolve) => {
    child.stdout.on("data", (text: Buffer) => ((said += text.toString()), resolve()));
    child.once("error", () => resolve());
    child.once("close", () => resolve());
  });
  const over = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.stdin.on("error", () => {}); // it ended already
  const release = async (): Promise<number> => {
    child.stdin.end();
    await over;
    process.off("SIGTSTP", note);
    if (received.length > 0) process.kill(process.pid, "SIGTSTP");
    return Number(/released (\d+)/.exec(said)?.[1] ?? NaN) / 1e6;
  };
  await line;
  if (said.startsWith("held")) return release;
  await release();
  const errno = Number(/refused (\d+)/.exec(said)?.[1] ?? NaN);
  if (errno === constants.errno.ESRCH) throw ended(pid);
  throw new Refusal(3, REFUSED[errno]?.(pid) ?? `process ${pid} cannot be made to stand still (error ${errno})`);
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

interface Run {
  region: Region;
  start: number;
  pages: number;
}

/** What is to be copied: pages that are there from the process, pages of binaries that are not from their files. */
interface Plan {
  regions: Region[];
  /** by region: addresses of the pages that are there, wanted or not */
  resident: Float64Array[];
  present: Run[];
  absent: Run[];
  presentPages: number;
}

interface Copied {
  plan: Plan;
  bytes: Uint8Array<ArrayBuffer>;
  vmRss: number;
}

function planOf(pid: number, pagemap: number, exe: string): Plan {
  const maps = readText(`/proc/${pid}/maps`);
  if (maps === undefined || maps === "") throw ended(pid);
  const regions = parseMaps(maps);
  const binaries = new Set(regions.filter(({ executable }) => executable).map(({ path }) => path));
  const plan: Plan = { regions, resident: [], present: [], absent: [], presentPages: 0 };
  for (const region of regions) {
    const pages = (region.end - region.start) / PAGE;
    const entries = Buffer.alloc(region.path.startsWith("[v") ? 0 : pages * 8);
    const got = entries.length === 0 ? 0 : readAt(pagemap, entries, (region.start / PAGE) * 8);
    const there: number[] = [];
    const wanted = isWanted(region, exe);
    const inFile = region.path.startsWith("/") && binaries.has(region.path);
    for (let page = 0; page * 8 < got; page++) {
      const top = entries[page * 8 + 7]!;
      const address = region.start + page * PAGE;
      if ((top & PRESENT) !== 0) there.push(address);
      if (!wanted) continue;
      if ((top & (PRESENT | SWAPPED)) !== 0) addPage(plan.present, region, address);
      else if (inFile) addPage(plan.absent, region, address);
    }
    plan.resident.push(Float64Array.from(there));
  }
  plan.presentPages = pagesOf(plan.present);
  return plan;
}

function addPage(runs: Run[], region: Region, address: number): void {
  const last = runs.at(-1);
  if (last?.region === region && last.start + last.pages * PAGE === address) last.pages++;
  else runs.push({ region, start: address, pages: 1 });
}

function pagesOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { pages }) => sum + pages, 0);
}

/** Room for some pages more than that, every page of it written to. */
function touched(pages: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.ceil(pages * 1.05 + 64) * PAGE);
  for (let at = 0; at < bytes.length; at += PAGE) bytes[at] = 1;
  return bytes;
}

function copyPresent(plan: Plan, memory: number, buffer: Uint8Array<ArrayBuffer>): Copied {
  const bytes = plan.presentPages * PAGE <= buffer.length ? buffer : new Uint8Array(plan.presentPages * PAGE);
  let at = 0;
  for (const { start, pages } of plan.present) {
    const into = bytes.subarray(at, at + pages * PAGE);
    into.fill(0, readAt(memory, into, start));
    at += pages * PAGE;
  }
  return { plan, bytes, vmRss: NaN };
}

/**
 * A page of a binary that the process never touched, or that its kernel took back, is what the file says: a private page that was written to is
 * present or swapped. A copy made by clone() begins with none of them. Reading them through the process would make them resident there.
 */
function withFilePages({ plan, bytes: present }: Copied, root: string): Image {
  const { regions, resident, absent, presentPages } = plan;
  const total = presentPages + pagesOf(absent);
  const roomy = total * PAGE <= present.length;
  const bytes = roomy ? present.subarray(0, total * PAGE) : new Uint8Array(total * PAGE);
  if (!roomy) bytes.set(present.subarray(0, presentPages * PAGE));
  const addresses = new Float64Array(total);
  let page = 0;
  for (const { start, pages } of [...plan.present, ...absent])
    for (let i = 0; i < pages; i++) addresses[page++] = start + i * PAGE;
  let at = presentPages * PAGE;
  for (const { region, start, pages } of absent) {
    const into = bytes.subarray(at, at + pages * PAGE);
    into.fill(0, readFilePart(root + region.path, into, region.offset + (start - region.start)));
    at += pages * PAGE;
  }
  return new Image(regions, bytes.buffer, addresses, resident);
}

/** Bytes read; 0 when the file is gone: its pages are then as if they had never been read. */
function readFilePart(path: string, into: Uint8Array, offset: number): number {
  try {
    const fd = openSync(path, "r");
    try {
      return readAt(fd, into, offset);
    } finally {
      closeSync(fd);
    }
  } catch {
    return 0;
  }
}

/** Bytes read: less than asked for when a page went meanwhile. */
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
