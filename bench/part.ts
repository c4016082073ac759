/** How long a part of the benchmark may work. */
export interface Effort {
  rounds: number;
  /** Of one contender in one round. */
  seconds: number;
}

/** Starts what it needs, measures, prints its tables and cleans up. */
export type Part = (effort: Effort) => Promise<void>;
