import { AwsHmacError, CredentialsError, type ErrorCode } from "../core/errors.js";

/** What a refusal means and what to do about it. */
interface Refusal {
  code: ErrorCode;
  remedy: string;
  retryable?: boolean;
}

const wrongKey: Refusal = {
  code: "ERR_STS_KEY_REJECTED",
  remedy: "the device does not hold the secret of this access key id",
};
const unknownKey: Refusal = {
  code: "ERR_STS_KEY_REJECTED",
  remedy: "the access key id does not exist, is inactive, or belongs to another partition",
};
const wrongClock: Refusal = { code: "ERR_STS_KEY_REJECTED", remedy: "set this machine's clock" };
const throttled: Refusal = { code: "ERR_STS", remedy: "too many calls: try again later", retryable: true };
const badParameters: Refusal = { code: "ERR_STS", remedy: "correct params: `cause` says what is wrong" };

/** By the error codes of STS (STS API reference, "Common Errors" and the errors of each action). */
const refusals: Record<string, Refusal> = {
  SignatureDoesNotMatch: wrongKey,
  IncompleteSignature: wrongKey,
  InvalidClientTokenId: unknownKey,
  UnrecognizedClientException: unknownKey,
  InvalidAccessKeyId: unknownKey,
  RequestExpired: wrongClock,
  RequestTimeTooSkewed: wrongClock,
  AccessDenied: {
    code: "ERR_STS_DENIED",
    remedy:
      "allow the call in the user's policy and, for a role, in its trust policy; a required MFA code counts too",
  },
  RegionDisabledException: { code: "ERR_STS_DENIED", remedy: "activate STS in this region, or name another" },
  Throttling: throttled,
  ThrottlingException: throttled,
  TooManyRequestsException: throttled,
  ValidationError: badParameters,
  MalformedPolicyDocument: badParameters,
  PackedPolicyTooLarge: badParameters,
};

/** Where no known error code came (Ceph's do not reach the SDK), the HTTP status speaks. */
function byStatus(status: number): Refusal {
  if (status === 401 || status === 403) {
    return {
      code: "ERR_STS_DENIED",
      remedy: "check the key in the device, its access key id, the clock, and that the call is allowed",
    };
  }
  if (status === 429) return throttled;
  if (status >= 500) return { code: "ERR_STS", remedy: "STS failed: try again later", retryable: true };
  return badParameters;
}

/**
 * What an STS call was rejected with, as an error of this package: the key's own errors unchanged, everything else as a
 * CredentialsError. What the server wrote is only in `cause`: it may repeat parameters.
 */
export function stsError(action: string, error: unknown): AwsHmacError {
  if (error instanceof AwsHmacError) return error;
  const name = error instanceof Error ? error.name : "Unknown";
  const status = httpStatus(error);
  if (status === undefined) return unanswered(action, name, error);
  // no cause: the SDK hangs the answer on it, and this one may hold credentials
  if (status < 300) {
    return new CredentialsError(
      "ERR_STS_RESPONSE",
      `STS ${action}: the answer is unreadable: check the endpoint`,
    );
  }
  const { code, remedy, retryable = false } = refusals[name] ?? byStatus(status);
  return new CredentialsError(code, `STS ${action}: ${name} (HTTP ${status}): ${remedy}`, {
    cause: error,
    retryable,
  });
}

/** No answer came: the network, or something before it. */
function unanswered(action: string, name: string, cause: unknown): CredentialsError {
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (typeof code !== "string" && name !== "TimeoutError") {
    return new CredentialsError("ERR_STS", `STS ${action}: the call could not be made (${name})`, { cause });
  }
  const message = `STS ${action}: no answer (${code ?? name}): check the endpoint and the network`;
  return new CredentialsError("ERR_STS", message, { cause, retryable: true });
}

/** The status of the answer; undefined where none came. */
function httpStatus(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}
