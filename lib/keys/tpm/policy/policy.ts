import type { Secret } from "../../../core/validate.js";
import type { TpmParent } from "../parent.js";

/**
 * A TPM policy (enhanced authorisation): steps that must all be satisfied, in this order. Digests and names are bytes or
 * hexadecimal strings.
 */
export type TpmPolicy = readonly TpmPolicyStep[];

/** One step: an object with exactly one of the members below. */
export type TpmPolicyStep =
  | TpmPcrStep
  | {
      /** TPM2_PolicyAuthValue: the key's own password, `auth.password`, is proved. */
      authValue: true;
    }
  | {
      /** TPM2_PolicyPassword: the same digest as `authValue`; the password is sent where `auth.mode` is `plain`. */
      password: true;
    }
  | TpmSecretStep
  | TpmDuplicationSelectStep
  | TpmAuthorizeStep
  | {
      /** TPM2_PolicyNvWritten: for NV indices; no HMAC key satisfies it. */
      nvWritten: boolean;
    }
  | {
      /** TPM2_PolicyCommandCode: the one command that is authorised. */
      commandCode: TpmCommand | number;
    }
  | {
      /** TPM2_PolicyOR of 2..8 branches. Their order is part of the digest; they are tried in this order. */
      or: readonly TpmPolicy[];
    };

/** A bank of platform configuration registers. */
export type TpmPcrBank = "sha1" | "sha256" | "sha384" | "sha512";

/** TPM2_PolicyPCR: these PCRs have these values. */
export interface TpmPcrStep {
  /** Which PCRs, and what is in them. */
  pcr: {
    /** `sha256` by default. */
    bank?: TpmPcrBank | undefined;
    /** 0..23. */
    indices: readonly number[];
    /**
     * SHA-256 (32 bytes) over the selected values, one after another by ascending index. Without it, the values
     * that the TPM has: for `importTpmKey` and `policyDigest` when they are called, for a key at each use, in a policy
     * with `or` or `authorize` when the key is opened.
     */
    digest?: Uint8Array | string | undefined;
  };
}

/** TPM2_PolicySecret: the password of something else in the TPM is proved. */
export interface TpmSecretStep {
  /** Whose password. */
  secret: {
    /** A hierarchy, or the handle of a persistent key (0x81…) or an NV index (0x01…). */
    object: "owner" | "endorsement" | "platform" | "lockout" | number;
    /** Its password, at most 64 bytes; empty by default. */
    password?: Secret | undefined;
    /** The name of a key or NV index, as `tpm2_readpublic` shows it; for digests that are computed without its TPM. */
    name?: Uint8Array | string | undefined;
    /** At most 64 bytes that the digest contains besides. */
    policyRef?: Uint8Array | string | undefined;
  };
}

/** TPM2_PolicyDuplicationSelect: duplication to one new parent. Using the key never satisfies it. */
export interface TpmDuplicationSelectStep {
  /** Where to, and what. */
  duplicationSelect: TpmNewParent & {
    /** The name of the one object that may be duplicated; any when left out. */
    objectName?: Uint8Array | string | undefined;
  };
}

/** Which parent a key may be duplicated to. */
export type TpmNewParent =
  | {
      /** Its name. */
      newParentName: Uint8Array | string;
      /** Not beside its name. */
      newParent?: undefined;
    }
  | {
      /** A parent in this TPM, which is asked for its name; a primary such as `ek-rsa` is made for that. */
      newParent: TpmParent;
      /** Needed to make a primary where its hierarchy has a password; at most 64 bytes. */
      hierarchyPassword?: Uint8Array | string | undefined;
      /** Read from the TPM. */
      newParentName?: undefined;
    };

/**
 * TPM2_PolicyAuthorize: any policy that the owner of a key has signed. It must be the first step, since the TPM forgets
 * what was satisfied before it.
 */
export interface TpmAuthorizeStep {
  /** Whose signature, and over which policy. */
  authorize: {
    /** A PEM, whose object name is that of `tpm2_loadexternal -G rsa|ecc -u key.pem`, or a marshalled TPM2B_PUBLIC. */
    publicKey: Uint8Array | string;
    /** At most 64 bytes that digest and signature contain besides. */
    policyRef?: Uint8Array | string | undefined;
    /** The policy that was signed; needed to open a key. */
    policy?: TpmPolicy | undefined;
    /**
     * The signature over `policyDigest(policy)` and then `policyRef`, with SHA-256: what `openssl dgst -sha256 -sign` writes
     * (RSA PKCS#1 v1.5 or PSS, ECDSA in DER), or a marshalled TPMT_SIGNATURE. Needed to open a key.
     */
    signature?: Uint8Array | undefined;
  };
}

/**
 * Commands that policies of HMAC keys name.
 *
 * @useDeclaredType
 */
export type TpmCommand = keyof typeof commandCodes;

/** TPM_CC (TCG TPM 2.0 Part 2, 6.5.2). */
export const commandCodes = {
  TPM2_Certify: 0x148,
  TPM2_Duplicate: 0x14b,
  TPM2_ObjectChangeAuth: 0x150,
  TPM2_HMAC: 0x155,
  TPM2_HMAC_Start: 0x15b,
} as const;
