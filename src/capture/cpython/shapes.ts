/** What a walk notes of types and of arrays, apart from the code that finds it out. */

import type { Visit } from "./kinds.ts";

export interface TypeInfo {
  address: number;
  /** row of the heap's table of types */
  row: number;
  name: string;
  visit: Visit;
  /** tp_basicsize and tp_itemsize of the type */
  size: number;
  item: number;
  /** bytes before the object that belong to its block: the collector's header and what comes before that */
  prefix: number;
  gc: boolean;
  /** the type is a heap object: every instance counts a reference to it */
  heap: boolean;
  isMeta: boolean;
  isStr: boolean;
  isInt: boolean;
  /** where the instance's dict is: 0 none, else tp_dictoffset */
  dictOffset: number;
  /** attributes are kept by the interpreter before the object (3.11 on), or inline behind it (3.13 on) */
  managed: boolean;
  inline: boolean;
  /** ht_cached_keys: names of the attributes that are kept inline */
  keys: number;
  /** offsets of reference fields, and their labels */
  fields: Int32Array;
  labels: Uint32Array;
  /** offsets of words that may be references */
  doubtful: Int32Array;
  /** sizeof the C structure that holds the instance's data, without slots */
  nativeSize: number;
  /** 3.11 on, of types whose objects hold a frame: where it is; else 0 */
  frameAt: number;
}

/** An array that was visited; `base` is an address, or 0. Which row owns the memory is known when all are. */
export interface PendingArray {
  row: number;
  dtype: string;
  shape: number[];
  bytes: number;
  base: number;
}
