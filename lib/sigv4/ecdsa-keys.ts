import { type KeyObject, sign } from "node:crypto";
import { backendOf, channels, observed, type SignEvent } from "../core/diagnostics.js";
import { SigningError } from "../core/errors.js";
import type { MacSource } from "../core/hmac-key.js";
import type { Clock } from "./clock.js";
import { Device } from "./device.js";
import { deriveEcdsaKey } from "./ecdsa-key.js";
import type { KeyCacheMetrics, Scope } from "./key-cache.js";
import { forgotten, onKeyClosed } from "./key-closing.js";
import { SecretCache } from "./secret-cache.js";

/** What may stay in memory between SigV4a signatures: the private key, or nothing. */
export type EcdsaCacheMode = "key" | "none";

/** The private key is good for ever: it is only ever too long unused. */
const [name, longPast] = ["key", "19700101"];

/** The private key of one SigV4a signer, and the only user of its device. */
export class EcdsaKeys {
  readonly #key: MacSource;
  readonly #device: Device;
  readonly #accessKeyId: string;
  readonly #mode: EcdsaCacheMode;
  readonly #secrets: SecretCache<KeyObject>;
  readonly #release: () => void;
  #closed = false;
  #hits = 0;
  #misses = 0;
  #waiting = 0;

  /** @throws SigningError `ERR_INVALID_ARGUMENT` */
  constructor(key: MacSource, accessKeyId: string, mode: EcdsaCacheMode, clock: Clock) {
    if (typeof key?.mac !== "function") {
      throw new SigningError("ERR_INVALID_ARGUMENT", "key must be an HmacKey: an object with mac()");
    }
    if (mode !== "key" && mode !== "none") {
      throw new SigningError("ERR_INVALID_ARGUMENT", 'keyCache must be "key" or "none"');
    }
    this.#key = key;
    this.#device = new Device(key);
    this.#accessKeyId = accessKeyId;
    this.#mode = mode;
    this.#secrets = new SecretCache<KeyObject>(1, clock, () => undefined);
    this.#release = hold(key.closed, this.#secrets);
    forgotten.register(this, this.#release, this);
  }

  get metrics(): KeyCacheMetrics {
    const { calls: deviceCalls, failures: deviceFailures } = this.#device;
    return { hits: this.#hits, misses: this.#misses, deviceCalls, deviceFailures, waiting: this.#waiting };
  }

  /**
   * The signature of `stringToSign`: ECDSA with SHA-256 on P-256, in DER.
   *
   * @param scope for the event only
   * @throws SigningError `ERR_CLOSED`, `ERR_MAC_LENGTH`, `ERR_KEY_UNSUITABLE`; whatever the key throws
   */
  async sign(scope: Scope, stringToSign: Uint8Array): Promise<Buffer> {
    if (this.#closed) throw new SigningError("ERR_CLOSED", "the signer is closed");
    if (this.#key.closed?.aborted) throw new SigningError("ERR_CLOSED", "the key is closed");
    const cache = this.#secrets.has(name) ? "hit" : this.#secrets.isFetching(name) ? "wait" : "miss";
    return observed<SignEvent, Buffer>(
      channels.sign,
      () => ({ backend: backendOf(this.#key), algorithm: "sigv4a", scope: { ...scope }, cache }),
      () => this.#lend(cache === "hit", (key) => sign("sha256", stringToSign, { key, dsaEncoding: "der" })),
    );
  }

  /** Lets go of the private key; later calls reject with `ERR_CLOSED`. Idempotent. */
  close(): void {
    this.#closed = true;
    forgotten.unregister(this);
    this.#release();
  }

  async #lend(hit: boolean, use: (key: KeyObject) => Buffer): Promise<Buffer> {
    if (hit) this.#hits += 1;
    else {
      this.#misses += 1;
      this.#waiting += 1;
    }
    const derive = (): Promise<KeyObject> => deriveEcdsaKey(this.#device, this.#accessKeyId);
    try {
      return this.#mode === "none"
        ? use(await derive())
        : await this.#secrets.use(name, longPast, derive, use);
    } finally {
      if (!hit) this.#waiting -= 1;
    }
  }
}

/** Ties the private key to the HmacKey's life. Outside of the class: it must not reach the EcdsaKeys. */
function hold(keyClosed: AbortSignal | undefined, secrets: SecretCache<KeyObject>): () => void {
  const forget = onKeyClosed(keyClosed, () => secrets.clear());
  return () => {
    forget();
    secrets.clear();
  };
}
