import { createSecretKey } from "node:crypto";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import type { HmacKey } from "../core/hmac-key.js";
import { secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { SoftwareKey } from "./software-key.js";

/**
 * A key that is held in this process's memory, without any device: for tests and for migrating.
 *
 * @param secretAccessKey the AWS secret access key, without the "AWS4" prefix; the array is not changed
 * @param options `algorithm`: what the key is for, `"sigv4"` by default; `HmacSignerV4a` needs one for `"sigv4a"`
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function insecureMemoryKey(
  secretAccessKey: string | Uint8Array,
  { algorithm }: { algorithm?: KeyAlgorithm | undefined } = {},
): HmacKey {
  const bytes = secretBytes("secretAccessKey", secretAccessKey);
  let key: Buffer | undefined;
  try {
    key = aws4Key(bytes, algorithm);
    return new SoftwareKey("memory", createSecretKey(key));
  } finally {
    wipe(bytes, key);
  }
}
