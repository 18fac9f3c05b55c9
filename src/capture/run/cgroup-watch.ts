/** The memory control group of the program while it runs: it may move to another one, or be moved, after it was started. */
import { cgroupLimit, cgroupOomKills, cgroupUsageFile, findMemoryCgroup, type MemoryCgroup } from "../proc/cgroup.ts";
import { ProcFile, readText } from "../proc/read.ts";

/** Seconds between two looks at where the program is: a share of its age, since a program that moves does so when it starts, and a short one would
 *  be gone before the second look. */
const FOLLOW_SECONDS = 0.25;
const FOLLOW_SHARE = 0.25;

export class CgroupWatch {
  readonly #pid: number;
  #place: string | undefined;
  #group: MemoryCgroup | undefined;
  #usage: ProcFile | undefined;
  #killsBefore = NaN;
  #nextLook = 0;

  constructor(pid: number) {
    this.#pid = pid;
  }

  /** Bytes in use by the program's group, everyone else in it included; NaN: not known. `time`: seconds since the start. */
  usage(time: number): number {
    if (time >= this.#nextLook) {
      this.#nextLook = time + Math.min(FOLLOW_SECONDS, time * FOLLOW_SHARE);
      this.#follow();
    }
    return Number(this.#usage?.read()?.trim() || NaN);
  }

  /** The tightest limit of the chain that the program was seen in last, bytes; Infinity: none. */
  get limit(): number {
    return this.#group ? cgroupLimit(this.#group, readText) : Infinity;
  }

  /** How many processes of that group the kernel has killed since the program came into it; NaN: not known. */
  get oomKills(): number {
    return this.#group ? cgroupOomKills(this.#group, readText) - this.#killsBefore : NaN;
  }

  close(): void {
    this.#usage?.close();
  }

  #follow(): void {
    const place = readText(`/proc/${this.#pid}/cgroup`);
    if (place === undefined || place === "" || place === this.#place) return;
    this.#place = place;
    this.#usage?.close();
    this.#group = findMemoryCgroup(readText, this.#pid);
    this.#usage = this.#group && new ProcFile(cgroupUsageFile(this.#group));
    this.#killsBefore = this.#group ? cgroupOomKills(this.#group, readText) : NaN;
  }
}
