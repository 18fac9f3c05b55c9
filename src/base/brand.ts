/**
 * Branded numbers: an index of one table cannot be passed where an index of another is wanted.
 * At run time they are plain numbers. `NONE` is the sentinel of every index column.
 */
export type Branded<T, Name extends string> = T & { readonly __brand: Name };

export type StringIndex = Branded<number, "StringIndex">;
export type CodeIndex = Branded<number, "CodeIndex">;
export type FrameIndex = Branded<number, "FrameIndex">;
export type StackIndex = Branded<number, "StackIndex">;
export type SiteIndex = Branded<number, "SiteIndex">;
export type ProcessIndex = Branded<number, "ProcessIndex">;

/** No row: the sentinel of index columns (u32 maximum, so that it survives a Uint32Array). */
export const NONE = 0xffffffff;
