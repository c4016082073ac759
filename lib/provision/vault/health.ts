import { VaultError } from "../../core/errors.js";
import { VaultConnection } from "../../vault/connection.js";
import { checkVaultServer, type VaultServerOptions } from "../../vault/options.js";

/** What a Vault or OpenBao server says of itself to everybody. */
export interface VaultHealth {
  /** Empty where it does not say. */
  version: string;
  isInitialized: boolean;
  isSealed: boolean;
  /** Another server of the cluster does the work. */
  isStandby: boolean;
}

/**
 * Asks a server how it is (`sys/health`), once and without a token.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws VaultError `ERR_VAULT_CONNECTION`, `ERR_VAULT_TLS`, `ERR_VAULT_RESPONSE`, `ERR_TIMEOUT`
 */
export async function vaultHealth(
  options: Pick<VaultServerOptions, "address" | "timeout">,
): Promise<VaultHealth> {
  const server = checkVaultServer({ ...options, token: false, namespace: "", retries: 0 });
  const { timeout } = server;
  const operation = "GET sys/health";
  const connection = new VaultConnection(server);
  const signal = AbortSignal.timeout(timeout);
  try {
    const call = {
      method: "GET",
      path: "sys/health",
      body: undefined,
      secrets: [],
      repeatable: true,
    } as const;
    const { json, status } = await connection.send(call, undefined, { signal, end: Date.now() + timeout });
    if (typeof json?.initialized !== "boolean") {
      const message = `${operation}: the answer is no Vault's or OpenBao's; see that address is their server's`;
      throw new VaultError("ERR_VAULT_RESPONSE", message, { status, operation });
    }
    return {
      version: typeof json.version === "string" ? json.version : "",
      isInitialized: json.initialized,
      isSealed: json.sealed === true,
      isStandby: json.standby === true,
    };
  } catch (error) {
    if (!signal.aborted) throw error;
    const message = `${operation}: no answer within ${timeout} ms (option timeout)`;
    throw new VaultError("ERR_TIMEOUT", message, { status: 0, operation, retryable: true });
  } finally {
    connection.close();
  }
}
