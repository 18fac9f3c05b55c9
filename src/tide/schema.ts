/**
 * The tables of a finished recording: the one place that says which columns exist, their types and meaning.
 * Row type first, then what writes it. All times are seconds since the start of the run (the recorder's clock at launch),
 * all sizes are bytes. `f64` columns use NaN for "not measured"; `u32` index columns use NONE (0xffffffff).
 *
 * Amount columns come in a fixed group, see `AMOUNT`: an estimate and what is needed to give it an interval
 * (docs/format.md, "Estimates").
 */

/** `str` is a u32 index into the recording's string table, read and written as a JavaScript string. */
export type ColumnType = "u8" | "u32" | "i32" | "f64" | "str";

/**
 * bytes: estimated sum of sizes (weight times size); count: estimated number of blocks;
 * variance: estimated variance of `bytes` (0 when every block was recorded); sampled: number of blocks with p < 1
 * behind the estimate; exactBytes: the part of `bytes` from blocks with p = 1.
 */
const AMOUNT = {
  bytes: "f64",
  count: "f64",
  variance: "f64",
  sampled: "f64",
  exactBytes: "f64",
} as const satisfies Record<string, ColumnType>;

export const SCHEMA = {
  /** Key/value facts of the run: see docs/format.md for the keys. One of `text` and `number` is set ("" / NaN otherwise). */
  facts: { key: "str", text: "str", number: "f64" },

  /** What this run could not see, one sentence a row. */
  notMeasured: { text: "str" },

  /** Code objects that appear in a stack, merged over processes. owner: 0 the user's own file, 1 site-packages,
   *  2 the interpreter's library, 3 native code, 4 other (frozen, <string>, unknown). package: top-level name for 1, library for 3. */
  codes: {
    name: "str",
    qualname: "str",
    file: "str",
    firstLine: "u32",
    owner: "u8",
    package: "str",
  },

  /** A place in a code object. offset: bytes of bytecode (start of the instruction); NONE for native frames and folded recursion. */
  frames: { code: "u32", line: "u32", offset: "u32" },

  /** Stack tree: parent is an index into this table (NONE at the outermost frame), parents before children. site: index into `sites`. */
  stacks: { parent: "u32", frame: "u32", site: "u32" },

  /** Innermost frame in the user's own files; where there is none, the innermost frame. source: the stripped source line, "" if not at hand.
   *  innerFrame, heaviestStack: the frame that asked and the stack that stand for the site (largest at the site's peak, else largest allocated). */
  sites: { code: "u32", line: "u32", source: "str", innerFrame: "u32", heaviestStack: "u32" },

  /** Source text of the user's own files that hold a site (whole file; at most 512 KiB each, 4 MiB in all). */
  sources: { file: "str", text: "str" },

  /** One row a process image (an exec starts a new one), the root first. recorded: 1 with blocks, 0 pages only (reason says why).
   *  exitCode -1: unknown; signal 0: none. pythonHex: PY_VERSION_HEX or 0. intervalBytes: 0 when every block was recorded (last value when adaptive).
   *  peakRss is VmHWM (NaN unknown); peakFinal 1: read at the very end, 0: the last sample before the end (a lower bound). */
  processes: {
    pid: "u32",
    parentPid: "u32",
    ordinal: "u32",
    argv: "str",
    exe: "str",
    pythonHex: "u32",
    start: "f64",
    end: "f64",
    peakRss: "f64",
    peakAt: "f64",
    peakFinal: "u8",
    exitCode: "i32",
    signal: "u32",
    recorded: "u8",
    reason: "str",
    intervalBytes: "f64",
    births: "f64",
    deaths: "f64",
    dropped: "f64",
    agentBytes: "f64",
  },

  /** /proc samples. cgroupUsage: memory.current of the run's cgroup, only on rows of the root process. */
  timeline: {
    process: "u32",
    time: "f64",
    rss: "f64",
    hwm: "f64",
    pss: "f64",
    uss: "f64",
    swap: "f64",
    cgroupUsage: "f64",
  },

  /** Labelled instants from the program. */
  marks: { process: "u32", time: "f64", label: "str" },

  /** Total recorded live bytes of a process at up to 400 instants, in time order. */
  liveCurve: { process: "u32", time: "f64", ...AMOUNT },

  /** Blocks live at the instant of the process's RSS peak, per stack. */
  peakStacks: { process: "u32", stack: "u32", ...AMOUNT },

  /** Blocks live at the end of the program, per stack: after its last own birth, before the interpreter takes itself apart. */
  endStacks: { process: "u32", stack: "u32", ...AMOUNT },

  /** Everything born over the run, per stack. */
  allocatedStacks: { process: "u32", stack: "u32", ...AMOUNT },

  /** Live bytes per site at up to 100 instants of the run (only sites with a site peak of 16 KiB and more). */
  checkpoints: { process: "u32", time: "f64", site: "u32", bytes: "f64", count: "f64" },

  /**
   * One row per (process, site): what the site did, as numbers; the sentences are made from these in `answers`.
   * Amount groups are spelled out with a prefix: live (at the end), peak (the site's own maximum, at peakAt), allocated (over the run).
   * features as in docs/verdicts.md: driverFrame (the frame of the loop or of the call that is one turn; NONE: no driver), unit (0 none,
   * 1 call, 2 turn of a loop, 3 slice of the run, 4 mark), units K, growthPerUnit with its 90 % interval (NaN: the site did not grow),
   * growingUnits (share of turns that left something behind; NaN when sampled), up, early, late, generations, allocLate, replaced, heldByCalls (hb),
   * depth, driverEnd (share of the program's time at which what drives ended), released (share of the level that went right after).
   * verdict and confidence: codes in VERDICTS and CONFIDENCES of this file.
   */
  siteFeatures: {
    process: "u32",
    site: "u32",
    verdict: "u8",
    confidence: "u8",
    liveBytes: "f64",
    liveCount: "f64",
    liveVariance: "f64",
    liveSampled: "f64",
    liveExactBytes: "f64",
    peakBytes: "f64",
    peakCount: "f64",
    peakVariance: "f64",
    peakSampled: "f64",
    peakExactBytes: "f64",
    peakAt: "f64",
    allocatedBytes: "f64",
    allocatedCount: "f64",
    allocatedVariance: "f64",
    allocatedSampled: "f64",
    allocatedExactBytes: "f64",
    driverFrame: "u32",
    driverStack: "u32",
    unit: "u8",
    units: "f64",
    growth: "f64",
    growthPerUnit: "f64",
    growthLow: "f64",
    growthHigh: "f64",
    growingUnits: "f64",
    up: "f64",
    early: "f64",
    late: "f64",
    generations: "f64",
    generationsMax: "f64",
    allocLate: "f64",
    replaced: "f64",
    heldByCalls: "f64",
    depth: "f64",
    driverEnd: "f64",
    released: "f64",
    calls: "f64",
    maxAtOnce: "f64",
  },

  /** A snapshot of all objects (docs/format.md section 5); empty in a recording without one. roots: the last row that is a root node. */
  heapSize: { roots: "u32" },

  /** The packed columns of the snapshot: number of values, first word and number of words in heapWords. */
  heapColumns: { name: "str", rows: "u32", first: "u32", words: "u32" },
  heapWords: { word: "u32" },

  /** Distinct numbers that packed columns are indexes of, most frequent first. kind: 0 address / 1 MiB, 1 bytes, 2 reference count, 3 edges of a row. */
  heapNumbers: { kind: "u8", value: "f64" },

  /** name is qualified within the module; module "": unknown. Row 0 is the type of blocks that are no objects. */
  heapTypes: { name: "str", module: "str" },
  heapNames: { name: "str" },

  /** Rows of the snapshot with a name of their own (row ascending, as in the tables after it). name, file: rows of heapNames. */
  heapNamed: { row: "u32", name: "u32", file: "u32", line: "u32" },

  /** Objects that are or show a buffer. dtype, shape: rows of heapNames; base: the row that owns the memory, NONE: itself. */
  heapArrays: { row: "u32", dtype: "u32", shape: "u32", bufferBytes: "f64", base: "u32" },

  /** Containers with a limit. kind: 0 lru_cache, 1 deque; limit NaN: none. */
  heapBounds: { row: "u32", kind: "u8", limit: "f64", fill: "f64" },

  /** Dicts, sets and lists of 1 KiB and more: entries, and entries that there is room for. */
  heapContainers: { row: "u32", used: "f64", slots: "f64" },

  /** Short values, only when the user asked for them. */
  heapTexts: { row: "u32", text: "str" },

  /** The account of RSS at the snapshot: nested categories, children sum to their parent. parent: an earlier row, NONE: the whole. */
  heapLedger: { parent: "u32", name: "str", bytes: "f64" },
} as const satisfies Record<string, Record<string, ColumnType>>;

