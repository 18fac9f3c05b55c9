/** One hand-made recording for each kind of answer that a person can get. */
import { GiB, KiB, MiB } from "./fixture.ts";
import type { ProgramSpec } from "./fixture.ts";

const RECYCLED_SOURCE = `import resource

def eatmemory():
  x = [0] * 100000
  print('Memory usage after x created')

print('Memory usage initially')
for i in range(3):
  eatmemory()
print('Memory usage finally')
`;

/** A function makes a list in each of three calls. */
const recycled: ProgramSpec = {
  facts: { argv: "python3\0recycled.py", seconds: 0.06 },
  processes: [{ argv: "python3\0recycled.py", end: 0.06, peakAt: 0.05 }],
  rss: [
    [0, 1.2 * MiB],
    [0.01, 5 * MiB],
    [0.02, 9.3 * MiB],
    [0.04, 10.1 * MiB],
    [0.06, 10.1 * MiB],
  ],
  live: [
    { time: 0, bytes: 0, count: 0 },
    { time: 0.03, bytes: 1.2 * MiB, count: 9000 },
    { time: 0.06, bytes: 400 * KiB, count: 8000 },
  ],
  sites: [
    {
      at: "recycled.py:4 eatmemory",
      source: "x = [0] * 100000",
      from: ["recycled.py:9"],
      verdict: "recycled",
      driver: "recycled.py:9",
      live: { bytes: 0, count: 0 },
      peak: { bytes: 800_056, count: 1 },
      allocated: { bytes: 3 * 800_056, count: 3 },
      features: { calls: 3, units: 3, unit: 1, maxAtOnce: 1 },
    },
    {
      at: "recycled.py:5 eatmemory",
      source: "print('Memory usage after x created')",
      from: ["recycled.py:9"],
      verdict: "minor",
      live: { bytes: 112, count: 1 },
      peak: { bytes: 2112, count: 4 },
      allocated: { bytes: 12_345, count: 30 },
    },
  ],
  sources: { "recycled.py": RECYCLED_SOURCE },
};

/** A service that keeps a buffer for every request, sampled. */
const service: ProgramSpec = {
  facts: {
    argv: "python3\0server.py\0--port\x000",
    python: "CPython 3.12.1",
    seconds: 250,
    mode: "adaptive",
    intervalBytes: 64 * KiB,
    limitBytes: 2 * GiB,
    limitKind: "cgroup",
  },
  processes: [
    {
      argv: "python3\0server.py\0--port\x000",
      end: 250,
      peakAt: 249.9,
      peakRss: 612 * MiB,
      pythonHex: 0x030c01f0,
      intervalBytes: 64 * KiB,
    },
  ],
  rss: Array.from({ length: 101 }, (_, i): [number, number] => [i * 2.5, (12 + i * 6) * MiB]),
  live: Array.from({ length: 51 }, (_, i) => {
    const bytes = (4 + i * 9.8) * MiB;
    return { time: i * 5, bytes, count: 300 * i, sampled: 160 * i, variance: bytes * 64 * KiB };
  }),
  sites: [
    {
      at: "app/report.py:31 Report.total",
      source: "self.buffer = bytearray(16000)  # room for the figures of one report",
      from: ["server.py:58 handle", "server.py:99 main", "server.py:104"],
      below: [
        { at: "/usr/lib/python3.12/json/decoder.py:355 JSONDecoder.raw_decode", owner: 2, package: "" },
        { at: "/home/ann/app/.venv/lib/python3.12/site-packages/fast/core.py:12 load", owner: 1, package: "fast" },
      ],
      verdict: "undecided",
      confidence: "medium",
      driver: "server.py:99 main",
      live: { bytes: 482 * MiB, count: 30_120, sampled: 7000, variance: (6 * MiB) ** 2 },
      features: {
        growthPerUnit: 16.4 * KiB,
        growthLow: 16.1 * KiB,
        growthHigh: 16.7 * KiB,
        growth: 482 * MiB,
        growingUnits: 1,
        units: 30_120,
        unit: 1,
        calls: 30_120,
        up: 1,
        early: 48 * MiB,
        late: 49 * MiB,
        generations: 30_000,
        generationsMax: 30_000,
      },
      curve: Array.from({ length: 100 }, (_, i): [number, number, number] => [i * 2.5, i * 4.82 * MiB, i * 301]),
    },
    {
      at: "app/tpl.py:9 render",
      source: "return env.compile(text)",
      from: ["server.py:58 handle", "server.py:99 main"],
      verdict: "bounded cache",
      driver: "server.py:99 main",
      live: { bytes: 20.4 * MiB, count: 2048, sampled: 300, variance: MiB ** 2 },
      features: { units: 30_120, unit: 1, generations: 2048, generationsMax: 2048 },
    },
    {
      at: "server.py:58 handle",
      source: "body = json.loads(raw)",
      from: ["server.py:99 main"],
      verdict: "recycled",
      driver: "server.py:99 main",
      live: { bytes: 0, count: 0 },
      peak: { bytes: 9.8 * MiB, count: 100, sampled: 10, variance: (3 * MiB) ** 2 },
      allocated: { bytes: 1.1 * GiB, count: 99_999, sampled: 17_600, variance: 1e14 },
      features: { units: 30_120, unit: 1, calls: 30_120 },
    },
  ],
  marks: [{ process: 0, time: 12.5, label: "warm" }],
  notMeasured: ["Memory on the GPU."],
};

