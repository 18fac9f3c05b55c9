/** One run from launch to end: starts the program, samples it, and leaves a run folder that can be finished into a recording. */
import { encodeSettings, type Settings } from "../../tide/runfolder.ts";
import { parseStat, parseStatus } from "../proc/parse.ts";
import { readText } from "../proc/read.ts";
import { CgroupWatch } from "./cgroup-watch.ts";
import { giveBack, type RunPlace } from "./folder.ts";
import { Journal, type Facts } from "./journal.ts";
import { inForeground, launch, type Launched, type ProgramEnd } from "./launch.ts";
import { readLimits } from "./machine.ts";
import type { Program } from "./program.ts";
import { reasonOf, Refusal } from "./refusal.ts";
import { Sampler, type Level } from "./sampler.ts";
import { ProcessTree } from "./tree.ts";

export interface RecordPlan {
  version: string;
  program: Program;
  place: RunPlace;
  settings: Omit<Settings, "started" | "memoryLimit">;
  /** Files of this installation; undefined: not there. */
  agent: string | undefined;
  launcher: string | undefined;
  inherited: string | undefined;
  /** Why the root cannot be recorded by blocks, "" when nothing stands against it. */
  reason: string;
  /** Sentences about what goes wrong while the program runs. */
  onTrouble: (sentence: string) => void;
  onLevel: (level: Level) => void;
  /** Called once, when the program runs: time to load what is needed after its end. */
  onStarted: () => void;
}

/** Processes that end together with the root have this long to be seen ending. */
const GRACE_SECONDS = 0.2;
const GRACE_STEP_SECONDS = 0.005;

export interface Recorded {
  pid: number;
  end: ProgramEnd;
  /** There is a run folder to finish. Otherwise what happened to it has been told. */
  kept: boolean;
}

/** Rejects with a Refusal when the program could not be started; the run folder is removed then. */
export async function record(plan: RecordPlan): Promise<Recorded> {
  const started = process.hrtime.bigint();
  const now = () => Number(process.hrtime.bigint() - started) / 1e9;
  const journal = openJournal(plan, started);
  let launched: Launched;
  try {
    launched = await launch({ ...plan, folder: plan.place.folder });
  } catch (error) {
    journal.close();
    giveBack(plan.place);
    throw error;
  }
  const { pid } = launched;
  journal.facts({ pid });
  const { argv, throughScript } = plan.program;
  const tree = new ProcessTree(plan.place.folder, { pid, argv, throughScript }, (line) => journal.process(line));
  const suspend = stopTogether();
  const cgroup = new CgroupWatch(pid);
  const sampler = new Sampler(tree, journal, pid, cgroup, now, (level) => {
    suspend(tree.isStopped(pid), level.seconds);
    plan.onLevel(level);
  });
  sampler.start();
  plan.onStarted();
  const end = await launched.ended;
  const seconds = now();
  await settle(tree, sampler, pid, now);
  sampler.stop();
  const left = tree.pids.filter((other) => other !== pid);
  tree.close(seconds, end.exitCode ?? -1, end.exitCode === null && end.signal === 0 ? -1 : end.signal);
  journal.facts({
    ...endFacts(end, seconds),
    ...readLimits(plan.inherited, cgroup.limit),
    oomKills: cgroup.oomKills,
    notMeasured: unseen(left, journal),
  });
  cgroup.close();
  journal.close();
  launched.release();
  return { pid, end, kept: !journal.isLost };
}

function openJournal(plan: RecordPlan, started: bigint): Journal {
  const { program, place, settings } = plan;
  const limits = readLimits(plan.inherited);
  const facts: Facts = {
    version: plan.version,
    argv: program.argv.join("\0"),
    cwd: process.cwd(),
    exe: program.file,
    python: "",
    mode: plan.agent === undefined || plan.reason !== "" ? "pages" : settings.mode,
    intervalBytes: settings.interval,
    startedRealtime: Date.now() / 1000,
    startedMonotonic: Number(started) / 1e9,
    complete: 0,
    ...limits,
    recorderPid: process.pid,
    recorderStart: parseStat(readText("/proc/self/stat") ?? "").startTicks,
    reason: plan.reason,
  };
  const memoryLimit = Number.isFinite(limits.limitBytes) ? limits.limitBytes : 0;
  try {
    return new Journal(place.folder, encodeSettings({ ...settings, memoryLimit, started }), facts, plan.onTrouble);
  } catch (error) {
    giveBack(place);
    throw new Refusal(3, `cannot write into ${place.folder}: ${reasonOf(error)}; name a file elsewhere with -o`);
  }
}

function endFacts(end: ProgramEnd, seconds: number): Facts {
  const { user, system } = process.cpuUsage();
  return {
    exitCode: end.exitCode ?? NaN,
    signal: end.signal,
    seconds,
    cpuSeconds: end.cpuSeconds,
    maxRssBytes: end.maxRssBytes,
    complete: 1,
    recorderCpuSeconds: (user + system) / 1e6,
    recorderRssBytes: parseStatus(readText("/proc/self/status") ?? "").hwm,
  };
}

/** Descendants often end in the moment after the root: wait for them a little, and only while there are some. */
async function settle(tree: ProcessTree, sampler: Sampler, root: number, now: () => number): Promise<void> {
  const until = now() + GRACE_SECONDS;
  sampler.look();
  while (tree.pids.some((pid) => pid !== root) && now() < until) {
    await new Promise((resolve) => setTimeout(resolve, GRACE_STEP_SECONDS * 1000));
    sampler.look();
  }
}

/** Sentences, one a line, about what this run could not see. */
function unseen(left: readonly number[], journal: Journal): string {
  const sentences: string[] = [];
  if (left.length > 0) {
    const which =
      left.length === 1
        ? `process ${left[0]}`
        : `${left.length} processes (${left.slice(0, 5).join(", ")}${left.length > 5 ? ", …" : ""})`;
    sentences.push(`What ${which} did after the main program ended: still running when the recording was finished.`);
  }
  if (journal.wasDeleted) sentences.push("Blocks: the program deleted the folder of the recording while it ran.");
  return sentences.join("\n");
}

/** How long a program must be stopped, seen by a recorder that runs, before it counts as having stopped itself. */
const STOPPED_SECONDS = 0.05;

/**
 * A program that stops itself (SIGSTOP, SIGTSTP) gives the terminal back to the shell. The shell watches the recorder, not the program:
 * so the recorder stops as well, and whoever continues it continues the program.
 */
function stopTogether(): (stopped: boolean, time: number) => void {
  let since = NaN;
  return (stopped, time) => {
    if (!stopped) since = NaN;
    else if (Number.isNaN(since)) since = time;
    else if (time - since >= STOPPED_SECONDS && inForeground()) {
      since = NaN;
      process.kill(process.pid, "SIGSTOP");
    }
  };
}
