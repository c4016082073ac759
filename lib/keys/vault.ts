import { randomBytes } from "node:crypto";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { VaultClient } from "../vault/client.js";
import { checkVaultServer, type VaultServerOptions } from "../vault/options.js";
import { checkKeyVersion, checkTransitKey, type TransitKey } from "../vault/transit.js";
import { MacBatches } from "./vault/batches.js";

/** Which key of which Vault or OpenBao server. */
export interface VaultKeyOptions extends VaultServerOptions, TransitKey {
  /**
   * The version of the key; 1 by default, which an import makes. It is in every request, and checked in every answer: without
   * one the server takes the latest, and a rotation puts a random key there.
   */
  keyVersion?: number | undefined;
}

/**
 * Opens an HMAC key in the Transit secrets engine of Vault (1.12 or later) or OpenBao. It asks the server for one MAC, to see
 * that the key works: the token needs `update` on `<mount>/hmac/<name>/sha2-256`, and nothing else.
 *
 * Concurrent calls share requests. `timeout` bounds each call, its repetitions and its wait for others included.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws VaultError `ERR_KEY_NOT_FOUND`, `ERR_VAULT_VERSION`, `ERR_VAULT_MOUNT`, `ERR_VAULT_DENIED`, `ERR_VAULT_TOKEN`,
 *   `ERR_VAULT_TLS`, `ERR_VAULT_CONNECTION`, `ERR_VAULT_SEALED`, `ERR_VAULT_UNAVAILABLE`, `ERR_VAULT_RESPONSE`, `ERR_VAULT`,
 *   `ERR_TIMEOUT`; a MAC rejects with the same, or with `ERR_QUEUE_FULL`
 * @example
 * const key = await openVaultKey({ address: "https://vault.example:8200", tokenFile: "/run/vault/token", name: "signer" });
 */
export async function openVaultKey(options: VaultKeyOptions): Promise<HmacKey> {
  const place = checkTransitKey(options);
  const version = checkKeyVersion(options.keyVersion ?? 1);
  const server = checkVaultServer(options);
  const client = new VaultClient(server);
  const batches = new MacBatches(client, place, version, server.timeout);
  try {
    wipe(await batches.mac(randomBytes(32), undefined));
  } catch (error) {
    client.close();
    throw error;
  }
  return new VaultKey(client, batches);
}

class VaultKey implements HmacKey {
  readonly backend = "vault";
  readonly #client: VaultClient;
  readonly #batches: MacBatches;
  readonly #inFlight = new Set<Promise<unknown>>();
  readonly #closed = new AbortController();

  constructor(client: VaultClient, batches: MacBatches) {
    this.#client = client;
    this.#batches = batches;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  async mac(message: Uint8Array, { signal }: MacOptions = {}): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (!(message instanceof Uint8Array)) {
      throw new AwsHmacError("ERR_INVALID_ARGUMENT", "message must be a Uint8Array");
    }
    if (this.#closed.signal.aborted) throw new AwsHmacError("ERR_CLOSED", "the key is closed");
    const call = this.#batches.mac(message, signal);
    this.#inFlight.add(call);
    try {
      return await call;
    } finally {
      this.#inFlight.delete(call);
    }
  }

  async close(): Promise<void> {
    this.#closed.abort(new AwsHmacError("ERR_CLOSED", "the key is closed"));
    await Promise.allSettled(this.#inFlight);
    this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