/** Killed by the kernel at the limit of its cgroup. */
const killed: ProgramSpec = {
  facts: {
    argv: "python3\0train.py",
    exitCode: Number.NaN,
    signal: 9,
    seconds: 41.7,
    oomKills: 1,
    limitBytes: 4 * GiB,
    limitKind: "cgroup",
  },
  processes: [
    {
      argv: "python3\0train.py",
      end: 41.7,
      peakAt: 41.7,
      peakRss: 3.98 * GiB,
      peakFinal: 0,
      exitCode: -1,
      signal: 9,
    },
  ],
  rss: Array.from({ length: 60 }, (_, i): [number, number] => [i * 0.7, (20 + i * 68) * MiB]),
  sites: [
    {
      at: "model.py:88 fit",
      source: "scores.append(x @ w)",
      from: ["train.py:12"],
      verdict: "undecided",
      driver: "model.py:88 fit",
      live: { bytes: 3.1 * GiB, count: 41_300 },
      features: {
        growthPerUnit: 78.2 * KiB,
        growthLow: 78.2 * KiB,
        growthHigh: 78.2 * KiB,
        growth: 3.1 * GiB,
        growingUnits: 1,
        units: 41_300,
        unit: 2,
        up: 1,
      },
    },
    {
      at: "data.py:14",
      source: "X = load('all.npy')",
      verdict: "held",
      live: { bytes: 0.61 * GiB, count: 1 },
      features: { calls: 1 },
    },
  ],
};

/** The agent could not record: only what the kernel counts. */
const pages: ProgramSpec = {
  facts: { argv: "python3.13t\0job.py", mode: "pages", python: "CPython 3.13.1", intervalBytes: Number.NaN },
  processes: [{ argv: "python3.13t\0job.py", recorded: 0, reason: "free-threaded CPython 3.13 is not recorded" }],
  rss: [
    [0, 8 * MiB],
    [1, 10 * MiB],
    [2.5, 9 * MiB],
  ],
};

/** Nothing reached the floor of 16 KiB. */
const small: ProgramSpec = {
  facts: { argv: "python3\0-c\0print(sum(range(10)))", seconds: 0.02 },
  processes: [{ argv: "python3\0-c\0print(sum(range(10)))", end: 0.02, peakAt: 0.02 }],
  sites: [{ at: "<string>:1", verdict: "minor", live: { bytes: 0, count: 0 }, peak: { bytes: 900, count: 3 } }],
};

/** A parent with 200 workers of which three failed, and a shell. */
const children: ProgramSpec = {
  facts: { argv: "python3\0pool.py", seconds: 12 },
  processes: [
    { argv: "python3\0pool.py", end: 12, peakAt: 3, peakRss: 48 * MiB },
    {
      pid: 1300,
      parentPid: 1201,
      argv: "/bin/sh\0-c\0ls /tmp",
      pythonHex: 0,
      recorded: 0,
      reason: "no Python ran in it (sh)",
      peakRss: 1.5 * MiB,
      start: 0.1,
      end: 0.2,
    },
    ...Array.from({ length: 200 }, (_, i) => ({
      pid: 2000 + i,
      parentPid: 1201,
      argv: "python3\0pool.py",
      peakRss: (18 + i / 50) * MiB,
      start: 0.05 * i,
      end: 0.05 * i + 1,
      exitCode: i % 80 === 7 ? 1 : 0,
    })),
  ],
  rss: [
    [0, 9 * MiB],
    [3, 48 * MiB],
    [12, 40 * MiB],
  ],
  samples: Array.from({ length: 200 }, (_, i) => ({ process: 2 + i, time: 0.05 * i + 0.5, rss: (18 + i / 50) * MiB })),
  sites: Array.from({ length: 201 }, (_, i) => ({
    at: "pool.py:7 work",
    source: "rows = [make(n) for n in range(size)]",
    process: i === 0 ? 0 : i + 1,
    verdict: "recycled" as const,
    live: { bytes: 0, count: 0 },
    peak: { bytes: (4 + i / 100) * MiB, count: 40_000 },
    allocated: { bytes: (4 + i / 100) * MiB, count: 40_000 },
    features: { calls: 1, units: 1 },
  })),
};

/** A bit of everything, too much of it: the short answer must stay short. */
const crowded: ProgramSpec = {
  ...service,
  sites: [
    ...Array.from({ length: 30 }, (_, i) => ({
      ...service.sites![0],
      at: `app/some/deep/folder/with/modules/module_number_${i}.py:${1000 + i} Container.method_with_a_long_name`,
      live: { bytes: (40 - i) * MiB, count: 900 },
    })),
    ...service.sites!.slice(1),
  ],
  processes: [...service.processes!, ...children.processes!.slice(1)],
  notMeasured: Array.from(
    { length: 9 },
    (_, i) => `Part ${i} of the machine, which nobody looked at because nobody could.`,
  ),
};

export const situations = { recycled, service, killed, pages, small, children, crowded };
