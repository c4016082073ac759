import { isAnyArrayBuffer, isUint8Array } from "node:util/types";
import { SigningError } from "../core/errors.js";
import type { HmacKey, MacSource } from "../core/hmac-key.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import type { Scope } from "./key-cache.js";

/** What a signing key is good for: a UTC day (`yyyymmdd`), a region and a service. */
export interface SigningScope extends Scope {}

/**
 * Stands where a signer takes a key, and gives signing keys rather than MACs: in a worker thread, or a process, that gets
 * them from the one which has the device (`signer.exportSigningKey`).
 */
export interface SigningKeySource extends Partial<Pick<HmacKey, "closed" | "backend">> {
  /** The signing key of `scope`: 32 bytes, new ones each time. The signer overwrites them with zeros once it has copied them. */
  signingKey(scope: SigningScope): Promise<ArrayBuffer | Uint8Array>;
}

/** What a SigV4 signer can sign with. */
export type KeySource = MacSource | SigningKeySource;

export function givesSigningKeys(key: KeySource | undefined): key is SigningKeySource {
  return typeof (key as Partial<SigningKeySource> | undefined)?.signingKey === "function";
}

/**
 * A copy of a signing key that somebody else's code gave; that one is wiped.
 *
 * @throws SigningError `ERR_SIGNING_KEY` for anything but 32 bytes, or for zeros: what an earlier call gave, and was wiped
 */
export function takeSigningKey(given: unknown): Buffer {
  // One that was transferred has no bytes left, and takes no view.
  const bytes = isAnyArrayBuffer(given) && given.byteLength > 0 ? new Uint8Array(given) : given;
  if (!isUint8Array(bytes) || bytes.length !== 32) {
    if (isUint8Array(bytes)) wipe(bytes);
    throw new SigningError("ERR_SIGNING_KEY", "signingKey() must give 32 bytes, as exportSigningKey() does");
  }
  if (bytes.every((byte) => byte === 0)) {
    throw new SigningError(
      "ERR_SIGNING_KEY",
      "signingKey() gave a key that was wiped: give new bytes each time",
    );
  }
  const key = secretBuffer(32);
  key.set(bytes);
  wipe(bytes);
  return key;
}
