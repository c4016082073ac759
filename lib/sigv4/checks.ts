import type { DateInput } from "@smithy/types";
import { type ErrorCode, SigningError } from "../core/errors.js";
import { dateStamp, endOfDay } from "./clock.js";

const longestExpiry = 7 * 24 * 60 * 60;
/** How long a presigned request is good unless told otherwise: seconds. */
export const defaultExpiry = 3600;

/** Whether this can stand between the slashes of a credential: as an access key id, a region or a service. */
export function isName(name: unknown): name is string {
  return typeof name === "string" && /^[!-~]+$/.test(name) && !/[/,]/.test(name);
}

function checkName(code: ErrorCode, option: string, name: unknown): void {
  if (isName(name)) return;
  throw new SigningError(code, `${option} must be printable ASCII without white space, "/" and ","`);
}

/** @throws SigningError `ERR_INVALID_ARGUMENT` */
export function checkAccessKeyId(accessKeyId: unknown): void {
  checkName("ERR_INVALID_ARGUMENT", "accessKeyId", accessKeyId);
}

/** @throws SigningError `ERR_INVALID_ARGUMENT` */
export function checkSessionToken(sessionToken: unknown): void {
  if (sessionToken === undefined || typeof sessionToken === "string") return;
  throw new SigningError("ERR_INVALID_ARGUMENT", "sessionToken must be a string");
}

/** @throws SigningError `ERR_INVALID_ARGUMENT` */
export function checkService(service: unknown): void {
  checkName("ERR_INVALID_ARGUMENT", "service, the service's signing name such as s3,", service);
}

/** @throws SigningError `ERR_SIGN_INPUT` */
export function checkSigningService(service: unknown): void {
  checkName("ERR_SIGN_INPUT", "signingService", service);
}

/** @throws SigningError `ERR_SIGN_INPUT` for anything but a day of the calendar, `yyyymmdd` */
export function checkDay(date: unknown): void {
  if (typeof date === "string" && /^\d{8}$/.test(date) && dateStamp(endOfDay(date) - 1) === date) return;
  throw new SigningError("ERR_SIGN_INPUT", "date must be a UTC day, yyyymmdd");
}

/** @throws SigningError `ERR_SIGN_INPUT` for a string that has no UTF-8 form: half of a surrogate pair */
export function checkWellFormed(what: string, text: string): void {
  if (/\p{Surrogate}/u.test(text)) throw new SigningError("ERR_SIGN_INPUT", `${what} has a lone surrogate`);
}

/** @throws SigningError `ERR_REGION_MISSING`, `ERR_SIGV4A_UNSUPPORTED`, `ERR_SIGN_INPUT` */
export function checkRegion(region: unknown): string {
  if (region === "*") {
    throw new SigningError(
      "ERR_SIGV4A_UNSUPPORTED",
      'region "*" needs SigV4a, which derives from another key',
    );
  }
  if (typeof region !== "string" || region === "") {
    throw new SigningError(
      "ERR_REGION_MISSING",
      "region must be a string such as eu-central-1, or a function giving one",
    );
  }
  checkName("ERR_SIGN_INPUT", "region", region);
  return region;
}

/**
 * SigV4a's region set as it is sent: names joined with ",".
 *
 * @throws SigningError `code`
 */
export function checkRegionSet(code: ErrorCode, option: string, regions: unknown): string {
  const names: unknown[] = Array.isArray(regions) ? regions : String(regions ?? "").split(",");
  if (names.length === 0 || !names.every((name) => typeof name === "string" && /^[\w*-]+$/.test(name))) {
    throw new SigningError(code, `${option} must be regions such as eu-central-1 or us-*, or "*"`);
  }
  return names.join(",");
}

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

export function isExpiry(seconds: unknown): seconds is number {
  return Number.isInteger(seconds) && (seconds as number) >= 1 && (seconds as number) <= longestExpiry;
}

/**
 * How long a presigned request is good: 1 to 604800 seconds (7 days).
 *
 * @throws SigningError `ERR_EXPIRES_IN`
 */
export function expiresIn(seconds: number): number {
  if (!isExpiry(seconds)) {
    throw new SigningError(
      "ERR_EXPIRES_IN",
      `expiresIn must be a whole number of seconds from 1 to ${longestExpiry}`,
    );
  }
  return seconds;
}
