import { AwsHmacError, type ErrorCode, KmsError } from "../core/errors.js";

/** The status codes of gRPC (grpc.github.io/grpc/core/md_doc_statuscodes.html) that Cloud KMS answers with. */
const statuses: Record<number, { reason: string; code: ErrorCode; remedy: string; retryable?: boolean }> = {
  3: {
    reason: "INVALID_ARGUMENT",
    code: "ERR_KMS_DECRYPT",
    remedy: "encrypted with another key or other associated data, or changed since",
  },
  4: {
    reason: "DEADLINE_EXCEEDED",
    code: "ERR_KMS_UNAVAILABLE",
    remedy: "check the client's endpoint and the network",
    retryable: true,
  },
  5: {
    reason: "NOT_FOUND",
    code: "ERR_KEY_NOT_FOUND",
    remedy: "no key or version of this name in this project and location",
  },
  7: {
    reason: "PERMISSION_DENIED",
    code: "ERR_KMS_DENIED",
    remedy: "allow the call: roles/cloudkms.cryptoKeyEncrypterDecrypter on the key",
  },
  8: {
    reason: "RESOURCE_EXHAUSTED",
    code: "ERR_KMS_UNAVAILABLE",
    remedy: "the quota is used up: try again later",
    retryable: true,
  },
  9: {
    reason: "FAILED_PRECONDITION",
    code: "ERR_KMS_KEY_STATE",
    remedy: "the key's version is disabled or destroyed, or the key is for another use: see its state",
  },
  13: {
    reason: "INTERNAL",
    code: "ERR_KMS_UNAVAILABLE",
    remedy: "Cloud KMS is failing: try again later",
    retryable: true,
  },
  14: {
    reason: "UNAVAILABLE",
    code: "ERR_KMS_UNAVAILABLE",
    remedy: "check the client's endpoint and the network",
    retryable: true,
  },
  16: {
    reason: "UNAUTHENTICATED",
    code: "ERR_KMS_CREDENTIALS",
    remedy: "set up credentials as for any Google Cloud client",
  },
};

/** What a call of Cloud KMS was rejected with, as an error of this package; those of this package unchanged. */
export function gcpKmsError(operation: "Encrypt" | "Decrypt", error: unknown): AwsHmacError {
  if (error instanceof AwsHmacError) return error;
  const { code: number, message = "" } = (error ?? {}) as { code?: unknown; message?: string };
  const failed = (code: ErrorCode, what: string, reason: string, retryable = false): KmsError =>
    new KmsError(code, `Cloud KMS ${operation}: ${what}`, { operation, reason, retryable, cause: error });
  if (typeof number !== "number") {
    if (!/default credentials|access token|invalid_grant|invalid_client/i.test(message))
      return failed("ERR_KMS", "the call could not be made: see `cause`", "");
    const what = "no credentials: set them up as for any Google Cloud client";
    return failed("ERR_KMS_CREDENTIALS", what, "");
  }
  const status = statuses[number];
  if (!status || (number === 3 && operation === "Encrypt")) {
    return failed("ERR_KMS", `gRPC status ${number}: see \`cause\``, status?.reason ?? String(number));
  }
  const { code, reason, remedy, retryable } = status;
  return failed(code, `${reason}: ${remedy}`, reason, retryable);
}
