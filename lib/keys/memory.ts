import { createHmac, createSecretKey, type KeyObject } from "node:crypto";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";
import { secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";

/**
 * A key that is held in this process's memory, without any device: for tests and for migrating.
 *
 * @param secretAccessKey the AWS secret access key, without the "AWS4" prefix; the array is not changed
 * @param options `algorithm`: what the key is for, `"sigv4"` by default; `HmacSignerV4a` needs one for `"sigv4a"`
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function insecureMemoryKey(
  secretAccessKey: string | Uint8Array,
  { algorithm }: { algorithm?: KeyAlgorithm | undefined } = {},
): HmacKey {
  const bytes = secretBytes("secretAccessKey", secretAccessKey);
  let key: Buffer | undefined;
  try {
    key = aws4Key(bytes, algorithm);
    return new MemoryKey(createSecretKey(key));
  } finally {
    wipe(bytes, key);
  }
}

class MemoryKey implements HmacKey {
  readonly backend = "memory";
  #key: KeyObject | undefined;
  readonly #closed = new AbortController();

  constructor(key: KeyObject) {
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
