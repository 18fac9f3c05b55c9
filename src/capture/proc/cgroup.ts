/**
 * The memory control group of a process, version 1 or 2: which folders hold its files, the tightest limit of the chain, its usage and
 * its count of OOM kills. Pure but for the `read` function handed in, so that any machine's files can be tried as text.
 */

/** The text of a file, or undefined when it is not there or not readable. */
export type ReadText = (path: string) => string | undefined;

export interface MemoryCgroup {
  version: 1 | 2;
  /** The process's own folder first, then its ancestors up to the mount point. */
  folders: string[];
}

interface Mount {
  root: string;
  point: string;
  type: string;
  options: string[];
}

/** `/proc/PID/mountinfo`: mounts of cgroup file systems. Octal escapes (`\040`) are undone. */
export function parseCgroupMounts(text: string): Mount[] {
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const [before, after] = line.split(" - ");
    const [, , , root, point] = (before ?? "").split(" ");
    const [type, , options] = (after ?? "").split(" ");
    if ((type !== "cgroup" && type !== "cgroup2") || root === undefined || point === undefined) continue;
    mounts.push({ root: octal(root), point: octal(point), type, options: (options ?? "").split(",") });
  }
  return mounts;
}

function octal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8)));
}

/** `/proc/PID/cgroup`: hierarchy, controllers (none for version 2), path. */
export function parseCgroupPaths(text: string): { controllers: string[]; path: string }[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [, controllers, ...path] = line.split(":");
      return { controllers: (controllers ?? "").split(","), path: path.join(":") };
    });
}

/** undefined when the machine has no memory controller, or none that this process can see. */
export function findMemoryCgroup(read: ReadText, pid: number | "self" = "self"): MemoryCgroup | undefined {
  const mounts = parseCgroupMounts(read(`/proc/${pid}/mountinfo`) ?? "");
  const paths = parseCgroupPaths(read(`/proc/${pid}/cgroup`) ?? "");
  const first = paths.find((p) => p.controllers.includes("memory"));
  const firstMount = mounts.find((m) => m.type === "cgroup" && m.options.includes("memory"));
  if (first && firstMount) return { version: 1, folders: chain(firstMount, first.path, read, "memory.limit_in_bytes") };
  const second = paths.find((p) => p.controllers.join() === "");
  const secondMount = mounts.find((m) => m.type === "cgroup2");
  if (!second || !secondMount) return undefined;
  const folders = chain(secondMount, second.path, read, "memory.current", "memory.max");
  return folders.some((f) => read(`${f}/memory.current`) !== undefined) ? { version: 2, folders } : undefined;
}

/**
 * Folders from the process's own up to the mount point. Inside a container the path may be one of the host and the mount a part of
 * its tree; what does not exist below the mount is looked for at the mount point itself.
 */
function chain(mount: Mount, path: string, read: ReadText, ...files: string[]): string[] {
  const inside = mount.root !== "/" && path.startsWith(mount.root) ? path.slice(mount.root.length) : path;
  const steps = inside.split("/").filter((s) => s !== "" && s !== "..");
  const folders: string[] = [];
  for (let n = steps.length; n >= 0; n--) {
    const folder = [mount.point, ...steps.slice(0, n)].join("/");
    if (n === 0 || files.some((f) => read(`${folder}/${f}`) !== undefined)) folders.push(folder);
  }
  return folders;
}

/** Version 1 writes "no limit" as the largest multiple of the page size. */
const NO_LIMIT = 2 ** 62;

/** The tightest limit of the chain in bytes; Infinity: no limit. */
export function cgroupLimit(group: MemoryCgroup, read: ReadText): number {
  const files = group.version === 1 ? ["memory.limit_in_bytes"] : ["memory.max", "memory.high"];
  let limit = Infinity;
  for (const folder of group.folders) {
    for (const file of files) {
      const value = Number(read(`${folder}/${file}`)?.trim() || NaN);
      if (value < NO_LIMIT) limit = Math.min(limit, value);
    }
  }
  return limit;
}

/** The file whose text is the usage of the process's own group, in bytes. */
export function cgroupUsageFile(group: MemoryCgroup): string {
  return `${group.folders[0]}/${group.version === 1 ? "memory.usage_in_bytes" : "memory.current"}`;
}

/** Processes that the kernel killed in this group and those below it; NaN when the kernel does not count them. */
export function cgroupOomKills(group: MemoryCgroup, read: ReadText): number {
  const text = read(`${group.folders[0]}/${group.version === 1 ? "memory.oom_control" : "memory.events"}`) ?? "";
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? NaN);
}
