/** A process to be read: its memory, its files, what the kernel says about it. */
import type { ElfFile } from "./elf.ts";
import type { Image } from "./image.ts";

export interface LoadedElf {
  path: string;
  /** what is added to the addresses in the file */
  bias: number;
  file: ElfFile | null;
  /** of its mappings, .bss included */
  start: number;
  end: number;
}

export interface MappingUse {
  start: number;
  end: number;
  path: string;
  rss: number;
  pss: number;
}

export interface Target {
  pid: number;
  image: Image;
  elfs: LoadedElf[];
  status: { vmRss: number; vmHwm: number; threads: { tid: number; name: string }[] };
  smaps: MappingUse[];
  stopMilliseconds: number;
  copiedBytes: number;
  source: "live" | "core" | "spool";
  argv: string[];
  cwd: string;
  exe: string;
}
