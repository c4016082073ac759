import { randomBytes } from "node:crypto";
import { withConnection } from "../binding/with-connection.js";
import { aws4Key } from "../core/aws4-key.js";
import { checkTimeout, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { keyId, type Pin, type Pkcs11Token, pinBytes, text, tokenQuery } from "../keys/pkcs11/options.js";
import { makeProbe } from "./probe.js";

/** Where a new key goes in a PKCS#11 token. */
export interface Pkcs11ImportOptions extends Pkcs11Token {
  /** The new key's CKA_LABEL. */
  label: string;
  /** The new key's CKA_ID; 16 random bytes by default. */
  id?: Uint8Array | undefined;
  /** The user PIN (CKU_USER), as bytes or a string, or a function that is asked once. */
  pin: Pin;
  /** Milliseconds that the import may take; 30 000 by default. */
  timeout?: number | undefined;
}

/** The new key: `openPkcs11Key({ ...imported, pin })` opens it. */
export interface ImportedPkcs11Key extends Pkcs11Token {
  label: string;
  id: Uint8Array;
  /** Whether the token says that the key may leave it wrapped by another key. False is as it should be. */
  extractable: boolean;
}

/**
 * Puts an AWS secret access key into a PKCS#11 token as an HMAC key for SigV4: `"AWS4" + secretAccessKey`, a private,
 * sensitive, non-extractable CKK_GENERIC_SECRET that may sign and nothing else. Keys under 32 bytes are padded with
 * zeros, which does not change their MACs (RFC 2104). Then it is proved that the key's value does not come out and that
 * it gives the right MAC; a key that fails is destroyed again. After `ERR_TIMEOUT` a slow token may still have made it.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_KEY_EXISTS` where the token has a secret key with this label and id, `ERR_KEY_READABLE`,
 *   `ERR_IMPORT_VERIFY`, and what `openPkcs11Key` throws for module, token and PIN
 */
export async function importPkcs11Key(
  secretAccessKey: Uint8Array,
  options: Pkcs11ImportOptions,
): Promise<ImportedPkcs11Key> {
  const { label, pin } = options;
  const timeout = checkTimeout(options.timeout);
  const token = tokenQuery(options);
  const id = options.id === undefined ? randomBytes(16) : Uint8Array.from(keyId(options.id));
  if (pin === undefined) throw invalid("pin is missing: only a login makes private keys");
  const named = { label: text("label", label), id };
  const key = aws4Key(secretAccessKey);
  let pinCopy: Buffer | undefined;
  try {
    pinCopy = await pinBytes(pin);
    const native = { ...token, ...named, ...makeProbe(key), pin: pinCopy, key };
    const { extractable } = await withConnection(timeout, (connection) =>
      connection.importPkcs11(native, { timeout }),
    );
    const { slot, ...selectors } = token;
    return { ...selectors, ...(slot === undefined ? {} : { slotId: slot }), ...named, extractable };
  } finally {
    wipe(key, pinCopy);
  }
}
