import { AwsHmacError, CredentialsError, type ErrorCode } from "../core/errors.js";
import { type Refusal, refusals, statusRefusal, wrongClock } from "./sts-refusals.js";

/** Which call was made. */
export interface StsOperation {
  /** e.g. AssumeRole */
  action: string;
  /** With which place in a chain of roles, e.g. ` (role 2 of 3)`; else empty. */
  place: string;
  /** Whether the key signed it, and not the credentials of the role before. */
  byKey: boolean;
}

/**
 * What an STS call was rejected with, as an error of this package: the key's own errors unchanged, everything else as a
 * CredentialsError. What the server wrote is only in `cause`: it may repeat parameters.
 */
export function stsError(operation: StsOperation, error: unknown): AwsHmacError {
  if (error instanceof AwsHmacError) return error;
  const status = httpStatus(error);
  if (status === undefined) return unanswered(operation, error);
  // no cause: the SDK hangs the answer on it, and this one may hold credentials
  if (status < 300) {
    return failure(operation, "ERR_STS_RESPONSE", "the answer is unreadable: check the endpoint");
  }
  const name = codeOf(error);
  const refusal = refusalOf(operation, name, status, error);
  return failure(operation, refusal.code, `${name} (HTTP ${status}): ${refusal.remedy}`, {
    ...{ cause: error, reason: name, retryable: refusal.retryable ?? false },
  });
}

/** An error of this call; `text` follows its name. */
export function failure(
  { action, place }: StsOperation,
  code: ErrorCode,
  text: string,
  options: { cause?: unknown; reason?: string; retryable?: boolean } = {},
): CredentialsError {
  return new CredentialsError(code, `STS ${action}${place}: ${text}`, { operation: action, ...options });
}

function refusalOf({ byKey }: StsOperation, name: string, status: number, error: unknown): Refusal {
  const known = Object.hasOwn(refusals, name) ? refusals[name] : undefined;
  if (!known) return statusRefusal(status);
  // STS has one name for a wrong key and a wrong clock, and tells them apart in words only
  const message = error instanceof Error ? error.message : "";
  if (name === "SignatureDoesNotMatch" && /^Signature (expired|not yet current)/.test(message)) {
    return wrongClock;
  }
  if (byKey || known.code !== "ERR_STS_KEY_REJECTED") return known;
  return { ...known, remedy: "the credentials of the role before are not accepted: check the endpoint" };
}

/** No answer came: the network, or something before it. */
function unanswered(operation: StsOperation, cause: unknown): CredentialsError {
  const name = cause instanceof Error ? cause.name : "Unknown";
  const code = (cause as { code?: unknown } | undefined)?.code;
  if (typeof code !== "string" && name !== "TimeoutError") {
    return failure(operation, "ERR_STS", `the call could not be made (${name})`, { cause });
  }
  const text = `no answer (${code ?? name}): check the endpoint and the network`;
  return failure(operation, "ERR_STS", text, { cause, retryable: true });
}

/** The code as it came: the SDK's names for some end in `Exception`. */
function codeOf(error: unknown): string {
  const { Error: told, name } = (error ?? {}) as { Error?: { Code?: unknown }; name?: unknown };
  const code = told?.Code ?? name;
  return typeof code === "string" && /^[\w.:-]{1,100}$/.test(code) ? code : "Unknown";
}

/** The status of the answer; undefined where none came. */
function httpStatus(error: unknown): number | undefined {
  return (error as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode;
}