export const VERDICTS = [
  "undecided",
  "recycled",
  "held by recursion",
  "held",
  "leaking",
  "native leak",
  "bounded cache",
  "warm-up",
  "cyclic garbage",
  "minor",
] as const;
export type Verdict = (typeof VERDICTS)[number];

export const CONFIDENCES = ["low", "medium", "high"] as const;
export type Confidence = (typeof CONFIDENCES)[number];

export const UNITS = ["none", "call", "turn", "slice", "mark"] as const;

export type TableName = keyof typeof SCHEMA;
export type Column<T extends ColumnType> = T extends "u8"
  ? Uint8Array
  : T extends "u32"
    ? Uint32Array
    : T extends "i32"
      ? Int32Array
      : T extends "f64"
        ? Float64Array
        : readonly string[];

/** A finished table: one typed column a field, and the number of rows. */
export type Table<N extends TableName> = {
  readonly [K in keyof (typeof SCHEMA)[N]]: (typeof SCHEMA)[N][K] extends ColumnType
    ? Column<(typeof SCHEMA)[N][K]>
    : never;
} & { readonly length: number };

/** One row as a plain object: what builders accept. */
export type Row<N extends TableName> = {
  [K in keyof (typeof SCHEMA)[N]]: (typeof SCHEMA)[N][K] extends "str" ? string : number;
};

