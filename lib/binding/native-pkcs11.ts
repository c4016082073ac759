import type { NativeProbe } from "./native-probe.js";

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
