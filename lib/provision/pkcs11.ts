import { randomBytes } from "node:crypto";
import type { NativePkcs11Login } from "../binding/addon.js";
import { withConnection } from "../binding/with-connection.js";
import { aws4Key } from "../core/aws4-key.js";
import { checkTimeout, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { type Pkcs11KeyName, type Pkcs11Token, pkcs11Place } from "../keys/pkcs11/options.js";
import { loginOf, type Pkcs11Login } from "../keys/pkcs11/pin.js";
import { formatPkcs11Uri } from "../keys/pkcs11/uri.js";
import { makeProbe } from "./probe.js";

/**
 * Where a new key goes in a PKCS#11 token. A PIN is needed, and the key's CKA_LABEL, as `label` or in `uri`; its CKA_ID is
 * 16 random bytes by default.
 */
export interface Pkcs11ImportOptions extends Pkcs11Token, Pkcs11KeyName, Pkcs11Login {
  /** Milliseconds that the import may take; 30 000 by default. */
  timeout?: number | undefined;
}

/** The new key: `openPkcs11Key({ ...imported, pin })` opens it, and so does `openKey(imported.uri, { pin })`. */
export interface ImportedPkcs11Key {
  /** The key's URI (RFC 7512), of all that was given and the key's label and id, without a PIN. */
  uri: string;
  /** As it was given. */
  initArgs?: string;
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
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PKCS11_URI`, `ERR_PIN_SOURCE`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`,
 *   `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_KEY_EXISTS` where the token has a secret key with this label and id, `ERR_KEY_READABLE`,
 *   `ERR_IMPORT_VERIFY`, and what `openPkcs11Key` throws for module, token and PIN
 */
export async function importPkcs11Key(
  secretAccessKey: Uint8Array,
  options: Pkcs11ImportOptions,
): Promise<ImportedPkcs11Key> {
  const timeout = checkTimeout(options.timeout);
  const { token, label, id = randomBytes(16), ...uriPin } = pkcs11Place(options);
  if (label === undefined) throw invalid("label is missing: give it, or a uri with object");
  const named = { label, id };
  const key = aws4Key(secretAccessKey);
  let login: NativePkcs11Login | undefined;
  try {
    login = await loginOf(options, uriPin);
    if (!login.pin && !login.pinPad) throw invalid("pin is missing: only a login makes private keys");
    const native = { ...token, ...login, ...named, ...makeProbe(key), key };
    const { extractable } = await withConnection(timeout, (connection) =>
      connection.importPkcs11(native, { timeout }),
    );
    const { initArgs } = token;
    const uri = formatPkcs11Uri({ ...token, ...named });
    return { uri, ...(initArgs === undefined ? {} : { initArgs }), ...named, extractable };
  } finally {
    wipe(key, login?.pin);
  }
}
