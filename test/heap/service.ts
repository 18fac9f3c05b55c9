/** A service with a cache that keeps its reports, a view that keeps its base, garbage and an orphan: what the texts are tried on. */
import { Heap } from "../../src/views/objects/analysis.ts";
import type { Snapshot } from "../../src/views/objects/snapshot.ts";
import { heapOf } from "../objects/heaps.ts";

export function serviceHeap(reports = 300): Snapshot {
  const cached = Array.from(
    { length: reports },
    (_, i) => `
    k${i}: tuple 56
    r${i}: app.report.Report 48
    d${i}: dict 184
    b${i}: bytearray 16056
    v${i}: str 64 hash=${(i % 3) + 1}
    cache -> r${i} [<k${i}>]
    cache -> k${i} dictkey
    k${i} -> r${i} [0]
    r${i} -> d${i} dict
    d${i} -> b${i} ["buffer"]
    d${i} -> v${i} ["status"]`,
  ).join("");
  const { table } = heapOf(`
    app.report: module
    main: thread MainThread
    handle: frame handle /srv/app/server.py:58
    main -> handle frame
    app.report -> mod dict
    mod: module_object 72
    mod -> ns dict
    ns: dict 1200
    ns -> Report ["Report"]
    Report: type 1400
    Report -> total .total
    total: functools._lru_cache_wrapper 240 limit=none
    total -> cache +64
    cache: dict 36960
    ${cached}
    ns -> pool ["pool"]
    pool: dict 98400 used=3/3000
    handle -> window local window
    window: numpy.ndarray 112 (1000,) shows=8000
    window -> whole base
    whole: numpy.ndarray 8000112 (1000000,)
    x: list 64 gc
    y: list 100064 gc
    x -> y [0]
    y -> x [0]
    lost: dict 1200 rc=1 gc
    lost -> text ["error"]
    text: str 20064`);
  return {
    heap: new Heap(table),
    facts: {
      pid: 4711,
      argv: ["python3", "server.py", "--port", "0"],
      cwd: "/srv",
      exe: "/usr/bin/python3.12",
      python: "CPython 3.12.1",
      source: "live",
      stopMilliseconds: 112,
      copiedBytes: 19e6,
      rssBytes: 31e6,
      takenAt: 1_700_000_000,
      interpreters: 1,
      threads: 1,
      notMeasured: [],
    },
    audit: {
      counted: 1000,
      explained: 994,
      tracked: 400,
      trackedReached: 396,
      liveBytes: 14e6,
      foundBytes: 13.9e6,
      badPointers: 0,
    },
    ledger: {
      name: "RSS",
      bytes: 31e6,
      children: [
        { name: "Python objects", bytes: 6e6, children: [] },
        { name: "array buffers", bytes: 13e6, children: [] },
        { name: "files", bytes: 11e6, children: [] },
        { name: "unexplained", bytes: 1e6, children: [] },
      ],
    },
  };
}
