/**
 * An opened recording: tables are read and checked when they are first asked for. Opening reads the footer only.
 * Columns are views of the file's bytes where alignment allows, never copies without need.
 */

import { NONE } from "../base/brand.ts";
import type { TypedColumn } from "../base/grow.ts";
import {
  KIND_STRINGS,
  KIND_TABLE,
  NAME_BYTES,
  damaged,
  openContainer,
  readChunk,
  readName,
  readU64,
  view,
} from "./container.ts";
import type { ByteSource, ChunkEntry } from "./container.ts";
import { COLUMN_SINCE, FORMAT_MINOR, SCHEMA, checkedColumns } from "./schema.ts";
import type { ColumnType, Table, TableName } from "./schema.ts";
import { COLUMN_TYPES, DESCRIPTOR_BYTES, TABLE_HEADER_BYTES, asTable, columnsOf, emptyTable } from "./writer.ts";

export interface Recording {
  /** A table of the recording; one that the file does not have is empty. Throws a TideError when its bytes are damaged. */
  table<N extends TableName>(name: N): Table<N>;
  /** Key/value facts of the run; a key that is missing reads "" or NaN. */
  readonly facts: { text(key: string): string; number(key: string): number };
}

/** The version that a reader knows. */
export interface Format {
  minor: number;
  since: Readonly<Record<string, number>>;
}

/** Opens a recording by its footer. Throws a TideError, one sentence, on a file that is not whole or not one of ours. */
export function openRecording(
  source: ByteSource,
  format: Format = { minor: FORMAT_MINOR, since: COLUMN_SINCE },
): Recording {
  const { minor, entries } = openContainer(source, format.minor);
  const isLater = (column: string): boolean => (format.since[column] ?? 0) > minor;
  const byName = new Map<string, ChunkEntry>();
  let stringsEntry: ChunkEntry | undefined;
  for (const entry of entries) {
    if (entry.kind === KIND_TABLE) {
      if (byName.has(entry.name)) throw damaged(`it has the table "${printable(entry.name)}" twice`);
      byName.set(entry.name, entry);
    } else if (entry.kind === KIND_STRINGS) {
      if (stringsEntry) throw damaged("it has two tables of strings");
      stringsEntry = entry;
    }
  }
  const rowsOf = (name: TableName): number => byName.get(name)?.rows ?? 0;
  const tables = new Map<TableName, Table<TableName>>();
  let strings: Strings | undefined;
  const textAt = (index: number): string => {
    strings ??= readStrings(source, stringsEntry);
    return strings(index);
  };

  function table<N extends TableName>(name: N): Table<N> {
    let found = tables.get(name);
    if (!found) {
      const entry = byName.get(name);
      found = entry
        ? readTable(source, name, entry, { textAt, rowsOf, isLater })
        : (emptyTable(name) as Table<TableName>);
      tables.set(name, found);
    }
    return found as Table<N>;
  }

  let factRows: Map<string, number> | undefined;
  const factRow = (key: string): number | undefined =>
    (factRows ??= new Map(table("facts").key.map((name, i) => [name, i]))).get(key);
  return {
    table,
    facts: {
      text(key) {
        const row = factRow(key);
        return row === undefined ? "" : table("facts").text[row]!;
      },
      number(key) {
        const row = factRow(key);
        return row === undefined ? NaN : table("facts").number[row]!;
      },
    },
  };
}

type Strings = (index: number) => string;

/** Strings are decoded one by one when a column needs them, each once. */
function readStrings(source: ByteSource, entry: ChunkEntry | undefined): Strings {
  if (!entry) throw damaged("it has no table of strings");
  const payload = readChunk(source, entry, "its table of strings");
  const count = payload.length >= 8 ? view(payload).getUint32(0, true) : -1;
  const head = 8 + 4 * (count + 1);
  if (count !== entry.rows || head > payload.length) throw damaged("its table of strings has the wrong length");
  const ends = asArray<Uint32Array>(payload, 8, count + 1, Uint32Array);
  for (let i = 0; i <= count; i++) {
    if (ends[i]! > payload.length - head || (i > 0 && ends[i]! < ends[i - 1]!))
      throw damaged("its strings are out of order");
  }
  const decoder = new TextDecoder();
  const decoded: (string | undefined)[] = [];
  return (index) => {
    if (index >= count) throw damaged("it names a string that it does not have");
    return (decoded[index] ??= decoder.decode(payload.subarray(head + ends[index]!, head + ends[index + 1]!)));
  };
}

