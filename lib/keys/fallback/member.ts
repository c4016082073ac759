import { timingSafeEqual } from "node:crypto";
import { isUint8Array } from "node:util/types";
import { withDeadline } from "../../core/deadline.js";
import { backendOf, channels, type FallbackEvent, observed } from "../../core/diagnostics.js";
import { AwsHmacError, SigningError } from "../../core/errors.js";
import type { MacSource } from "../../core/hmac-key.js";
import { wipe } from "../../core/wipe.js";

/** A key as `mac` is all that it must have, and what is called when it is no longer needed. */
export type FallbackSource = MacSource & {
  /** Releases it. */
  close?(): Promise<void>;
};

/** A message and its MAC by the key that answered first: what the other keys must give too. */
export interface Proof {
  readonly message: Uint8Array;
  readonly mac: Uint8Array;
  /** Who made it, for the error. */
  readonly by: string;
}

/** The bounds of each member, in milliseconds. */
export interface MemberBounds {
  readonly timeout: number;
  readonly retryAfter: number;
  /** The time. */
  now(): number;
}

/** One of the keys that a fallback has: opened when it can be, asked in time, and trusted once it gave the right MAC. */
export class Member {
  readonly position: number;
  readonly #bounds: MemberBounds;
  readonly #open: (() => Promise<FallbackSource>) | undefined;
  #opening: Promise<FallbackSource> | undefined;
  #key: FallbackSource | undefined;
  #proved = false;
  #over = false;
  /** While it is left alone: since when. */
  #downSince: number | undefined;

  constructor(
    position: number,
    source: FallbackSource | (() => FallbackSource | Promise<FallbackSource>),
    bounds: MemberBounds,
  ) {
    this.position = position;
    this.#bounds = bounds;
    if (typeof source === "function") this.#open = async () => source();
    else this.#key = source;
  }

  /** The key, once it is open. */
  get key(): FallbackSource | undefined {
    return this.#key;
  }

  /** For messages, e.g. `key 1 (tpm)`: people count from 1. */
  get name(): string {
    return `key ${this.position + 1} (${this.#key ? backendOf(this.#key) : "not open"})`;
  }

  /** Whether it is not left alone now. A clock that was set back does not count. */
  get ready(): boolean {
    const { now, retryAfter } = this.#bounds;
    const away = this.#downSince === undefined ? retryAfter : now() - this.#downSince;
    return away >= retryAfter || away < 0;
  }

  /** Leaves it alone for a while; then it must give the right MAC before it is used again. */
  setDown(): void {
    this.#downSince = this.#bounds.now();
    this.#proved = false;
  }

  /**
   * The MAC of `message`, within the time, opening the key before where that is still to be done. One caller alone tries a
   * key that was left alone: the others see that it is not ready.
   *
   * @param proof what the key must give before it is used; without it nothing is checked
   */
  async mac(
    message: Uint8Array,
    reason: FallbackEvent["reason"],
    { proof, signal }: { proof?: Proof | undefined; signal?: AbortSignal | undefined } = {},
  ): Promise<Uint8Array> {
    if (this.#downSince !== undefined) this.#downSince = this.#bounds.now();
    const mac = await observed<FallbackEvent, Uint8Array>(
      channels.fallback,
      () => ({ backend: this.#key ? backendOf(this.#key) : "unknown", position: this.position, reason }),
      () => {
        const { timeout } = this.#bounds;
        const ask = (bound: AbortSignal): Promise<Uint8Array> => this.#ask(message, proof, bound);
        return withDeadline(timeout, () => this.#late(timeout), ask, signal);
      },
    );
    this.setUp();
    return mac;
  }

  /** It is not left alone: it can answer, and be it with a refusal. */
  setUp(): void {
    this.#downSince = undefined;
  }

  /** The key gave the MAC of the proof, or made it. */
  setProved(): void {
    this.#proved = true;
  }

  /**
   * Closes the key; one that was given open only if `given` says so. One that is being opened is closed once it is open, for
   * which nobody waits.
   */
  async close(given: boolean): Promise<void> {
    this.#over = true;
    if (this.#open || given) await this.#key?.close?.();
  }

  async #ask(message: Uint8Array, proof: Proof | undefined, signal: AbortSignal): Promise<Uint8Array> {
    const key = this.#key ?? (await this.#opens());
    signal.throwIfAborted();
    if (proof && !this.#proved) {
      if (!timingSafeEqual(await macOf(key, proof.message, signal), proof.mac)) {
        throw mismatch(`${this.name} gives another MAC than ${proof.by} gave`);
      }
      this.#proved = true;
    }
    return macOf(key, message, signal);
  }

  /** However many wait, it is opened once at a time; who has no more time to wait leaves it to the next. */
  #opens(): Promise<FallbackSource> {
    this.#opening ??= this.#openNow();
    return this.#opening;
  }

  async #openNow(): Promise<FallbackSource> {
    try {
      const key = await this.#open?.();
      if (typeof key?.mac !== "function") {
        throw new AwsHmacError(
          "ERR_INVALID_ARGUMENT",
          `keys[${this.position}]: the function must give a key`,
        );
      }
      if (this.#over) {
        await key.close?.();
        throw new AwsHmacError("ERR_CLOSED", "the key is closed");
      }
      this.#key = key;
      return key;
    } finally {
      this.#opening = undefined;
    }
  }

  #late(timeout: number): AwsHmacError {
    const message = `${this.name} did not answer within ${timeout} ms (option timeout)`;
    return new AwsHmacError("ERR_TIMEOUT", message, { retryable: true });
  }
}

/** @param found which keys differ */
export function mismatch(found: string): AwsHmacError {
  const remedy = "one of them holds another secret than it should: import it again";
  return new AwsHmacError("ERR_FALLBACK_MISMATCH", `${found}: ${remedy}`);
}

async function macOf(key: FallbackSource, message: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
  const mac = await key.mac(message, { signal });
  if (!isUint8Array(mac) || mac.length !== 32) {
    throw new SigningError("ERR_MAC_LENGTH", `the key's mac() gave something else than 32 bytes`);
  }
  if (signal.aborted) {
    wipe(mac); // nobody waits for it any more
    throw signal.reason;
  }
  return mac;
}
