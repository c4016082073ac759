import { createCipheriv } from "node:crypto";
import type { NativePkcs11Wrapping } from "../../binding/native-pkcs11.js";
import { invalid } from "../../core/validate.js";
import { secretBuffer, wipe } from "../../core/wipe.js";
import type { Pkcs11KeyName } from "../../keys/pkcs11/options.js";

/** A key on the token that unwraps the new one (C_UnwrapKey). */
export type Pkcs11WrappingKey =
  /**
   * RSAES-OAEP with SHA-256, or SHA-1 where the token knows no other: encrypted in software for the RSA private key of
   * this `label` and `id` (CKA_UNWRAP), or for a pair that the token makes for this import alone.
   */
  | ({
      /** With an RSA key. */
      method: "rsa-oaep";
    } & Pkcs11KeyName)
  /**
   * AES key wrap with padding (RFC 5649) under the AES key of this `label` and `id` (CKA_UNWRAP), whose 16, 24 or 32
   * bytes, `value`, are known here too. The array is not changed.
   */
  | ({
      /** With an AES key. */
      method: "aes-kwp";
      /** The AES key. */
      value: Uint8Array;
    } & Pkcs11KeyName);

/** How a new key is encrypted on its way to the token. */
export type Pkcs11Wrapped = "rsa-oaep" | Pkcs11WrappingKey;

/** The initial value of RFC 5649, 3. */
const initialValue = Buffer.from("a65959a6", "hex");
/** SoftHSM makes no shorter key; HMAC itself pads with zeros. */
const leastKeySize = 32;

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` */
export function wrappingOf(wrapped: Pkcs11Wrapped, key: Uint8Array): NativePkcs11Wrapping {
  const wrapping: Pkcs11WrappingKey = wrapped === "rsa-oaep" ? { method: wrapped } : wrapped;
  const { method, label, id } = wrapping ?? {};
  if (method !== "rsa-oaep" && method !== "aes-kwp") {
    throw invalid('wrapped must be "rsa-oaep", or an object whose method is "rsa-oaep" or "aes-kwp"');
  }
  if (label !== undefined && (typeof label !== "string" || label === "")) {
    throw invalid("wrapped.label must be a string that is not empty");
  }
  if (id !== undefined && (!(id instanceof Uint8Array) || id.length === 0)) {
    throw invalid("wrapped.id must be a Uint8Array with at least one byte");
  }
  const native: NativePkcs11Wrapping = {
    ...(label !== undefined && { label }),
    ...(id !== undefined && { id: Uint8Array.from(id) }),
  };
  if (wrapping.method === "rsa-oaep") return native;
  if (label === undefined && id === undefined) {
    throw invalid("wrapped.label or wrapped.id is missing: say which AES key of the token unwraps");
  }
  return { ...native, wrapped: wrapAes(wrapping.value, key) };
}

function wrapAes(wrappingKey: unknown, key: Uint8Array): Buffer {
  if (!(wrappingKey instanceof Uint8Array) || ![16, 24, 32].includes(wrappingKey.length)) {
    throw invalid("wrapped.value must be a Uint8Array of the AES key's 16, 24 or 32 bytes");
  }
  const padded = secretBuffer(Math.max(key.length, leastKeySize));
  padded.set(key);
  try {
    const cipher = createCipheriv(`id-aes${wrappingKey.length * 8}-wrap-pad`, wrappingKey, initialValue);
    return Buffer.concat([cipher.update(padded), cipher.final()]);
  } finally {
    wipe(padded);
  }
}
