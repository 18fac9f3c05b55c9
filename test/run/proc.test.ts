import { describe, expect, test } from "vitest";
import {
  cgroupLimit,
  cgroupOomKills,
  cgroupUsageFile,
  findMemoryCgroup,
  parseCgroupMounts,
} from "../../src/capture/proc/cgroup.ts";
import {
  parseChildren,
  parseCmdline,
  parseMemTotal,
  parseSmapsRollup,
  parseSoftLimit,
  parseStat,
  parseStatus,
} from "../../src/capture/proc/parse.ts";

describe("/proc of a process, as text", () => {
  test("status: memory in bytes, state, parent, threads", () => {
    const text =
      "Name:\tpython3\nState:\tS (sleeping)\nPPid:\t17\nVmPeak:\t  99 kB\nVmSize:\t  90 kB\nVmHWM:\t    20 kB\nVmRSS:\t    10 kB\nVmSwap:\t 3 kB\nThreads:\t4\n";
    expect(parseStatus(text)).toEqual({
      name: "python3",
      state: "S",
      parent: 17,
      rss: 10 * 1024,
      hwm: 20 * 1024,
      swap: 3 * 1024,
      size: 90 * 1024,
      threads: 4,
    });
  });

  test("status of a zombie: no memory lines, so nothing is 0", () => {
    const { rss, hwm, swap, state } = parseStatus("Name:\tpython3\nState:\tZ (zombie)\nPPid:\t17\n");
    expect({ rss, hwm, swap, state }).toEqual({ rss: NaN, hwm: NaN, swap: NaN, state: "Z" });
  });

  test("stat: a command with spaces and parentheses does not shift the fields", () => {
    const after = Array.from({ length: 50 }, (_, i) => i + 3); // field 3 holds 3, and so on
    const { parent, processGroup, terminalGroup, startTicks, cpuTicks, exitStatus } = parseStat(
      `12 (a ) b) (c) ${after.join(" ")}\n`,
    );
    expect({ parent, processGroup, terminalGroup, startTicks, cpuTicks, exitStatus }).toEqual({
      parent: 4,
      processGroup: 5,
      terminalGroup: 8,
      startTicks: 22,
      cpuTicks: 14 + 15,
      exitStatus: 52,
    });
  });

  test("smaps_rollup: PSS, and USS as the sum of what is private", () => {
    const text =
      "55cc-7ffc ---p 00000000 00:00 0 [rollup]\nRss:   1616 kB\nPss:    388 kB\nPss_Dirty: 116 kB\nPrivate_Clean: 104 kB\nPrivate_Dirty: 116 kB\nSwap: 8 kB\nSwapPss: 1 kB\n";
    expect(parseSmapsRollup(text)).toEqual({ rss: 1616 * 1024, pss: 388 * 1024, uss: 220 * 1024, swap: 8 * 1024 });
  });

  test("limits: a number, unlimited, a row that is not there", () => {
    const text =
      "Limit                     Soft Limit           Hard Limit           Units     \nMax address space         1048576              unlimited            bytes     \nMax open files            unlimited            4096                 files     \n";
    expect(parseSoftLimit(text, "Max address space")).toBe(1048576);
    expect(parseSoftLimit(text, "Max open files")).toBe(Infinity);
    expect(parseSoftLimit(text, "Max locked memory")).toBe(NaN);
  });

  test("meminfo, children, cmdline", () => {
    expect(parseMemTotal("MemTotal:       24684084 kB\nMemFree: 1 kB\n")).toBe(24684084 * 1024);
    expect(parseChildren("12 345 ")).toEqual([12, 345]);
    expect(parseChildren("")).toEqual([]);
    expect(parseCmdline("python3\0-c\0\0")).toEqual(["python3", "-c", ""]);
    expect(parseCmdline("worker: idle")).toEqual(["worker: idle"]);
    expect(parseCmdline("")).toEqual([]);
  });
});

