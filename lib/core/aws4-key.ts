import { AwsHmacError } from "./errors.js";
import { secretBuffer } from "./wipe.js";

/** What a key signs: SigV4, which every service takes, or SigV4a, which S3 multi-region access points want. */
export type KeyAlgorithm = "sigv4" | "sigv4a";

const prefixes: Record<KeyAlgorithm, string> = { sigv4: "AWS4", sigv4a: "AWS4A" };
const longestKey = 512;

/**
 * The HMAC key that SigV4 starts from: `"AWS4" + secretAccessKey`, as bytes (AWS SigV4 guide, "derive a signing key"); for
 * SigV4a `"AWS4A" + secretAccessKey`. The only place that adds the prefix. The caller wipes the result; `secretAccessKey`
 * is not changed.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for anything but 1..508 bytes (SigV4a: 507) without white space, or another algorithm
 */
export function aws4Key(secretAccessKey: Uint8Array, algorithm: KeyAlgorithm = "sigv4"): Buffer {
  if (!Object.hasOwn(prefixes, algorithm)) {
    throw new AwsHmacError("ERR_INVALID_ARGUMENT", 'algorithm must be "sigv4" or "sigv4a"');
  }
  const prefix = Buffer.from(prefixes[algorithm]);
  const longest = longestKey - prefix.length;
  if (!(secretAccessKey instanceof Uint8Array)) {
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      "secretAccessKey must be a Uint8Array (a string cannot be wiped)",
    );
  }
  if (secretAccessKey.length === 0 || secretAccessKey.length > longest) {
    throw new AwsHmacError("ERR_INVALID_ARGUMENT", `secretAccessKey must have 1..${longest} bytes`);
  }
  if (secretAccessKey.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      "secretAccessKey must be printable ASCII without white space: check for a trailing newline",
    );
  }
  const key = secretBuffer(prefix.length + secretAccessKey.length);
  key.set(prefix, 0);
  key.set(secretAccessKey, prefix.length);
  return key;
}
