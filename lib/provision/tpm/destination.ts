import { firstFreeHandle, type NativeTpmParent } from "../../binding/native-tpm.js";
import { invalid } from "../../core/validate.js";
import { persistentHandle } from "../../keys/tpm/options.js";
import { isPlatformOrNull } from "../../keys/tpm/parent.js";
import type { FileFields } from "../../keys/tpm/policy/file-format.js";
import { formatTpmKey, type TpmKeyBlobs } from "../../keys/tpm/tss2-pem.js";

/** A new key is made persistent in the TPM. */
export interface TpmToHandle {
  /** A free persistent handle of the owner's range, 0x81000000..0x817FFFFF, or `free` for the first of those. */
  handle: number | "free";
  /** For a file only. */
  output?: undefined;
  /** For a file only. */
  policyInPem?: undefined;
}

/** A new key is given out as a file that this TPM alone can load. */
export interface TpmToPem {
  /** Says that a file is wanted. */
  output: "pem";
  /** For a persistent key only. */
  handle?: undefined;
  /**
   * Whether the file says the key's policy, so that `openTpmKey({ pem })` needs none; true by default. tpm2-tools and
   * tpm2-openssl read no file that does.
   */
  policyInPem?: boolean | undefined;
}

/**
 * The handle for a new key, 0 for the first free one, nothing for a PEM.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also where the owner cannot make a key under this parent persistent
 */
export function destination(
  { handle, output, policyInPem }: TpmToHandle | TpmToPem,
  { parent }: NativeTpmParent,
): { handle?: number } {
  if (policyInPem !== undefined && (typeof policyInPem !== "boolean" || output === undefined)) {
    throw invalid('policyInPem must be true or false, and is for output "pem"');
  }
  if ((handle === undefined) === (output === undefined)) {
    throw invalid('either handle or output: "pem" must say where the key goes');
  }
  if (handle === undefined) {
    if (output !== "pem") throw invalid('output must be "pem"');
    return {};
  }
  const wanted = handle === "free" ? firstFreeHandle : persistentHandle(handle, 0x817fffff);
  // TCG TPM 2.0 Part 3, 28.5: the owner makes what is in the storage and endorsement hierarchies persistent.
  if (isPlatformOrNull(parent)) {
    throw invalid(
      'parent must be in the owner or endorsement hierarchy for a persistent key: use output "pem"',
    );
  }
  return { handle: wanted };
}

/** A key that is persistent in the TPM: `openTpmKey({ handle })` opens it. */
export interface ImportedTpmHandle {
  /** Where the key is: 0x81… */
  handle: number;
  /** What `openKey` takes: the handle, and `tcti` where it was given. */
  reference: string;
}

/** A key file: `openTpmKey({ pem, parent })` opens it, and tpm2-tools load it. */
export interface ImportedTpmPem {
  /** `-----BEGIN TSS2 PRIVATE KEY-----`; the key in it is encrypted by the TPM. */
  pem: string;
  /** What `openTpmKey` needs beside the PEM, where the format cannot say it: an endorsement key. */
  parent?: "ek-rsa" | "ek-ecc";
}

/** A new key's file, and its parent where the file cannot say it. */
export function importedPem(file: TpmKeyBlobs, emptyAuth: boolean, policy?: FileFields): ImportedTpmPem {
  const pem = formatTpmKey({ ...file, kind: "loadable", emptyAuth, policy });
  const { primary } = file;
  return primary === "ek-rsa" || primary === "ek-ecc" ? { pem, parent: primary } : { pem };
}
