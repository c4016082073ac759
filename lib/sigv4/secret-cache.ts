import { wipe } from "../core/wipe.js";
import { type Clock, day, endOfDay, minute } from "./clock.js";

/** How long a secret of a past day may lie unused. */
export const idleLimit = 15 * minute;

interface Entry {
  /** The UTC day it is good for: `yyyymmdd`. */
  date: string;
  secret: Buffer;
  usedAt: number;
}

interface Waiter {
  answer(secret: Buffer): void;
  fail(error: unknown): void;
}

/**
 * A bounded cache of secrets: each fetched once however many wait for it, never remembered when fetching failed, and
 * overwritten with zeros when it is evicted, cleared, or its day is over and nobody used it for {@link idleLimit}.
 *
 * Secrets are lent to a callback and never handed out: between a promise's answer and its continuation another caller
 * could wipe the bytes, and a signature under zeros would be wrong in silence.
 */
export class SecretCache {
  readonly #limit: number;
  readonly #clock: Clock;
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  #flights = new Map<string, Waiter[]>();
  #cancelSweep: (() => void) | undefined;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** What `use` makes of the secret `name`, which `fetch` gives when it is not here. `use` is synchronous and keeps nothing. */
  async use<T>(
    name: string,
    date: string,
    fetch: () => Promise<Buffer>,
    use: (secret: Buffer) => T,
  ): Promise<T> {
    const entry = this.#entries.get(name);
    if (entry) {
      this.touch(name);
      return use(entry.secret);
    }
    return new Promise<T>((resolve, reject) => {
      const waiter: Waiter = {
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
  touch(name: string): void {
    const entry = this.#entries.get(name);
    if (!entry) return;
    entry.usedAt = this.#clock.now();
    this.#entries.delete(name);
    this.#entries.set(name, entry);
  }

  /** Wipes everything. Who waits still gets an answer, of which nothing is kept. */
  clear(): void {
    for (const name of [...this.#entries.keys()]) this.#remove(name);
    this.#flights = new Map();
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
  }

  async #fetch(name: string, date: string, fetch: () => Promise<Buffer>, waiters: Waiter[]): Promise<void> {
    const flights = this.#flights;
    flights.set(name, waiters);
    let secret: Buffer;
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
    if (cleared) wipe(secret);
    else this.#store(name, { date, secret, usedAt: this.#clock.now() });
  }

  #store(name: string, entry: Entry): void {
    this.#entries.set(name, entry);
    const [oldest] = this.#entries.keys();
    if (this.#entries.size > this.#limit && oldest !== undefined) this.#remove(oldest);
    this.#scheduleSweep();
  }

  #remove(name: string): void {
    wipe(this.#entries.get(name)?.secret);
    this.#entries.delete(name);
  }

  #scheduleSweep(): void {
    this.#cancelSweep?.();
    this.#cancelSweep = undefined;
    if (this.#entries.size === 0) return;
    const next = Math.min(...[...this.#entries.values()].map(expiry));
    // A signing date may lie years ahead, further than a timer reaches.
    const wait = Math.min(Math.max(next - this.#clock.now(), 0), day);
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

function expiry({ date, usedAt }: Entry): number {
  return Math.max(endOfDay(date), usedAt + idleLimit);
}
