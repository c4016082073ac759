import path from "node:path";
import { AwsHmacError } from "../core/errors.js";

/** The two halves of a key that its parent loads. */
export interface NativeTpmBlobs {
  /** Marshalled TPM2B_PUBLIC. */
  publicArea: Uint8Array;
  /** Marshalled TPM2B_PRIVATE. */
  privateArea: Uint8Array;
}

/** A parent: a hierarchy (0x4000000…), of which `primary` is made, or a persistent handle. */
export interface NativeTpmParent {
  parent: number;
  /** The template of the primary; of no meaning for a persistent handle. */
  primary: "ecc" | "rsa" | "ek-ecc" | "ek-rsa";
}

/** Passwords above a key. */
export interface NativeTpmParentAuth {
  /** Of the parent; at most 64 bytes, empty for none. */
  parentPassword: Uint8Array;
  /** Of the parent's hierarchy; the same. */
  hierarchyPassword: Uint8Array;
}

/** A key that is loaded under a parent in the TPM. */
export interface NativeTpmLoad extends NativeTpmBlobs, NativeTpmParent, NativeTpmParentAuth {}

/** A key that sessions are salted with; what is empty of `name` and `publicKey` is not compared. */
export interface NativeTpmSaltKey extends NativeTpmParent {
  /** Of the primary's hierarchy; at most 64 bytes, empty for none. */
  hierarchyPassword: Uint8Array;
  /** Name algorithm and digest of the public area. */
  name: Uint8Array;
  /** TPM_ALG_RSA (2 bytes), exponent (4) and modulus, or TPM_ALG_ECC, curve (2), x and y as long as the field. */
  publicKey: Uint8Array;
}

/** Of calls that open a salted session. */
export interface NativeTpmSalt {
  saltKey?: NativeTpmSaltKey;
}

/** A TPM, and how long it may take. */
export interface NativeTpm {
  tcti: string;
  /** Milliseconds for one command in use. */
  timeout: number;
}

/** PCRs of a bank. */
export interface NativePcrs {
  /** The option's path, for errors; so in every step. */
  at: string;
  /** TPM_ALG_ID. */
  bank: number;
  /** A bit for each PCR, the lowest first. */
  selected: Uint8Array;
  /** SHA-256 over the values; empty for those of the moment. */
  digest: Uint8Array;
}

/** One policy command (TCG TPM 2.0 Part 3, 23), or what keeps a path from being taken. */
export type NativePolicyStep =
  | ({ kind: "pcr" } & NativePcrs)
  | { kind: "authValue"; mayBeSent: boolean }
  | { kind: "secret"; at: string; handle: number; password: Uint8Array; policyRef: Uint8Array }
  | {
      kind: "authorize";
      at: string;
      /** Marshalled TPM2B_PUBLIC of the key that signed. */
      publicArea: Uint8Array;
      /** The policy digest that was signed, with `policyRef`; the hash of both is `signedDigest`. */
      approved: Uint8Array;
      policyRef: Uint8Array;
      signedDigest: Uint8Array;
      /** Marshalled TPMT_SIGNATURE. */
      signature: Uint8Array;
    }
  | { kind: "commandCode"; at: string; code: number }
  | { kind: "or"; at: string; digests: Uint8Array[] }
  | { kind: "never"; why: string };

/** A policy by the ways in which it can be satisfied. */
export interface NativeTpmPolicy {
  /** At least one; tried in this order. */
  paths: { name: string; steps: NativePolicyStep[] }[];
  /** 32 bytes, or empty where only the TPM knows it. */
  digest: Uint8Array;
  /** Whether the key's password was given, be it empty. */
  hasPassword: boolean;
}

/** What the digest of a policy needs, and only the TPM knows. */
export interface NativeTpmQuery extends NativeTpm {
  pcrs: NativePcrs[];
  objects: { handle: number }[];
}

/** In the order of the query. */
export interface NativeTpmValues {
  /** Values by ascending index, one after another; without those of a bank that the TPM does not have. */
  pcrs: Uint8Array[];
  /** Empty where there is no such object. */
  names: Uint8Array[];
}

export type NativeTpmOpen = NativeTpm &
  NativeTpmSalt & {
    policy?: NativeTpmPolicy;
    password: Uint8Array;
    passwordInClear: boolean;
    encrypt: boolean;
  } & (
    | { handle: number }
    | NativeTpmLoad
    /** Marshalled TPMS_CONTEXT. */
    | { context: Uint8Array }
  );

/** What an import checks before it keeps a key. */
export interface NativeProbe {
  probeMessage: Uint8Array;
  /** 32 bytes. */
  probeMac: Uint8Array;
}

/** How the owner hierarchy is authorised. */
export interface NativeTpmOwner {
  /** At most 64 bytes, empty for none. */
  ownerPassword: Uint8Array;
  ownerPasswordInClear: boolean;
}

/** Stands for the first free handle of the owner's range. */
export const firstFreeHandle = 0;

/** A key that was wrapped elsewhere for the parent. */
export interface NativeTpmWrapped {
  /** Marshalled TPM2B_PUBLIC. */
  publicArea: Uint8Array;
  /** Marshalled TPM2B_PRIVATE. */
  duplicate: Uint8Array;
  /** Marshalled TPM2B_ENCRYPTED_SECRET. */
  seed: Uint8Array;
}

/** A key that is made of its bytes. */
export interface NativeTpmSecret {
  /** 1..64 bytes. */
  key: Uint8Array;
  /** By default of a key without password. */
  noDA?: boolean;
  /** That alone authorises the key's use; its digest must be known. */
  policy?: NativeTpmPolicy;
}

