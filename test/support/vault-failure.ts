import type { VaultError } from "../../lib/core/errors.js";

/** The error that a promise rejects with; it is one of Vault's where the test looks at more than an error has. */
export function vaultFailure(promise: Promise<unknown>): Promise<VaultError> {
  return promise.then(
    () => {
      throw new Error("no failure");
    },
    (error) => error,
  );
}
