/** Building tables row by row, and writing them into one `.tide` file (docs/format.md section 4). */

import { crc32 } from "../base/checksum.ts";
import { growable } from "../base/grow.ts";
import type { TypedColumn } from "../base/grow.ts";
import {
  CHUNK_HEADER_BYTES,
  END_MAGIC,
  ENTRY_BYTES,
  FORMAT_MAJOR,
  HEADER_BYTES,
  KIND_FOOTER,
  KIND_STRINGS,
  KIND_TABLE,
  MAGIC,
  NAME_BYTES,
  TRAILER_BYTES,
  view,
  writeName,
  writeU64,
} from "./container.ts";
import type { ChunkEntry } from "./container.ts";
import { FORMAT_MINOR, SCHEMA } from "./schema.ts";
import type { ColumnType, Row, Table, TableName, Tables } from "./schema.ts";

/** Column types on disk, in the order of their codes; `width` is bytes a row. */
export const COLUMN_TYPES = [
  { type: "u8", width: 1, array: Uint8Array },
  { type: "u32", width: 4, array: Uint32Array },
  { type: "i32", width: 4, array: Int32Array },
  { type: "f64", width: 8, array: Float64Array },
  { type: "str", width: 4, array: Uint32Array },
] as const satisfies { type: ColumnType; width: number; array: new (length: number) => TypedColumn }[];

/** Bytes of one column descriptor at the front of a table chunk, and of the counts before them. */
export const DESCRIPTOR_BYTES = 56;
export const TABLE_HEADER_BYTES = 8;

export interface TableBuilder<N extends TableName> {
  /** Appends a row; returns its index. */
  push(row: Row<N>): number;
  readonly length: number;
  finish(): Table<N>;
}

export function tableBuilder<N extends TableName>(name: N): TableBuilder<N> {
  const columns = columnsOf(name).map(([column, type]) => ({
    column,
    values: type === "str" ? textColumn() : growable(arrayOf(type)),
  }));
  let length = 0;
  return {
    push(row) {
      for (const { column, values } of columns) values.push((row as Record<string, never>)[column]!);
      return length++;
    },
    get length() {
      return length;
    },
    finish: () =>
      asTable<N>(
        length,
        columns.map(({ column, values }) => [column, values.finish()]),
      ),
  };
}

/** A column of strings with the interface of a growable one. */
function textColumn(): { push(value: string): void; finish(): readonly string[] } {
  const values: string[] = [];
  return { push: (value) => void values.push(value), finish: () => values.slice() };
}

export function columnsOf(name: TableName): [string, ColumnType][] {
  return Object.entries(SCHEMA[name]);
}

function arrayOf(type: ColumnType): new (length: number) => TypedColumn {
  return COLUMN_TYPES.find((entry) => entry.type === type)!.array;
}

/** A table from its finished columns. The one place that trusts names to match the schema. */
export function asTable<N extends TableName>(
  length: number,
  columns: [string, TypedColumn | readonly string[]][],
): Table<N> {
  return { length, ...Object.fromEntries(columns) } as unknown as Table<N>;
}

export function emptyTable<N extends TableName>(name: N): Table<N> {
  return tableBuilder(name).finish();
}

interface Chunk {
  kind: number;
  name: string;
  rows: number;
  payload: Uint8Array;
}

/** The bytes of a finished recording. A table that is missing is written empty; strings are stored once. */
export function writeRecording(tables: Partial<Tables>): Uint8Array {
  const strings = stringTable();
  const chunks: Chunk[] = (Object.keys(SCHEMA) as TableName[]).map((name) =>
    encodeTable(name, tables[name] ?? emptyTable(name), strings),
  );
  chunks.push(strings.encode());
  return assemble(chunks);
}

function encodeTable(name: TableName, table: Table<TableName>, strings: StringTable): Chunk {
  const columns = columnsOf(name);
  const rows = table.length;
  let at = align(TABLE_HEADER_BYTES + columns.length * DESCRIPTOR_BYTES);
  const places = columns.map(([column, type]) => {
    const code = COLUMN_TYPES.findIndex((entry) => entry.type === type);
    const bytes = rows * COLUMN_TYPES[code]!.width;
    const place = { column, code, at, bytes };
    at = align(at + bytes);
    return place;
  });
  const payload = new Uint8Array(at);
  const fields = view(payload);
  fields.setUint32(0, rows, true);
  fields.setUint32(4, columns.length, true);
  places.forEach((place, i) => {
    const descriptor = TABLE_HEADER_BYTES + i * DESCRIPTOR_BYTES;
    writeName(payload, descriptor, place.column);
    fields.setUint32(descriptor + NAME_BYTES, place.code, true);
    writeU64(fields, descriptor + NAME_BYTES + 8, place.at);
    writeU64(fields, descriptor + NAME_BYTES + 16, place.bytes);
    const values = (table as unknown as Record<string, ArrayLike<never>>)[place.column];
    if (values?.length !== rows) throw new RangeError(`table ${name}: column ${place.column} has not ${rows} rows`);
    const target = new COLUMN_TYPES[place.code]!.array(payload.buffer, place.at, rows);
    if (COLUMN_TYPES[place.code]!.type === "str")
      for (let row = 0; row < rows; row++) target[row] = strings.indexOf(values[row]!);
    else target.set(values);
  });
  return { kind: KIND_TABLE, name, rows, payload };
}

