/** Options of one encryption or decryption. */
export interface AeadOptions {
  /** Aborting rejects the call with the signal's reason. */
  signal?: AbortSignal | undefined;
}

/**
 * Authenticated encryption with associated data, as Tink names it: what a KMS does for a keyset. Anything with this shape
 * works, an adapter of your own too.
 */
export interface Aead {
  /**
   * The ciphertext, which nobody can change or use with other associated data unnoticed.
   *
   * @param plaintext the caller's to wipe, which is not changed; an implementation keeps no copy
   * @param associatedData the bytes that `decrypt` must be given again; may be empty
   */
  encrypt(plaintext: Uint8Array, associatedData: Uint8Array, options?: AeadOptions): Promise<Uint8Array>;
  /**
   * The plaintext in a new array, which the caller wipes. Rejects where the ciphertext was not made with this key and data;
   * with an error whose `retryable` is true where the KMS was not reached and may be later.
   */
  decrypt(ciphertext: Uint8Array, associatedData: Uint8Array, options?: AeadOptions): Promise<Uint8Array>;
}
