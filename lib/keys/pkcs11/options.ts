import path from "node:path";
import type { NativeTokenQuery } from "../../binding/native-pkcs11.js";
import { invalid } from "../../core/validate.js";
import { type Pkcs11Uri, parsePkcs11Uri, type UriPin } from "./uri.js";
import { beyondSlots } from "./uri-text.js";

/** Which PKCS#11 token: it must match everything that is given, and be the only one that does. */
export interface Pkcs11Token {
  /**
   * A `pkcs11:` URI (RFC 7512), of the token or of the key on it, e.g. `pkcs11:token=aws;object=signer`. What other
   * options say as well must agree. Its `module-path` is as trusted as `module`.
   */
  uri?: string | undefined;
  /**
   * Path of the PKCS#11 module, e.g. `/usr/lib/softhsm/libsofthsm2.so`; without it the modules that p11-kit is
   * configured with are searched. Its code runs in this process: never take it from untrusted input.
   */
  module?: string | undefined;
  /**
   * What the module is initialised with (`pReserved` of C_Initialize), for NSS: `configdir='sql:/path' …`. It needs a
   * module that is named, and has no effect on one that runs in this process already.
   */
  initArgs?: string | undefined;
  /** The token's label, without its padding. */
  tokenLabel?: string | undefined;
  /** The token's serial number, without its padding. */
  serial?: string | undefined;
  /** The token's manufacturer, without its padding. */
  manufacturer?: string | undefined;
  /** The token's model, without its padding. */
  model?: string | undefined;
  /** The number of the slot that holds the token (CK_SLOT_ID), of 0..2^53-1. */
  slotId?: number | undefined;
}

/** Which key on a token. */
export interface Pkcs11KeyName {
  /** The key's CKA_LABEL. */
  label?: string | undefined;
  /** The key's CKA_ID, as bytes. */
  id?: Uint8Array | undefined;
}

/** A token, and perhaps a key on it and the place of a PIN: what the options and the URI among them say together. */
export interface Pkcs11Place extends UriPin, Pkcs11KeyName {
  token: NativeTokenQuery;
}

const optionNames: Partial<Record<keyof Pkcs11Uri, string>> = { slot: "slotId" };

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also of options that contradict the URI; `ERR_PKCS11_URI` */
export function pkcs11Place(options: Pkcs11Token & Pkcs11KeyName): Pkcs11Place {
  const given = structured(options);
  const parsed: Pkcs11Uri = options.uri === undefined ? {} : parsePkcs11Uri(options.uri);
  if (parsed.module !== undefined) parsed.module = path.resolve(parsed.module);
  for (const name of Object.keys(given) as (keyof Pkcs11Uri)[]) {
    if (parsed[name] === undefined || same(parsed[name], given[name])) continue;
    throw invalid(`${optionNames[name] ?? name} is not what uri says: leave one of them out`);
  }
  const { label, id, pinSource, pinValue, ...token } = { ...parsed, ...given };
  if (token.module !== undefined && token.moduleName !== undefined) {
    throw invalid("module and the URI's module-name both name a module: leave one of them out");
  }
  if (token.initArgs !== undefined && token.module === undefined && token.moduleName === undefined) {
    throw invalid(
      "initArgs needs a module that it is for: give module, or a uri with module-path or module-name",
    );
  }
  return { token, label, id, pinSource, pinValue };
}

function structured(options: Pkcs11Token & Pkcs11KeyName): Pkcs11Uri {
  const { module, slotId, id } = options;
  const place: Pkcs11Uri = {};
  if (module !== undefined) place.module = path.resolve(text("module", module));
  for (const name of ["initArgs", "tokenLabel", "serial", "manufacturer", "model", "label"] as const) {
    const value = options[name];
    if (value !== undefined) place[name] = text(name, value);
  }
  if (slotId !== undefined) {
    if (!Number.isInteger(slotId) || slotId < 0) throw invalid("slotId must be a whole number, 0 or more");
    if (!Number.isSafeInteger(slotId)) throw invalid(`slotId is ${beyondSlots("serial or tokenLabel")}`);
    place.slot = slotId;
  }
  if (id !== undefined) place.id = keyId(id);
  return place;
}

function same(one: unknown, other: unknown): boolean {
  return one instanceof Uint8Array && other instanceof Uint8Array
    ? Buffer.compare(one, other) === 0
    : one === other;
}

function text(option: string, value: unknown): string {
  if (typeof value !== "string" || value === "" || value.includes("\0")) {
    throw invalid(`${option} must be a string that is not empty and has no NUL character`);
  }
  return value;
}

function keyId(id: unknown): Uint8Array {
  if (!(id instanceof Uint8Array) || id.length === 0) {
    throw invalid(
      "id must be a Uint8Array with at least one byte (from hexadecimal: Buffer.from(hex, 'hex'))",
    );
  }
  return Uint8Array.from(id);
}