interface StringTable {
  indexOf(text: string): number;
  encode(): Chunk;
}

function stringTable(): StringTable {
  const indexes = new Map<string, number>();
  const encoder = new TextEncoder();
  return {
    indexOf(text) {
      const known = indexes.get(text);
      if (known !== undefined) return known;
      indexes.set(text, indexes.size);
      return indexes.size - 1;
    },
    encode() {
      const encoded = [...indexes.keys()].map((text) => encoder.encode(text));
      const head = 8 + 4 * (encoded.length + 1);
      const total = encoded.reduce((sum, bytes) => sum + bytes.length, 0);
      if (total > 0xffffffff) throw new RangeError("more than 4 GiB of text in one recording");
      const payload = new Uint8Array(align(head + total));
      const fields = view(payload);
      fields.setUint32(0, encoded.length, true);
      let end = 0;
      encoded.forEach((bytes, i) => {
        fields.setUint32(8 + 4 * i, end, true);
        payload.set(bytes, head + end);
        end += bytes.length;
      });
      fields.setUint32(8 + 4 * encoded.length, end, true);
      return { kind: KIND_STRINGS, name: "", rows: encoded.length, payload };
    },
  };
}

/** Header, chunks, footer and trailer in one buffer. Payloads begin at multiples of 8, so that columns can be viewed in place. */
function assemble(chunks: Chunk[]): Uint8Array {
  let at = HEADER_BYTES;
  const entries: ChunkEntry[] = chunks.map(({ kind, name, rows, payload }) => {
    const entry = {
      kind,
      name,
      rows,
      offset: at + CHUNK_HEADER_BYTES,
      length: payload.length,
      checksum: crc32(payload),
    };
    at = align(entry.offset + entry.length);
    return entry;
  });
  const footer = encodeFooter(entries);
  const footerEntry: ChunkEntry = {
    kind: KIND_FOOTER,
    name: "",
    rows: entries.length,
    offset: at + CHUNK_HEADER_BYTES,
    length: footer.length,
    checksum: crc32(footer),
  };
  const file = new Uint8Array(footerEntry.offset + footerEntry.length + TRAILER_BYTES);
  const fields = view(file);
  file.set(MAGIC, 0);
  fields.setUint16(8, FORMAT_MAJOR, true);
  fields.setUint16(10, FORMAT_MINOR, true);
  entries.forEach((entry, i) => putChunk(file, fields, entry, chunks[i]!.payload));
  putChunk(file, fields, footerEntry, footer);
  const trailer = file.length - TRAILER_BYTES;
  writeU64(fields, trailer, footerEntry.offset);
  writeU64(fields, trailer + 8, footerEntry.length);
  fields.setUint32(trailer + 16, footerEntry.checksum, true);
  fields.setUint32(trailer + 20, footerEntry.rows, true);
  file.set(END_MAGIC, file.length - END_MAGIC.length);
  return file;
}

function encodeFooter(entries: ChunkEntry[]): Uint8Array {
  const footer = new Uint8Array(entries.length * ENTRY_BYTES);
  const fields = view(footer);
  entries.forEach((entry, i) => {
    const at = i * ENTRY_BYTES;
    fields.setUint32(at, entry.kind, true);
    fields.setUint32(at + 4, entry.checksum, true);
    writeU64(fields, at + 8, entry.offset);
    writeU64(fields, at + 16, entry.length);
    fields.setUint32(at + 24, entry.rows, true);
    writeName(footer, at + 32, entry.name);
  });
  return footer;
}

function putChunk(file: Uint8Array, fields: DataView, entry: ChunkEntry, payload: Uint8Array): void {
  const at = entry.offset - CHUNK_HEADER_BYTES;
  fields.setUint32(at, entry.kind, true);
  fields.setUint32(at + 4, entry.checksum, true);
  writeU64(fields, at + 8, entry.length);
  file.set(payload, entry.offset);
}

function align(at: number): number {
  return Math.ceil(at / 8) * 8;
}
