import { createHmac } from "node:crypto";
import { addon } from "../../binding/addon.js";
import type { NativePkcs11Login } from "../../binding/native-pkcs11.js";
import { AwsHmacError } from "../../core/errors.js";
import { flag, invalid, type Secret, secretBytes } from "../../core/validate.js";
import { readPinFile } from "./pin-file.js";
import type { UriPin } from "./uri.js";

/** The user PIN: as it is, or a function that is asked for it once. */
export type Pin = string | Uint8Array | (() => string | Uint8Array | Promise<string | Uint8Array>);

/** How to log in to a token as its user (CKU_USER). The PIN is `pin`, else the URI's `pin-source` or `pin-value`, else `pinEnv`. */
export interface Pkcs11Login {
  /** The PIN as bytes or a string, or a function that is asked once. */
  pin?: Pin | undefined;
  /** The name of an environment variable that holds the PIN. */
  pinEnv?: string | undefined;
  /** Somebody enters the PIN at the token's own PIN pad, within `timeout`, instead of all that. */
  pinPad?: boolean | undefined;
  /** Logs in though the token says that the next wrong PIN locks it (CKF_USER_PIN_FINAL_TRY). */
  allowFinalTry?: boolean | undefined;
}

/**
 * The login as the addon takes it, with a copy of the PIN, which the caller wipes.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PIN_SOURCE`, or what the function `pin` throws
 */
export async function loginOf(options: Pkcs11Login, uri: UriPin): Promise<NativePkcs11Login> {
  const pinPad = flag("pinPad", options.pinPad);
  const allowFinalTry = flag("allowFinalTry", options.allowFinalTry);
  if (pinPad) {
    const others = [options.pin, options.pinEnv, uri.pinSource, uri.pinValue];
    if (others.some((other) => other !== undefined)) {
      throw invalid("pinPad stands alone: leave out pin, pinEnv and the URI's pin-source and pin-value");
    }
    return { pinPad, allowFinalTry };
  }
  const { pinSalt } = addon();
  const pin = await pinBytes(options, uri);
  if (!pin) return { pinPad, allowFinalTry };
  const pinDigest = createHmac("sha256", pinSalt).update(pin).digest();
  return { pin, pinDigest, pinPad, allowFinalTry };
}

/**
 * A copy of the PIN, which the caller wipes; nothing where no option and no URI gives one.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PIN_SOURCE`, or what the function `pin` throws
 */
export async function pinBytes(
  { pin, pinEnv }: Pkcs11Login,
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
