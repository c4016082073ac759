import { createRequire } from "node:module";
import path from "node:path";
import { AwsHmacError } from "../core/errors.js";
import type {
  NativePkcs11Import,
  NativePkcs11Imported,
  NativePkcs11List,
  NativePkcs11Listing,
  NativePkcs11Open,
  NativePkcs11Remove,
  NativePkcs11Uri,
} from "./native-pkcs11.js";
import type {
  NativeTpm,
  NativeTpmImport,
  NativeTpmImported,
  NativeTpmListed,
  NativeTpmOpen,
  NativeTpmProperty,
  NativeTpmQuery,
  NativeTpmRemove,
  NativeTpmValues,
} from "./native-tpm.js";

/** One device connection with threads of its own. Every call is queued under an `id` of the caller's choice. */
export interface NativeConnection {
  openTpm(id: number, options: NativeTpmOpen): Promise<void>;
  importTpm(id: number, options: NativeTpmImport): Promise<NativeTpmImported>;
  listTpm(id: number, options: NativeTpm): Promise<NativeTpmListed[]>;
  removeTpm(id: number, options: NativeTpmRemove): Promise<void>;
  readTpmProperties(id: number, options: NativeTpm): Promise<NativeTpmProperty[]>;
  readTpm(id: number, options: NativeTpmQuery): Promise<NativeTpmValues>;
  openPkcs11(id: number, options: NativePkcs11Open): Promise<void>;
  importPkcs11(id: number, options: NativePkcs11Import): Promise<NativePkcs11Imported>;
  listPkcs11(id: number, options: NativePkcs11List): Promise<NativePkcs11Listing>;
  removePkcs11(id: number, options: NativePkcs11Remove): Promise<void>;
  /** HMAC-SHA256 by the opened key: 32 bytes. */
  mac(id: number, message: Uint8Array): Promise<Uint8Array>;
  /** Rejects the call `id` now; drops it from the queue, or discards its answer. */
  cancel(id: number): void;
  /** Drains the queue and releases the device. */
  close(): Promise<void>;
  /** Rejects everything that waits and gives the device up without waiting for it. */
  abandon(): void;
}

/**
 * For each of `lines` the HMAC-SHA256 of `head` + hex(SHA-256(`before` + line + `after`)): 64 hex digits each, one after the
 * other. Every line ends with `\n`, which is no part of it; all strings are Latin-1.
 *
 * @param innerBlock the key as HMAC's inner block (RFC 2104): 64 bytes
 * @param outerBlock as its outer block: 64 bytes
 */
export type SignLines = (
  innerBlock: Uint8Array,
  outerBlock: Uint8Array,
  head: string,
  before: string,
  lines: string,
  after: string,
) => string;

interface Addon {
  Connection: new () => NativeConnection;
  signLines: SignLines;
  /** 32 random bytes, the same in the whole process. */
  pinSalt: Uint8Array;
  /** Leniently, as p11-kit does; throws a NativeError. */
  parsePkcs11Uri(uri: string): NativePkcs11Uri;
}

let loaded: Addon | undefined;
let isMissing = false;

/**
 * The native addon, loaded on first use.
 *
 * @throws AwsHmacError `ERR_UNSUPPORTED_PLATFORM`, `ERR_ADDON_NOT_BUILT`
 */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

/** The addon's `signLines`; undefined where there is no addon, which a device would say. */
export function signLines(): SignLines | undefined {
  if (isMissing) return undefined;
  try {
    return addon().signLines;
  } catch (error) {
    if (!(error instanceof AwsHmacError)) throw error;
    isMissing = true;
    return undefined;
  }
}

function load(): Addon {
  if (process.platform !== "linux") {
    throw new AwsHmacError(
      "ERR_UNSUPPORTED_PLATFORM",
      `TPM and PKCS#11 keys need Linux, not ${process.platform}`,
    );
  }
  try {
    // By name: this file may be part of somebody's bundle, far from the package that has the addon.
    const packageJson = createRequire(__filename).resolve("aws-hmac/package.json");
    return require("node-gyp-build")(path.dirname(packageJson)) as Addon;
  } catch (cause) {
    throw new AwsHmacError(
      "ERR_ADDON_NOT_BUILT",
      "the native addon cannot be loaded: build it with `npm run build` (see README.md for the packages it needs)",
      { cause },
    );
  }
}
