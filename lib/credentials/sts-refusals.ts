import type { ErrorCode } from "../core/errors.js";

/** What a refusal means and what to do about it. */
export interface Refusal {
  code: ErrorCode;
  remedy: string;
  retryable?: boolean;
}

const unknownKey: Refusal = {
  code: "ERR_STS_KEY_REJECTED",
  remedy: "the access key id does not exist, is inactive, or belongs to another partition",
};
export const wrongClock: Refusal = { code: "ERR_STS_KEY_REJECTED", remedy: "set this machine's clock" };
const expired: Refusal = {
  code: "ERR_STS_KEY_REJECTED",
  remedy: "the session token has ended or is none of this server's: check the clock and the endpoint",
};
const throttled: Refusal = { code: "ERR_STS", remedy: "too many calls: try again later", retryable: true };
const failing: Refusal = { code: "ERR_STS", remedy: "STS failed: try again later", retryable: true };
const badParameters: Refusal = { code: "ERR_STS", remedy: "correct params: `cause` says what is wrong" };
const badSignature: Refusal = {
  code: "ERR_STS_KEY_REJECTED",
  remedy: "something between changed the request: check proxies and the endpoint",
};
const denied: Refusal = {
  code: "ERR_STS_DENIED",
  remedy:
    "allow the call in the user's policy and, for a role, in its trust policy; a required or wrong MFA code and a wrong ExternalId count too",
};

/** By the error codes of STS (STS API reference, "Common Errors" and the errors of each action). docs/credentials.md has the same table. */
export const refusals: Readonly<Record<string, Refusal>> = {
  AccessDenied: denied,
  AccessDeniedException: denied,
  OptInRequired: { code: "ERR_STS_DENIED", remedy: "the account is not subscribed to the service" },
  RegionDisabledException: {
    code: "ERR_STS_DENIED",
    remedy: "activate STS in this region, or name another",
  },
  SignatureDoesNotMatch: {
    code: "ERR_STS_KEY_REJECTED",
    remedy: "the device does not hold the secret of this access key id, or this machine's clock is wrong",
  },
  InvalidClientTokenId: unknownKey,
  UnrecognizedClientException: unknownKey,
  InvalidAccessKeyId: unknownKey,
  ExpiredToken: expired,
  ExpiredTokenException: expired,
  RequestExpired: wrongClock,
  RequestTimeTooSkewed: wrongClock,
  IncompleteSignature: badSignature,
  MissingAuthenticationToken: badSignature,
  Throttling: throttled,
  ThrottlingException: throttled,
  TooManyRequestsException: throttled,
  SlowDown: throttled,
  InternalFailure: failing,
  ServiceUnavailable: failing,
  ValidationError: badParameters,
  InvalidParameterValue: badParameters,
  MalformedPolicyDocument: {
    code: "ERR_STS",
    remedy: "params.Policy is no policy that IAM understands: `cause` says why",
  },
  PackedPolicyTooLarge: {
    code: "ERR_STS",
    remedy: "params.Policy, PolicyArns and Tags are too large together: shorten them",
  },
};

/** Where no known error code came, the HTTP status speaks. */
export function statusRefusal(status: number): Refusal {
  if (status === 401 || status === 403) {
    return {
      code: "ERR_STS_DENIED",
      remedy: "check the key in the device, its access key id, the clock, and that the call is allowed",
    };
  }
  if (status === 429) return throttled;
  return status >= 500 ? failing : badParameters;
}
