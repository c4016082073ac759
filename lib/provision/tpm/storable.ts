import { createHash } from "node:crypto";

/**
 * What a TPM stores of an HMAC-SHA256 key: one over SHA-256's block of 64 bytes it does not take, and HMAC itself hashes
 * such a key (RFC 2104).
 *
 * @returns `key` itself where it is short enough; the caller wipes both
 */
export function storable(key: Buffer): Buffer {
  return key.length > 64 ? createHash("sha256").update(key).digest() : key;
}
