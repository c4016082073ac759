import type { DateInput } from "@smithy/types";
import { SigningError } from "../core/errors.js";

const longestExpiry = 7 * 24 * 60 * 60;

/**
 * A signing date: a Date, seconds since 1970, or a string that Date understands.
 *
 * @throws SigningError `ERR_SIGN_INPUT` for anything that is not a time in the years 0 to 9999
 */
export function signingDate(input: DateInput): Date {
  const date = new Date(
    typeof input === "number" ? input * 1000 : isSeconds(input) ? Number(input) * 1000 : input,
  );
  const year = date.getUTCFullYear();
  if (!(year >= 0 && year <= 9999)) {
    throw new SigningError(
      "ERR_SIGN_INPUT",
      "signingDate must be a Date, seconds since 1970, or an ISO 8601 string",
    );
  }
  return date;
}

function isSeconds(input: DateInput): boolean {
  return typeof input === "string" && /^\d+(\.\d+)?$/.test(input);
}

/**
 * How long a presigned request is good: 1 to 604800 seconds (7 days).
 *
 * @throws SigningError `ERR_EXPIRES_IN`
 */
export function expiresIn(seconds: number): number {
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > longestExpiry) {
    throw new SigningError(
      "ERR_EXPIRES_IN",
      `expiresIn must be a whole number of seconds from 1 to ${longestExpiry}`,
    );
  }
  return seconds;
}
