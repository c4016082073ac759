/** Options of one MAC. */
export interface MacOptions {
  /** Aborting rejects the call with the signal's reason: a waiting call is dropped, the answer of a running one discarded. */
  signal?: AbortSignal | undefined;
}

/**
 * An HMAC-SHA256 key that can be used and not read. Anything with this shape works with everything above it, a
 * backend of your own too: at run time only `mac` is required.
 */
export interface HmacKey extends AsyncDisposable {
  /** Which kind of device holds the key: `tpm`, `pkcs11`, `memory`, … */
  readonly backend: string;
  /** Aborted when `close()` is called: caches wipe on it, later signatures reject with `ERR_CLOSED`. */
  readonly closed?: AbortSignal | undefined;
  /**
   * HMAC-SHA256 of `message` (any length): 32 bytes in a new array, which the caller may wipe. Rejects with a coded
   * error; never blocks the event loop.
   */
  mac(message: Uint8Array, options?: MacOptions): Promise<Uint8Array>;
  /** Waits for the work in flight, then releases the device. Idempotent; later calls reject with `ERR_CLOSED`. */
  close(): Promise<void>;
}

/** What a foreign key must have at run time. */
export type MacSource = Pick<HmacKey, "mac"> & Partial<Pick<HmacKey, "closed" | "backend">>;
