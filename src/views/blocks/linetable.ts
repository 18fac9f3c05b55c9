/**
 * From an offset in bytecode to a line of source: the three encodings that CPython has had. Where the interpreter names no line
 * (code that it made up itself), the nearest earlier line stands, else the first line of the code object.
 */

/** Offsets at which the line changes, ascending from 0, and the line from there on. */
interface Ranges {
  starts: number[];
  lines: number[];
}

/**
 * The lines of one code object. `table` is `co_lnotab` (3.8, 3.9) or `co_linetable` (3.10 on); a table that is cut short answers with its last line.
 * @param pythonHex `PY_VERSION_HEX` of the interpreter that made the table
 * @returns a function from an offset in bytes to a line number (>= 0)
 */
export function lineTable(pythonHex: number, firstLine: number, table: Uint8Array): (offset: number) => number {
  const decode = pythonHex >= 0x030b0000 ? locationTable : pythonHex >= 0x030a0000 ? lineRanges : lnotab;
  const { starts, lines } = decode(firstLine, table);
  return (offset) => lines[lastNotAbove(starts, offset)] ?? firstLine;
}

/** 3.8 and 3.9: pairs (bytes of code, lines), the second signed. */
function lnotab(firstLine: number, table: Uint8Array): Ranges {
  const ranges = startAt(firstLine);
  let offset = 0;
  let line = firstLine;
  for (let i = 0; i + 1 < table.length; i += 2) {
    offset += table[i]!;
    line += signed(table[i + 1]!);
    change(ranges, offset, line);
  }
  return ranges;
}

/** 3.10: pairs (bytes of code, lines to add before them); -128 says that these bytes have no line. */
function lineRanges(firstLine: number, table: Uint8Array): Ranges {
  const ranges = startAt(firstLine);
  let offset = 0;
  let line = firstLine;
  for (let i = 0; i + 1 < table.length; i += 2) {
    const delta = signed(table[i + 1]!);
    if (delta !== -128) {
      line += delta;
      if (table[i]! > 0) change(ranges, offset, line);
    }
    offset += table[i]!;
  }
  return ranges;
}

/** 3.11 on: entries of one head byte (bit 7 set, 4 bits kind, 3 bits code units less one) and the bytes that the kind asks for. */
function locationTable(firstLine: number, table: Uint8Array): Ranges {
  const ranges = startAt(firstLine);
  let offset = 0;
  let line = firstLine;
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; at < table.length; shift += 6) {
      const byte = table[at++]!;
      if (shift < 30) value |= (byte & 63) << shift;
      if ((byte & 64) === 0) break;
    }
    return value;
  };
  while (at < table.length) {
    const head = table[at++]!;
    const kind = (head >> 3) & 15;
    if (kind <= 9) at += 1;
    else if (kind <= 12) {
      line += kind - 10;
      at += 2;
    } else if (kind <= 14) {
      const delta = varint();
      line += delta & 1 ? -(delta >> 1) : delta >> 1;
      if (kind === 14) for (let skipped = 0; skipped < 3; skipped++) varint();
    }
    if (kind !== 15) change(ranges, offset, line);
    offset += ((head & 7) + 1) * 2;
  }
  return ranges;
}

function startAt(firstLine: number): Ranges {
  return { starts: [0], lines: [firstLine] };
}

function change(ranges: Ranges, offset: number, line: number): void {
  const last = ranges.starts.length - 1;
  const valid = Math.max(0, line);
  if (ranges.starts[last] === offset) ranges.lines[last] = valid;
  else if (ranges.lines[last] !== valid) {
    ranges.starts.push(offset);
    ranges.lines.push(valid);
  }
}

function signed(byte: number): number {
  return byte < 128 ? byte : byte - 256;
}

/** Index of the last value <= wanted in ascending values; -1: none. */
export function lastNotAbove(values: ArrayLike<number>, wanted: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle]! <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
