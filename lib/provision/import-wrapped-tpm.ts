import type { NativeProbe } from "../binding/native-probe.js";
import type { NativeTpmParent } from "../binding/native-tpm.js";
import { withConnection } from "../binding/with-connection.js";
import { AwsHmacError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { formatTpmReference } from "../keys/reference/tpm.js";
import { type ImportableKeyFile, parseImportablePem } from "../keys/tpm/importable-pem.js";
import { passwordBytes, type TpmDevice, tctiOf, tpmBounds } from "../keys/tpm/options.js";
import { type TpmParent, tpmParent } from "../keys/tpm/parent.js";
import { checkPolicy } from "../keys/tpm/policy/check.js";
import { formatFilePolicy } from "../keys/tpm/policy/file-format.js";
import { type NativePolicy, nativePolicy } from "../keys/tpm/policy/native.js";
import type { TpmPolicy } from "../keys/tpm/policy/policy.js";
import { resolveWays } from "../keys/tpm/policy/ways.js";
import { saltKeyOf, type TpmSaltOptions } from "../keys/tpm/salt-key.js";
import { StructureError, StructureReader } from "../keys/tpm/structures.js";
import type { TpmAuth } from "../keys/tpm.js";
import {
  destination,
  type ImportedTpmHandle,
  type ImportedTpmPem,
  importedPem,
  type TpmToHandle,
  type TpmToPem,
} from "./tpm/destination.js";
import { placePasswords, type TpmPlaceAuth } from "./tpm/owner.js";
import { parseNote } from "./tpm/wrapped-file.js";

/** The TPM that a key was wrapped for. */
export interface TpmWrappedImportBase extends TpmDevice, TpmPlaceAuth, TpmSaltOptions {
  /** Where this TPM has the key that the file was wrapped for; by default what the file says. */
  parent?: TpmParent | undefined;
  /** The key's password, with which it is verified; it is proved, not sent. Needed only for that. */
  auth?: Pick<TpmAuth, "password"> | undefined;
  /**
   * The key's policy, as for `openTpmKey`, with which it is verified where it has one; by default what the file says. Needed
   * where that has passwords of something else in the TPM, or where the file says nothing.
   */
  policy?: TpmPolicy | undefined;
  /** `false` keeps the key without asking it for a MAC, which needs `auth` or a policy that can be satisfied now. */
  verify?: boolean | undefined;
}

/** Makes the key persistent in the TPM. */
export interface TpmWrappedImportToHandle extends TpmWrappedImportBase, TpmToHandle {}

/** Gives the key out as a file that this TPM alone can load. */
export interface TpmWrappedImportToPem extends TpmWrappedImportBase, TpmToPem {}

/** What was checked of an imported key. */
export interface TpmVerified {
  /**
   * Whether the key gave the MAC that its file says. Files of other programs say none; and a key that only a policy allows
   * to be used is not asked where neither file nor options have the policy.
   */
  verified: boolean;
}

/** TPMA_OBJECT userWithAuth. */
const userWithAuth = 1 << 6;

/**
 * Imports a key that `wrapForTpm` wrapped for this TPM, or another program (TPM2_Duplicate without an inner wrapper, in a
 * TPMKey file of type id-importablekey). The secret is decrypted in the TPM and nowhere else. The key must be
 * an HMAC-SHA256 key and, where its file says a MAC, give that before it is kept; a key that does not, or whose handle is
 * taken, leaves nothing behind. The file stays good: it can be imported again.
 *
 * The key has neither fixedTPM nor fixedParent, which TPM2_Import forbids (TCG TPM 2.0 Part 3, 13.3).
 *
 * @param file the file's text, `-----BEGIN TSS2 PRIVATE KEY-----`
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PEM_INVALID`, `ERR_TPM_FILE_INVALID`, `ERR_KEY_UNSUITABLE`, `ERR_TIMEOUT`,
 *   `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws TpmError `ERR_TPM_PARENT` of a file for another TPM or parent, or one that was altered; `ERR_POLICY_UNSATISFIED` of a
 *   policy that does not hold now; and what `importTpmKey` throws for the TPM
 */
export async function importWrappedTpmKey(
  file: string | Uint8Array,
  options: TpmWrappedImportToHandle,
): Promise<ImportedTpmHandle & TpmVerified>;
export async function importWrappedTpmKey(
  file: string | Uint8Array,
  options: TpmWrappedImportToPem,
): Promise<ImportedTpmPem & TpmVerified>;
export async function importWrappedTpmKey(
  file: string | Uint8Array,
  options: TpmWrappedImportToHandle | TpmWrappedImportToPem,
): Promise<(ImportedTpmHandle | ImportedTpmPem) & TpmVerified> {
  const bounds = tpmBounds(options);
  const tcti = tctiOf(options);
  const wrapped = parseImportablePem(textOf(file));
  const note = parseNote(wrapped.description ?? "");
  const parent = parentOf(options.parent ?? note.parent, wrapped);
  const place = destination(options, parent);
  const steps = options.policy === undefined ? undefined : checkPolicy(options.policy);
  const probe = probeOf(note.probe, wrapped, options);
  const fromFile = probe && isForPolicy(wrapped) ? wrapped.policies : undefined;
  const { publicArea, duplicate, seed } = wrapped;
  let password: Buffer | undefined;
  let above: ReturnType<typeof placePasswords> | undefined;
  let saltKey: ReturnType<typeof saltKeyOf>;
  let policy: NativePolicy | undefined;
  try {
    password = passwordBytes(options.auth);
    above = placePasswords(options, parent.parent);
    saltKey = saltKeyOf(options.saltKey);
    const native = {
      ...{ tcti, timeout: bounds.command, publicArea, duplicate, seed, password },
      ...{ ...parent, ...place, ...above },
      ...(probe ?? { probeMessage: Buffer.alloc(0), probeMac: Buffer.alloc(0) }),
      ...(saltKey && { saltKey }),
    };
    const { handle, ...blobs } = await withConnection(bounds.close, async (connection) => {
      const ways = steps ? [{ at: "policy", steps }] : fromFile;
      const known = ways && (await resolveWays(ways, connection, native, bounds.call));
      policy = known && nativePolicy(known, options.auth !== undefined);
      return connection.importTpm(
        { ...native, ...(policy && { policy: policy.policy }) },
        { timeout: bounds.call },
      );
    });
    const verified = probe !== undefined;
    if (handle !== undefined)
      return { handle, reference: formatTpmReference(handle, options.tcti), verified };
    const emptyAuth = wrapped.emptyAuth && password.length === 0;
    const said =
      options.policyInPem === false ? undefined : (wrapped.policy ?? formatFilePolicy(steps ?? []));
    return { ...importedPem({ ...blobs, ...parent }, emptyAuth, said), verified };
  } finally {
    policy?.wipe();
    wipe(password, saltKey?.hierarchyPassword);
    above?.wipe();
  }
}

function textOf(file: unknown): string {
  if (typeof file === "string") return file;
  if (file instanceof Uint8Array) return Buffer.from(file).toString("latin1");
  throw invalid("file must be the text of a wrapped key, as a string or a Uint8Array");
}

function parentOf(wanted: TpmParent | undefined, { parent, primary }: NativeTpmParent): NativeTpmParent {
  return wanted === undefined ? { parent, primary } : tpmParent(wanted);
}

/** What the key is to be asked for; undefined where it is not asked. */
function probeOf(
  probe: NativeProbe | undefined,
  file: ImportableKeyFile,
  { verify = true, auth, policy }: TpmWrappedImportBase,
): NativeProbe | undefined {
  if (typeof verify !== "boolean") throw invalid("verify must be true or false");
  if (!verify || !probe) return undefined;
  if (isForPolicy(file)) return (policy ?? file.policies) ? probe : undefined;
  if (auth === undefined && !file.emptyAuth) {
    throw invalid("auth must have the key's password, with which it is verified; or set verify: false");
  }
  return probe;
}

/** Whether a policy alone allows the key's use. */
function isForPolicy({ publicArea }: ImportableKeyFile): boolean {
  try {
    const area = new StructureReader(publicArea.subarray(2));
    area.take(4, "type and nameAlg");
    return (area.uint32("objectAttributes") & userWithAuth) === 0;
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    throw new AwsHmacError("ERR_PEM_INVALID", `the TSS2 PEM is not valid: pubkey: ${error.message}`);
  }
}
