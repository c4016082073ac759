import type { AwsHmacError } from "../core/errors.js";
import type { HmacKey } from "../core/hmac-key.js";
import { checkTimeout, flag, invalid, longestTimer } from "../core/validate.js";
import { FallbackKey, type FallbackTerms } from "./fallback/fallback-key.js";
import { type FallbackSource, Member, type MemberBounds } from "./fallback/member.js";

/** A key, or what opens one: that is called again until it succeeds, and what it opened is closed by the fallback. */
export type FallbackEntry = FallbackSource | (() => FallbackSource | Promise<FallbackSource>);

/** How `fallbackKey` deals with its keys. */
export interface FallbackOptions {
  /** Milliseconds that one key may take for a MAC, its opening included, before the next is asked; 10 000 by default. */
  timeout?: number | undefined;
  /** Milliseconds that a key which was unavailable is left alone while another one answers; 30 000 by default. */
  retryAfter?: number | undefined;
  /** Rejects where a key is unavailable now; false by default: then it is checked before it is first used. */
  requireAll?: boolean | undefined;
  /** False: `close()` leaves open the keys that were given open. True by default. */
  closeKeys?: boolean | undefined;
}

/**
 * A key that asks the first of several keys for each MAC, and the next one where that is unavailable. All must have been
 * made of the same secret: those that answer now are compared, by the MAC of a random message, and one that was
 * unavailable is compared before it is used (again). One that differs then is left out with a warning of the process.
 *
 * Unavailable is a key whose error is `retryable`, says that the device is gone or failed (`ERR_TPM_DEVICE_NOT_FOUND`,
 * `ERR_TPM_DEVICE_BUSY`, `ERR_TPM_STATE`, `ERR_TPM_LOCKOUT`, `ERR_TOKEN_NOT_FOUND`, `ERR_MODULE_FAILED`, `ERR_PKCS11_DEVICE`), or is, or was
 * caused by, a failed connection (`ECONNREFUSED`, …) or a `TimeoutError`; and one that takes longer than `timeout`. Any
 * other error is a refusal and goes to the caller: a wrong PIN, a policy, a missing permission or key, `ERR_CLOSED`.
 *
 * From here on the keys are the fallback's: its `close()` closes them, and so does this call where it rejects, unless
 * `closeKeys` is false. A key that is closed by somebody else closes the fallback.
 *
 * @param keys at least one, the preferred one first: open keys, or functions that open one, for devices that may be away now
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_FALLBACK_MISMATCH`, `ERR_FALLBACK_UNAVAILABLE`; what a key refuses with.
 *   A MAC rejects with `ERR_FALLBACK_UNAVAILABLE`, whose cause has every key's error, where none is available, and with
 *   `ERR_FALLBACK_MISMATCH` where besides one differs
 * @example
 * const key = await fallbackKey([() => openTpmKey({ handle: 0x81008001 }), () => openPkcs11Key({ uri })]);
 */
export async function fallbackKey(
  keys: readonly FallbackEntry[],
  options: FallbackOptions = {},
): Promise<HmacKey> {
  const warn = ({ message, code }: AwsHmacError): void =>
    process.emitWarning(message, { type: "AwsHmacWarning", code });
  return openFallback(keys, options, { now: Date.now, warn });
}

/** The same by a clock, and with warnings, of the caller's. */
export async function openFallback(
  keys: readonly FallbackEntry[],
  options: FallbackOptions,
  { now, warn }: Pick<MemberBounds, "now"> & Pick<FallbackTerms, "warn">,
): Promise<HmacKey> {
  const bounds = {
    timeout: checkTimeout(options.timeout, 10_000),
    retryAfter: checkRetryAfter(options.retryAfter),
    now,
  };
  const terms = {
    warn,
    requireAll: flag("requireAll", options.requireAll),
    closeKeys: flag("closeKeys", options.closeKeys ?? true),
  };
  if (!Array.isArray(keys) || keys.length === 0) throw invalid("keys must be an array of at least one key");
  keys.forEach((key: unknown, position) => {
    if (typeof key !== "function" && typeof (key as Partial<FallbackSource> | null)?.mac !== "function") {
      throw invalid(`keys[${position}] must be a key, or a function that opens one`);
    }
  });
  return FallbackKey.open(
    keys.map((key: FallbackEntry, position) => new Member(position, key, bounds)),
    terms,
  );
}

function checkRetryAfter(retryAfter = 30_000): number {
  if (!Number.isInteger(retryAfter) || retryAfter < 0 || retryAfter > longestTimer) {
    throw invalid(`retryAfter must be a whole number of milliseconds from 0 to ${longestTimer}`);
  }
  return retryAfter;
}
