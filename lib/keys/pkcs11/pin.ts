import { AwsHmacError } from "../../core/errors.js";
import { invalid, type Secret, secretBytes } from "../../core/validate.js";
import { readPinFile } from "./pin-file.js";
import type { UriPin } from "./uri.js";

/** The user PIN: as it is, or a function that is asked for it once. */
export type Pin = Secret | (() => Secret | Promise<Secret>);

/** Where the user PIN (CKU_USER) comes from: `pin`, else the URI's `pin-source` or `pin-value`, else `pinEnv`. */
export interface Pkcs11Pin {
  /** The PIN as bytes or a string, or a function that is asked once. */
  pin?: Pin | undefined;
  /** The name of an environment variable that holds the PIN. */
  pinEnv?: string | undefined;
}

/**
 * A copy of the PIN, which the caller wipes; nothing where no option and no URI gives one.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PIN_SOURCE`, or what the function `pin` throws
 */
export async function pinBytes(
  { pin, pinEnv }: Pkcs11Pin,
  { pinSource, pinValue }: UriPin,
): Promise<Buffer | undefined> {
  if (pin !== undefined) return explicit(typeof pin === "function" ? await pin() : pin);
  if (pinSource !== undefined) return readPinFile(pinSource);
  if (pinValue !== undefined) return pinValue();
  return pinEnv === undefined ? undefined : fromEnvironment(pinEnv);
}

function explicit(pin: Secret): Buffer {
  const bytes = secretBytes("pin", pin);
  if (bytes.length === 0) throw invalid("pin must not be empty: leave it out for a token without login");
  return bytes;
}

function fromEnvironment(name: string): Buffer {
  if (typeof name !== "string" || name === "") {
    throw invalid("pinEnv must be the name of an environment variable");
  }
  const value = process.env[name];
  if (!value) {
    throw new AwsHmacError("ERR_PIN_SOURCE", `the environment variable ${name} (option pinEnv) is not set`);
  }
  return secretBytes("pinEnv", value);
}
