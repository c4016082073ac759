import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

/** Calls that took from `from` to less than `to` milliseconds. */
export interface Bar {
  from: number;
  to: number;
  count: number;
}

/** How long calls took. */
export class Latencies {
  /** Nanoseconds, to three digits. */
  readonly #histogram: RecordableHistogram = createHistogram();
  /** By the power of two of microseconds that they reach. */
  readonly #counts: number[] = [];

  /** @param milliseconds of one call */
  add(milliseconds: number): void {
    this.#histogram.record(Math.max(1, Math.round(milliseconds * 1e6)));
    const power = Math.max(0, Math.floor(Math.log2(milliseconds * 1000)));
    this.#counts[power] = (this.#counts[power] ?? 0) + 1;
  }

  get count(): number {
    return this.#counts.reduce((sum, count) => sum + count, 0);
  }

  /** Milliseconds that `percent` of the calls did not exceed. */
  percentile(percent: number): number {
    return this.#histogram.percentile(percent) / 1e6;
  }

  get max(): number {
    return this.#histogram.max / 1e6;
  }

  /** From the fastest calls to the slowest ones, each bar twice as far as the one before; the first one begins at 0. */
  bars(): Bar[] {
    const first = this.#counts.findIndex((count) => count > 0);
    return Array.from(this.#counts, (count = 0, power) => {
      return { from: power === 0 ? 0 : 2 ** power / 1000, to: 2 ** (power + 1) / 1000, count };
    }).slice(Math.max(first, 0));
  }
}