type HeapTableName = Extract<TableName, `heap${string}`>;

/** Everything that a finished recording holds, in memory; the tables of a snapshot only where there is one. */
export type Tables = { [N in Exclude<TableName, HeapTableName>]: Table<N> } & { [N in HeapTableName]?: Table<N> };

/** Minor version of the format: raised when a table or column is added. docs/format.md has the changelog. */
export const FORMAT_MINOR = 0;

/** Minor version that brought a column, by "table.column"; 0 when not named. Older files read as not measured: NaN, NONE, -1, 0 or "". */
export const COLUMN_SINCE: Readonly<Record<string, number>> = {};

/**
 * What a value of an index or code column may be; a reader refuses a file that breaks it. table: an index of that table; limit: below
 * that number; none: or NONE; before: only rows before its own (parents before children).
 */
export interface ColumnCheck {
  table?: TableName;
  limit?: number;
  none?: boolean;
  before?: boolean;
}

const CHECKS: { [N in TableName]?: { [K in keyof (typeof SCHEMA)[N]]?: ColumnCheck } } = {
  codes: { owner: { limit: 5 } },
  frames: { code: { table: "codes" } },
  stacks: {
    parent: { table: "stacks", none: true, before: true },
    frame: { table: "frames" },
    site: { table: "sites" },
  },
  sites: {
    code: { table: "codes" },
    innerFrame: { table: "frames", none: true },
    heaviestStack: { table: "stacks", none: true },
  },
  timeline: { process: { table: "processes" } },
  marks: { process: { table: "processes" } },
  liveCurve: { process: { table: "processes" } },
  peakStacks: { process: { table: "processes" }, stack: { table: "stacks" } },
  endStacks: { process: { table: "processes" }, stack: { table: "stacks" } },
  allocatedStacks: { process: { table: "processes" }, stack: { table: "stacks" } },
  checkpoints: { process: { table: "processes" }, site: { table: "sites" } },
  siteFeatures: {
    process: { table: "processes" },
    site: { table: "sites" },
    verdict: { limit: VERDICTS.length },
    confidence: { limit: CONFIDENCES.length },
    driverFrame: { table: "frames", none: true },
    driverStack: { table: "stacks", none: true },
    unit: { limit: UNITS.length },
  },
  heapNumbers: { kind: { limit: 4 } },
  heapNamed: { name: { table: "heapNames" }, file: { table: "heapNames", none: true } },
  heapArrays: { dtype: { table: "heapNames" }, shape: { table: "heapNames" } },
  heapLedger: { parent: { table: "heapLedger", none: true, before: true } },
};

/** The checks of a table's columns, by column name. */
export function checkedColumns(name: TableName): Readonly<Record<string, ColumnCheck | undefined>> {
  return (CHECKS[name] ?? {}) as Record<string, ColumnCheck | undefined>;
}
