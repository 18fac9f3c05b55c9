/** Typed arrays that grow: what table builders append to. Doubling keeps an append O(1) on average. */

export type TypedColumn = Uint8Array | Uint32Array | Int32Array | Float64Array;

export class Growable<A extends TypedColumn> {
  length = 0;
  private values: A;
  private readonly kind: new (length: number) => A;

  constructor(kind: new (length: number) => A) {
    this.kind = kind;
    this.values = new kind(16);
  }

  push(value: number): void {
    if (this.length === this.values.length) {
      const larger = new this.kind(this.length * 2);
      larger.set(this.values);
      this.values = larger;
    }
    this.values[this.length++] = value;
  }

  at(index: number): number {
    return this.values[index]!;
  }

  /** The values so far, as an array of exactly that length (a copy: the column may go on growing). */
  finish(): A {
    return this.values.slice(0, this.length) as A;
  }
}

export function growable<A extends TypedColumn>(kind: new (length: number) => A): Growable<A> {
  return new Growable(kind);
}
