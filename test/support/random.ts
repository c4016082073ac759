/** A seeded generator (mulberry32): the same cases in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** A string of `shortest` to `longest` characters of `alphabet`. */
  text(alphabet: string, shortest: number, longest: number): string {
    const characters = [...alphabet];
    const length = shortest + this.below(longest - shortest + 1);
    return Array.from({ length }, () => this.pick(characters)).join("");
  }
}
