import { createHash, randomBytes } from "node:crypto";
import type { NativeTpmParent } from "../binding/native-tpm.js";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { invalid, type Secret } from "../core/validate.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import { formatImportablePem } from "../keys/tpm/importable-pem.js";
import { secretOfTpm } from "../keys/tpm/options.js";
import { type TpmParent, tpmParent } from "../keys/tpm/parent.js";
import { checkPolicy } from "../keys/tpm/policy/check.js";
import { emptyDigest, extend } from "../keys/tpm/policy/digest.js";
import { formatFilePolicy } from "../keys/tpm/policy/file-format.js";
import type { TpmPolicy } from "../keys/tpm/policy/policy.js";
import { objectName } from "../keys/tpm/public-area.js";
import { algorithms, tpm2b, uint16, uint32 } from "../keys/tpm/structures.js";
import { makeProbe } from "./probe.js";
import { duplicateFor } from "./tpm/duplicate.js";
import { storable } from "./tpm/storable.js";
import { type ForeignStorageKey, storageKeyOf } from "./tpm/storage-key.js";
import { formatNote } from "./tpm/wrapped-file.js";

/** Whose TPM a key is wrapped for, and how it is protected there. */
export interface WrapForTpmOptions {
  /**
   * The other TPM's endorsement key, or another storage key of it:
   * - a marshalled TPM2B_PUBLIC or TPMT_PUBLIC, as `tpm2_createek -u` and `tpm2_readpublic -o` write it;
   * - a PEM (`-----BEGIN PUBLIC KEY-----`) or DER (SubjectPublicKeyInfo) of an endorsement key; its template is taken to be
   *   TCG's: SHA-256 and AES-128 for RSA 2048 and P-256, AES-256 with SHA-384 for RSA 3072, RSA 4096 and P-384, SHA-512 for P-521;
   * - its certificate (X.509), PEM or DER, with the same templates. Who signed it is yours to check.
   *
   * Whoever has the private half can read the secret: be sure whose key it is.
   */
  ekPublic: string | Uint8Array;
  /**
   * Where the other TPM has that key, which the file will say: by default `ek-rsa` or `ek-ecc`. Needed for a key that is
   * not made with TCG's low-range template: a persistent handle, for example.
   */
  parent?: TpmParent | undefined;
  /** What the key is for: `"sigv4"` by default; `"sigv4a"` makes the other key that `HmacSignerV4a` needs. */
  algorithm?: KeyAlgorithm | undefined;
  /** The new key's password, at most 32 bytes (a string as UTF-8); leave it out to have none. */
  password?: Secret;
  /**
   * The new key's policy, SHA-256, which alone allows its use; PCR steps need their `digest`, which is that of the other
   * machine. A policy that duplicationSelect or TPM2_Duplicate satisfies lets the key be duplicated once more.
   */
  policy?: TpmPolicy | undefined;
  /** As for `importTpmKey`: by default a key without password is exempt from the TPM's dictionary attack protection. */
  noDA?: boolean | undefined;
}

/** TPMA_OBJECT (TCG TPM 2.0 Part 2, 8.3). */
const attributes = { userWithAuth: 1 << 6, noDA: 1 << 10, sign: 1 << 18 };

