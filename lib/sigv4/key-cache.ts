import { createHmac } from "node:crypto";
import type { Channel } from "node:diagnostics_channel";
import { signLines } from "../binding/addon.js";
import {
  backendOf,
  type CacheOutcome,
  channels,
  observed,
  observedNow,
  type SignEvent,
  type Told,
} from "../core/diagnostics.js";
import { SigningError } from "../core/errors.js";
import { wipe } from "../core/wipe.js";
import { type Clock, systemClock } from "./clock.js";
import { DayKeys } from "./day-keys.js";
import { Device } from "./device.js";
import { forgotten, onKeyClosed } from "./key-closing.js";
import { SecretCache } from "./secret-cache.js";
import { type RequestLines, SigningKey } from "./signing-key.js";
import { givesSigningKeys, type KeySource } from "./signing-key-source.js";

/**
 * What may stay in memory between signatures: `"day"` the day key (one device call for each key and UTC day), `"scope"`
 * only signing keys (one for each day, region and service), `"none"` nothing (one for each signature).
 */
export type KeyCacheMode = "day" | "scope" | "none";

/** What a signing key is good for (AWS SigV4 guide, "credential scope"). */
export interface Scope {
  /** The UTC day of the request's signing date: `yyyymmdd`. */
  readonly date: string;
  /** The region, as it is signed. */
  readonly region: string;
  /** The signing name of the service. */
  readonly service: string;
}

/** What a signer's key cache did. All but `waiting` only grow. */
export interface KeyCacheMetrics {
  /** Signing keys that were in memory, or made of a day key that was. */
  readonly hits: number;
  /** Signing keys that were not: their signatures asked the device, or waited for a call already made. */
  readonly misses: number;
  /** How often the device was asked; with `"day"` by all `"day"` signers of the key, whose calls are shared. */
  readonly deviceCalls: number;
  /** How many of these calls gave no key. */
  readonly deviceFailures: number;
  /** Signatures that wait for the device now. */
  readonly waiting: number;
}

const signingKeyLimit = 64;

/**
 * The keys of one signer: the only place where derived key bytes are, and the only user of the device. Every signature is
 * made by `sign`, by `signNow` or by `signLinesNow`.
 */
export class KeyCache {
  readonly #key: KeySource;
  readonly #device: Device;
  readonly #mode: KeyCacheMode;
  readonly #clock: Clock;
  readonly #signingKeys: SecretCache<SigningKey>;
  readonly #dayKeys: DayKeys | undefined;
  readonly #release: () => void;
  #lastScope: Scope | undefined;
  #lastName = "";
  #closed = false;
  #hits = 0;
  #misses = 0;
  #waiting = 0;

