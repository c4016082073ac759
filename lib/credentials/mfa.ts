import { withDeadline } from "../core/deadline.js";
import { CredentialsError } from "../core/errors.js";
import { checkTimeout, invalid } from "../core/validate.js";

/** Of the option `mfaTimeout` (milliseconds): a person looks for the device. */
export const defaultMfaTimeout = 120_000;

/**
 * Gives the code that an MFA device shows now, e.g. `123456`. `signal` is aborted when nobody waits for it any more: a
 * prompt should go away then.
 */
export type MfaCodeProvider = (serialNumber: string, options: { signal: AbortSignal }) => Promise<string>;

/** How the code of an MFA device is come by. */
export interface MfaOptions {
  /** Asked before each refresh where `params.SerialNumber` names an MFA device. */
  mfaCodeProvider?: MfaCodeProvider | undefined;
  /** Milliseconds that `mfaCodeProvider` may take, before those of `timeout` begin. 120,000 unless given. */
  mfaTimeout?: number | undefined;
}

interface MfaParameters {
  SerialNumber?: string | undefined;
  TokenCode?: string | undefined;
}

/** Who may refresh ahead of the end: nobody with a code that is used up, no timer where a person is asked. */
export function aheadOf({ SerialNumber, TokenCode }: MfaParameters): "timer" | "caller" | "nobody" {
  if (TokenCode !== undefined) return "nobody";
  return SerialNumber === undefined ? "timer" : "caller";
}

/** Gives the code for a call; undefined where no MFA device is named. */
export type MfaCode = () => Promise<string | undefined>;

/**
 * What asks for the code of each call.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where an MFA device is named and nothing gives its code, or vice versa
 */
export function mfaCode(
  { SerialNumber, TokenCode }: MfaParameters,
  { mfaCodeProvider, mfaTimeout }: MfaOptions,
): MfaCode {
  const timeout = checkTimeout(mfaTimeout, defaultMfaTimeout, "mfaTimeout");
  if ((SerialNumber !== undefined) !== (TokenCode !== undefined || mfaCodeProvider !== undefined)) {
    throw invalid(
      "params.SerialNumber and a code (mfaCodeProvider, or params.TokenCode for a single use) belong together",
    );
  }
  if (TokenCode !== undefined || SerialNumber === undefined || !mfaCodeProvider) return async () => TokenCode;
  const late = (): CredentialsError =>
    noCode(`mfaCodeProvider gave no MFA code within ${timeout} ms (option mfaTimeout)`);
  return () =>
    withDeadline(timeout, late, async (signal) => {
      let code: unknown;
      try {
        code = await mfaCodeProvider(SerialNumber, { signal });
      } catch (cause) {
        throw noCode("mfaCodeProvider gave no MFA code", cause);
      }
      const digits = typeof code === "string" ? code.trim() : "";
      if (!/^\d{6,10}$/.test(digits)) throw noCode("mfaCodeProvider gave no MFA code: it is six digits");
      return digits;
    });
}

function noCode(message: string, cause?: unknown): CredentialsError {
  return new CredentialsError("ERR_MFA_CODE", message, { cause });
}
