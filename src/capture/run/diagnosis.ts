/** What this machine offers to a recording, and how to mend what it does not. */
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "../../base/format.ts";
import { cgroupLimit, findMemoryCgroup } from "../proc/cgroup.ts";
import { listFolder, readText } from "../proc/read.ts";

/** ok: fine; mend: works less well than it could; broken: `run` cannot record blocks. */
export type Condition = "ok" | "mend" | "broken";

export interface Finding {
  name: string;
  condition: Condition;
  /** What was found, one clause. */
  found: string;
  /** What to do, one clause; "" when nothing. */
  mend: string;
}

export interface Parts {
  /** Folder of the installation, and its built parts; undefined: not there. */
  root: string;
  agent: string | undefined;
  launcher: string | undefined;
}

export function diagnose(parts: Parts): Finding[] {
  return [node(), compiler(), agent(parts), launcher(parts), cgroup(), clock(parts), ptrace(), kernel()];
}

function finding(name: string, condition: Condition, found: string, mend = ""): Finding {
  return { name, condition, found, mend };
}

function node(): Finding {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const enough = major! > 20 || (major === 20 && minor! >= 19);
  return finding(
    "node",
    enough ? "ok" : "mend",
    `Node.js ${process.versions.node}`,
    enough ? "" : "install Node.js 20.19 or later",
  );
}

function compiler(): Finding {
  const command = process.env.CC ?? "cc";
  const version = firstLine(command, ["--version"]);
  if (version !== undefined) return finding("compiler", "ok", `${command}: ${version}`);
  return finding(
    "compiler",
    "mend",
    `no C compiler (${command})`,
    "install gcc or clang, or name one in CC; needed to build the agent",
  );
}

function agent({ root, agent: file }: Parts): Finding {
  const again = "run ./tidegauge in the clone once more, with a C compiler installed";
  if (file === undefined) return finding("agent", "broken", "not built, so programs are recorded without lines", again);
  const errors = preloadErrors(file);
  if (errors !== "") return finding("agent", "broken", `cannot be loaded: ${errors}`, `remove ${file} and ${again}`);
  const sources = listFolder(join(root, "agent")).map((name) => statSync(join(root, "agent", name)).mtimeMs);
  if (Math.max(0, ...sources) > statSync(file).mtimeMs)
    return finding("agent", "mend", "older than its sources", again);
  return finding("agent", "ok", "built, and the loader takes it");
}

/** What the loader says about a library that it cannot preload; it starts the program all the same. */
function preloadErrors(file: string): string {
  try {
    const sh = ["-c", "/bin/true 2>&1"];
    const text = execFileSync("/bin/sh", sh, { env: { ...process.env, LD_PRELOAD: file }, encoding: "utf8" });
    return text.trim().split("\n")[0]!;
  } catch (error) {
    return error instanceof Error ? error.message.split("\n")[0]! : String(error);
  }
}

function launcher({ launcher: file }: Parts): Finding {
  if (file !== undefined) return finding("launcher", "ok", "built");
  const found = "not built, so programs see Node's limits of open files and its memory in ru_maxrss";
  return finding("launcher", "mend", found, "run ./tidegauge in the clone once more, with a C compiler installed");
}

function cgroup(): Finding {
  const group = findMemoryCgroup(readText);
  if (!group) return finding("cgroup", "ok", "no memory controller: limits are the machine's own");
  const limit = cgroupLimit(group, readText);
  return finding(
    "cgroup",
    "ok",
    `version ${group.version}, ${Number.isFinite(limit) ? `limit ${formatBytes(limit)}` : "no limit"}`,
  );
}

/** Above this the agent's time stamps would be felt. */
const DEAR_NANOSECONDS = 100;

function clock({ launcher: file }: Parts): Finding {
  const source = readText("/sys/devices/system/clocksource/clocksource0/current_clocksource")?.trim() ?? "unknown";
  const costs = file === undefined ? undefined : firstLine(file, ["clock"]);
  const [tick, monotonic] = (costs ?? "").split(" ").map(Number);
  if (!tick || !monotonic) return finding("clock", "ok", `source ${source}; its cost was not measured`);
  const found = `source ${source}; reading the tick takes ${tick} ns, the monotonic clock ${monotonic} ns`;
  const dear = tick > DEAR_NANOSECONDS;
  return finding(
    "clock",
    dear ? "mend" : "ok",
    found,
    dear ? "this hypervisor traps the tick: expect a higher overhead" : "",
  );
}

/** Bit of CAP_SYS_PTRACE in the masks of /proc/PID/status. */
const CAP_SYS_PTRACE = 19n;

/** `run` reads only its own children; reading the memory of other processes needs these rights. */
function ptrace(): Finding {
  const scope = Number(readText("/proc/sys/kernel/yama/ptrace_scope")?.trim() ?? "0");
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readText("/proc/self/status") ?? "")?.[1] ?? "0"}`);
  const mend = "for programs not started by tidegauge: sudo sysctl kernel.yama.ptrace_scope=0, or run as root";
  if (scope === 3)
    return finding(
      "ptrace",
      "mend",
      "forbidden to everyone until the next boot (Yama scope 3)",
      "boot with kernel.yama.ptrace_scope=0",
    );
  if ((capabilities >> CAP_SYS_PTRACE) & 1n) return finding("ptrace", "ok", "allowed for every process");
  if (scope === 0) return finding("ptrace", "ok", "allowed for processes of the same user");
  return finding(
    "ptrace",
    "mend",
    scope === 1 ? "allowed for children only (Yama scope 1)" : "allowed for root only (Yama scope 2)",
    mend,
  );
}

function kernel(): Finding {
  const pid = process.pid;
  const missing = [
    ...(readText(`/proc/${pid}/smaps_rollup`) === undefined ? ["PSS and USS (smaps_rollup)"] : []),
    ...(readText(`/proc/${pid}/task/${pid}/children`) === undefined
      ? ["child processes without Python (CONFIG_PROC_CHILDREN)"]
      : []),
  ];
  if (missing.length === 0) return finding("kernel", "ok", "tells all that is asked of it");
  return finding(
    "kernel",
    "mend",
    `does not tell ${missing.join(", ")}`,
    "a kernel of 4.14 or later has both, if its maker switched them on",
  );
}

function firstLine(command: string, args: string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .split("\n")[0]!
      .trim();
  } catch {
    return undefined;
  }
}
