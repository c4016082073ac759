import { createHmac } from "node:crypto";
import { SigningError } from "../core/errors.js";
import type { MacSource } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { type Clock, systemClock } from "./clock.js";
import { DayKeys, fetchDayKey } from "./day-keys.js";
import { onKeyClosed } from "./key-closing.js";
import { SecretCache } from "./secret-cache.js";
import { SigningKey } from "./signing-key.js";

/**
 * What may stay in memory between signatures: `"day"` the day key (one device call for each key and UTC day), `"scope"`
 * only signing keys (one for each day, region and service), `"none"` nothing (one for each signature).
 */
export type KeyCacheMode = "day" | "scope" | "none";

/** What a signing key is good for (AWS SigV4 guide, "credential scope"). */
export interface Scope {
  /** The UTC day of the request's signing date: `yyyymmdd`. */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

const signingKeyLimit = 64;

/** Signers that were dropped without close() let their secrets go too. */
const forgotten = new FinalizationRegistry<() => void>((release) => release());

/**
 * The keys of one signer: the only place where derived key bytes are, and the only user of the device. Every signature is
 * made by `sign` or by `signNow`.
 */
export class KeyCache {
  readonly #key: MacSource;
  readonly #mode: KeyCacheMode;
  readonly #clock: Clock;
  readonly #signingKeys: SecretCache<SigningKey>;
  readonly #dayKeys: DayKeys | undefined;
  readonly #release: () => void;
  #lastScope: Scope | undefined;
  #lastName = "";
  #closed = false;

  /** @throws SigningError `ERR_INVALID_ARGUMENT` */
  constructor(key: MacSource, mode: KeyCacheMode = "day", clock: Clock = systemClock) {
    if (typeof key?.mac !== "function") {
      throw new SigningError("ERR_INVALID_ARGUMENT", "key must be an HmacKey: an object with mac()");
    }
    if (mode !== "day" && mode !== "scope" && mode !== "none") {
      throw new SigningError("ERR_INVALID_ARGUMENT", 'keyCache must be "day", "scope" or "none"');
    }
    this.#key = key;
    this.#mode = mode;
    this.#clock = clock;
    this.#signingKeys = new SecretCache(signingKeyLimit, clock, (signingKey) => signingKey.wipe());
    this.#dayKeys = mode === "day" ? DayKeys.of(key, clock) : undefined;
    this.#release = hold(key.closed, this.#signingKeys, this.#dayKeys);
    forgotten.register(this, this.#release, this);
  }

  get mode(): KeyCacheMode {
    return this.#mode;
  }

  /**
   * The signature: HMAC-SHA256 of `stringToSign` under the signing key of `scope`, 32 bytes.
   *
   * @throws SigningError `ERR_CLOSED`, `ERR_MAC_LENGTH`; whatever the key throws
   */
  async sign(scope: Scope, stringToSign: Uint8Array): Promise<Buffer> {
    if (this.#closed) throw new SigningError("ERR_CLOSED", "the signer is closed");
    if (this.#key.closed?.aborted) throw new SigningError("ERR_CLOSED", "the key is closed");
    const { date, region, service } = scope;
    const derive = (dayKey: Buffer): SigningKey => deriveSigningKey(dayKey, region, service);
    const sign = (signingKey: SigningKey): Buffer => signingKey.sign(stringToSign);
    const fetch = (): Promise<SigningKey> =>
      this.#dayKeys?.use(date, derive) ?? this.#fetchSigningKey(date, derive);

    if (this.#mode === "none") {
      const signingKey = await fetch();
      try {
        return sign(signingKey);
      } finally {
        signingKey.wipe();
      }
    }
    this.#dayKeys?.touch(date, this.#clock.now());
    return this.#signingKeys.use(this.#nameOf(scope), date, fetch, sign);
  }

  /**
   * The same at once where the signing key is here; undefined where it is not, or must not sign: `sign` then gives the
   * signature or the reason.
   *
   * @param scope the same object for as many signatures as possible
   * @param head the string to sign but for the hash, ASCII; as little changed from one call to the next as possible
   * @param hashedRequest the canonical request's SHA-256: 64 hex digits
   * @returns 64 hex digits
   */
  signNow(scope: Scope, head: string, hashedRequest: string): string | undefined {
    if (this.#key.closed?.aborted) return undefined;
    const now = this.#clock.now();
    const use = (signingKey: SigningKey): string => signingKey.signHash(head, hashedRequest);
    const signature = this.#signingKeys.useNow(this.#nameOf(scope), use, now);
    if (signature !== undefined) this.#dayKeys?.touch(scope.date, now);
    return signature;
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

  async #fetchSigningKey(date: string, derive: (dayKey: Buffer) => SigningKey): Promise<SigningKey> {
    const dayKey = await fetchDayKey(this.#key, date);
    try {
      return derive(dayKey);
    } finally {
      wipe(dayKey);
    }
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

function deriveSigningKey(dayKey: Buffer, region: string, service: string): SigningKey {
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
