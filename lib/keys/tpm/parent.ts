import type { NativeTpmParent } from "../../binding/native-tpm.js";
import { invalid, type Secret } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { persistentHandle, secretOfTpm } from "./options.js";

/** A hierarchy of a TPM (TCG TPM 2.0 Part 1, 13). */
export type TpmHierarchy = "owner" | "endorsement" | "platform" | "null";

/**
 * A key's parent:
 * - a hierarchy's name: its H-2 primary (ECC P-256, empty `unique`), the parent that key files mean; with `-rsa`, RSA 2048;
 * - `ek-rsa`, `ek-ecc`: the endorsement key of TCG's low-range template (RSA 2048, ECC P-256), as `tpm2_createek` makes it;
 * - a persistent handle, 0x81000000..0x81FFFFFF.
 */
export type TpmParent = TpmHierarchy | `${TpmHierarchy}-rsa` | "ek-rsa" | "ek-ecc" | number;

/** Passwords above a key: each at most 64 bytes (a string as UTF-8). They are sent as `auth.mode` says of the key's. */
export interface TpmParentAuth {
  /** The parent's own password. */
  password?: Secret | undefined;
  /** The password of the hierarchy that the primary is in; for an endorsement key that of the endorsement hierarchy. */
  hierarchyPassword?: Secret | undefined;
}

const hierarchies: Record<TpmHierarchy, number> = {
  owner: 0x40000001,
  null: 0x40000007,
  endorsement: 0x4000000b,
  platform: 0x4000000c,
};

/** TPM_RH_OWNER: the storage hierarchy (TCG TPM 2.0 Part 2, 7.4). */
export const ownerHierarchy = hierarchies.owner;

const primaries = new Map<unknown, NativeTpmParent>([
  ["ek-ecc", { parent: hierarchies.endorsement, primary: "ek-ecc" }],
  ["ek-rsa", { parent: hierarchies.endorsement, primary: "ek-rsa" }],
]);
for (const [name, parent] of Object.entries(hierarchies)) {
  primaries.set(name, { parent, primary: "ecc" });
  primaries.set(`${name}-rsa`, { parent, primary: "rsa" });
}

/** Whether a handle is that of a hierarchy that may have a primary. */
export function isHierarchy(handle: number): boolean {
  return Object.values(hierarchies).includes(handle);
}

/** Whether a parent is in a hierarchy that the owner has no say in: platform or NULL. */
export function isPlatformOrNull(parent: number): boolean {
  return (
    parent === hierarchies.platform || parent === hierarchies.null || parent >>> 23 === 0x8180_0000 >>> 23
  );
}

/**
 * @param option the option's name, for the error
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function tpmParent(parent: TpmParent, option = "parent"): NativeTpmParent {
  if (typeof parent === "number") {
    return { parent: persistentHandle(parent, 0x81ffffff, option), primary: "ecc" };
  }
  const found = primaries.get(parent);
  if (!found)
    throw invalid(`${option} must be a persistent handle or one of: ${[...primaries.keys()].join(", ")}`);
  return found;
}

/**
 * Copies of the passwords above a key, empty where there are none; the caller wipes them.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also for an `auth` that gives none: a variable may not be set
 */
export function parentPasswords(auth: TpmParentAuth | undefined): {
  password: Buffer;
  hierarchyPassword: Buffer;
} {
  if (auth !== undefined && auth?.password === undefined && auth?.hierarchyPassword === undefined) {
    throw invalid("parentAuth must have password, hierarchyPassword or both");
  }
  const password = secretOfTpm("parentAuth.password", auth?.password ?? "", 64);
  try {
    const option = "parentAuth.hierarchyPassword";
    return { password, hierarchyPassword: secretOfTpm(option, auth?.hierarchyPassword ?? "", 64) };
  } catch (error) {
    wipe(password);
    throw error;
  }
}
