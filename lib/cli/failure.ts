import { AwsHmacError, type ErrorCode } from "../core/errors.js";

/** How `aws-hmac` ends; docs/cli.md says the same. */
export const exitCodes = {
  done: 0,
  /** It was tried and failed. */
  failed: 1,
  /** An argument, a variable or the profile is wrong or missing. */
  usage: 2,
  /** The device or the service cannot be reached now: the same may succeed later. */
  unavailable: 3,
  /** A PIN, a password, a token or a permission was refused. */
  refused: 4,
  /** It wanted an answer that nobody gave: declined, or no terminal to ask at. */
  unconfirmed: 5,
} as const;

const refusals: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_TPM_AUTH",
  "ERR_TPM_LOCKOUT",
  "ERR_TPM_POLICY",
  "ERR_POLICY_UNSATISFIED",
  "ERR_TPM_DEVICE_PERMISSION",
  "ERR_PIN_REQUIRED",
  "ERR_PIN_INCORRECT",
  "ERR_PIN_LOCKED",
  "ERR_PIN_FINAL_TRY",
  "ERR_KMS_CREDENTIALS",
  "ERR_KMS_DENIED",
  "ERR_VAULT_TOKEN",
  "ERR_VAULT_DENIED",
  "ERR_MFA_CODE",
  "ERR_STS_DENIED",
  "ERR_STS_KEY_REJECTED",
  "ERR_IAM_DENIED",
]);
const wrongInputs: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "ERR_INVALID_ARGUMENT",
  "ERR_PKCS11_URI",
  "ERR_KEK_URI",
  "ERR_REGION_MISSING",
  "ERR_EXPIRES_IN",
  "ERR_SIGN_INPUT",
]);

/** An answer that was wanted and not given. */
export class Unconfirmed extends Error {}

/** What failed without an error of the library. */
export class CommandFailure extends Error {
  constructor(
    message: string,
    readonly exitCode: number,
  ) {
    super(message);
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Unconfirmed) return exitCodes.unconfirmed;
  if (error instanceof CommandFailure) return error.exitCode;
  if (!(error instanceof AwsHmacError)) return exitCodes.failed;
  if (error.retryable) return exitCodes.unavailable;
  if (refusals.has(error.code)) return exitCodes.refused;
  return wrongInputs.has(error.code) ? exitCodes.usage : exitCodes.failed;
}

/** The line for stderr: what went wrong, and the code that docs/errors.md explains. */
export function told(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return `aws-hmac: ${message}${error instanceof AwsHmacError ? ` [${error.code}]` : ""}`;
}
