import type { NativePkcs11Listed, NativePkcs11ListedKey } from "../../binding/native-pkcs11.js";
import { withConnection } from "../../binding/with-connection.js";
import { checkTimeout, flag, invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { type Pkcs11KeyName, type Pkcs11Token, pkcs11Place } from "../../keys/pkcs11/options.js";
import { loginOf, type Pkcs11Login } from "../../keys/pkcs11/pin.js";
import { formatPkcs11Uri, type Pkcs11Uri } from "../../keys/pkcs11/uri.js";

/** Which tokens to look at; all that p11-kit is configured with, by default. A PIN goes to one token alone. */
export interface Pkcs11ListOptions extends Pkcs11Token, Pkcs11Login {
  /** Milliseconds that the listing may take; 30 000 by default. */
  timeout?: number | undefined;
}

/** An attribute of a secret key, in the standard's words (PKCS#11 3.0, 4). */
export type Pkcs11Attribute =
  | "CKA_TOKEN"
  | "CKA_PRIVATE"
  | "CKA_MODIFIABLE"
  | "CKA_SENSITIVE"
  | "CKA_ALWAYS_SENSITIVE"
  | "CKA_EXTRACTABLE"
  | "CKA_NEVER_EXTRACTABLE"
  | "CKA_LOCAL"
  | "CKA_SIGN"
  | "CKA_VERIFY"
  | "CKA_ENCRYPT"
  | "CKA_DECRYPT"
  | "CKA_WRAP"
  | "CKA_UNWRAP"
  | "CKA_DERIVE";

/** A key that may make HMACs. */
export interface ListedPkcs11Key {
  /** CKA_LABEL; empty where the key has none. */
  label: string;
  /** CKA_ID; empty where the key has none. */
  id: Uint8Array;
  /** CKA_KEY_TYPE. */
  keyType: "CKK_GENERIC_SECRET" | "CKK_SHA256_HMAC";
  /** Those that are true. */
  attributes: Pkcs11Attribute[];
  /** Opens the key (RFC 7512), unless another one of the token has the same label and id. Without a PIN. */
  uri: string;
  /** Whether `openPkcs11Key` takes it: it may sign, and the token makes HMACs with SHA-256. */
  usableForAws4: boolean;
}

/** A token, and the keys on it that can be seen: private ones with a login only. */
export interface ListedPkcs11Token {
  /** Path of the module. */
  module: string;
  /** The token's label, like the next three without its padding. */
  tokenLabel: string;
  /** The token's serial number. */
  serial: string;
  /** Who made the token. */
  manufacturer: string;
  /** The token's model. */
  model: string;
  /** CK_SLOT_ID; it may change when the module is next started. */
  slotId: number;
  /** Whether private keys want a login (CKF_LOGIN_REQUIRED). */
  loginRequired: boolean;
  /** Whether there was one, by this call or by another user of the module in this process. */
  loggedIn: boolean;
  /**
   * What the token said of its PIN before this call: a wrong one was entered since the last right one; the next wrong one
   * locks it; it is locked. Not every token tells.
   */
  pinState: "ok" | "count-low" | "final-try" | "locked";
  /** The secret keys that can be seen. */
  keys: ListedPkcs11Key[];
}

/** What there is. */
export interface Pkcs11Listing {
  /** The tokens that match the options. */
  tokens: ListedPkcs11Token[];
  /** Modules of p11-kit's configuration that do not work, and why; empty when all do. */
  broken: string;
}

/** Which key to remove. At least one of `label`, `id` and `uri` is needed. */
export interface Pkcs11RemoveOptions extends Pkcs11Token, Pkcs11KeyName, Pkcs11Login {
  /** Where no HMAC key matches: removes what else does, be it another key, a certificate or data. */
  force?: boolean | undefined;
  /** Milliseconds that the removal may take; 30 000 by default. */
  timeout?: number | undefined;
}

/**
 * The tokens that match the options, and the secret keys on them of the types CKK_GENERIC_SECRET and CKK_SHA256_HMAC. A
 * token that matches is in the list though it has no keys; without a login only public keys show. Nothing secret is read.
 *
 * @param options `uri` names a token here: what it says of a key does not count
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PKCS11_URI`, `ERR_PIN_SOURCE`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`,
 *   `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_TOKEN_AMBIGUOUS` where there is a PIN and several tokens match: it was sent to none; and what
 *   `openPkcs11Key` throws for module and PIN
 */
export async function listPkcs11Keys(options: Pkcs11ListOptions = {}): Promise<Pkcs11Listing> {
  const timeout = checkTimeout(options.timeout);
  const { token, pinSource, pinValue } = pkcs11Place(options);
  const login = await loginOf(options, { pinSource, pinValue });
  try {
    const { tokens, broken } = await withConnection(timeout, (connection) =>
      connection.listPkcs11({ ...token, ...login }, { timeout }),
    );
    return { tokens: tokens.map(listedToken), broken };
  } finally {
    wipe(login.pin);
  }
}

/**
 * Removes a key from a token (C_DestroyObject), for good: the one HMAC key that matches. Other things are refused unless
 * `force` is set. After `ERR_TIMEOUT` a slow token may still have removed it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PKCS11_URI`, `ERR_PIN_SOURCE`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`,
 *   `ERR_UNSUPPORTED_PLATFORM`
 * @throws Pkcs11Error `ERR_KEY_NOT_FOUND`; `ERR_KEY_AMBIGUOUS`, which lists what matches; `ERR_KEY_UNSUITABLE` where it is
 *   no HMAC key; and what `openPkcs11Key` throws for module, token and PIN
 */
export async function removePkcs11Key(options: Pkcs11RemoveOptions): Promise<void> {
  const timeout = checkTimeout(options.timeout);
  const force = flag("force", options.force);
  const { token, label, id, pinSource, pinValue } = pkcs11Place(options);
  if (label === undefined && id === undefined) {
    throw invalid("label or id is missing: say which key to remove, or give a uri with object or id");
  }
  const key = { ...(label !== undefined && { label }), ...(id !== undefined && { id }) };
  const login = await loginOf(options, { pinSource, pinValue });
  try {
    await withConnection(timeout, (connection) =>
      connection.removePkcs11({ ...token, ...key, ...login, force }, { timeout }),
    );
  } finally {
    wipe(login.pin);
  }
}

/** CK_TOKEN_INFO's flags (PKCS#11 3.0, 3.2), the worst of the PIN's states first. */
const loginRequired = 0x4;
const pinStates = [
  [0x40000, "locked"],
  [0x20000, "final-try"],
  [0x10000, "count-low"],
] as const;

function listedToken({ slot, flags, keys, ...token }: NativePkcs11Listed): ListedPkcs11Token {
  const { tokenLabel, manufacturer, serial, model, module } = token;
  const filled = Object.entries({ tokenLabel, manufacturer, serial, model, module }).filter(
    ([, text]) => text !== "",
  );
  const place = Object.fromEntries(filled) as Pkcs11Uri;
  const pinState: ListedPkcs11Token["pinState"] = pinStates.find(([flag]) => flags & flag)?.[1] ?? "ok";
  const state = { loginRequired: (flags & loginRequired) !== 0, pinState };
  return { ...token, ...state, slotId: slot, keys: keys.map((key) => listedKey(key, place)) };
}

function listedKey(
  { label, id, keyType, attributes, isUsable }: NativePkcs11ListedKey,
  token: Pkcs11Uri,
): ListedPkcs11Key {
  const text = Buffer.from(label).toString();
  const place = { ...token };
  // A label that is no text cannot be in a URI: the id has to do.
  if (text !== "" && Buffer.from(text).equals(label) && !text.includes("\0")) place.label = text;
  if (id.length > 0) place.id = id;
  return {
    label: text,
    id: Uint8Array.from(id),
    keyType: keyType as ListedPkcs11Key["keyType"],
    attributes: attributes as Pkcs11Attribute[],
    uri: formatPkcs11Uri(place),
    usableForAws4: isUsable,
  };
}