interface Place {
  type: number;
  at: number;
  length: number;
}

interface Surroundings {
  textAt: Strings;
  rowsOf: (name: TableName) => number;
  /** The column, as "table.column", came with a later version than the file's. */
  isLater: (column: string) => boolean;
}

function readTable<N extends TableName>(
  source: ByteSource,
  name: N,
  entry: ChunkEntry,
  around: Surroundings,
): Table<N> {
  const payload = readChunk(source, entry, `its table "${name}"`);
  const places = readPlaces(name, entry, payload);
  const checks = checkedColumns(name);
  const columns = columnsOf(name).map(([column, type]): [string, TypedColumn | readonly string[]] => {
    const place = places.get(column);
    if (!place && around.isLater(`${name}.${column}`)) return [column, notMeasured(type, entry.rows)];
    if (!place || COLUMN_TYPES[place.type]?.type !== type)
      throw damaged(`its table "${name}" lacks the column "${column}"`);
    const values = readColumn(name, column, payload, place, type, entry.rows);
    const check = checks[column];
    if (check) checkColumn(values, check.limit ?? around.rowsOf(check.table!), check, `${name}.${column}`);
    return [column, type === "str" ? Array.from(values, around.textAt) : values];
  });
  return asTable(entry.rows, columns);
}

/** A column that an older file does not have. The columns that every version has bound its length by the size of the file. */
function notMeasured(type: ColumnType, rows: number): TypedColumn | readonly string[] {
  switch (type) {
    case "f64":
      return new Float64Array(rows).fill(NaN);
    case "u32":
      return new Uint32Array(rows).fill(NONE);
    case "i32":
      return new Int32Array(rows).fill(-1);
    case "u8":
      return new Uint8Array(rows);
    case "str":
      return Array.from({ length: rows }, () => "");
  }
}

/** The column descriptors at the front of a table chunk, by name; columns that this version does not know are simply not asked for. */
function readPlaces(name: TableName, entry: ChunkEntry, payload: Uint8Array): Map<string, Place> {
  const places = new Map<string, Place>();
  const fields = view(payload);
  const count = payload.length >= TABLE_HEADER_BYTES ? fields.getUint32(4, true) : -1;
  if (
    count < 0 ||
    fields.getUint32(0, true) !== entry.rows ||
    TABLE_HEADER_BYTES + count * DESCRIPTOR_BYTES > payload.length
  ) {
    throw damaged(`its table "${name}" has the wrong length`);
  }
  for (let i = 0; i < count; i++) {
    const at = TABLE_HEADER_BYTES + i * DESCRIPTOR_BYTES;
    places.set(readName(payload, at), {
      type: fields.getUint32(at + NAME_BYTES, true),
      at: readU64(fields, at + NAME_BYTES + 8),
      length: readU64(fields, at + NAME_BYTES + 16),
    });
  }
  return places;
}

function readColumn(
  name: string,
  column: string,
  payload: Uint8Array,
  place: Place,
  type: ColumnType,
  rows: number,
): TypedColumn {
  const { width, array } = COLUMN_TYPES.find((entry) => entry.type === type)!;
  if (place.length !== rows * width || place.at + place.length > payload.length) {
    throw damaged(`the column "${column}" of its table "${name}" has the wrong length`);
  }
  return asArray(payload, place.at, rows, array);
}

/** A typed view of the bytes where they are aligned, else of a copy. */
function asArray<A extends TypedColumn>(
  bytes: Uint8Array,
  at: number,
  length: number,
  array: (typeof COLUMN_TYPES)[number]["array"],
): A {
  const width = array.BYTES_PER_ELEMENT;
  const from = bytes.byteOffset + at;
  if (from % width === 0) return new array(bytes.buffer as ArrayBuffer, from, length) as A;
  return new array(bytes.slice(at, at + length * width).buffer, 0, length) as A;
}

/** Indexes and codes are checked once here, so that no answer has to. */
function checkColumn(
  values: TypedColumn,
  limit: number,
  check: { none?: boolean; before?: boolean },
  what: string,
): void {
  for (let row = 0; row < values.length; row++) {
    const value = values[row]!;
    if (value < (check.before ? Math.min(row, limit) : limit)) continue;
    if (check.none && value === NONE) continue;
    throw damaged(`row ${row} of ${what} points to nothing`);
  }
}

function printable(name: string): string {
  return name.replaceAll(/[^ -~]/g, "?");
}

/** Names of all tables, for those who want to touch each. */
export const TABLE_NAMES = Object.keys(SCHEMA) as TableName[];
