import type { NativeProbe } from "./native-probe.js";

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

/** An object in the TPM, or a primary that is made for a moment. */
export interface NativeTpmObject extends NativeTpmParent {
  /** Of the primary's hierarchy; at most 64 bytes, empty for none. */
  hierarchyPassword: Uint8Array;
}

/** A key that sessions are salted with; what is empty of `name` and `publicKey` is not compared. */
export interface NativeTpmSaltKey extends NativeTpmObject {
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
  objects: NativeTpmObject[];
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

/** A property of the TPM itself (TCG TPM 2.0 Part 2, 6.13). */
export interface NativeTpmProperty {
  /** TPM_PT. */
  tag: number;
  value: number;
}

export interface NativeTpmRemove extends NativeTpm, NativeTpmOwner, NativeTpmSalt {
  handle: number;
  force: boolean;
}
