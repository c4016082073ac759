import { createHmac, type KeyObject } from "node:crypto";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";

/**
 * An HmacKey whose key is in this process's memory: in a KeyObject, that is in OpenSSL's memory and not in V8's, and
 * overwritten there when the object is collected.
 */
export class SoftwareKey implements HmacKey {
  readonly backend: string;
  #key: KeyObject | undefined;
  readonly #closed = new AbortController();

  constructor(backend: string, key: KeyObject) {
    this.backend = backend;
    this.#key = key;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  async mac(message: Uint8Array, options: MacOptions = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    if (!(message instanceof Uint8Array)) {
      throw new AwsHmacError("ERR_INVALID_ARGUMENT", "message must be a Uint8Array");
    }
    if (!this.#key) throw new AwsHmacError("ERR_CLOSED", "the key is closed");
    return createHmac("sha256", this.#key).update(message).digest();
  }

  async close(): Promise<void> {
    this.#key = undefined;
    this.#closed.abort(new AwsHmacError("ERR_CLOSED", "the key is closed"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
