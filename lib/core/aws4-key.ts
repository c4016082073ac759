import { AwsHmacError } from "./errors.js";

const prefix = Buffer.from("AWS4");

/**
 * The HMAC key that SigV4 starts from: `"AWS4" + secretAccessKey`, as bytes (AWS SigV4 guide, "derive a signing key").
 * The only place that adds the prefix. The caller wipes the result; `secretAccessKey` is not changed.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for anything but 1..508 bytes without white space
 */
export function aws4Key(secretAccessKey: Uint8Array): Buffer {
  if (!(secretAccessKey instanceof Uint8Array)) {
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      "secretAccessKey must be a Uint8Array (a string cannot be wiped)",
    );
  }
  if (secretAccessKey.length === 0 || secretAccessKey.length > 508) {
    throw new AwsHmacError("ERR_INVALID_ARGUMENT", "secretAccessKey must have 1..508 bytes");
  }
  if (secretAccessKey.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      "secretAccessKey must be printable ASCII without white space: check for a trailing newline",
    );
  }
  const key = Buffer.allocUnsafeSlow(prefix.length + secretAccessKey.length);
  key.set(prefix, 0);
  key.set(secretAccessKey, prefix.length);
  return key;
}
