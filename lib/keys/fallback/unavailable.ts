import type { ErrorCode } from "../../core/errors.js";

/** Ours that say that a device is not there or does not work, though calling again does not help by itself. */
const gone: readonly ErrorCode[] = [
  "ERR_TPM_DEVICE_NOT_FOUND",
  "ERR_TPM_DEVICE_BUSY",
  "ERR_TPM_STATE",
  "ERR_TPM_LOCKOUT", // power failures lead to it too, and it ends by itself
  "ERR_TOKEN_NOT_FOUND",
  "ERR_MODULE_FAILED",
  "ERR_PKCS11_DEVICE",
];

/** The system's and undici's that say that a connection could not be made or broke. */
const connection = [
  ...["ECONNREFUSED", "ECONNRESET", "ECONNABORTED", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"],
  ...["EHOSTUNREACH", "EHOSTDOWN", "ENETUNREACH", "ENETDOWN"],
  ...["UND_ERR_CONNECT_TIMEOUT", "UND_ERR_HEADERS_TIMEOUT", "UND_ERR_BODY_TIMEOUT", "UND_ERR_SOCKET"],
];

const codes: ReadonlySet<unknown> = new Set([...gone, ...connection]);
/** How far causes are followed: `fetch` has the connection's error as the cause of its own. */
const depth = 4;

/**
 * Whether a key that failed with this error is unavailable, so that another one may be asked: the error is `retryable`,
 * says that the device is gone, or is, or was caused by, a connection's failure or a `TimeoutError`. Everything else is
 * a refusal.
 */
export function isUnavailable(error: unknown): boolean {
  let one = error;
  for (let level = 0; level < depth && typeof one === "object" && one !== null; level++) {
    const { retryable, code, name, cause } = one as Record<string, unknown>;
    if (retryable === true || name === "TimeoutError" || codes.has(code)) return true;
    if (retryable === false) return false; // one of ours, which knows its cause
    one = cause;
  }
  return false;
}
