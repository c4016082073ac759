import { checkTimeout, invalid, longestTimer, type Secret, secretBytes } from "../../core/validate.js";

/** Which TPM. */
export interface TpmDevice {
  /**
   * The TSS TCTI string; `device:/dev/tpmrm0`, the kernel's resource manager, by default. Others: `swtpm:host=…,port=…`,
   * `mssim:…`. A name that tss2 does not know is loaded as a library: never take it from untrusted input.
   */
  tcti?: string | undefined;
  /**
   * Milliseconds that the TPM may take for one command; 5 000 by default. Commands that make keys or test the TPM may
   * take 120 000, or `timeout` where that is longer. What the TPM does not do in time rejects with `ERR_TIMEOUT`.
   */
  timeout?: number | undefined;
}

/** How long a TPM may take, in milliseconds. */
export interface TpmBounds {
  /** For one command in use: bounded natively, and so is each command that makes keys. */
  readonly command: number;
  /** For a call of ours, its wait in the queue included: reached where a TCTI hangs within itself. */
  readonly call: number;
  /** For closing, what is queued included. */
  readonly close: number;
}

/** As native/tpm/patience.cc has it. */
const longCommand = 120_000;

const defaultTcti = "device:/dev/tpmrm0";
const maxPassword = 32;

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` */
export function tctiOf({ tcti = defaultTcti }: TpmDevice): string {
  if (typeof tcti !== "string" || tcti === "" || tcti.includes("\0")) {
    throw invalid(`tcti must be a TCTI string such as "${defaultTcti}"`);
  }
  return tcti;
}

/**
 * What the option `timeout` bounds.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function tpmBounds({ timeout }: TpmDevice): TpmBounds {
  const command = checkTimeout(timeout, 5_000);
  const call = Math.min(Math.max(longCommand, command) + command, longestTimer);
  return { command, call, close: Math.max(30_000, command) };
}

/**
 * A persistent handle.
 *
 * @param option the option's name, for the error
 * @param last the highest that will do
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function persistentHandle(handle: number, last: 0x817fffff | 0x81ffffff, option = "handle"): number {
  if (!Number.isInteger(handle) || handle < 0x81000000 || handle > last) {
    throw invalid(`${option} must be a persistent handle, 0x81000000..0x${last.toString(16)}`);
  }
  return handle;
}

/**
 * A copy of the key's password, empty where there is none; the caller wipes it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also for an `auth` without password: a variable that is not set must not
 *   make a key without password
 */
export function passwordBytes(auth: { password: Secret } | undefined): Buffer {
  return secretOfTpm("auth.password", auth === undefined ? "" : auth?.password, maxPassword);
}

/**
 * A copy of a password, which the caller wipes.
 *
 * @param option the option's name, for the error
 * @param longest the most bytes it may have
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function secretOfTpm(option: string, secret: Secret, longest: number): Buffer {
  const bytes = secretBytes(option, secret);
  if (bytes.length > longest) {
    bytes.fill(0);
    throw invalid(`${option} must have at most ${longest} bytes (a TPM keeps no more)`);
  }
  return bytes;
}
