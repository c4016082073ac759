import { createHash, createPublicKey, type KeyObject } from "node:crypto";
import {
  algorithms,
  hashName,
  StructureError,
  StructureReader,
  tpm2b,
  uint16,
  uint32,
} from "./structures.js";

const { none } = algorithms;

/** TPMA_OBJECT userWithAuth | decrypt | sign: what tpm2_loadexternal gives a public key. */
const externalAttributes = 0x00060040;

/** TPM_ECC_CURVE (TCG TPM 2.0 Part 2, 6.4) of the curves as JWK names them. */
const curves = new Map([
  ["P-256", 0x0003],
  ["P-384", 0x0004],
  ["P-521", 0x0005],
]);

/**
 * The TPM2B_PUBLIC of a public key that was not made by a TPM, as `tpm2_loadexternal -G rsa` (or `ecc`) makes it: name
 * algorithm SHA-256, no policy, attributes userWithAuth, decrypt and sign, no scheme. Its name, which policies
 * contain, follows from these.
 *
 * @throws StructureError for a key that a TPM does not take: neither RSA with exponent 65537 nor on P-256, P-384 or P-521
 */
export function externalPublicArea(key: KeyObject): Buffer {
  const { kty, n = "", e = "", crv = "", x = "", y = "" } = key.export({ format: "jwk" });
  const bytes = (part: string): Buffer => Buffer.from(part, "base64url");
  if (kty === "RSA" && e === "AQAB") {
    const modulus = bytes(n);
    const sizes = [uint16(modulus.length * 8), uint32(65537)];
    return publicArea(algorithms.rsa, uint16(none), uint16(none), ...sizes, tpm2b(modulus));
  }
  const curve = curves.get(crv);
  if (kty !== "EC" || curve === undefined) throw new StructureError("TPMs do not take a key of this kind");
  const parameters = [uint16(none), uint16(none), uint16(curve), uint16(none)];
  return publicArea(algorithms.ecc, ...parameters, tpm2b(bytes(x)), tpm2b(bytes(y)));
}

function publicArea(type: number, ...parameters: Buffer[]): Buffer {
  const head = [uint16(type), uint16(algorithms.sha256), uint32(externalAttributes), tpm2b()];
  return tpm2b(...head, ...parameters);
}

/** What a public area says of an RSA or ECC key. */
export interface TpmPublicKey {
  /** TPM_ALG_ID of the hash in the object's name. */
  nameAlgorithm: number;
  key: KeyObject;
}

/** A public area of an RSA or ECC key. */
export interface TpmPublicArea extends TpmPublicKey {
  /** TPMA_OBJECT. */
  attributes: number;
  authPolicy: Buffer;
  /** What a storage key protects its children with, as TPM_ALG_IDs; undefined of other keys. */
  cipher: { algorithm: number; keyBits: number; mode: number } | undefined;
}

/**
 * Reads a marshalled TPM2B_PUBLIC of an RSA or ECC key (TCG TPM 2.0 Part 2, 12.2.4).
 *
 * @throws StructureError
 */
export function readPublicArea(tpm2bPublic: Uint8Array): TpmPublicArea {
  const outer = new StructureReader(tpm2bPublic);
  const area = new StructureReader(outer.sized("the public area"));
  outer.end("the public area");
  const type = area.uint16("type");
  const nameAlgorithm = area.uint16("nameAlg");
  const attributes = area.uint32("objectAttributes");
  const authPolicy = area.sized("authPolicy");
  if (type !== algorithms.rsa && type !== algorithms.ecc) {
    throw new StructureError("the public area is neither of an RSA nor of an ECC key");
  }
  const cipher = readCipher(area);
  skipScheme(area);
  const jwk = type === algorithms.rsa ? readRsa(area) : readEcc(area);
  area.end("unique");
  return { nameAlgorithm, attributes, authPolicy, cipher, key: publicKey(jwk) };
}

/** TPMT_SYM_DEF_OBJECT. */
function readCipher(area: StructureReader): TpmPublicArea["cipher"] {
  const algorithm = area.uint16("symmetric");
  if (algorithm === none) return undefined;
  return { algorithm, keyBits: area.uint16("symmetric"), mode: area.uint16("symmetric") };
}

type Jwk = { kty: "RSA"; n: string; e: string } | { kty: "EC"; crv: string; x: string; y: string };

function publicKey(jwk: Jwk): KeyObject {
  try {
    return createPublicKey({ key: { ...jwk }, format: "jwk" });
  } catch {
    throw new StructureError("the public area holds no valid key"); // Node's own words tell no more
  }
}

/** TPMT_RSA_SCHEME, TPMT_ECC_SCHEME: all but RSAES have a hash, ECDAA a counter besides. */
function skipScheme(area: StructureReader): void {
  const scheme = area.uint16("scheme");
  if (scheme === none || scheme === algorithms.rsaes) return;
  area.take(scheme === algorithms.ecdaa ? 4 : 2, "scheme");
}

function readRsa(area: StructureReader): Jwk {
  area.uint16("keyBits");
  const exponent = uint32(area.uint32("exponent") || 65537);
  const modulus = area.sized("unique");
  return { kty: "RSA", n: modulus.toString("base64url"), e: exponent.toString("base64url") };
}

function readEcc(area: StructureReader): Jwk {
  const id = area.uint16("curveID");
  if (area.uint16("kdf") !== none) area.take(2, "kdf");
  const [x, y] = [area.sized("unique.x"), area.sized("unique.y")];
  const crv = [...curves].find(([, curve]) => curve === id)?.[0];
  if (crv === undefined) throw new StructureError(`the curve 0x${id.toString(16)} is not supported`);
  const length = crv === "P-256" ? 32 : crv === "P-384" ? 48 : 66;
  const coordinate = (bytes: Buffer): string => leftPadded(bytes, length).toString("base64url");
  return { kty: "EC", crv, x: coordinate(x), y: coordinate(y) };
}

/** A number with zeros before it; of one that is longer, its last bytes. */
export function leftPadded(number: Buffer, length: number): Buffer {
  return Buffer.concat([Buffer.alloc(length), number]).subarray(-length);
}

/**
 * An object's name: nameAlg and the hash of its TPMT_PUBLIC (TCG TPM 2.0 Part 1, 16).
 *
 * @param tpm2bPublic marshalled TPM2B_PUBLIC
 * @throws StructureError
 */
export function objectName(tpm2bPublic: Uint8Array): Buffer {
  const area = new StructureReader(tpm2bPublic).sized("the public area");
  const nameAlgorithm = new StructureReader(area.subarray(2)).uint16("nameAlg");
  const hash = hashName(nameAlgorithm);
  if (hash === undefined) throw new StructureError("nameAlg is not supported");
  return Buffer.concat([uint16(nameAlgorithm), createHash(hash).update(area).digest()]);
}
