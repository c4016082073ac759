import { AwsHmacError } from "./errors.js";
import { secretBuffer } from "./wipe.js";

/** What a key signs: SigV4, which every service takes, or SigV4a, which S3 multi-region access points want. */
export type KeyAlgorithm = "sigv4" | "sigv4a";

const prefixes: Record<KeyAlgorithm, string> = { sigv4: "AWS4", sigv4a: "AWS4A" };
const longestKey = 512;
/** What is no printable ASCII, and white space. */
const unfit = (byte: number): boolean => byte <= 0x20 || byte >= 0x7f;

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
  if (secretAccessKey.some(unfit)) {
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

/**
 * Why bytes from elsewhere cannot be a key that `aws4Key` makes, to be put behind "the key"; undefined where they can. It holds none of the
 * bytes.
 */
export function aws4KeyFault(key: Uint8Array): string | undefined {
  if (key.length > longestKey) return `has more than ${longestKey} bytes`;
  const prefix = Buffer.from(prefixes.sigv4); // that of SigV4a begins with it
  if (!prefix.equals(key.subarray(0, prefix.length)) || key.length === prefix.length) {
    return 'does not begin with "AWS4": it must be "AWS4" and the secret access key behind it, as the imports store it';
  }
  if (key.some(unfit))
    return "has white space or other bytes that no secret access key has, perhaps a newline at its end";
  return undefined;
}
