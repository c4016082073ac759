import { type AwsHmacErrorOptions, type ErrorCode, KeysetError } from "../../core/errors.js";

/** An error of a keyset that is not used; `reason` holds nothing of the keyset that could be secret. */
export function invalidKeyset(code: ErrorCode, reason: string, options?: AwsHmacErrorOptions): KeysetError {
  return new KeysetError(code, `the keyset is not usable: ${reason}`, options);
}

/** The error of a keyset that is not encrypted. */
export function cleartextKeyset(): KeysetError {
  const remedy = "encrypt it with a KMS, as importTinkKey does, and delete this one";
  return invalidKeyset("ERR_KEYSET_CLEARTEXT", `it is not encrypted, and was not sent anywhere: ${remedy}`);
}
