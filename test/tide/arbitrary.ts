/** Recordings at random: every table of the schema, values over the whole range of their columns, indexes that point somewhere. */

import fc from "fast-check";

import { NONE } from "../../src/base/brand.ts";
import { SCHEMA, checkedColumns } from "../../src/tide/schema.ts";
import type { ColumnCheck, ColumnType, Row, TableName, Tables } from "../../src/tide/schema.ts";
import { tableBuilder } from "../../src/tide/writer.ts";

export const TABLES = Object.keys(SCHEMA) as TableName[];

type Rows = { [N in TableName]: Row<N>[] };

/** Rows of all tables; a table may be empty when no other points into it. */
export function arbitraryRows(most = 5): fc.Arbitrary<Rows> {
  const targets = new Set(TABLES.flatMap((name) => Object.values(checkedColumns(name)).map((check) => check?.table)));
  const counts = fc.record(
    Object.fromEntries(
      TABLES.map((name) => [name, fc.nat({ max: most }).map((n) => (targets.has(name) ? Math.max(1, n) : n))]),
    ),
  );
  return counts.chain((rows) =>
    fc.record(Object.fromEntries(TABLES.map((name) => [name, tableRows(name, rows)]))),
  ) as fc.Arbitrary<Rows>;
}

function tableRows(name: TableName, counts: Record<string, number>): fc.Arbitrary<unknown[]> {
  const checks = checkedColumns(name);
  const rows = Array.from({ length: counts[name]! }, (_, row) => {
    const columns = Object.entries(SCHEMA[name]).map(([column, type]) => [
      column,
      value(type, checks[column], row, counts),
    ]);
    return fc.record(Object.fromEntries(columns) as Record<string, fc.Arbitrary<unknown>>);
  });
  return fc.tuple(...rows);
}

function value(
  type: ColumnType,
  check: ColumnCheck | undefined,
  row: number,
  counts: Record<string, number>,
): fc.Arbitrary<number | string> {
  if (check) {
    const limit = check.before ? row : (check.limit ?? counts[check.table!]!);
    const inside = limit > 0 ? [fc.nat({ max: limit - 1 })] : [];
    return fc.oneof(...inside, ...(check.none ? [fc.constant(NONE)] : []));
  }
  switch (type) {
    case "f64":
      return fc.double();
    case "str":
      return fc.string({ unit: "binary" });
    case "u8":
      return fc.nat({ max: 255 });
    case "u32":
      return fc.nat({ max: NONE });
    case "i32":
      return fc.integer();
  }
}

export function tablesOf(rows: Rows): Tables {
  const finish = <N extends TableName>(name: N) => {
    const builder = tableBuilder(name);
    for (const row of rows[name]) builder.push(row);
    return builder.finish();
  };
  return Object.fromEntries(TABLES.map((name) => [name, finish(name)])) as unknown as Tables;
}
