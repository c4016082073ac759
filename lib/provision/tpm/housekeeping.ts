import type { NativeTpmListed } from "../../binding/native-tpm.js";
import { withConnection } from "../../binding/with-connection.js";
import { invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import { persistentHandle, type TpmDevice, tctiOf, tpmBounds } from "../../keys/tpm/options.js";
import { saltKeyOf, type TpmSaltOptions } from "../../keys/tpm/salt-key.js";
import { ownerAuthOf, type TpmOwnerAuth } from "./owner.js";

/** Which TPM to look into. */
export type TpmListOptions = TpmDevice;

/** Attributes of a TPM object, by bit (TPMA_OBJECT; TCG TPM 2.0 Part 2, 8.3). */
const attributeBits = {
  fixedTPM: 1,
  stClear: 2,
  fixedParent: 4,
  sensitiveDataOrigin: 5,
  userWithAuth: 6,
  adminWithPolicy: 7,
  firmwareLimited: 8,
  svnLimited: 9,
  noDA: 10,
  encryptedDuplication: 11,
  restricted: 16,
  decrypt: 17,
  sign: 18,
  x509sign: 19,
} as const;

/**
 * An attribute of a TPM object, in the TCG's words.
 *
 * @useDeclaredType
 */
export type TpmAttribute = keyof typeof attributeBits;

/** A persistent HMAC key in a TPM. */
export interface ListedTpmKey {
  /** 0x81000000..0x81FFFFFF. */
  handle: number;
  /** The key's name, in hexadecimal: its name algorithm and the digest of its public area, as tpm2_readpublic shows it. */
  name: string;
  /** What is set, e.g. `fixedTPM`, `fixedParent`, `userWithAuth`, `sign`. */
  attributes: TpmAttribute[];
  /** Whether the key has a policy, which is needed to use it unless `userWithAuth` is among the attributes. */
  hasPolicy: boolean;
  /** The policy's digest (authPolicy), in hexadecimal, as `policyDigest` gives it; undefined where there is none. */
  policy: string | undefined;
  /**
   * Whether `openTpmKey({ handle })` takes it: an unrestricted HMAC-SHA256 signing key that is used with a password, or with a
   * policy of SHA-256 (option `policy`).
   */
  usableForAws4: boolean;
}

/** Which object to remove, and by whose leave. */
export interface TpmRemoveOptions extends TpmDevice, TpmSaltOptions {
  /** The key's persistent handle, 0x81000000..0x817FFFFF. */
  handle: number;
  /** Needed where the owner hierarchy has a password. */
  ownerAuth?: TpmOwnerAuth | undefined;
  /** Removes whatever is at the handle, be it an HMAC key or not. */
  force?: boolean | undefined;
}

/**
 * The persistent HMAC keys of a TPM, by handle: keyedHash objects that may sign. Other objects are left out, and so are
 * keys in files, which the TPM does not know.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws TpmError what `openTpmKey` throws for the TPM
 */
export async function listTpmKeys(options: TpmListOptions = {}): Promise<ListedTpmKey[]> {
  const bounds = tpmBounds(options);
  const native = { tcti: tctiOf(options), timeout: bounds.command };
  const keys = await withConnection(bounds.close, (connection) =>
    connection.listTpm(native, { timeout: bounds.call }),
  );
  return keys.map(listed);
}

/**
 * Removes a persistent key from a TPM (TPM2_EvictControl): exactly the object at this handle, for good unless there is
 * a file of it. An object that is no HMAC key is refused unless `force` is set. After `ERR_TIMEOUT` a slow TPM may
 * still have removed it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`,
 *   `ERR_KEY_UNSUITABLE` where something else than an HMAC key is at the handle
 * @throws TpmError `ERR_KEY_NOT_FOUND`, `ERR_TPM_AUTH` where the owner hierarchy wants another password, `ERR_TPM_SALT_KEY`, and what
 *   `openTpmKey` throws for the TPM
 */
export async function removeTpmKey(options: TpmRemoveOptions): Promise<void> {
  const { force = false } = options;
  const bounds = tpmBounds(options);
  const place = {
    tcti: tctiOf(options),
    timeout: bounds.command,
    handle: persistentHandle(options.handle, 0x817fffff),
  };
  if (typeof force !== "boolean") throw invalid("force must be true or false");
  const owner = ownerAuthOf(options.ownerAuth);
  let saltKey: ReturnType<typeof saltKeyOf>;
  try {
    saltKey = saltKeyOf(options.saltKey);
    const native = { ...place, ...owner, force, ...(saltKey && { saltKey }) };
    await withConnection(bounds.close, (connection) =>
      connection.removeTpm(native, { timeout: bounds.call }),
    );
  } finally {
    wipe(owner.ownerPassword, saltKey?.hierarchyPassword);
  }
}

function listed({ handle, name, attributes, policy, isUsable }: NativeTpmListed): ListedTpmKey {
  const names = Object.keys(attributeBits) as TpmAttribute[];
  return {
    handle,
    name: Buffer.from(name).toString("hex"),
    attributes: names.filter((attribute) => (attributes >>> attributeBits[attribute]) & 1),
    hasPolicy: policy.length > 0,
    policy: policy.length > 0 ? Buffer.from(policy).toString("hex") : undefined,
    usableForAws4: isUsable,
  };
}