/** A wrapped key is not verified where `probeMessage` is empty. */
export type NativeTpmImport = NativeTpm &
  NativeProbe &
  NativeTpmOwner &
  NativeTpmParent &
  NativeTpmParentAuth &
  NativeTpmSalt & {
    password: Uint8Array;
    /** Where to make the key persistent; without it the blobs are the result. */
    handle?: number;
  } & (NativeTpmSecret | NativeTpmWrapped);

export interface NativeTpmImported extends NativeTpmBlobs {
  /** Where the key was made persistent. */
  handle?: number;
}

/** A persistent HMAC key. */
export interface NativeTpmListed {
  handle: number;
  name: Uint8Array;
  /** TPMA_OBJECT. */
  attributes: number;
  /** The policy's digest; empty for none. */
  policy: Uint8Array;
  isUsable: boolean;
}

export interface NativeTpmRemove extends NativeTpm, NativeTpmOwner, NativeTpmSalt {
  handle: number;
  force: boolean;
}

/** Which token: texts without padding, "" for an empty field. */
export interface NativeTokenQuery {
  /** Path of the module. */
  module?: string;
  /** What p11-kit's configuration calls the module. */
  moduleName?: string;
  /** For C_Initialize; with `module` or `moduleName`. */
  initArgs?: string;
  tokenLabel?: string;
  serial?: string;
  manufacturer?: string;
  model?: string;
  slot?: number;
  slotManufacturer?: string;
  slotDescription?: string;
  libraryManufacturer?: string;
  libraryDescription?: string;
  /** 256 * major + minor. */
  libraryVersion?: number;
}

/** What a PKCS#11 URI says, but for a PIN. */
export interface NativePkcs11Uri extends NativeTokenQuery {
  label?: string;
  id?: Uint8Array;
  pinSource?: string;
}

/** How to log in: with a PIN, at a PIN pad, or not at all. */
export interface NativePkcs11Login {
  pin?: Uint8Array;
  /** HMAC-SHA256 of the PIN under `pinSalt`. */
  pinDigest?: Uint8Array;
  pinPad: boolean;
  allowFinalTry: boolean;
}

export interface NativePkcs11Open extends NativeTokenQuery, NativePkcs11Login {
  label?: string;
  id?: Uint8Array;
  /** 1 or more. */
  threads: number;
  sessionCopy: boolean;
}

/** How a new key is encrypted on its way: for an RSA private key of that name, or for one made on the spot. */
export interface NativePkcs11Wrapping {
  label?: string;
  id?: Uint8Array;
  /** The key under AES key wrap with padding, by the AES key of that name instead. */
  wrapped?: Uint8Array;
}

export interface NativePkcs11Import extends NativeTokenQuery, NativePkcs11Login, NativeProbe {
  label: string;
  id: Uint8Array;
  /** It was chosen, not made for this key. */
  hasOwnId: boolean;
  /** Another id that nothing has. */
  spareId: Uint8Array;
  key: Uint8Array;
  wrapping?: NativePkcs11Wrapping;
  replace: boolean;
  allowWrapping: boolean;
}

export interface NativePkcs11Imported {
  extractable: boolean;
  wrappable?: boolean;
  /** Names of attributes. */
  leftOut: string[];
}

export interface NativePkcs11List extends NativeTokenQuery, NativePkcs11Login {}

export interface NativePkcs11ListedKey {
  label: Uint8Array;
  id: Uint8Array;
  keyType: string;
  attributes: string[];
  isUsable: boolean;
}

export interface NativePkcs11Listed {
  /** Path of the module. */
  module: string;
  tokenLabel: string;
  serial: string;
  manufacturer: string;
  model: string;
  slot: number;
  /** Of CK_TOKEN_INFO. */
  flags: number;
  loggedIn: boolean;
  keys: NativePkcs11ListedKey[];
}

export interface NativePkcs11Listing {
  tokens: NativePkcs11Listed[];
  /** Modules that do not work, and why. */
  broken: string;
}

export interface NativePkcs11Remove extends Omit<NativePkcs11Open, "threads" | "sessionCopy"> {
  force: boolean;
}

/** An error of the addon, before it gets its class. */
export interface NativeError extends Error {
  api: "" | "tpm" | "pkcs11" | "errno";
  code: string;
  number: number;
  numberName: string;
  operation: string;
  retryable: boolean;
}

/** One device connection with threads of its own. Every call is queued under an `id` of the caller's choice. */
export interface NativeConnection {
  openTpm(id: number, options: NativeTpmOpen): Promise<void>;
  importTpm(id: number, options: NativeTpmImport): Promise<NativeTpmImported>;
  listTpm(id: number, options: NativeTpm): Promise<NativeTpmListed[]>;
  removeTpm(id: number, options: NativeTpmRemove): Promise<void>;
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

interface Addon {
  Connection: new () => NativeConnection;
  /** 32 random bytes, the same in the whole process. */
  pinSalt: Uint8Array;
  /** Leniently, as p11-kit does; throws a NativeError. */
  parsePkcs11Uri(uri: string): NativePkcs11Uri;
}

let loaded: Addon | undefined;

/**
 * The native addon, loaded on first use.
 *
 * @throws AwsHmacError `ERR_UNSUPPORTED_PLATFORM`, `ERR_ADDON_NOT_BUILT`
 */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

function load(): Addon {
  if (process.platform !== "linux") {
    throw new AwsHmacError(
      "ERR_UNSUPPORTED_PLATFORM",
      `TPM and PKCS#11 keys need Linux, not ${process.platform}`,
    );
  }
  try {
    return require("node-gyp-build")(path.join(__dirname, "..", "..")) as Addon;
  } catch (cause) {
    throw new AwsHmacError(
      "ERR_ADDON_NOT_BUILT",
      "the native addon cannot be loaded: build it with `npm run build` (see README.md for the packages it needs)",
      { cause },
    );
  }
}
