import {
  constants,
  createCipheriv,
  createHash,
  createHmac,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  publicEncrypt,
  randomBytes,
} from "node:crypto";
import { wipe } from "../../core/wipe.js";
import { type TpmHash, tpm2b, uint16 } from "../../keys/tpm/structures.js";
import { kdfA, kdfE } from "./kdf.js";

/** A storage key as far as somebody must know it to wrap an object for it. */
export interface StorageKey {
  /** RSA, or ECC on P-256, P-384 or P-521. */
  key: KeyObject;
  /** Its name algorithm. */
  hash: TpmHash;
  /** The length of its AES key, in CFB mode. */
  aesBits: 128 | 192 | 256;
}

/** An object in the form that TPM2_Import takes. */
export interface Duplicate {
  /** Marshalled TPM2B_PRIVATE. */
  duplicate: Buffer;
  /** Marshalled TPM2B_ENCRYPTED_SECRET: what only the parent can recover. */
  seed: Buffer;
}

const label = "DUPLICATE";
const nothing = Buffer.alloc(0);

/**
 * Wraps an object's sensitive area for a new parent, as TPM2_Duplicate does without an inner wrapper (TCG TPM 2.0
 * Part 1, 23.3): encrypted and authenticated with keys that are derived from a seed, which is encrypted to the parent.
 *
 * @param sensitive marshalled TPMT_SENSITIVE
 * @param name the object's name, which the wrapper authenticates
 */
export function duplicateFor({ key, hash, aesBits }: StorageKey, sensitive: Buffer, name: Buffer): Duplicate {
  const digestBits = createHash(hash).digest().length * 8;
  const { secret, seed } =
    key.asymmetricKeyType === "rsa" ? shareByRsa(key, hash, digestBits) : shareByEcc(key, hash, digestBits);
  const cipherKey = kdfA(hash, secret, "STORAGE", name, nothing, aesBits);
  const macKey = kdfA(hash, secret, "INTEGRITY", nothing, nothing, digestBits);
  try {
    const cipher = createCipheriv(`aes-${aesBits}-cfb`, cipherKey, Buffer.alloc(16));
    const parts = [cipher.update(uint16(sensitive.length)), cipher.update(sensitive), cipher.final()];
    const encrypted = Buffer.concat(parts);
    const mac = createHmac(hash, macKey).update(encrypted).update(name).digest();
    return { duplicate: tpm2b(tpm2b(mac), encrypted), seed };
  } finally {
    wipe(secret, cipherKey, macKey);
  }
}

interface SharedSecret {
  secret: Buffer;
  seed: Buffer;
}

/** RSAES-OAEP with the name algorithm (Part 1, B.4 and B.10.3); the label includes its final zero. */
function shareByRsa(key: KeyObject, oaepHash: TpmHash, bits: number): SharedSecret {
  const secret = randomBytes(bits / 8);
  const oaepLabel = Buffer.from(`${label}\0`);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  return { secret, seed: tpm2b(publicEncrypt({ key, padding, oaepHash, oaepLabel }, secret)) };
}

/** One-pass Diffie-Hellman with a key of this moment (Part 1, C.6.1 and C.6.4); the seed is its public point. */
function shareByEcc(key: KeyObject, hash: TpmHash, bits: number): SharedSecret {
  const recipient = pointOf(key);
  const ephemeral = generateKeyPairSync("ec", { namedCurve: recipient.crv });
  const { x, y } = pointOf(ephemeral.publicKey);
  const z = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: key });
  try {
    return { secret: kdfE(hash, z, label, x, recipient.x, bits), seed: tpm2b(tpm2b(x), tpm2b(y)) };
  } finally {
    wipe(z);
  }
}

/** The coordinates, each as long as the curve's field. */
function pointOf(key: KeyObject): { crv: string; x: Buffer; y: Buffer } {
  const { crv = "", x = "", y = "" } = key.export({ format: "jwk" });
  return { crv, x: Buffer.from(x, "base64url"), y: Buffer.from(y, "base64url") };
}
