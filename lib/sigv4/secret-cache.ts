import { type Clock, endOfDay, minute } from "./clock.js";

/** How long a secret of a past day may lie unused. */
export const idleLimit = 15 * minute;

interface Entry<Secret> {
  /** The UTC day it is good for: `yyyymmdd`. */
  date: string;
  secret: Secret;
  usedAt: number;
}

interface Waiter<Secret> {
  answer(secret: Secret): void;
  fail(error: unknown): void;
}

/**
 * A bounded cache of secrets: each fetched once however many wait for it, never remembered when fetching failed, and
 * wiped when it is evicted, cleared, or its day is over and nobody used it for {@link idleLimit}.
 *
 * Secrets are lent to a callback and never handed out: between a promise's answer and its continuation another caller
 * could wipe the bytes, and a signature under zeros would be wrong in silence.
 */
export class SecretCache<Secret> {
  readonly #limit: number;
  readonly #clock: Clock;
  readonly #wipe: (secret: Secret) => void;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry<Secret>>();
  #newest: Entry<Secret> | undefined;
  #flights = new Map<string, Waiter<Secret>[]>();
  #cancelSweep: (() => void) | undefined;

  constructor(limit: number, clock: Clock, wipe: (secret: Secret) => void) {
    this.#limit = limit;
    this.#clock = clock;
    this.#wipe = wipe;
  }

  /** What `use` makes of the secret `name`, if it is here. `use` is synchronous and keeps nothing. */
  useNow<T>(name: string, use: (secret: Secret) => T, now: number): T | undefined {
    const entry = this.#entries.get(name);
    if (!entry) return undefined;
    this.#touch(name, entry, now);
    return use(entry.secret);
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Whether the secret is being fetched. */
  isFetching(name: string): boolean {
    return this.#flights.has(name);
  }

  /** Keeps a secret that was come by elsewhere. */
  add(name: string, date: string, secret: Secret): void {
    this.#store(name, { date, secret, usedAt: this.#clock.now() });
  }

  /** What `use` makes of the secret `name`, which `fetch` gives when it is not here. `use` is synchronous and keeps nothing. */
  async use<T>(
    name: string,
    date: string,
    fetch: () => Promise<Secret>,
    use: (secret: Secret) => T,
  ): Promise<T> {
    const entry = this.#entries.get(name);
    if (entry) {
      this.#touch(name, entry, this.#clock.now());
      return use(entry.secret);
    }
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter<Secret> = {
        answer: (secret) => {
          try {
            resolve(use(secret));
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
      };
      const waiting = this.#flights.get(name);
      if (waiting) waiting.push(waiter);
      else void this.#fetch(name, date, fetch, [waiter]);
    });
  }

  /** Marks a secret as in use, if it is here. */
  touch(name: string, now: number): void {
    const entry = this.#entries.get(name);
    if (entry) this.#touch(name, entry, now);
  }

  /** Wipes everything. Who waits still gets an answer, of which nothing is kept. */
  clear(): void {
    for (const name of [...this.#entries.keys()]) this.#remove(name);
    this.#flights = new Map();
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  #touch(name: string, entry: Entry<Secret>, now: number): void {
    entry.usedAt = now;
    if (entry === this.#newest) return;
    this.#entries.delete(name);
    this.#entries.set(name, entry);
    this.#newest = entry;
  }

  async #fetch(
    name: string,
    date: string,
    fetch: () => Promise<Secret>,
    waiters: Waiter<Secret>[],
  ): Promise<void> {
    const flights = this.#flights;
    flights.set(name, waiters);
    let secret: Secret;
    try {
      secret = await fetch();
    } catch (error) {
      flights.delete(name);
      for (const waiter of waiters) waiter.fail(error);
      return;
    }
    flights.delete(name);
    for (const waiter of waiters) waiter.answer(secret);
    const cleared = flights !== this.#flights;
    if (cleared) this.#wipe(secret);
    else this.#store(name, { date, secret, usedAt: this.#clock.now() });
  }

  #store(name: string, entry: Entry<Secret>): void {
    this.#remove(name);
    this.#entries.set(name, entry);
    this.#newest = entry;
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#limit && oldest !== undefined) this.#remove(oldest);
    this.#scheduleSweep();
  }

  #remove(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    this.#wipe(entry.secret);
    this.#entries.delete(name);
    if (entry === this.#newest) this.#newest = undefined;
  }

  #scheduleSweep(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    if (this.#entries.size === 0) return;
    const next = Math.min(...[...this.#entries.values()].map(expiry));
    // Looks at the clock now and then: it may be set, and a timer stands still while the machine sleeps.
    const wait = Math.min(Math.max(next - this.#clock.now(), 0), idleLimit);
    this.#cancelSweep = this.#clock.after(wait, () => this.#sweep());
  }

  #sweep(): void {
    const now = this.#clock.now();
    for (const [name, entry] of [...this.#entries]) {
      if (expiry(entry) <= now) this.#remove(name);
    }
    this.#scheduleSweep();
  }
}

function expiry({ date, usedAt }: Entry<unknown>): number {
  return Math.max(endOfDay(date), usedAt + idleLimit);
}
