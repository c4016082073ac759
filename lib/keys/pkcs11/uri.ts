import { addon } from "../../binding/addon.js";
import { toAwsHmacError } from "../../binding/native-error.js";
import type { NativePkcs11Uri } from "../../binding/native-pkcs11.js";
import { percentDecoded, scanPkcs11Uri } from "./uri-text.js";

/** Where a URI says that the PIN is: at most one of the two. */
export interface UriPin {
  /** pin-source: `file:/path` or a path. */
  pinSource?: string | undefined;
  /** Gives a copy of pin-value, which the caller wipes. */
  pinValue?: (() => Buffer) | undefined;
}

/** What a `pkcs11:` URI says. */
export type Pkcs11Uri = Omit<NativePkcs11Uri, "pinSource"> & UriPin;

/**
 * Reads an RFC 7512 URI of a secret key: judged here, understood by p11-kit. An empty value stands for an empty field,
 * and what is not given for anything.
 *
 * @throws AwsHmacError `ERR_PKCS11_URI`, which names the attribute; `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 */
export function parsePkcs11Uri(uri: string): Pkcs11Uri {
  const attributes = scanPkcs11Uri(uri);
  const pin = attributes.get("pin-value");
  if (pin === undefined) return understood(uri);
  // What p11-kit copies it does not wipe.
  const withoutPin = uri.replace(/([?&])pin-value=[^&]*(&|$)/, (_, before, after) => (after ? before : ""));
  return { ...understood(withoutPin), pinValue: () => percentDecoded(pin) };
}

function understood(uri: string): NativePkcs11Uri {
  try {
    return addon().parsePkcs11Uri(uri);
  } catch (error) {
    throw toAwsHmacError(error);
  }
}

/**
 * The URI of a key, without what it may say of a PIN; `openPkcs11Key` and other programs of the PKCS#11 world take it.
 *
 * @param place as `parsePkcs11Uri` gives it
 */
export function formatPkcs11Uri(place: Pkcs11Uri): string {
  const { libraryVersion: version, id, slot } = place;
  const path: [string, string | undefined][] = [
    ["token", escaped(place.tokenLabel)],
    ["manufacturer", escaped(place.manufacturer)],
    ["serial", escaped(place.serial)],
    ["model", escaped(place.model)],
    ["library-manufacturer", escaped(place.libraryManufacturer)],
    ["library-description", escaped(place.libraryDescription)],
    ["library-version", version === undefined ? undefined : `${version >> 8}.${version & 255}`],
    ["slot-manufacturer", escaped(place.slotManufacturer)],
    ["slot-description", escaped(place.slotDescription)],
    ["slot-id", slot?.toString()],
    ["object", escaped(place.label)],
    ["id", id && Buffer.from(id).toString("hex").replace(/../g, "%$&")],
    ["type", "secret-key"],
  ];
  const query: [string, string | undefined][] = [
    ["module-path", escaped(place.module)?.replaceAll("%2F", "/")],
    ["module-name", escaped(place.moduleName)],
  ];
  const join = (list: [string, string | undefined][], separator: string): string =>
    list.flatMap(([name, value]) => (value === undefined ? [] : `${name}=${value}`)).join(separator);
  const where = join(query, "&");
  return `pkcs11:${join(path, ";")}${where && `?${where}`}`;
}

function escaped(text: string | undefined): string | undefined {
  return text === undefined ? undefined : encodeURIComponent(text);
}
