import { isNativeError } from "node:util/types";
import { AwsHmacError, type ErrorCode, errorCodes, Pkcs11Error, TpmError } from "../core/errors.js";

/** An error of the addon, before it gets its class. */
export interface NativeError extends Error {
  api: "" | "tpm" | "pkcs11" | "errno";
  code: string;
  number: number;
  numberName: string;
  operation: string;
  retryable: boolean;
}

/** An addon's error as one of this package's classes; anything else unchanged. */
export function toAwsHmacError(error: unknown): unknown {
  if (!isNativeError(error) || !("api" in error)) return error; // instanceof fails in another vm context
  const { api, code, number, numberName, operation, retryable, message } = error as NativeError;
  if (!isErrorCode(code)) return new AwsHmacError("ERR_INTERNAL", `${code}: ${message}`, { cause: error });
  if (api === "tpm") {
    return new TpmError(code, message, { retryable, rc: number, rcName: numberName, operation });
  }
  if (api === "pkcs11") {
    return new Pkcs11Error(code, message, { retryable, rv: number, rvName: numberName, operation });
  }
  return new AwsHmacError(code, message, { retryable });
}

function isErrorCode(code: string): code is ErrorCode {
  return (errorCodes as readonly string[]).includes(code);
}
