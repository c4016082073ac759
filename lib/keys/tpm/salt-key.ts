import { createHash, type JsonWebKey, type KeyObject } from "node:crypto";
import type { NativeTpmSaltKey } from "../../binding/native-tpm.js";
import { invalid, type Secret } from "../../core/validate.js";
import { secretOfTpm } from "./options.js";
import { type TpmParent, tpmParent } from "./parent.js";
import { readPublicKeyForm } from "./public-key-form.js";

/**
 * The key that sessions are salted with, an RSA or ECC key that decrypts. With `name` or `publicKey` it is compared
 * before anything is proved or sent: who alters what passes between here and the TPM cannot put a key of their own
 * in its place.
 */
export interface TpmSaltKey {
  /** Where it is, as for `parent`: a persistent handle, or a primary such as `ek-rsa` or `owner`, which is made. */
  handle: TpmParent;
  /** Its name, as tpm2_readpublic prints it (hexadecimal) or as bytes: of SHA-256, SHA-384 or SHA-512. */
  name?: string | Uint8Array | undefined;
  /**
   * Its public key: a PEM (`-----BEGIN PUBLIC KEY-----`) or the same as DER (SubjectPublicKeyInfo); or a marshalled
   * TPM2B_PUBLIC or TPMT_PUBLIC, which settles the name too.
   */
  publicKey?: string | Uint8Array | undefined;
  /**
   * Needed to make a primary where its hierarchy has a password; at most 64 bytes. It is proved before the key is there
   * to be compared: who alters what passes can then try passwords against the proof. A persistent key needs none.
   */
  hierarchyPassword?: Secret | undefined;
}

/** An option of everything that opens an encrypted session. */
export interface TpmSaltOptions {
  /** By default the key's parent, or a primary of the null hierarchy, and whatever the TPM says of it. */
  saltKey?: TpmSaltKey | undefined;
}

/** By TPM_ALG_ID: the hashes of names. */
const hashes = new Map([
  [0x000b, { hash: "sha256", length: 32 }],
  [0x000c, { hash: "sha384", length: 48 }],
  [0x000d, { hash: "sha512", length: 64 }],
]);

/** TPM_ALG_ID. */
const [rsa, ecc] = [0x01, 0x23];
const keyTypes = [rsa, ecc];

const curves = new Map([
  ["P-256", 0x0003],
  ["P-384", 0x0004],
  ["P-521", 0x0005],
]);

/**
 * The option as the addon takes it, none where it is not given; the caller wipes `hierarchyPassword`.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function saltKeyOf(saltKey: TpmSaltKey | undefined): NativeTpmSaltKey | undefined {
  if (saltKey === undefined) return undefined;
  const key = tpmParent(saltKey?.handle, "saltKey.handle");
  const known = knownOf(saltKey);
  const { hierarchyPassword } = saltKey;
  if (hierarchyPassword !== undefined && typeof saltKey.handle === "number") {
    throw invalid("saltKey.hierarchyPassword is for a primary: a persistent key needs none");
  }
  const option = "saltKey.hierarchyPassword";
  return { ...key, ...known, hierarchyPassword: secretOfTpm(option, hierarchyPassword ?? "", 64) };
}

function knownOf({ name, publicKey }: TpmSaltKey): Pick<NativeTpmSaltKey, "name" | "publicKey"> {
  const given = name === undefined ? Buffer.alloc(0) : checkedName(name);
  if (publicKey === undefined) return { name: given, publicKey: Buffer.alloc(0) };
  const form = readPublicKeyForm(publicKey);
  if (form === undefined) throw invalidPublicKey();
  if ("key" in form) return { name: given, publicKey: publicKeyOf(form.key) };
  const computed = nameOf(form.area);
  if (given.length > 0 && !given.equals(computed)) {
    throw invalid("saltKey.name is not the name of saltKey.publicKey");
  }
  return { name: computed, publicKey: Buffer.alloc(0) };
}

function checkedName(name: unknown): Buffer {
  const isHex = typeof name === "string" && /^([0-9a-f]{2})+$/i.test(name);
  const bytes = isHex ? Buffer.from(name, "hex") : name instanceof Uint8Array ? Buffer.from(name) : undefined;
  if (!bytes || bytes.length < 2 || hashes.get(bytes.readUInt16BE(0))?.length !== bytes.length - 2) {
    throw invalid(
      "saltKey.name must be the name that tpm2_readpublic prints: 000b, 000c or 000d and the digest",
    );
  }
  return bytes;
}

/** An object's name: the algorithm, and the digest of the public area (TCG TPM 2.0 Part 1, 16). */
function nameOf(key: Buffer): Buffer {
  const isKey = key.length > 4 && keyTypes.includes(key.readUInt16BE(0));
  const algorithm = isKey ? hashes.get(key.readUInt16BE(2)) : undefined;
  if (!algorithm) throw invalidPublicKey();
  return Buffer.concat([key.subarray(2, 4), createHash(algorithm.hash).update(key).digest()]);
}

function publicKeyOf(key: KeyObject): Buffer {
  const { kty, n = "", e = "", crv = "", x = "", y = "" } = jwkOf(key);
  const bytes = (part: string): Buffer => Buffer.from(part, "base64url");
  const curve = curves.get(crv);
  if (kty === "EC" && curve !== undefined) {
    return Buffer.concat([Buffer.of(0, ecc, 0, curve), bytes(x), bytes(y)]);
  }
  const exponent = bytes(e);
  if (kty !== "RSA" || exponent.length > 4) throw invalidPublicKey();
  return Buffer.concat([Buffer.of(0, rsa), Buffer.alloc(4 - exponent.length), exponent, bytes(n)]);
}

function jwkOf(key: KeyObject): JsonWebKey {
  try {
    return key.export({ format: "jwk" });
  } catch {
    throw invalidPublicKey(); // a curve that JWK has no name for
  }
}

function invalidPublicKey(): Error {
  return invalid(
    "saltKey.publicKey must be a PEM (BEGIN PUBLIC KEY) or DER of an RSA key or one on P-256, P-384 or P-521, or a TPM2B_PUBLIC or TPMT_PUBLIC",
  );
}
