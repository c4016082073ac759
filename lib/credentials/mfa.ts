import { AwsHmacError, CredentialsError } from "../core/errors.js";

/** Gives the code that an MFA device shows now, e.g. `123456`. */
export type MfaCodeProvider = (serialNumber: string) => Promise<string>;

interface MfaParameters {
  SerialNumber?: string | undefined;
  TokenCode?: string | undefined;
}

/** @throws AwsHmacError `ERR_INVALID_ARGUMENT` where an MFA device is named and nothing gives its code, or vice versa */
export function checkMfa(params: MfaParameters, provider: MfaCodeProvider | undefined): void {
  const code = params.TokenCode !== undefined || provider !== undefined;
  if ((params.SerialNumber !== undefined) === code) return;
  throw new AwsHmacError(
    "ERR_INVALID_ARGUMENT",
    "params.SerialNumber and a code (mfaCodeProvider, or params.TokenCode for a single use) belong together",
  );
}

/**
 * The code for these parameters; undefined where they name no MFA device.
 *
 * @throws CredentialsError `ERR_STS` where the provider fails
 */
export async function mfaCode(
  { SerialNumber, TokenCode }: MfaParameters,
  provider: MfaCodeProvider | undefined,
): Promise<string | undefined> {
  if (TokenCode !== undefined || SerialNumber === undefined) return TokenCode;
  let code: unknown;
  try {
    code = await provider?.(SerialNumber);
  } catch (cause) {
    throw new CredentialsError("ERR_STS", "mfaCodeProvider gave no MFA code", { cause });
  }
  if (typeof code !== "string") throw new CredentialsError("ERR_STS", "mfaCodeProvider gave no MFA code");
  return code;
}
