/** Reading single values by their layout, for what is looked up a few times a snapshot. The hot path has its own readers (walk.ts). */

import type { Image } from "../image/image.ts";
import type { Layout } from "./layouts.ts";

const TYPE_SUBCLASS = 0x8000_0000;
const LONGEST = 10_000;

export function looksLikeType(image: Image, layout: Layout, address: number): boolean {
  const flags = layout.at("PyTypeObject", "tp_flags");
  const type = image.pointer(address + 8);
  return type !== 0 && (image.word32(type + flags) & TYPE_SUBCLASS) !== 0;
}

/** Characters of a str object, at most `most`; null when it is none that can be read. */
export function strValue(image: Image, layout: Layout, address: number, most = LONGEST): string | null {
  if (address === 0 || !image.has(address, 48)) return null;
  const length = image.pointer(address + layout.at("PyASCIIObject", "length"));
  const { kind, compact, ascii } = strState(image, layout, address);
  if ((kind !== 1 && kind !== 2 && kind !== 4) || length > 0x7fff_ffff) return null;
  const count = Math.min(length, most);
  let data = address + layout.size("PyASCIIObject");
  if (!ascii) data = address + layout.size("PyCompactUnicodeObject");
  if (!compact) data = image.pointer(address + layout.size("PyCompactUnicodeObject"));
  if (count === 0) return "";
  const bytes = image.slice(data, count * kind);
  if (bytes === null) return null;
  let text = "";
  for (let i = 0; i < bytes.length; i += kind) {
    const unit =
      kind === 1
        ? bytes[i]!
        : kind === 2
          ? bytes[i]! | (bytes[i + 1]! << 8)
          : bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16);
    if (unit > 0x10_ffff) return null;
    text += String.fromCodePoint(unit);
  }
  return text;
}

/** The bit field that says how a str keeps its characters; its place moved in no GIL build. */
export function strState(
  image: Image,
  layout: Layout,
  address: number,
): { kind: number; compact: boolean; ascii: boolean } {
  const state = image.word32(address + layout.at("PyASCIIObject", "state"));
  return {
    kind: (state >>> 2) & 7,
    compact: (state & 32) !== 0,
    ascii: (state & 64) !== 0,
  };
}

/** Value of a small non-negative int object; 0 when it is none. */
export function intValue(image: Image, layout: Layout, address: number): number {
  if (address === 0) return 0;
  const digit = layout.since(12) ? layout.at("PyLongObject", "long_value.ob_digit", "ob_digit") : 24;
  return (
    image.word32(address + (digit === -1 ? 24 : digit)) +
    image.word32(address + 28) * (digits(image, layout, address) > 1 ? 2 ** 30 : 0)
  );
}

function digits(image: Image, layout: Layout, address: number): number {
  const word = image.pointer(address + 16);
  return layout.since(12) ? Math.floor(word / 8) : word;
}

/** The keys of a dict object. */
export interface Keys {
  entries: number;
  count: number;
  /** bytes between entries */
  stride: number;
  /** offset of the key in an entry; the value is 8 behind it */
  key: number;
}

export function readKeys(image: Image, layout: Layout, keys: number): Keys {
  if (layout.since(11)) {
    const general = image.byte(keys + 10) === 0;
    return {
      entries: keys + 32 + 2 ** image.byte(keys + 9),
      count: image.pointer(keys + 24),
      stride: general ? 24 : 16,
      key: general ? 8 : 0,
    };
  }
  const size = image.pointer(keys + 8);
  const width = size <= 0xff ? 1 : size <= 0xffff ? 2 : size <= 0xffff_ffff ? 4 : 8;
  return { entries: keys + 40 + size * width, count: image.pointer(keys + 32), stride: 24, key: 8 };
}

/** Address of the value at a str key of a dict, 0 when there is none. */
export function dictValue(image: Image, layout: Layout, dict: number, name: string): number {
  if (dict === 0 || !image.has(dict, 48)) return 0;
  const values = image.pointer(dict + layout.at("PyDictObject", "ma_values"));
  const { entries, count, stride, key } = readKeys(
    image,
    layout,
    image.pointer(dict + layout.at("PyDictObject", "ma_keys")),
  );
  if (count > 10_000_000) return 0;
  for (let i = 0; i < count; i++) {
    const entry = entries + i * stride + key;
    const at = image.pointer(entry);
    if (at === 0 || image.pointer(at + 16) !== name.length || strValue(image, layout, at, 64) !== name) continue;
    return values === 0 ? image.pointer(entry + 8) : image.pointer(values + i * 8 + (layout.since(13) ? 8 : 0));
  }
  return 0;
}
