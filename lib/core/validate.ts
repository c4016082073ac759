import { AwsHmacError } from "./errors.js";
import { secretBuffer } from "./wipe.js";

/**
 * A password or a PIN: a string cannot be wiped, a Uint8Array is the caller's to wipe.
 *
 * @inline
 */
export type Secret = string | Uint8Array;

/** Of the option `timeout` where a call has no other (milliseconds). */
export const defaultTimeout = 30_000;
/** The most milliseconds that setTimeout takes. */
export const longestTimer = 2 ** 31 - 1;

/** An error for an option that cannot be used; the message names the option and the remedy. */
export function invalid(message: string): AwsHmacError {
  return new AwsHmacError("ERR_INVALID_ARGUMENT", message);
}

/**
 * The option `timeout`, or another of that kind.
 *
 * @param fallback what it is where it is not given
 * @param option its name, for the error
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for anything but 1..2^31-1 milliseconds
 */
export function checkTimeout(
  timeout: number | undefined,
  fallback = defaultTimeout,
  option = "timeout",
): number {
  if (timeout === undefined) return fallback;
  if (!Number.isInteger(timeout) || timeout < 1 || timeout > longestTimer) {
    throw invalid(`${option} must be a whole number of milliseconds from 1 to ${longestTimer}`);
  }
  return timeout;
}

/**
 * An option that is true or false, and false by default.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function flag(option: string, value: boolean | undefined): boolean {
  if (value !== undefined && typeof value !== "boolean") throw invalid(`${option} must be true or false`);
  return value ?? false;
}

/**
 * A copy of a secret as bytes (UTF-8), which the caller wipes; the argument is not changed.
 *
 * @param option the option's name, for the error
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for anything but a string or a Uint8Array
 */
export function secretBytes(option: string, secret: Secret): Buffer {
  if (secret instanceof Uint8Array) {
    const copy = secretBuffer(secret.length);
    copy.set(secret);
    return copy;
  }
  if (typeof secret !== "string") throw invalid(`${option} must be a string or a Uint8Array`);
  const bytes = secretBuffer(Buffer.byteLength(secret));
  bytes.write(secret);
  return bytes;
}
