import { timingSafeEqual } from "node:crypto";
import type { NativeTpmOwner, NativeTpmParentAuth } from "../../binding/native-tpm.js";
import { invalid, type Secret } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { secretOfTpm } from "../../keys/tpm/options.js";
import { ownerHierarchy, parentPasswords, type TpmParentAuth } from "../../keys/tpm/parent.js";

/** How the owner hierarchy's password is given to the TPM. */
export interface TpmOwnerAuth {
  /** The owner hierarchy's password: at most 64 bytes (a string as UTF-8). */
  password: Secret;
  /** `hmac` (default) proves the password without sending it; `plain` sends it in clear. */
  mode?: "hmac" | "plain" | undefined;
}

const maxOwnerPassword = 64;

/**
 * A copy of the owner hierarchy's password, empty where there is none, and how it is sent; the caller wipes the copy.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function ownerAuthOf(ownerAuth: TpmOwnerAuth | undefined): {
  ownerPassword: Buffer;
  ownerPasswordInClear: boolean;
} {
  const mode = ownerAuth?.mode ?? "hmac";
  if (mode !== "hmac" && mode !== "plain") throw invalid("ownerAuth.mode must be one of: hmac, plain");
  const password = ownerAuth === undefined ? "" : ownerAuth?.password;
  return {
    ownerPassword: secretOfTpm("ownerAuth.password", password, maxOwnerPassword),
    ownerPasswordInClear: mode === "plain",
  };
}

/** The passwords that a new key's parent and its place want. */
export interface TpmPlaceAuth {
  /** Needed where the owner hierarchy has a password. */
  ownerAuth?: TpmOwnerAuth | undefined;
  /** Needed where the parent or its hierarchy has a password; they are proved, not sent. */
  parentAuth?: TpmParentAuth | undefined;
}

/**
 * Copies of those passwords, as the addon takes them, and what wipes them. In the owner hierarchy
 * `parentAuth.hierarchyPassword` and `ownerAuth` are one password: either will do for both.
 *
 * @param parent the parent's handle
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also for two that contradict each other
 */
export function placePasswords(
  { ownerAuth, parentAuth }: TpmPlaceAuth,
  parent: number,
): NativeTpmOwner & NativeTpmParentAuth & { wipe(): void } {
  const owner = ownerAuthOf(ownerAuth);
  const secrets = [owner.ownerPassword];
  try {
    const above = parentPasswords(parentAuth);
    secrets.push(above.password, above.hierarchyPassword);
    let { ownerPassword } = owner;
    let { hierarchyPassword } = above;
    if (parent === ownerHierarchy) {
      if (ownerAuth === undefined) ownerPassword = hierarchyPassword;
      else if (parentAuth?.hierarchyPassword === undefined) hierarchyPassword = ownerPassword;
      else requireSame(ownerPassword, hierarchyPassword);
    }
    return {
      ...owner,
      ownerPassword,
      parentPassword: above.password,
      hierarchyPassword,
      wipe: () => wipe(...secrets),
    };
  } catch (error) {
    wipe(...secrets);
    throw error;
  }
}

function requireSame(ownerPassword: Buffer, hierarchyPassword: Buffer): void {
  if (ownerPassword.length === hierarchyPassword.length && timingSafeEqual(ownerPassword, hierarchyPassword))
    return;
  throw invalid(
    "ownerAuth.password and parentAuth.hierarchyPassword are both the owner hierarchy's here: give one of them",
  );
}
