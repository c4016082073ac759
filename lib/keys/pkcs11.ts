import type { NativePkcs11Open } from "../binding/native-pkcs11.js";
import type { HmacKey } from "../core/hmac-key.js";
import { checkTimeout, flag, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { openDevice } from "./open-device.js";
import { type Pkcs11KeyName, type Pkcs11Token, pkcs11Place } from "./pkcs11/options.js";
import { loginOf, type Pkcs11Login } from "./pkcs11/pin.js";

const mostThreads = 64;

/**
 * Which key in a PKCS#11 token, and how to get at it. At least one of `label`, `id` and `uri` is needed. The PIN is
 * needed for private keys; where this process is logged in to the token already, PKCS#11 does not check it again.
 */
export interface Pkcs11KeyOptions extends Pkcs11Token, Pkcs11KeyName, Pkcs11Login {
  /**
   * How many threads sign, each with a session of its own: 1..64, by default 1. More are of use where a MAC takes time
   * that this machine spends waiting, as with an HSM on the network. A token that gives fewer sessions than that, and
   * one more for the login, is used with those it gives.
   */
  threads?: number | undefined;
  /**
   * Signs with a copy of the key in each session (C_CopyObject with CKA_TOKEN false), which many modules do faster;
   * false by default. The copy is as sensitive as the key, and is made anew every 30 s of use: a key that is removed
   * from the token goes on signing for as long at most.
   */
  sessionCopy?: boolean | undefined;
  /** Milliseconds that opening, one MAC or closing may take; 30 000 by default. */
  timeout?: number | undefined;
}

/**
 * Opens an HMAC key in a PKCS#11 token: a secret key of type CKK_GENERIC_SECRET or CKK_SHA256_HMAC that is stored on
 * the token and may sign (CKA_SIGN); it signs with CKM_SHA256_HMAC (PKCS#11 3.0, 2.30.4 and 2.23).
 *
 * The sessions and the login stay until `close()`. What gets lost in between, by a logout elsewhere in the process, a
 * token that is taken out and put back or a restart of the HSM, is opened again before a MAC rejects: first the session,
 * then the login, then the module (C_Finalize, C_Initialize), several times within about a second. The PIN is kept for
 * that, outside of V8's heap, and wiped on `close()`. A PIN that the token refused is not sent again by this process,
 * since that could lock the token.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PKCS11_URI`, `ERR_PIN_SOURCE`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`,
 *   `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_MODULE_NOT_FOUND`, `ERR_MODULE_FAILED`, `ERR_TOKEN_NOT_FOUND`, `ERR_TOKEN_AMBIGUOUS`,
 *   `ERR_KEY_NOT_FOUND`, `ERR_KEY_AMBIGUOUS`, `ERR_KEY_UNSUITABLE`, `ERR_PIN_REQUIRED`, `ERR_PIN_INCORRECT`,
 *   `ERR_PIN_LOCKED`, `ERR_PIN_FINAL_TRY`, `ERR_SESSION_COPY`, `ERR_KEY_READABLE`, `ERR_PKCS11_DEVICE`, `ERR_PKCS11`; a MAC
 *   of a message that the module does not take whole also `ERR_MESSAGE_LENGTH`
 * @example
 * const key = await openPkcs11Key({ uri: "pkcs11:token=aws;object=signer?pin-source=file:/run/pin" });
 * const key = await openPkcs11Key({ module, tokenLabel: "aws", label: "signer", pin: () => askForThePin() });
 */
export async function openPkcs11Key(options: Pkcs11KeyOptions): Promise<HmacKey> {
  const timeout = checkTimeout(options.timeout);
  const threads = checkThreads(options.threads);
  const sessionCopy = flag("sessionCopy", options.sessionCopy);
  const { token, label, id, ...uriPin } = pkcs11Place(options);
  if (options.uri === undefined && label === undefined && id === undefined) {
    throw invalid("label or id is missing: say which key of the token to use");
  }
  const login = await loginOf(options, uriPin);
  const native: NativePkcs11Open = { ...token, ...login, threads, sessionCopy };
  if (label !== undefined) native.label = label;
  if (id !== undefined) native.id = id;
  try {
    const bounds = { call: timeout, close: timeout };
    return await openDevice("pkcs11", bounds, (connection) => connection.openPkcs11(native, { timeout }));
  } finally {
    wipe(login.pin);
  }
}

function checkThreads(threads = 1): number {
  if (!Number.isInteger(threads) || threads < 1 || threads > mostThreads) {
    throw invalid(`threads must be a whole number of 1..${mostThreads}`);
  }
  return threads;
}
