/** What every error of this package carries besides its message. */
export interface AwsHmacErrorOptions {
  /** The error that led to this one. */
  cause?: unknown | undefined;
  /** True when the same call may succeed later without any change. */
  retryable?: boolean | undefined;
}

/**
 * The base of all errors of this package. `code` is one of {@link errorCodes}; docs/errors.md gives each one's cause
 * and remedy. A message never holds a secret, a PIN, a derived key or a session token.
 */
export class AwsHmacError extends Error {
  /** Which error it is: what programs compare. */
  readonly code: ErrorCode;
  /** True when the same call may succeed later without any change. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: AwsHmacErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.code = code;
    this.retryable = options.retryable ?? false;
  }
}

/** A TPM refused or failed. */
export class TpmError extends AwsHmacError {
  /** The response code (TCG TPM 2.0 Part 2, 6.6), with tss2's layer bits; 0 where no TPM answered. */
  readonly rc: number;
  /** The response code's name, e.g. `TPM_RC_AUTH_FAIL`. */
  readonly rcName: string;
  /** The command that failed, e.g. `TPM2_HMAC`. */
  readonly operation: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: AwsHmacErrorOptions & { rc: number; rcName: string; operation: string },
  ) {
    super(code, message, options);
    this.rc = options.rc;
    this.rcName = options.rcName;
    this.operation = options.operation;
  }
}

/** A PKCS#11 module refused or failed. */
export class Pkcs11Error extends AwsHmacError {
  /** The return value (PKCS#11 3.0, `CKR_…`); 0 where no call failed. */
  readonly rv: number;
  /** The return value's name, e.g. `CKR_PIN_INCORRECT`. */
  readonly rvName: string;
  /** The call that failed, e.g. `C_Login`. */
  readonly operation: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: AwsHmacErrorOptions & { rv: number; rvName: string; operation: string },
  ) {
    super(code, message, options);
    this.rv = options.rv;
    this.rvName = options.rvName;
    this.operation = options.operation;
  }
}

/** A key management service refused or failed. */
export class KmsError extends AwsHmacError {
  /** The call that failed, e.g. `Decrypt`. */
  readonly operation: string;
  /** What the service calls the error, e.g. `AccessDeniedException`; empty where it did not answer with one. */
  readonly reason: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: AwsHmacErrorOptions & { operation: string; reason: string },
  ) {
    super(code, message, options);
    this.operation = options.operation;
    this.reason = options.reason;
  }
}

/** A Vault or OpenBao server refused, failed or could not be reached. */
export class VaultError extends AwsHmacError {
  /** The answer's HTTP status; 0 where none came. */
  readonly status: number;
  /** The call that failed, e.g. `POST transit/hmac/signer/sha2-256`. */
  readonly operation: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: AwsHmacErrorOptions & { status: number; operation: string },
  ) {
    super(code, message, options);
    this.status = options.status;
    this.operation = options.operation;
  }
}

/** A Tink keyset cannot be used. */
export class KeysetError extends AwsHmacError {}

/** A request could not be signed faithfully. */
export class SigningError extends AwsHmacError {}

/** Temporary credentials could not be had. */
export class CredentialsError extends AwsHmacError {
  /** The STS action, e.g. `AssumeRole`; empty where none was called yet. */
  readonly operation: string;
  /** What STS calls the error, e.g. `AccessDenied`; empty where it did not answer with one. */
  readonly reason: string;

  constructor(
    code: ErrorCode,
    message: string,
    options: AwsHmacErrorOptions & { operation?: string; reason?: string } = {},
  ) {
    super(code, message, options);
    this.operation = options.operation ?? "";
    this.reason = options.reason ?? "";
  }
}

