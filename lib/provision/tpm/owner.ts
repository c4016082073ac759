import { invalid, type Secret } from "../../core/validate.js";
import { secretOfTpm } from "../../keys/tpm/options.js";

/** How the owner hierarchy's password is given to the TPM. */
export interface TpmOwnerAuth {
  /** The owner hierarchy's password: at most 64 bytes (a string as UTF-8). */
  password: Secret;
  /** `hmac` (default) proves the password without sending it; `plain` sends it in clear. */
  mode?: "hmac" | "plain" | undefined;
}

const maxOwnerPassword = 64;

/**
 * A copy of the owner hierarchy's password, empty where there is none, and how it is sent; the caller wipes the copy.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function ownerAuthOf(ownerAuth: TpmOwnerAuth | undefined): {
  ownerPassword: Buffer;
  ownerPasswordInClear: boolean;
} {
  const mode = ownerAuth?.mode ?? "hmac";
  if (mode !== "hmac" && mode !== "plain") throw invalid("ownerAuth.mode must be one of: hmac, plain");
  const password = ownerAuth === undefined ? "" : ownerAuth?.password;
  return {
    ownerPassword: secretOfTpm("ownerAuth.password", password, maxOwnerPassword),
    ownerPasswordInClear: mode === "plain",
  };
}
