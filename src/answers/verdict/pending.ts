/** Deaths that were told and do not count yet: see judge.ts. Copies, since slots are used again. */

export class Pending {
  count = 0;
  slots = new Uint32Array(256);
  sites = new Uint32Array(256);
  bornAt = new Float64Array(256);
  diedAt = new Float64Array(256);
  sizes = new Float64Array(256);
  weights = new Float64Array(256);

  add(slot: number, site: number, bornAt: number, size: number, weight: number, diedAt: number): void {
    if (this.count === this.slots.length) this.grow();
    const at = this.count++;
    this.slots[at] = slot;
    this.sites[at] = site;
    this.bornAt[at] = bornAt;
    this.diedAt[at] = diedAt;
    this.sizes[at] = size;
    this.weights[at] = weight;
  }

  /**
   * Takes the last death out when it is that of the block which a realloc at the same site moved: it dies as its successor is born.
   * @returns where its values still are, -1: it is none
   */
  takeLast(slot: number, site: number): number {
    const last = this.count - 1;
    if (last < 0 || this.slots[last] !== slot || this.sites[last] !== site) return -1;
    this.count = last;
    return last;
  }

  private grow(): void {
    this.slots = doubled(this.slots, Uint32Array);
    this.sites = doubled(this.sites, Uint32Array);
    this.bornAt = doubled(this.bornAt, Float64Array);
    this.diedAt = doubled(this.diedAt, Float64Array);
    this.sizes = doubled(this.sizes, Float64Array);
    this.weights = doubled(this.weights, Float64Array);
  }
}

function doubled<A extends Uint32Array | Float64Array>(from: A, kind: new (length: number) => A): A {
  const larger = new kind(from.length * 2);
  larger.set(from);
  return larger;
}
