import type { KeyObject } from "node:crypto";
import { invalid } from "../../core/validate.js";
import { readPublicArea, type TpmPublicArea } from "../../keys/tpm/public-area.js";
import { readPublicKeyForm } from "../../keys/tpm/public-key-form.js";
import { algorithms, hashName, StructureError, tpm2b } from "../../keys/tpm/structures.js";
import type { StorageKey } from "./duplicate.js";

/** A storage key of another TPM, and where that TPM has it if that is known. */
export interface ForeignStorageKey extends StorageKey {
  /** The endorsement key of TCG's low-range template; undefined of any other. */
  primary: "ek-rsa" | "ek-ecc" | undefined;
}

/**
 * What TCG's templates of endorsement keys have (EK Credential Profile for TPM Family 2.0, 2.5, annex B): a key by itself
 * or a certificate does not say it. Low range: L-1, L-2. High range: H-3, H-4, H-6, H-7.
 */
const templates = new Map<string, Omit<ForeignStorageKey, "key">>([
  ["RSA 2048", { hash: "sha256", aesBits: 128, primary: "ek-rsa" }],
  ["RSA 3072", { hash: "sha384", aesBits: 256, primary: undefined }],
  ["RSA 4096", { hash: "sha384", aesBits: 256, primary: undefined }],
  ["P-256", { hash: "sha256", aesBits: 128, primary: "ek-ecc" }],
  ["P-384", { hash: "sha384", aesBits: 256, primary: undefined }],
  ["P-521", { hash: "sha512", aesBits: 256, primary: undefined }],
]);

/** TPMA_OBJECT restricted | decrypt: a storage key; sign must be clear. */
const [storage, sign] = [0x00030000, 0x00040000];

/** Bytes; one of an RSA key of 4096 bits has about 600. */
const longestArea = 1024;

/** PolicySecret with the endorsement hierarchy: the low-range templates' policy (annex B.6.2, PolicyA). */
const policyA = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";

/**
 * Reads the option `ekPublic`.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function storageKeyOf(ekPublic: unknown): ForeignStorageKey {
  const form = readPublicKeyForm(ekPublic, true);
  if (form === undefined) {
    throw unusable(
      "it must be a PEM or DER of a public key or a certificate, or a TPM2B_PUBLIC or TPMT_PUBLIC (tpm2_createek -u)",
    );
  }
  return "key" in form ? byTemplate(form.key) : byPublicArea(form.area);
}

function byTemplate(key: KeyObject): ForeignStorageKey {
  const kind = kindOf(key);
  const template = templates.get(kind);
  if (template === undefined) {
    throw unusable(`no endorsement key is ${kind}: RSA 2048, 3072, 4096, ECC P-256, P-384 and P-521 are`);
  }
  return { key, ...template };
}

function kindOf(key: KeyObject): string {
  if (key.asymmetricKeyType === "rsa") return `RSA ${key.asymmetricKeyDetails?.modulusLength}`;
  const curves = new Map([
    ["prime256v1", "P-256"],
    ["secp384r1", "P-384"],
    ["secp521r1", "P-521"],
  ]);
  const curve = key.asymmetricKeyDetails?.namedCurve ?? "";
  return curves.get(curve) ?? `${key.asymmetricKeyType} ${curve}`.trim();
}

function byPublicArea(area: Buffer): ForeignStorageKey {
  const parent = readArea(area);
  const { attributes, cipher, key } = parent;
  if ((attributes & storage) !== storage || (attributes & sign) !== 0) {
    throw unusable(
      "it is no storage key (restricted and decrypt are not set): nothing can be imported under it",
    );
  }
  const hash = hashName(parent.nameAlgorithm);
  if (hash === undefined || hash === "sha1")
    throw unusable("its name algorithm must be SHA-256, -384 or -512");
  const aesBits = ([128, 192, 256] as const).find((bits) => bits === cipher?.keyBits);
  if (cipher?.algorithm !== algorithms.aes || cipher.mode !== algorithms.cfb || aesBits === undefined) {
    throw unusable("it must protect its children with AES in CFB mode");
  }
  const template = templates.get(kindOf(key));
  if (template === undefined) throw unusable(`keys of ${kindOf(key)} are not supported`);
  const isLowRange = parent.authPolicy.toString("hex") === policyA;
  return { key, hash, aesBits, primary: isLowRange ? template.primary : undefined };
}

function readArea(area: Buffer): TpmPublicArea {
  if (area.length > longestArea) throw unusable("it is too long for a public area");
  try {
    return readPublicArea(tpm2b(area));
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    throw unusable(`it is no public area of an RSA or ECC key: ${error.message}`);
  }
}

function unusable(reason: string): Error {
  return invalid(`ekPublic cannot be used: ${reason}`);
}
