import { constants, createCipheriv, type KeyObject, publicEncrypt, randomFillSync } from "node:crypto";
import { secretBuffer, wipe } from "../../core/wipe.js";

/** The initial value of AES key wrap with padding (RFC 5649, 3). */
const kwpValue = Buffer.from("A65959A6", "hex");

/**
 * A key as Transit's import takes it: an AES-256 key of one use, RSA-OAEP-SHA256 encrypted for the engine's wrapping key,
 * and behind it the key, wrapped with the AES key (RFC 5649).
 */
export function wrapForTransit(key: Buffer, wrappingKey: KeyObject): Buffer {
  const ephemeral = randomFillSync(secretBuffer(32));
  try {
    const cipher = createCipheriv("id-aes256-wrap-pad", ephemeral, kwpValue);
    const wrapped = Buffer.concat([cipher.update(key), cipher.final()]);
    const oaep = { key: wrappingKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: "sha256" };
    return Buffer.concat([publicEncrypt(oaep, ephemeral), wrapped]);
  } finally {
    wipe(ephemeral);
  }
}
