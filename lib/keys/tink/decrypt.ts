import { withDeadline } from "../../core/deadline.js";
import { AwsHmacError, KeysetError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import type { KeysetEncryption } from "./options.js";

/**
 * Has a keyset decrypted; the caller wipes it.
 *
 * @throws KeysetError `ERR_KEYSET_DECRYPT`, `ERR_KMS_UNAVAILABLE`
 * @throws AwsHmacError `ERR_TIMEOUT`, and those of the KMS's adapter
 */
export async function decryptKeyset(
  ciphertext: Uint8Array,
  { aead, associatedData, timeout }: KeysetEncryption,
): Promise<Uint8Array> {
  const decrypt = (signal: AbortSignal): Promise<Uint8Array> =>
    aead.decrypt(ciphertext, associatedData, { signal });
  let bytes: unknown;
  try {
    bytes = await inTime("decrypted", timeout, decrypt);
  } catch (error) {
    throw decryptError(error);
  }
  if (!(bytes instanceof Uint8Array)) throw invalid("aead.decrypt must give a Uint8Array");
  return bytes;
}

/**
 * Has a keyset encrypted.
 *
 * @throws AwsHmacError `ERR_TIMEOUT`; and what the KMS's adapter rejects with
 */
export async function encryptKeyset(
  keyset: Uint8Array,
  { aead, associatedData, timeout }: KeysetEncryption,
): Promise<Uint8Array> {
  const encrypt = (signal: AbortSignal): Promise<Uint8Array> =>
    aead.encrypt(keyset, associatedData, { signal });
  const ciphertext: unknown = await inTime("encrypted", timeout, encrypt);
  if (!(ciphertext instanceof Uint8Array)) throw invalid("aead.encrypt must give a Uint8Array");
  return ciphertext;
}

/** What comes too late is wiped. */
function inTime(
  what: string,
  timeout: number,
  work: (signal: AbortSignal) => Promise<Uint8Array>,
): Promise<Uint8Array> {
  const late = (): AwsHmacError =>
    new AwsHmacError("ERR_TIMEOUT", `the keyset was not ${what} within ${timeout} ms (option timeout)`, {
      retryable: true,
    });
  return withDeadline(timeout, late, async (signal) => {
    const bytes = await work(signal);
    if (signal.aborted && bytes instanceof Uint8Array) wipe(bytes);
    return bytes;
  });
}

/** An adapter of the user's own rejects with errors of its own. */
function decryptError(error: unknown): unknown {
  if (error instanceof AwsHmacError && error.code !== "ERR_KMS_DECRYPT") return error;
  if ((error as { retryable?: unknown } | undefined)?.retryable === true) {
    const message = "the keyset could not be decrypted: the KMS did not answer (see `cause`)";
    return new KeysetError("ERR_KMS_UNAVAILABLE", message, { cause: error, retryable: true });
  }
  return new KeysetError(
    "ERR_KEYSET_DECRYPT",
    "the keyset could not be decrypted: it was encrypted with another key or other associatedData, or was changed since (see `cause`)",
    { cause: error },
  );
}
