import { AwsHmacError, type ErrorCode, KmsError } from "../core/errors.js";

/** What a refusal means and what to do about it. */
interface Refusal {
  code: ErrorCode;
  remedy: string;
  retryable?: boolean;
}

const credentials: Refusal = {
  code: "ERR_KMS_CREDENTIALS",
  remedy: "AWS does not accept the credentials or the signature: check them, and this machine's clock",
};
const state: Refusal = {
  code: "ERR_KMS_KEY_STATE",
  remedy: "the key is disabled, waits for its deletion or has no key material: see its state in KMS",
};
const decrypt: Refusal = {
  code: "ERR_KMS_DECRYPT",
  remedy: "encrypted with another key or other associated data, or changed since",
};
const busy: Refusal = {
  code: "ERR_KMS_UNAVAILABLE",
  remedy: "KMS is busy or failing: try again later",
  retryable: true,
};
const denied: Refusal = {
  code: "ERR_KMS_DENIED",
  remedy: "check the credentials, this machine's clock, and that the call is allowed",
};
const other: Refusal = { code: "ERR_KMS", remedy: "`cause` says what is wrong" };

/** By the errors of AWS KMS (API reference: the errors of each action, and "Common Errors"). */
const refusals: Record<string, Refusal> = {
  AccessDeniedException: {
    code: "ERR_KMS_DENIED",
    remedy:
      "allow the call in the key's policy and in the caller's; or what is to be decrypted is another key's",
  },
  NotFoundException: {
    code: "ERR_KEY_NOT_FOUND",
    remedy: "no key or alias of this name in this account and region",
  },
  DisabledException: state,
  KMSInvalidStateException: state,
  InvalidCiphertextException: decrypt,
  IncorrectKeyException: decrypt,
  InvalidKeyUsageException: { code: "ERR_KEY_UNSUITABLE", remedy: "the key is made for another use" },
  UnsupportedOperationException: {
    code: "ERR_KEY_UNSUITABLE",
    remedy: "the key is not made for this: material is imported into keys whose origin is EXTERNAL",
  },
  IncorrectKeyMaterialException: {
    code: "ERR_KEY_EXISTS",
    remedy: "the key has other material already, which cannot be replaced: make another key",
  },
  KeyUnavailableException: busy,
  DependencyTimeoutException: busy,
  KMSInternalException: busy,
  ThrottlingException: busy,
  LimitExceededException: busy,
  CredentialsProviderError: {
    code: "ERR_KMS_CREDENTIALS",
    remedy: "no credentials for AWS: set them up as for any AWS SDK client",
  },
  ...Object.fromEntries(
    [
      "ExpiredTokenException",
      "IncompleteSignature",
      "InvalidClientTokenId",
      "InvalidSignatureException",
      "MissingAuthenticationToken",
      "MissingAuthenticationTokenException",
      "SignatureDoesNotMatch",
      "UnrecognizedClientException",
    ].map((name) => [name, credentials]),
  ),
};

/**
 * What a call of AWS KMS was rejected with, as an error of this package: errors of this package unchanged (a device that
 * signs the call has its own). What the server wrote is only in `cause`.
 */
export function awsKmsError(operation: string, error: unknown): AwsHmacError {
  if (error instanceof AwsHmacError) return error;
  const reason = (error as Error | undefined)?.name ?? "Unknown";
  const status = (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata
    ?.httpStatusCode;
  const failed = (what: string, { code, remedy, retryable = false }: Refusal, cause?: unknown): KmsError =>
    new KmsError(code, `AWS KMS ${operation}: ${what}: ${remedy}`, { operation, reason, retryable, cause });
  if (status === undefined) return unanswered(error, reason, failed);
  // no cause: the SDK hangs the answer on it, and this one may hold the plaintext
  if (status < 300) {
    return failed("the answer is unreadable", {
      code: "ERR_KMS_RESPONSE",
      remedy: "check the client's endpoint",
    });
  }
  return failed(`${reason} (HTTP ${status})`, refusals[reason] ?? byStatus(status), error);
}

function byStatus(status: number): Refusal {
  if (status === 401 || status === 403) return denied;
  return status === 429 || status >= 500 ? busy : other;
}

/** No answer came: the network, or something before it. */
function unanswered(
  cause: unknown,
  reason: string,
  failed: (what: string, refusal: Refusal, cause: unknown) => KmsError,
): KmsError {
  const known = refusals[reason];
  if (known) return failed(reason, known, cause);
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (typeof code !== "string" && reason !== "TimeoutError") {
    return failed(`the call could not be made (${reason})`, other, cause);
  }
  const remedy = "check the client's endpoint and the network";
  const refusal: Refusal = { code: "ERR_KMS_UNAVAILABLE", remedy, retryable: true };
  return failed(`no answer (${code ?? reason})`, refusal, cause);
}
