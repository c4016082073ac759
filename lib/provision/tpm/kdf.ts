import { createHash, createHmac } from "node:crypto";
import { secretBuffer } from "../../core/wipe.js";
import { type TpmHash, uint32 } from "../../keys/tpm/structures.js";

/**
 * KDFa (TCG TPM 2.0 Part 1, 11.4.10.2): counter mode of SP 800-108 with HMAC.
 *
 * @param label without its final zero, which is added
 * @param bits of the result, a multiple of 8
 */
export function kdfA(
  hash: TpmHash,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Buffer {
  const fixed = Buffer.concat([Buffer.from(`${label}\0`), contextU, contextV, uint32(bits)]);
  return counted(bits, (counter) => createHmac(hash, key).update(counter).update(fixed).digest());
}

/**
 * KDFe (TCG TPM 2.0 Part 1, 11.4.10.3): the concatenation KDF of SP 800-56A.
 *
 * @param z the shared secret, the x-coordinate of a point
 * @param label without its final zero, which is added
 * @param partyU the x-coordinate of the sender's key; the recipient's is `partyV`
 * @param bits of the result, a multiple of 8
 */
export function kdfE(
  hash: TpmHash,
  z: Uint8Array,
  label: string,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bits: number,
): Buffer {
  const info = Buffer.concat([Buffer.from(`${label}\0`), partyU, partyV]);
  return counted(bits, (counter) => createHash(hash).update(counter).update(z).update(info).digest());
}

/** As many blocks as the result takes, counted from one, wiped but for the result. */
function counted(bits: number, block: (counter: Buffer) => Buffer): Buffer {
  const result = secretBuffer(bits / 8);
  for (let [filled, counter] = [0, 1]; filled < result.length; counter++) {
    const bytes = block(uint32(counter));
    filled += bytes.copy(result, filled);
    bytes.fill(0);
  }
  return result;
}
