import path from "node:path";
import type { NativeTokenQuery } from "../../binding/addon.js";
import { invalid, type Secret, secretBytes } from "../../core/validate.js";

/** Which PKCS#11 token: it must match everything that is given, and be the only one that does. */
export interface Pkcs11Token {
  /**
   * Path of the PKCS#11 module, e.g. `/usr/lib/softhsm/libsofthsm2.so`; without it the modules that p11-kit is
   * configured with are searched. Its code runs in this process: never take it from untrusted input.
   */
  module?: string | undefined;
  /** The token's label, without its padding. */
  tokenLabel?: string | undefined;
  /** The token's serial number, without its padding. */
  serial?: string | undefined;
  /** The number of the slot that holds the token (CK_SLOT_ID). */
  slotId?: number | undefined;
}

/** The user PIN: as it is, or a function that is asked for it once. */
export type Pin = Secret | (() => Secret | Promise<Secret>);

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` */
export function tokenQuery({ module, tokenLabel, serial, slotId }: Pkcs11Token): NativeTokenQuery {
  const query: NativeTokenQuery = {};
  if (module !== undefined) query.module = path.resolve(text("module", module));
  if (tokenLabel !== undefined) query.tokenLabel = text("tokenLabel", tokenLabel);
  if (serial !== undefined) query.serial = text("serial", serial);
  if (slotId !== undefined) {
    if (!Number.isSafeInteger(slotId) || slotId < 0)
      throw invalid("slotId must be a whole number, 0 or more");
    query.slot = slotId;
  }
  return query;
}

/**
 * A label or a path.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function text(option: string, value: string): string {
  if (typeof value !== "string" || value === "" || value.includes("\0")) {
    throw invalid(`${option} must be a string that is not empty and has no NUL character`);
  }
  return value;
}

/**
 * CKA_ID.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function keyId(id: Uint8Array): Uint8Array {
  if (!(id instanceof Uint8Array) || id.length === 0) {
    throw invalid(
      "id must be a Uint8Array with at least one byte (from hexadecimal: Buffer.from(hex, 'hex'))",
    );
  }
  return id;
}

/**
 * A copy of the PIN, which the caller wipes.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, or what the function `pin` throws
 */
export async function pinBytes(pin: Pin): Promise<Buffer> {
  const bytes = secretBytes("pin", typeof pin === "function" ? await pin() : pin);
  if (bytes.length === 0) throw invalid("pin must not be empty: leave it out for a token without login");
  return bytes;
}
