import { createHmac, randomBytes } from "node:crypto";
import type { NativeProbe } from "../binding/native-probe.js";

/** What an import asks the new key: 32 random bytes, and their HMAC-SHA256 under `key` made in software. */
export function makeProbe(key: Buffer): NativeProbe {
  const probeMessage = randomBytes(32);
  return { probeMessage, probeMac: createHmac("sha256", key).update(probeMessage).digest() };
}
