import { randomBytes } from "node:crypto";
import type { NativePkcs11Login } from "../binding/native-pkcs11.js";
import { withConnection } from "../binding/with-connection.js";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { checkTimeout, flag, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { type Pkcs11KeyName, type Pkcs11Token, pkcs11Place } from "../keys/pkcs11/options.js";
import { loginOf, type Pkcs11Login } from "../keys/pkcs11/pin.js";
import { formatPkcs11Uri } from "../keys/pkcs11/uri.js";
import type { Pkcs11Attribute } from "./pkcs11/housekeeping.js";
import { type Pkcs11Wrapped, wrappingOf } from "./pkcs11/wrapped.js";
import { makeProbe } from "./probe.js";

/**
 * Where a new key goes in a PKCS#11 token. A PIN is needed, and the key's CKA_LABEL, as `label` or in `uri`; its CKA_ID is
 * 16 random bytes by default.
 */
export interface Pkcs11ImportOptions extends Pkcs11Token, Pkcs11KeyName, Pkcs11Login {
  /** What the key is for: `"sigv4"` by default; `"sigv4a"` makes the other key that `HmacSignerV4a` needs. */
  algorithm?: KeyAlgorithm | undefined;
  /**
   * Encrypts the secret on its way into the token, which unwraps it (C_UnwrapKey); without it the module gets it in the
   * clear (C_CreateObject).
   */
  wrapped?: Pkcs11Wrapped | undefined;
  /**
   * Puts the new key in the place of the HMAC key with this label and, where it is given, this id; the old one is removed
   * once the new one has been proved.
   */
  replace?: boolean | undefined;
  /** Keeps the key though the token gives it out wrapped by another key; NSS always does. */
  allowWrapping?: boolean | undefined;
  /** Milliseconds that the import may take; 30 000 by default. */
  timeout?: number | undefined;
}

/** The new key: `openPkcs11Key({ ...imported, pin })` opens it, and so does `openKey(imported.uri, { pin })`. */
export interface ImportedPkcs11Key {
  /** The key's URI (RFC 7512), of all that was given and the key's label and id, without a PIN. */
  uri: string;
  /** As it was given. */
  initArgs?: string;
  /** CKA_LABEL. */
  label: string;
  /** CKA_ID. */
  id: Uint8Array;
  /** Whether the token says that the key may leave it wrapped by another key. False is as it should be. */
  extractable: boolean;
  /** Whether it did, when that was tried (C_WrapKey); not there where the token makes no key to try with. */
  wrappable?: boolean;
  /** Attributes that the token would not be told, and decides itself, such as `CKA_DERIVE`. */
  leftOut: Pkcs11Attribute[];
}

/**
 * Puts an AWS secret access key into a PKCS#11 token as an HMAC key for SigV4: `"AWS4" + secretAccessKey`, a private,
 * sensitive, non-extractable CKK_GENERIC_SECRET (or CKK_SHA256_HMAC) that may sign and nothing else. Keys under 32 bytes
 * are padded with zeros, which does not change their MACs (RFC 2104). Then it is proved that the key's value does not
 * come out, neither read nor wrapped, and that it gives the right MAC; a key that fails is destroyed again. After
 * `ERR_TIMEOUT` a slow token may still have made it.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PKCS11_URI`, `ERR_PIN_SOURCE`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`,
 *   `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_KEY_EXISTS` where the token has a secret key with this id, `ERR_KEY_READABLE`,
 *   `ERR_KEY_WRAPPABLE`, `ERR_IMPORT_VERIFY`, `ERR_KEY_AMBIGUOUS` where several keys could be replaced, `ERR_KEY_NOT_FOUND`
 *   where `wrapped` names no key, and what `openPkcs11Key` throws for module, token and PIN
 */
export async function importPkcs11Key(
  secretAccessKey: Uint8Array,
  options: Pkcs11ImportOptions,
): Promise<ImportedPkcs11Key> {
  const timeout = checkTimeout(options.timeout);
  const replace = flag("replace", options.replace);
  const allowWrapping = flag("allowWrapping", options.allowWrapping);
  const { token, label, id: ownId, ...uriPin } = pkcs11Place(options);
  if (label === undefined) throw invalid("label is missing: give it, or a uri with object");
  const named = { label, id: ownId ?? randomBytes(16) };
  const key = aws4Key(secretAccessKey, options.algorithm);
  let login: NativePkcs11Login | undefined;
  try {
    const wrapping = options.wrapped === undefined ? {} : { wrapping: wrappingOf(options.wrapped, key) };
    login = await loginOf(options, uriPin);
    if (!login.pin && !login.pinPad) throw invalid("pin is missing: only a login makes private keys");
    const ids = { hasOwnId: ownId !== undefined, spareId: randomBytes(16) };
    const how = { ...wrapping, replace, allowWrapping };
    const native = { ...token, ...login, ...named, ...ids, ...how, ...makeProbe(key), key };
    const { leftOut, ...told } = await withConnection(timeout, (connection) =>
      connection.importPkcs11(native, { timeout }),
    );
    const { initArgs } = token;
    const place = {
      uri: formatPkcs11Uri({ ...token, ...named }),
      ...(initArgs === undefined ? {} : { initArgs }),
    };
    return { ...place, ...named, ...told, leftOut: leftOut as Pkcs11Attribute[] };
  } finally {
    wipe(key, login?.pin);
  }
}