  /** @throws SigningError `ERR_INVALID_ARGUMENT` */
  constructor(
    key: KeySource,
    mode: KeyCacheMode = givesSigningKeys(key) ? "scope" : "day",
    clock: Clock = systemClock,
  ) {
    const givesMacs = !givesSigningKeys(key);
    if (givesMacs && typeof key?.mac !== "function") {
      throw new SigningError("ERR_INVALID_ARGUMENT", "key must be an HmacKey: an object with mac()");
    }
    if (mode !== "day" && mode !== "scope" && mode !== "none") {
      throw new SigningError("ERR_INVALID_ARGUMENT", 'keyCache must be "day", "scope" or "none"');
    }
    if (!givesMacs && mode === "day") {
      throw new SigningError(
        "ERR_INVALID_ARGUMENT",
        'keyCache must be "scope" or "none": key gives no day keys',
      );
    }
    this.#key = key;
    this.#mode = mode;
    this.#clock = clock;
    this.#signingKeys = new SecretCache(signingKeyLimit, clock, (signingKey) => signingKey.wipe());
    this.#dayKeys = mode === "day" && givesMacs ? DayKeys.of(key, clock) : undefined;
    this.#device = this.#dayKeys?.device ?? new Device(key);
    this.#release = hold(key.closed, this.#signingKeys, this.#dayKeys);
    forgotten.register(this, this.#release, this);
  }

  get mode(): KeyCacheMode {
    return this.#mode;
  }

  get metrics(): KeyCacheMetrics {
    const { calls: deviceCalls, failures: deviceFailures } = this.#device;
    return { hits: this.#hits, misses: this.#misses, deviceCalls, deviceFailures, waiting: this.#waiting };
  }

  /**
   * The signature: HMAC-SHA256 of `stringToSign` under the signing key of `scope`, 32 bytes.
   *
   * @throws SigningError `ERR_CLOSED`, `ERR_MAC_LENGTH`; whatever the key throws
   */
  async sign(scope: Scope, stringToSign: Uint8Array): Promise<Buffer> {
    return this.#use(channels.sign, scope, (signingKey) => signingKey.sign(stringToSign));
  }

  /** The signing key of `scope` itself: 32 bytes in memory of their own. Throws as `sign` does. */
  async exportSigningKey(scope: Scope): Promise<ArrayBuffer> {
    return this.#use(channels.export, scope, (signingKey) => signingKey.copy());
  }

  /**
   * `sign` at once where the signing key is here; undefined where it is not, or must not sign: `sign` then gives the
   * signature or the reason.
   *
   * @param scope the same object for as many signatures as possible
   * @param head the string to sign but for the hash, ASCII; as little changed from one call to the next as possible
   * @param hashedRequest the canonical request's SHA-256: 64 hex digits
   * @returns 64 hex digits
   */
  signNow(scope: Scope, head: string, hashedRequest: string): string | undefined {
    if (this.#key.closed?.aborted) return undefined;
    if (!channels.sign.hasSubscribers) return this.#signNow(scope, head, hashedRequest);
    return observedNow<SignEvent, string>(
      channels.sign,
      () => this.#tell(scope, "hit"),
      () => this.#signNow(scope, head, hashedRequest),
    );
  }

  /**
   * `signNow` for many canonical requests, by the addon: their signatures one after the other. Undefined also where there is
   * no addon, or somebody wants to be told of each signature.
   */
  signLinesNow(scope: Scope, head: string, requests: RequestLines): string | undefined {
    const native = signLines();
    if (!native || channels.sign.hasSubscribers || this.#key.closed?.aborted) return undefined;
    return this.#useNow(scope, requests.count, (signingKey) => signingKey.signLines(native, head, requests));
  }

  /** Wipes the signing keys and lets go of the day keys; later calls reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    forgotten.unregister(this);
    this.#release();
  }

  #nameOf(scope: Scope): string {
    if (scope !== this.#lastScope) {
      this.#lastName = JSON.stringify([scope.date, scope.region, scope.service]);
      this.#lastScope = scope;
    }
    return this.#lastName;
  }

  #signNow(scope: Scope, head: string, hashedRequest: string): string | undefined {
    return this.#useNow(scope, 1, (signingKey) => signingKey.signHash(head, hashedRequest));
  }

  /** What `use` makes of the signing key for `count` signatures, if it is here. */
  #useNow(scope: Scope, count: number, use: (signingKey: SigningKey) => string): string | undefined {
    const now = this.#clock.now();
    const made = this.#signingKeys.useNow(this.#nameOf(scope), use, now);
    if (made === undefined) return undefined;
    this.#hits += count;
    this.#dayKeys?.touch(scope.date, now);
    return made;
  }

  /** What `use` makes of the signing key of `scope`; it is synchronous and keeps nothing. */
  async #use<T>(events: Channel, scope: Scope, use: (signingKey: SigningKey) => T): Promise<T> {
    if (this.#closed) throw new SigningError("ERR_CLOSED", "the signer is closed");
    if (this.#key.closed?.aborted) throw new SigningError("ERR_CLOSED", "the key is closed");
    const cache = this.#lookUp(scope);
    return observed<SignEvent, T>(
      events,
      () => this.#tell(scope, cache),
      () => this.#lend(scope, cache, use),
    );
  }

  #lookUp(scope: Scope): CacheOutcome {
    if (this.#mode === "none") return "miss";
    const { date } = scope;
    const name = this.#nameOf(scope);
    const now = this.#clock.now();
    this.#dayKeys?.touch(date, now);
    if (this.#signingKeys.has(name)) return "hit";
    const signingKey = this.#dayKeys?.useNow(date, (dayKey) => deriveSigningKey(dayKey, scope), now);
    if (signingKey) {
      this.#signingKeys.add(name, date, signingKey);
      return "hit";
    }
    return this.#signingKeys.isFetching(name) || this.#dayKeys?.isFetching(date) ? "wait" : "miss";
  }

  async #lend<T>(scope: Scope, cache: CacheOutcome, use: (signingKey: SigningKey) => T): Promise<T> {
    if (cache === "hit") this.#hits += 1;
    else {
      this.#misses += 1;
      this.#waiting += 1;
    }
    try {
      if (this.#mode === "none") return await this.#useOnce(scope, use);
      return await this.#signingKeys.use(this.#nameOf(scope), scope.date, () => this.#fetch(scope), use);
    } finally {
      if (cache !== "hit") this.#waiting -= 1;
    }
  }

  async #useOnce<T>(scope: Scope, use: (signingKey: SigningKey) => T): Promise<T> {
    const signingKey = await this.#fetch(scope);
    try {
      return use(signingKey);
    } finally {
      signingKey.wipe();
    }
  }

  async #fetch(scope: Scope): Promise<SigningKey> {
    const derive = (dayKey: Buffer): SigningKey => deriveSigningKey(dayKey, scope);
    if (this.#dayKeys) return this.#dayKeys.use(scope.date, derive);
    const given = await (givesSigningKeys(this.#key)
      ? this.#device.signingKey(scope)
      : this.#device.dayKey(scope.date));
    try {
      return givesSigningKeys(this.#key) ? new SigningKey(given) : derive(given);
    } finally {
      wipe(given);
    }
  }

  #tell({ date, region, service }: Scope, cache: CacheOutcome): Told<SignEvent> {
    const scope = { date, region, service };
    return { backend: backendOf(this.#key), algorithm: "sigv4", scope, cache };
  }
}

/** Ties the secrets to the key's life; the result lets them go. Outside of the class: it must not reach the KeyCache. */
function hold(
  keyClosed: AbortSignal | undefined,
  signingKeys: SecretCache<SigningKey>,
  dayKeys: DayKeys | undefined,
): () => void {
  const leave = dayKeys?.join();
  const forget = onKeyClosed(keyClosed, () => signingKeys.clear());
  return () => {
    forget();
    signingKeys.clear();
    leave?.();
  };
}

function deriveSigningKey(dayKey: Buffer, { region, service }: Scope): SigningKey {
  const regionKey = hmac(dayKey, region);
  const serviceKey = hmac(regionKey, service);
  const key = hmac(serviceKey, "aws4_request");
  const signingKey = new SigningKey(key);
  wipe(regionKey, serviceKey, key);
  return signingKey;
}

function hmac(key: Buffer, message: string): Buffer {
  return createHmac("sha256", key).update(message).digest();
}
