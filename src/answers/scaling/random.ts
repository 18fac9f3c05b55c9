/** Seeded random numbers: the same points give the same forecast on every machine. */

/** mulberry32 (T. Ettinger): 32 bits of state, passes the small test batteries, enough for some ten thousand draws. */
export class Random {
  #state: number;
  #spare = Number.NaN;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In (0, 1). */
  uniform(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4_294_967_296;
  }

  /** Standard normal, by Box and Muller's pair. */
  normal(): number {
    if (!Number.isNaN(this.#spare)) {
      const z = this.#spare;
      this.#spare = Number.NaN;
      return z;
    }
    const radius = Math.sqrt(-2 * Math.log(this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Chi-square with a whole number of degrees of freedom: from the definition, freedom is small here. */
  chiSquare(freedom: number): number {
    let sum = 0;
    for (let i = 0; i < freedom; i++) {
      const z = this.normal();
      sum += z * z;
    }
    return sum;
  }
}
