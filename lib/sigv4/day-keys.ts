import type { MacEvent } from "../core/diagnostics.js";
import type { MacSource } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { type Clock, dateStamp, endOfDay, minute } from "./clock.js";
import { Device } from "./device.js";
import { onKeyClosed } from "./key-closing.js";
import { idleLimit, SecretCache } from "./secret-cache.js";

const dayLimit = 4;
/** How long before midnight UTC the next day's key is fetched. */
const prefetchLead = 5 * minute;

const dayKeysOf = new WeakMap<MacSource, DayKeys>();

/**
 * The day keys of one HmacKey, shared by all its `"day"` signers: one device call for each UTC day. They live while
 * such a signer does. While one is in use the next day's key is fetched shortly before midnight UTC.
 */
export class DayKeys {
  readonly device: Device;
  readonly #clock: Clock;
  readonly #secrets: SecretCache<Buffer>;
  #users = 0;
  #watchedDate = "";
  #usedAt = 0;
  #cancelPrefetch: (() => void) | undefined;

  private constructor(key: MacSource, clock: Clock) {
    this.device = new Device(key);
    this.#clock = clock;
    this.#secrets = new SecretCache<Buffer>(dayLimit, clock, wipe);
    onKeyClosed(key.closed, () => this.#clear());
  }

  /** The day keys of `key`; `clock` counts on the first call for that key only. */
  static of(key: MacSource, clock: Clock): DayKeys {
    const dayKeys = dayKeysOf.get(key) ?? new DayKeys(key, clock);
    dayKeysOf.set(key, dayKeys);
    return dayKeys;
  }

  /** Joins a user; the result lets it go, once. When the last one has gone everything is wiped. */
  join(): () => void {
    this.#users += 1;
    let joined = true;
    return () => {
      if (!joined) return;
      joined = false;
      this.#users -= 1;
      if (this.#users === 0) this.#clear();
    };
  }

  /** What `use` makes of the day key of `date`; it is synchronous and keeps nothing. */
  use<T>(date: string, use: (dayKey: Buffer) => T, reason?: MacEvent["reason"]): Promise<T> {
    return this.#secrets.use(date, date, () => this.device.dayKey(date, reason), use);
  }

  /** The same at once, if the day key is here. */
  useNow<T>(date: string, use: (dayKey: Buffer) => T, now: number): T | undefined {
    return this.#secrets.useNow(date, use, now);
  }

  isFetching(date: string): boolean {
    return this.#secrets.isFetching(date);
  }

  /** Says that something is signed on `date`, by whatever cached key. */
  touch(date: string, now: number): void {
    this.#secrets.touch(date, now);
    if (date !== this.#watchedDate) this.#watch(date, now);
    if (date === this.#watchedDate) this.#usedAt = now;
  }

  #watch(date: string, now: number): void {
    if (date !== dateStamp(now)) return;
    this.#cancelPrefetch?.();
    this.#watchedDate = date;
    const wait = Math.max(endOfDay(date) - prefetchLead - now, 0);
    this.#cancelPrefetch = this.#clock.after(wait, () => this.#prefetch(dateStamp(endOfDay(date))));
  }

  #prefetch(date: string): void {
    this.#cancelPrefetch = undefined;
    if (this.#clock.now() - this.#usedAt >= idleLimit) return;
    // A failure is not kept: the first signature of that day asks again and reports what it meets.
    this.use(date, () => undefined, "prefetch").catch(() => undefined);
  }

  #clear(): void {
    this.#secrets.clear();
    this.#cancelPrefetch?.();
    this.#cancelPrefetch = undefined;
    this.#watchedDate = "";
  }
}
