import { createRequire } from "node:module";
import path from "node:path";
import { AwsHmacError } from "../core/errors.js";
import { buildPackages } from "./build-packages.js";
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
  // Not by bundlers' own `require`, and by name: this file may be part of somebody's bundle, far from the package.
  const requireHere = createRequire(__filename);
  let file: string;
  try {
    const folder = path.dirname(requireHere.resolve("aws-hmac/package.json"));
    file = (require("node-gyp-build") as { path(folder: string): string }).path(folder);
  } catch (cause) {
    throw notBuilt(`there is no native addon for ${process.platform}-${process.arch}`, cause);
  }
  try {
    return requireHere(file) as Addon;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw notBuilt(`${file} cannot be loaded (${reason})`, cause);
  }
}

function notBuilt(what: string, cause: unknown): AwsHmacError {
  const needed = buildPackages.slice(0, 2).map(({ name, packages }) => `on ${name} it takes ${packages}`);
  return new AwsHmacError(
    "ERR_ADDON_NOT_BUILT",
    `${what}: build one with \`npx aws-hmac-build\` (${needed.join("; ")})`,
    { cause },
  );
}
