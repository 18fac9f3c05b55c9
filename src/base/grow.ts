/** Typed arrays that grow: what table builders append to. Doubling keeps an append O(1) on average. */

export interface Growable<A extends TypedColumn> {
  readonly length: number;
  push(value: number): void;
  at(index: number): number;
  /** The values so far, as an array of exactly that length (a copy: the column may go on growing). */
  finish(): A;
}

export type TypedColumn = Uint8Array | Uint32Array | Int32Array | Float64Array;

export function growable<A extends TypedColumn>(kind: new (length: number) => A): Growable<A> {
  let values = new kind(16);
  let length = 0;
  return {
    get length() {
      return length;
    },
    push(value) {
      if (length === values.length) {
        const larger = new kind(length * 2);
        larger.set(values);
        values = larger;
      }
      values[length++] = value;
    },
    at: (index) => values[index]!,
    finish: () => values.slice(0, length) as A,
  };
}