/**
 * Wraps an AWS secret access key for the TPM of another machine: an HMAC key for SigV4, `"AWS4" + secretAccessKey`, that only
 * this TPM can import (`importWrappedTpmKey`, or TPM2_Import). Neither a TPM nor the native addon is needed here. The
 * file need not be kept secret, but nothing in it says who made it. In the other TPM the key can neither be read nor,
 * unless `policy` allows it, duplicated further: TPM2_Duplicate needs a policy that names it (TCG TPM 2.0 Part 1, 19.2).
 *
 * The file also has 32 random bytes and their HMAC under the key, so that the import can check itself. With it, and with
 * any signature of the key, guesses of the secret can be checked; those of AWS are random and too long to guess.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @returns the file's text: `-----BEGIN TSS2 PRIVATE KEY-----`, a TPMKey of type id-importablekey (draft-bottomley-tpm2-keys)
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export async function wrapForTpm(secretAccessKey: Uint8Array, options: WrapForTpmOptions): Promise<string> {
  const parent = storageKeyOf(options.ekPublic);
  const place = placeOf(options.parent, parent);
  const policy = options.policy && checkPolicy(options.policy);
  const authPolicy = policy && extend(emptyDigest, policy);
  if ("password" in options && options.password === undefined) {
    throw invalid("password is undefined: leave it out for a key without password");
  }
  const { noDA } = options;
  if (noDA !== undefined && typeof noDA !== "boolean") throw invalid("noDA must be true or false");
  const key = aws4Key(secretAccessKey, options.algorithm);
  let password: Buffer | undefined;
  let stored: Buffer | undefined;
  let sensitive: Buffer | undefined;
  try {
    password = secretOfTpm("password", options.password ?? "", 32);
    stored = storable(key);
    const obfuscation = randomBytes(32);
    sensitive = marshalSensitive(password, obfuscation, stored);
    const bits =
      attributes.sign |
      (authPolicy ? 0 : attributes.userWithAuth) |
      ((noDA ?? password.length === 0) ? attributes.noDA : 0);
    const unique = createHash("sha256").update(obfuscation).update(stored).digest();
    const publicArea = marshalPublic(bits, authPolicy, unique);
    return formatImportablePem({
      ...duplicateFor(parent, sensitive, objectName(publicArea)),
      ...place,
      publicArea,
      emptyAuth: password.length === 0,
      policy: policy && formatFilePolicy(policy),
      description: formatNote({ parent: endorsementKey(place), probe: makeProbe(key) }),
    });
  } finally {
    wipe(key, password, stored, sensitive);
  }
}

function placeOf(parent: TpmParent | undefined, { primary, key }: ForeignStorageKey): NativeTpmParent {
  const wanted = parent ?? primary;
  if (wanted === undefined) {
    throw invalid(
      "parent must say where the other TPM has the key ekPublic, such as a persistent handle: it is not of TCG's low-range template",
    );
  }
  const place = tpmParent(wanted);
  if (typeof wanted !== "number" && place.primary.endsWith("rsa") !== (key.asymmetricKeyType === "rsa")) {
    throw invalid(`parent ${wanted} and ekPublic are keys of different kinds`);
  }
  return place;
}

function endorsementKey({ primary }: NativeTpmParent): "ek-rsa" | "ek-ecc" | undefined {
  return primary === "ek-rsa" || primary === "ek-ecc" ? primary : undefined;
}

/** TPM2B_PUBLIC of an HMAC-SHA256 key without fixedTPM and fixedParent, as TPM2_Import demands (Part 3, 13.3). */
function marshalPublic(bits: number, authPolicy: Buffer | undefined, unique: Buffer): Buffer {
  const { keyedHash, sha256, hmac } = algorithms;
  const head = [uint16(keyedHash), uint16(sha256), uint32(bits), tpm2b(authPolicy ?? Buffer.alloc(0))];
  return tpm2b(...head, uint16(hmac), uint16(sha256), tpm2b(unique));
}

/** TPMT_SENSITIVE (Part 2, 12.3.2), in memory of its own, which can be wiped. A TPM drops a password's last zeros. */
function marshalSensitive(password: Buffer, obfuscation: Buffer, key: Buffer): Buffer {
  let end = password.length;
  while (end > 0 && password[end - 1] === 0) end--;
  const parts = [uint16(algorithms.keyedHash)];
  for (const part of [password.subarray(0, end), obfuscation, key]) parts.push(uint16(part.length), part);
  const sensitive = secretBuffer(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) at += part.copy(sensitive, at);
  return sensitive;
}