/** A machine made of files: paths to texts. */
const machine =
  (files: Record<string, string>) =>
  (path: string): string | undefined =>
    files[path];

const V2_MOUNT = "30 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
const V1_MOUNT = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n";

describe("the memory control group", () => {
  test("version 2: the tightest limit of the chain, memory.high included", () => {
    const read = machine({
      "/proc/self/mountinfo": V2_MOUNT,
      "/proc/self/cgroup": "0::/user.slice/job/step\n",
      "/sys/fs/cgroup/user.slice/job/step/memory.max": "max\n",
      "/sys/fs/cgroup/user.slice/job/step/memory.current": "4096\n",
      "/sys/fs/cgroup/user.slice/job/step/memory.events": "low 0\nhigh 0\nmax 3\noom 1\noom_kill 2\n",
      "/sys/fs/cgroup/user.slice/job/memory.max": "2000000\n",
      "/sys/fs/cgroup/user.slice/job/memory.high": "1000000\n",
      "/sys/fs/cgroup/user.slice/memory.max": "9000000\n",
    });
    const group = findMemoryCgroup(read)!;
    expect(group.version).toBe(2);
    expect(cgroupLimit(group, read)).toBe(1000000);
    expect(cgroupUsageFile(group)).toBe("/sys/fs/cgroup/user.slice/job/step/memory.current");
    expect(cgroupOomKills(group, read)).toBe(2);
  });

  test("version 1: its own files, and its way to write no limit", () => {
    const unlimited = {
      "/proc/self/mountinfo": V1_MOUNT,
      "/proc/self/cgroup": "4:memory:/docker/abc\n0::/\n",
      "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/memory/docker/abc/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n",
    };
    const group = findMemoryCgroup(machine(unlimited))!;
    expect(group).toEqual({
      version: 1,
      folders: ["/sys/fs/cgroup/memory/docker/abc", "/sys/fs/cgroup/memory"],
    });
    expect(cgroupLimit(group, machine(unlimited))).toBe(Infinity);
    expect(cgroupOomKills(group, machine(unlimited))).toBe(5);
    const limited = { ...unlimited, "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": "536870912\n" };
    expect(cgroupLimit(group, machine(limited))).toBe(536870912);
  });

  test("a machine with both: the one that has the memory controller", () => {
    const read = machine({
      "/proc/self/mountinfo": `${V1_MOUNT}40 31 0:37 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
      "/proc/self/cgroup": "4:memory:/job\n1:name=systemd:/job\n0::/job\n",
      "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "1048576\n",
    });
    expect(findMemoryCgroup(read)?.version).toBe(1);
  });

  test("inside a container: the path is the host's, the mount is a part of its tree", () => {
    const read = machine({
      "/proc/self/mountinfo": "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
      "/proc/self/cgroup": "0::/docker/abc/inner\n",
      "/sys/fs/cgroup/inner/memory.max": "4096\n",
      "/sys/fs/cgroup/inner/memory.current": "1\n",
    });
    expect(cgroupLimit(findMemoryCgroup(read)!, read)).toBe(4096);
  });

  test("no controller: there is nothing to say", () => {
    expect(findMemoryCgroup(machine({}))).toBe(undefined);
    const bare = machine({ "/proc/self/mountinfo": V2_MOUNT, "/proc/self/cgroup": "0::/\n" });
    expect(findMemoryCgroup(bare)).toBe(undefined);
  });

  test("a kernel that does not count OOM kills gives NaN, not 0", () => {
    const group = { version: 1 as const, folders: ["/g"] };
    expect(cgroupOomKills(group, machine({ "/g/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\n" }))).toBe(NaN);
  });

  test("mount points with spaces", () => {
    expect(parseCgroupMounts("30 24 0:26 / /my\\040groups rw - cgroup2 none rw\n")[0]?.point).toBe("/my groups");
  });
});
