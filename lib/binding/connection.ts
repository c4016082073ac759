import { setMaxListeners } from "node:events";
import { AwsHmacError } from "../core/errors.js";
import type { MacOptions } from "../core/hmac-key.js";
import { addon, type NativeConnection } from "./addon.js";
import { toAwsHmacError } from "./native-error.js";
import type {
  NativePkcs11Import,
  NativePkcs11Imported,
  NativePkcs11List,
  NativePkcs11Listing,
  NativePkcs11Open,
  NativePkcs11Remove,
} from "./native-pkcs11.js";
import type {
  NativeTpm,
  NativeTpmImport,
  NativeTpmImported,
  NativeTpmListed,
  NativeTpmOpen,
  NativeTpmProperty,
  NativeTpmQuery,
  NativeTpmRemove,
  NativeTpmValues,
} from "./native-tpm.js";

/** The bounds of one call. */
export interface CallOptions extends MacOptions {
  /** Milliseconds after which the call rejects with `ERR_TIMEOUT`. */
  timeout: number;
}

/** A device connection: every call bounded in time, abortable, and rejecting with this package's errors. */
export class Connection {
  readonly #native = start();
  #lastId = 0;
  #closing: Promise<void> | undefined;

  openTpm(options: NativeTpmOpen, call: CallOptions): Promise<void> {
    return this.#call(call, (id) => this.#native.openTpm(id, options));
  }

  importTpm(options: NativeTpmImport, call: CallOptions): Promise<NativeTpmImported> {
    return this.#call(call, (id) => this.#native.importTpm(id, options));
  }

  listTpm(options: NativeTpm, call: CallOptions): Promise<NativeTpmListed[]> {
    return this.#call(call, (id) => this.#native.listTpm(id, options));
  }

  removeTpm(options: NativeTpmRemove, call: CallOptions): Promise<void> {
    return this.#call(call, (id) => this.#native.removeTpm(id, options));
  }

  readTpmProperties(options: NativeTpm, call: CallOptions): Promise<NativeTpmProperty[]> {
    return this.#call(call, (id) => this.#native.readTpmProperties(id, options));
  }

  readTpm(options: NativeTpmQuery, call: CallOptions): Promise<NativeTpmValues> {
    return this.#call(call, (id) => this.#native.readTpm(id, options));
  }

  openPkcs11(options: NativePkcs11Open, call: CallOptions): Promise<void> {
    return this.#call(call, (id) => this.#native.openPkcs11(id, options));
  }

  importPkcs11(options: NativePkcs11Import, call: CallOptions): Promise<NativePkcs11Imported> {
    return this.#call(call, (id) => this.#native.importPkcs11(id, options));
  }

  listPkcs11(options: NativePkcs11List, call: CallOptions): Promise<NativePkcs11Listing> {
    return this.#call(call, (id) => this.#native.listPkcs11(id, options));
  }

  removePkcs11(options: NativePkcs11Remove, call: CallOptions): Promise<void> {
    return this.#call(call, (id) => this.#native.removePkcs11(id, options));
  }

  /** HMAC-SHA256 of `message` by the opened key: 32 bytes. */
  mac(message: Uint8Array, call: CallOptions): Promise<Uint8Array> {
    return this.#call(call, (id) => this.#native.mac(id, message));
  }

  /** Waits for what is queued, then releases the device; after `timeout` milliseconds gives a hung device up. Idempotent. */
  close(timeout: number): Promise<void> {
    this.#closing ??= this.#close(timeout);
    return this.#closing;
  }

  async #close(timeout: number): Promise<void> {
    const timer = setTimeout(() => this.#native.abandon(), timeout);
    try {
      await this.#native.close();
    } finally {
      clearTimeout(timer);
    }
  }

  async #call<T>({ signal, timeout }: CallOptions, start: (id: number) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    if (this.#closing) throw new AwsHmacError("ERR_CLOSED", "the key is closed");
    const id = ++this.#lastId;
    const cancel = (): void => this.#native.cancel(id);
    let expired = false;
    const timer = setTimeout(() => {
      expired = true;
      cancel();
    }, timeout);
    if (signal) {
      setMaxListeners(0, signal); // hundreds of calls may share a signal: that is no leak to warn of
      signal.addEventListener("abort", cancel, { once: true });
    }
    try {
      return await start(id);
    } catch (error) {
      if (signal?.aborted) throw signal.reason;
      if (expired) throw timedOut(timeout);
      throw toAwsHmacError(error);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", cancel);
    }
  }
}

function start(): NativeConnection {
  const { Connection } = addon();
  try {
    return new Connection();
  } catch (error) {
    throw toAwsHmacError(error); // the system has no more threads
  }
}

function timedOut(timeout: number): AwsHmacError {
  return new AwsHmacError("ERR_TIMEOUT", `the device did not answer within ${timeout} ms (option timeout)`, {
    retryable: true,
  });
}
