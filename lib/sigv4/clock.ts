/** The time and the timers of the key caches; injected so that tests can let a day pass. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  now(): number;
  /** Runs `task` once, after `ms` milliseconds, without keeping the process alive; the result cancels it. */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, task) => {
    const timer = setTimeout(task, ms).unref();
    return () => clearTimeout(timer);
  },
};

export const minute = 60_000;
export const day = 24 * 60 * minute;

/** The UTC day of a time, as SigV4 writes it: `yyyymmdd`. */
export function dateStamp(time: number): string {
  return new Date(time).toISOString().slice(0, 10).replaceAll("-", "");
}

/** When the UTC day `yyyymmdd` is over: milliseconds since 1970. */
export function endOfDay(date: string): number {
  return Date.UTC(Number(date.slice(0, 4)), Number(date.slice(4, 6)) - 1, Number(date.slice(6, 8)) + 1);
}
