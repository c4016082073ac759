import { AwsHmacError, type ErrorCode } from "../../core/errors.js";

/** One thing that was looked at. */
export interface Finding {
  state: "ok" | "warning" | "problem";
  /** What was looked at, e.g. `/dev/tpmrm0`. */
  what: string;
  /** How it is. */
  found: string;
  /** What to do about it. */
  remedy?: string;
}

export const ok = (what: string, found: string): Finding => ({ state: "ok", what, found });
export const warning = (what: string, found: string, remedy: string): Finding => ({
  ...{ state: "warning", what, found, remedy },
});
export const problem = (what: string, found: string, remedy: string): Finding => ({
  ...{ state: "problem", what, found, remedy },
});

/** Where the message does not say it already. */
const remedies: Partial<Record<ErrorCode, string>> = {
  ERR_ADDON_NOT_BUILT: "npx aws-hmac-build builds one for this machine",
  ERR_PIN_REQUIRED: "give the PIN by --pin-file or --pin-env",
  ERR_PIN_INCORRECT: "give the right PIN: the token counts wrong ones",
  ERR_TPM_AUTH: "give the key's password by --password-file or --password-env",
  ERR_TPM_DEVICE_PERMISSION: "have the user be in the device's group, mostly tss: usermod -aG tss USER",
  ERR_VAULT_TOKEN: "set VAULT_TOKEN, or give --vault-token-file",
};

/** A failure as a finding: its message, its code, and what to do. */
export function failure(what: string, error: unknown, state: Finding["state"] = "problem"): Finding {
  if (!(error instanceof AwsHmacError)) throw error;
  const { code, message } = error;
  const remedy = remedies[code] ?? `docs/errors.md says more of ${code}`;
  return { state, what, found: `${message} [${code}]`, remedy };
}
