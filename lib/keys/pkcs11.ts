import type { NativePkcs11Open } from "../binding/addon.js";
import type { HmacKey } from "../core/hmac-key.js";
import { checkTimeout, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { openDevice } from "./open-device.js";
import { keyId, type Pin, type Pkcs11Token, pinBytes, text, tokenQuery } from "./pkcs11/options.js";

/** Which key in a PKCS#11 token, and how to get at it. At least one of `label` and `id` is needed. */
export interface Pkcs11KeyOptions extends Pkcs11Token {
  /** The key's CKA_LABEL. */
  label?: string | undefined;
  /** The key's CKA_ID, as bytes. */
  id?: Uint8Array | undefined;
  /**
   * The user PIN (CKU_USER), as bytes or a string, or a function that is asked once. It is needed for private keys.
   * Where this process is logged in to the token already, PKCS#11 does not check it again.
   */
  pin?: Pin | undefined;
  /** Milliseconds that opening, one MAC or closing may take; 30 000 by default. */
  timeout?: number | undefined;
}

/**
 * Opens an HMAC key in a PKCS#11 token: a secret key of type CKK_GENERIC_SECRET or CKK_SHA256_HMAC that is stored on
 * the token and may sign (CKA_SIGN); it signs with CKM_SHA256_HMAC (PKCS#11 3.0, 2.30.4 and 2.23).
 *
 * The session and the login stay until `close()`. What gets lost in between, by a logout elsewhere in the process or
 * a restart of the HSM, is opened once more before a MAC rejects; the PIN is kept for that, outside of V8's heap, and
 * wiped on `close()`. A PIN that the token refused is not sent again by this process, since that could lock the token.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_MODULE_NOT_FOUND`, `ERR_MODULE_FAILED`, `ERR_TOKEN_NOT_FOUND`, `ERR_TOKEN_AMBIGUOUS`,
 *   `ERR_KEY_NOT_FOUND`, `ERR_KEY_AMBIGUOUS`, `ERR_KEY_UNSUITABLE`, `ERR_PIN_REQUIRED`, `ERR_PIN_INCORRECT`,
 *   `ERR_PIN_LOCKED`, `ERR_PKCS11_DEVICE`, `ERR_PKCS11`
 * @example
 * const key = await openPkcs11Key({ module, tokenLabel: "aws", label: "signer", pin: () => readFile("/run/pin") });
 */
export async function openPkcs11Key(options: Pkcs11KeyOptions): Promise<HmacKey> {
  const timeout = checkTimeout(options.timeout);
  const native: NativePkcs11Open = tokenQuery(options);
  if (options.label === undefined && options.id === undefined) {
    throw invalid("label or id is missing: say which key of the token to use");
  }
  if (options.label !== undefined) native.label = text("label", options.label);
  if (options.id !== undefined) native.id = keyId(options.id);
  if (options.pin !== undefined) native.pin = await pinBytes(options.pin);
  try {
    return await openDevice("pkcs11", timeout, (connection) => connection.openPkcs11(native, { timeout }));
  } finally {
    wipe(native.pin);
  }
}
