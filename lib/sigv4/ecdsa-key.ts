import { createPrivateKey, type KeyObject } from "node:crypto";
import { SigningError } from "../core/errors.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import type { Device } from "./device.js";

/** The order of P-256, less two (SEC 2, 2.4.2). */
const orderLessTwo = Buffer.from("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc63254f", "hex");
/** A counter is one byte, and AWS's implementations stop here. */
const lastCounter = 254;

/** An ECPrivateKey without the public key (RFC 5915), in DER: up to the 32 bytes of the private key, and from there on. */
const beforeKey = Buffer.from("30310201010420", "hex");
const afterKey = Buffer.from("a00a06082a8648ce3d030107", "hex");

/**
 * The private key of SigV4a: HMAC keyed by "AWS4A" + secret over the counter-mode input of NIST SP 800-108 (AWS: "Deriving
 * a signing key for SigV4a"), asked again with the next counter for a candidate that is none, one in 2^32. Its bytes are OpenSSL's alone, which wipes them when the KeyObject has gone.
 *
 * @throws SigningError `ERR_KEY_UNSUITABLE` when no candidate is one; whatever the device throws
 */
export async function deriveEcdsaKey(device: Device, accessKeyId: string): Promise<KeyObject> {
  for (let counter = 1; counter <= lastCounter; counter++) {
    const candidate = await device.mac(fixedInput(accessKeyId, counter));
    try {
      if (candidate.compare(orderLessTwo) <= 0) return privateKey(addOne(candidate));
    } finally {
      wipe(candidate);
    }
  }
  throw new SigningError(
    "ERR_KEY_UNSUITABLE",
    "the key's MACs are no private keys: it is no HMAC-SHA256 key",
  );
}

function fixedInput(accessKeyId: string, counter: number): Buffer {
  const [one, length] = [Buffer.of(0, 0, 0, 1), Buffer.of(0, 0, 1, 0)];
  return Buffer.concat([
    one,
    Buffer.from(`AWS4-ECDSA-P256-SHA256\0${accessKeyId}`, "ascii"),
    Buffer.of(counter),
    length,
  ]);
}

/** Adds one to a big-endian number in place, in constant time. */
function addOne(bytes: Buffer): Buffer {
  let carry = 1;
  for (let index = bytes.length - 1; index >= 0; index--) {
    const sum = (bytes[index] ?? 0) + carry;
    bytes[index] = sum;
    carry = sum >> 8;
  }
  return bytes;
}

function privateKey(bytes: Buffer): KeyObject {
  const der = secretBuffer(beforeKey.length + bytes.length + afterKey.length);
  try {
    der.set(beforeKey);
    der.set(bytes, beforeKey.length);
    der.set(afterKey, beforeKey.length + bytes.length);
    return createPrivateKey({ key: der, format: "der", type: "sec1" });
  } finally {
    wipe(der);
  }
}
