import { withConnection } from "../binding/with-connection.js";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { formatTpmReference } from "../keys/reference/tpm.js";
import { passwordBytes, type TpmDevice, tctiOf, tpmBounds } from "../keys/tpm/options.js";
import { type TpmParent, tpmParent } from "../keys/tpm/parent.js";
import { checkPolicy } from "../keys/tpm/policy/check.js";
import { formatFilePolicy } from "../keys/tpm/policy/file-format.js";
import { type NativePolicy, nativePolicy } from "../keys/tpm/policy/native.js";
import type { TpmPolicy } from "../keys/tpm/policy/policy.js";
import { resolvePolicy } from "../keys/tpm/policy/resolve.js";
import { saltKeyOf, type TpmSaltOptions } from "../keys/tpm/salt-key.js";
import type { TpmAuth } from "../keys/tpm.js";
import { makeProbe } from "./probe.js";
import {
  destination,
  type ImportedTpmHandle,
  type ImportedTpmPem,
  importedPem,
  type TpmToHandle,
  type TpmToPem,
} from "./tpm/destination.js";
import { placePasswords, type TpmPlaceAuth } from "./tpm/owner.js";
import { storable } from "./tpm/storable.js";

/** The TPM that takes a new key, and how the key is protected. */
export interface TpmImportBase extends TpmDevice, TpmPlaceAuth, TpmSaltOptions {
  /** The new key's parent; `owner` by default. */
  parent?: TpmParent | undefined;
  /** The new key's password, at most 32 bytes. Wrong guesses of it count towards the TPM's lockout, unless `noDA` is set. */
  auth?: Pick<TpmAuth, "password"> | undefined;
  /**
   * Exempts the new key from the TPM's dictionary attack protection: by default a key without password, which has
   * nothing to guess. With a password, `true` lets everybody who reaches the TPM guess as often as they like.
   */
  noDA?: boolean | undefined;
  /** What the key is for: `"sigv4"` by default; `"sigv4a"` makes the other key that `HmacSignerV4a` needs. */
  algorithm?: KeyAlgorithm | undefined;
  /**
   * The policy that alone opens the new key: its password does so only where the policy says. PCRs without `digest` are bound to
   * the values that they have now.
   */
  policy?: TpmPolicy | undefined;
}

/** Makes the new key persistent in the TPM. */
export interface TpmImportToHandle extends TpmImportBase, TpmToHandle {}

/** Gives the new key out as a file that this TPM alone can load. */
export interface TpmImportToPem extends TpmImportBase, TpmToPem {}

/**
 * Puts an AWS secret access key into a TPM as an HMAC key for SigV4: `"AWS4" + secretAccessKey`, a keyedHash object
 * with scheme HMAC and SHA-256 that never leaves the TPM (fixedTPM, fixedParent). Secret and passwords cross the bus encrypted, in a salted session. The new key
 * must give the right MAC before it is kept, or, where its policy cannot be satisfied now, another key made of the same secret in its place; a key that does not, or whose handle is taken, leaves nothing behind.
 * Of a key over 64 bytes its SHA-256 is stored, which has the same MACs (RFC 2104). After `ERR_TIMEOUT` a slow TPM may
 * still have made the key persistent.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws TpmError `ERR_TPM_HANDLE_IN_USE`, `ERR_IMPORT_VERIFY`, `ERR_TPM_MEMORY` where no persistent
 *   key fits in any more, `ERR_TPM_AUTH` where a parent or hierarchy wants another password, `ERR_TPM_PARENT`, `ERR_TPM_SALT_KEY`, and what `openTpmKey` throws for the TPM
 */
export async function importTpmKey(
  secretAccessKey: Uint8Array,
  options: TpmImportToHandle,
): Promise<ImportedTpmHandle>;
export async function importTpmKey(
  secretAccessKey: Uint8Array,
  options: TpmImportToPem,
): Promise<ImportedTpmPem>;
export async function importTpmKey(
  secretAccessKey: Uint8Array,
  options: TpmImportToHandle | TpmImportToPem,
): Promise<ImportedTpmHandle | ImportedTpmPem> {
  const bounds = tpmBounds(options);
  const tcti = tctiOf(options);
  const parent = tpmParent(options.parent ?? "owner");
  const place = destination(options, parent);
  const { noDA } = options;
  if (noDA !== undefined && typeof noDA !== "boolean") throw invalid("noDA must be true or false");
  let steps = options.policy === undefined ? undefined : checkPolicy(options.policy);
  const key = aws4Key(secretAccessKey, options.algorithm);
  let password: Buffer | undefined;
  let above: ReturnType<typeof placePasswords> | undefined;
  let saltKey: ReturnType<typeof saltKeyOf>;
  let stored: Buffer | undefined;
  let policy: NativePolicy | undefined;
  try {
    password = passwordBytes(options.auth);
    above = placePasswords(options, parent.parent);
    saltKey = saltKeyOf(options.saltKey);
    stored = storable(key);
    const native = {
      ...{
        tcti,
        timeout: bounds.command,
        key: stored,
        password,
        ...parent,
        ...place,
        ...above,
        ...makeProbe(key),
      },
      ...(noDA === undefined ? {} : { noDA }),
      ...(saltKey && { saltKey }),
    };
    const { handle, ...blobs } = await withConnection(bounds.close, async (connection) => {
      if (steps) {
        const device = { tcti, timeout: bounds.command };
        steps = await resolvePolicy(steps, connection, device, bounds.call);
        policy = nativePolicy([{ at: "policy", steps }], options.auth !== undefined);
      }
      return connection.importTpm(
        { ...native, ...(policy && { policy: policy.policy }) },
        { timeout: bounds.call },
      );
    });
    if (handle !== undefined) return { handle, reference: formatTpmReference(handle, options.tcti) };
    const fields = options.policyInPem === false || !steps ? undefined : formatFilePolicy(steps);
    return importedPem({ ...blobs, ...parent }, password.length === 0, fields);
  } finally {
    policy?.wipe();
    wipe(key, stored, password, saltKey?.hierarchyPassword);
    above?.wipe();
  }
}
