import { createHash } from "node:crypto";
import { firstFreeHandle } from "../binding/addon.js";
import { withConnection } from "../binding/with-connection.js";
import { aws4Key } from "../core/aws4-key.js";
import { checkTimeout, invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { passwordBytes, persistentHandle, type TpmDevice, tctiOf } from "../keys/tpm/options.js";
import { formatTss2Pem } from "../keys/tpm/tss2-pem.js";
import type { TpmAuth } from "../keys/tpm.js";
import { makeProbe } from "./probe.js";
import { ownerAuthOf, type TpmOwnerAuth } from "./tpm/owner.js";

/** The TPM that takes a new key, and how the key is protected. */
export interface TpmImportBase extends TpmDevice {
  /** The new key's password, at most 32 bytes. Wrong guesses of it count towards the TPM's lockout, unless `noDA` is set. */
  auth?: Pick<TpmAuth, "password"> | undefined;
  /** Needed where the owner hierarchy has a password. */
  ownerAuth?: TpmOwnerAuth | undefined;
  /**
   * Exempts the new key from the TPM's dictionary attack protection: by default a key without password, which has
   * nothing to guess. With a password, `true` lets everybody who reaches the TPM guess as often as they like.
   */
  noDA?: boolean | undefined;
  /** Milliseconds that the import may take; 30 000 by default. */
  timeout?: number | undefined;
}

/** Makes the new key persistent in the TPM. */
export interface TpmImportToHandle extends TpmImportBase {
  /** A free persistent handle of the owner's range, 0x81000000..0x817FFFFF, or `free` for the first of those. */
  handle: number | "free";
  output?: undefined;
}

/** Gives the new key out as a file that this TPM alone can load. */
export interface TpmImportToPem extends TpmImportBase {
  output: "pem";
  handle?: undefined;
}

/** A key that is persistent in the TPM: `openTpmKey({ handle })` opens it. */
export interface ImportedTpmHandle {
  handle: number;
}

/** A key file: `openTpmKey({ pem })` opens it, and so do tpm2-tools. */
export interface ImportedTpmPem {
  /** `-----BEGIN TSS2 PRIVATE KEY-----`; the key in it is encrypted by the TPM. */
  pem: string;
}

/**
 * Puts an AWS secret access key into a TPM as an HMAC key for SigV4: `"AWS4" + secretAccessKey`, a keyedHash object
 * with scheme HMAC and SHA-256 that never leaves the TPM (fixedTPM, fixedParent), under the owner hierarchy's H-2
 * primary. Secret and password cross the bus encrypted, in a salted session. The new key
 * must give the right MAC before it is kept; a key that does not, or whose handle is taken, leaves nothing behind.
 * Of a key over 64 bytes its SHA-256 is stored, which has the same MACs (RFC 2104). After `ERR_TIMEOUT` a slow TPM may
 * still have made the key persistent.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`, `ERR_ADDON_NOT_BUILT`, `ERR_UNSUPPORTED_PLATFORM`
 * @throws TpmError `ERR_TPM_HANDLE_IN_USE`, `ERR_IMPORT_VERIFY`, `ERR_TPM_MEMORY` where no persistent
 *   key fits in any more, `ERR_TPM_AUTH` where the owner hierarchy wants another password, and what `openTpmKey` throws for the TPM
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
  const timeout = checkTimeout(options.timeout);
  const tcti = tctiOf(options);
  const handle = destination(options);
  const { noDA } = options;
  if (noDA !== undefined && typeof noDA !== "boolean") throw invalid("noDA must be true or false");
  const key = aws4Key(secretAccessKey);
  let password: Buffer | undefined;
  let owner: ReturnType<typeof ownerAuthOf> | undefined;
  let stored: Buffer | undefined;
  try {
    password = passwordBytes(options.auth);
    owner = ownerAuthOf(options.ownerAuth);
    stored = storable(key);
    const native = {
      ...{ tcti, key: stored, password, ...owner, ...makeProbe(key) },
      ...(handle === undefined ? {} : { handle }),
      ...(noDA === undefined ? {} : { noDA }),
    };
    const { handle: kept, ...blobs } = await withConnection(timeout, (connection) =>
      connection.importTpm(native, { timeout }),
    );
    return kept === undefined ? { pem: formatTss2Pem(blobs, password.length === 0) } : { handle: kept };
  } finally {
    wipe(key, stored, password, owner?.ownerPassword);
  }
}

function destination({ handle, output }: TpmImportToHandle | TpmImportToPem): number | undefined {
  if ((handle === undefined) === (output === undefined)) {
    throw invalid('either handle or output: "pem" must say where the key goes');
  }
  if (handle === "free") return firstFreeHandle;
  if (handle !== undefined) return persistentHandle(handle, 0x817fffff);
  if (output !== "pem") throw invalid('output must be "pem"');
  return undefined;
}

/** A TPM takes no HMAC key over SHA-256's block of 64 bytes, and HMAC hashes such a key itself. */
function storable(key: Buffer): Buffer {
  return key.length > 64 ? createHash("sha256").update(key).digest() : key;
}
