import type { Connection } from "../binding/connection.js";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";

/** How long a device may take, in milliseconds. */
export interface DeviceBounds {
  /** For a MAC, its wait in the queue included. */
  readonly call: number;
  /** For closing, what is queued included; then the device is given up. */
  readonly close: number;
}

/** An HmacKey over a native device connection whose key is open. */
export class DeviceKey implements HmacKey {
  readonly backend: string;
  readonly #connection: Connection;
  readonly #bounds: DeviceBounds;
  readonly #closed = new AbortController();

  constructor(backend: string, connection: Connection, bounds: DeviceBounds) {
    this.backend = backend;
    this.#connection = connection;
    this.#bounds = bounds;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  mac(message: Uint8Array, options: MacOptions = {}): Promise<Uint8Array> {
    if (!(message instanceof Uint8Array)) {
      return Promise.reject(new AwsHmacError("ERR_INVALID_ARGUMENT", "message must be a Uint8Array"));
    }
    return this.#connection.mac(message, { ...options, timeout: this.#bounds.call });
  }

  close(): Promise<void> {
    this.#closed.abort(new AwsHmacError("ERR_CLOSED", "the key is closed"));
    return this.#connection.close(this.#bounds.close);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
