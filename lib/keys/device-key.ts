import type { Connection } from "../binding/connection.js";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";

/** An HmacKey over a native device connection whose key is open. */
export class DeviceKey implements HmacKey {
  readonly backend: string;
  readonly #connection: Connection;
  readonly #timeout: number;
  readonly #closed = new AbortController();

  /** `timeout`: milliseconds that a MAC may take, its wait in the queue included. */
  constructor(backend: string, connection: Connection, timeout: number) {
    this.backend = backend;
    this.#connection = connection;
    this.#timeout = timeout;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  mac(message: Uint8Array, options: MacOptions = {}): Promise<Uint8Array> {
    if (!(message instanceof Uint8Array)) {
      return Promise.reject(new AwsHmacError("ERR_INVALID_ARGUMENT", "message must be a Uint8Array"));
    }
    return this.#connection.mac(message, { ...options, timeout: this.#timeout });
  }

  close(): Promise<void> {
    this.#closed.abort(new AwsHmacError("ERR_CLOSED", "the key is closed"));
    return this.#connection.close(this.#timeout);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
