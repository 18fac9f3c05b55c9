/**
 * Where CPython keeps what: offsets of the fields of its C structures, one table a minor version (layouts.json, which also feeds the
 * agent through scripts/agent-frames-table.mjs). Offsets move inside a minor series, so a table is only a start: `locate.ts` replaces
 * what the process says of itself (_Py_DebugOffsets, 3.13 on) and checks the rest before anything is trusted.
 */

import json from "./layouts.json" with { type: "json" };

type Field = readonly (number | string)[];
interface Struct {
  readonly size: number;
  readonly fields: Readonly<Record<string, Field>>;
}

const VERSIONS = json.versions as unknown as Readonly<Record<string, Readonly<Record<string, Struct>>>>;
const AARCH64 = json.aarch64 as unknown as Readonly<Record<string, Readonly<Record<string, Partial<Struct>>>>>;

/** No such field in this version. */
export const ABSENT = -1;

/** The minor versions with a table ("3.8" … "3.15"); builds without the GIL are not among them. */
export const KNOWN_MINORS: readonly string[] = Object.keys(VERSIONS).filter((name) => !name.endsWith("t"));

export class Layout {
  /** such as "3.11" */
  readonly minor: string;
  /** PY_VERSION_HEX */
  readonly hex: number;
  private readonly structs: Readonly<Record<string, Struct>>;
  private readonly other: Readonly<Record<string, Partial<Struct>>>;
  private readonly offsets = new Map<string, Map<string, number>>();
  private readonly sizes = new Map<string, number>();

  /** @param machine "x86_64" or "aarch64": the only difference is the size of a mutex, which moves what lies behind it */
  constructor(hex: number, machine = "x86_64") {
    this.hex = hex;
    this.minor = minorOf(hex);
    const structs = VERSIONS[this.minor];
    if (structs === undefined) throw new RangeError(`no layout for CPython ${versionText(hex)}`);
    this.structs = structs;
    this.other = machine === "aarch64" ? (AARCH64[this.minor] ?? {}) : {};
  }

  /** At least this version; 3.11 is `since(11)`. */
  since(minor: number): boolean {
    return ((this.hex >>> 16) & 255) >= minor;
  }

  /** Offset of the first of these fields that this version has, or ABSENT. Hot: two look-ups of constant strings. */
  at(struct: string, field: string, or?: string): number {
    let fields = this.offsets.get(struct);
    if (fields === undefined) this.offsets.set(struct, (fields = new Map()));
    let offset = fields.get(field);
    if (offset === undefined) {
      const found = this.other[struct]?.fields?.[field] ?? this.structs[struct]?.fields[field];
      fields.set(field, (offset = found === undefined ? ABSENT : (found[0] as number)));
    }
    return offset === ABSENT && or !== undefined ? this.at(struct, or) : offset;
  }

  /** Size of a structure in bytes, or ABSENT. */
  size(struct: string): number {
    let size = this.sizes.get(struct);
    if (size === undefined)
      this.sizes.set(struct, (size = this.other[struct]?.size ?? this.structs[struct]?.size ?? ABSENT));
    return size;
  }

  has(struct: string): boolean {
    return this.structs[struct] !== undefined;
  }

  /** The names of a structure's fields. */
  fields(struct: string): readonly string[] {
    return Object.keys(this.structs[struct]?.fields ?? {});
  }

  /** Replaces an offset by what the process itself told. */
  replace(struct: string, field: string, offset: number): void {
    this.at(struct, field);
    this.offsets.get(struct)!.set(field, offset);
  }

  replaceSize(struct: string, bytes: number): void {
    this.sizes.set(struct, bytes);
  }
}

export function minorOf(hex: number): string {
  return `${hex >>> 24}.${(hex >>> 16) & 255}`;
}

/** "3.13.5", "3.15.0rc1". */
export function versionText(hex: number): string {
  const level = { 10: "a", 11: "b", 12: "rc" }[(hex >>> 4) & 15];
  return `${minorOf(hex)}.${(hex >>> 8) & 255}${level === undefined ? "" : `${level}${hex & 15}`}`;
}