/** Every code that an {@link AwsHmacError} can carry. */
export const errorCodes = [
  // any backend
  "ERR_INVALID_ARGUMENT",
  "ERR_CLOSED",
  "ERR_TIMEOUT",
  "ERR_QUEUE_FULL",
  "ERR_INTERNAL",
  "ERR_ADDON_NOT_BUILT",
  "ERR_UNSUPPORTED_PLATFORM",
  "ERR_KEY_NOT_FOUND",
  "ERR_KEY_UNSUITABLE",
  "ERR_KEY_EXISTS",
  "ERR_KEY_READABLE",
  "ERR_MESSAGE_LENGTH",
  "ERR_IMPORT_VERIFY",
  // fallback
  "ERR_FALLBACK_UNAVAILABLE",
  "ERR_FALLBACK_MISMATCH",
  // TPM
  "ERR_TPM_DEVICE_NOT_FOUND",
  "ERR_TPM_DEVICE_PERMISSION",
  "ERR_TPM_DEVICE_BUSY",
  "ERR_TPM_NOT_A_DEVICE",
  "ERR_TPM_TCTI",
  "ERR_TPM_CONNECTION",
  "ERR_TPM_AUTH",
  "ERR_TPM_LOCKOUT",
  "ERR_TPM_POLICY",
  "ERR_POLICY_UNSATISFIED",
  "ERR_TPM_PARENT",
  "ERR_TPM_SALT_KEY",
  "ERR_TPM_CONTEXT",
  "ERR_TPM_FILE_INVALID",
  "ERR_TPM_HANDLE_IN_USE",
  "ERR_TPM_BUSY",
  "ERR_TPM_MEMORY",
  "ERR_TPM_STATE",
  "ERR_TPM",
  "ERR_PEM_INVALID",
  // PKCS#11
  "ERR_PKCS11_URI",
  "ERR_MODULE_NOT_FOUND",
  "ERR_MODULE_FAILED",
  "ERR_TOKEN_NOT_FOUND",
  "ERR_TOKEN_AMBIGUOUS",
  "ERR_KEY_AMBIGUOUS",
  "ERR_KEY_WRAPPABLE",
  "ERR_PIN_SOURCE",
  "ERR_PIN_REQUIRED",
  "ERR_PIN_INCORRECT",
  "ERR_PIN_LOCKED",
  "ERR_PIN_FINAL_TRY",
  "ERR_SESSION_COPY",
  "ERR_PKCS11_DEVICE",
  "ERR_PKCS11",
  // key management services
  "ERR_KEK_URI",
  "ERR_PEER_MISSING",
  "ERR_KMS_MISMATCH",
  "ERR_KMS_CREDENTIALS",
  "ERR_KMS_DENIED",
  "ERR_KMS_KEY_STATE",
  "ERR_KMS_DECRYPT",
  "ERR_KMS_UNAVAILABLE",
  "ERR_KMS_RESPONSE",
  "ERR_KMS",
  // Vault and OpenBao
  "ERR_VAULT_CONNECTION",
  "ERR_VAULT_TLS",
  "ERR_VAULT_TOKEN",
  "ERR_VAULT_DENIED",
  "ERR_VAULT_MOUNT",
  "ERR_VAULT_VERSION",
  "ERR_VAULT_SEALED",
  "ERR_VAULT_UNAVAILABLE",
  "ERR_VAULT_RESPONSE",
  "ERR_VAULT",
  // Tink keysets
  "ERR_KEYSET_FORMAT",
  "ERR_KEYSET_CLEARTEXT",
  "ERR_KEYSET_DECRYPT",
  "ERR_KEYSET_PRIMARY",
  "ERR_KEYSET_ALGORITHM",
  "ERR_KEYSET_PREFIX",
  // signing
  "ERR_SIGN_INPUT",
  "ERR_EXPIRES_IN",
  "ERR_BODY_LENGTH",
  "ERR_REDIRECT",
  "ERR_IDENTITY_MISUSE",
  "ERR_SIGV4A_UNSUPPORTED",
  "ERR_MAC_LENGTH",
  "ERR_SIGNING_KEY",
  // credentials
  "ERR_REGION_MISSING",
  "ERR_MFA_CODE",
  "ERR_STS",
  "ERR_STS_DENIED",
  "ERR_STS_KEY_REJECTED",
  "ERR_STS_TIMEOUT",
  "ERR_STS_RESPONSE",
  // rotation of access keys (aws-hmac rotate)
  "ERR_IAM",
  "ERR_IAM_DENIED",
  "ERR_ROTATION",
] as const;

/**
 * The code of an {@link AwsHmacError}.
 *
 * @useDeclaredType
 */
export type ErrorCode = (typeof errorCodes)[number];
