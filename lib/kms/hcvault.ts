import type { Aead, AeadOptions } from "../core/aead.js";
import { AwsHmacError, KmsError, VaultError } from "../core/errors.js";
import { wipe } from "../core/wipe.js";
import { fromBase64, toBase64 } from "../vault/base64.js";
import { VaultClient } from "../vault/client.js";
import type { VaultBody, VaultData } from "../vault/json.js";
import { checkVaultServer, type VaultServerOptions } from "../vault/options.js";
import { checkTransitKey, type TransitPlace } from "../vault/transit.js";

/** The server and the key that are behind `hcvault://`. */
interface HcVaultName {
  /** `host:port` */
  host: string;
  place: TransitPlace;
}

/** Reads `host:port/mount/keys/name`; undefined where it is malformed. */
export function parseHcVaultName(text: string): HcVaultName | undefined {
  const [, host, mount, name] = /^([^/?#@]+)\/(.+)\/keys\/([^/]+)$/.exec(text) ?? [];
  if (host === undefined || mount === undefined || name === undefined) return undefined;
  if (!URL.canParse(`https://${host}`)) return undefined;
  try {
    return { host: new URL(`https://${host}`).host, place: checkTransitKey({ mount, name }) };
  } catch {
    return undefined; // the message of openKek has the right form
  }
}

/**
 * A key of the Transit engine of Vault or OpenBao as Tink uses it (tink-go's and tink-py's hcvault integration): the ciphertext is
 * the text `vault:v1:…`, the associated data goes as `associated_data`. Each call has a connection of its own.
 */
export class HcVaultAead implements Aead {
  readonly #place: TransitPlace;
  readonly #server: VaultServerOptions;

  /**
   * @param server its `address` is `https://` with the URI's host by default, and must be of that host
   * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_KMS_MISMATCH`
   */
  constructor({ host, place }: HcVaultName, server: VaultServerOptions) {
    this.#place = place;
    this.#server = { ...server, address: server.address ?? `https://${host}` };
    const { address, token } = checkVaultServer(this.#server);
    if (token.kind === "fixed") wipe(token.token);
    // the port of https:// and http:// may be left out, and differs
    const expected = new URL(`${address.protocol}//${host}`).host;
    if (address.host !== expected) {
      throw new AwsHmacError(
        "ERR_KMS_MISMATCH",
        `vault.address is ${address.host}, the URI of the key encryption key says ${host}: correct one of them`,
      );
    }
  }

  async encrypt(
    plaintext: Uint8Array,
    associatedData: Uint8Array,
    options: AeadOptions = {},
  ): Promise<Uint8Array> {
    const text = toBase64(plaintext);
    try {
      const body = { plaintext: text, ...additional(associatedData) };
      const { ciphertext } = await this.#call("encrypt", body, options);
      if (typeof ciphertext === "string" && isCiphertext(ciphertext)) return Buffer.from(ciphertext);
      throw unreadable("encrypt");
    } finally {
      wipe(text);
    }
  }

  async decrypt(
    ciphertext: Uint8Array,
    associatedData: Uint8Array,
    options: AeadOptions = {},
  ): Promise<Uint8Array> {
    const text = Buffer.from(ciphertext).toString("latin1");
    if (!isCiphertext(text)) {
      throw new KmsError("ERR_KMS_DECRYPT", "Vault decrypt: not a ciphertext of Transit: it was not sent", {
        ...{ operation: "decrypt", reason: "" },
      });
    }
    let plaintext: unknown;
    try {
      const body = { ciphertext: text, ...additional(associatedData) };
      ({ plaintext } = await this.#call("decrypt", body, options));
      const bytes = plaintext instanceof Buffer ? fromBase64(plaintext) : undefined;
      if (bytes) return bytes;
      throw unreadable("decrypt");
    } catch (error) {
      throw decryptError(error);
    } finally {
      if (plaintext instanceof Buffer) wipe(plaintext);
    }
  }

  async #call(action: "encrypt" | "decrypt", body: VaultBody, { signal }: AeadOptions): Promise<VaultData> {
    const client = new VaultClient(checkVaultServer(this.#server));
    try {
      const { mount, name } = this.#place;
      return await client.request("POST", `${mount}/${action}/${name}`, body, {
        signal,
        secrets: ["plaintext"],
      });
    } finally {
      client.close();
    }
  }
}

/** The version of the key is in it: Transit finds it by that. */
const isCiphertext = (text: string): boolean => /^vault:v[1-9]\d{0,9}:[\d+/A-Za-z]+={0,2}$/.test(text);

function additional(associatedData: Uint8Array): { associated_data?: string } {
  if (associatedData.length === 0) return {};
  return { associated_data: Buffer.from(associatedData).toString("base64") };
}

/** Transit answers 400 to what it cannot decrypt. */
function decryptError(error: unknown): unknown {
  if (!(error instanceof VaultError) || error.code !== "ERR_VAULT" || error.status !== 400) return error;
  const message =
    "Vault decrypt: encrypted with another key or other associated data, or changed since (see `cause`)";
  return new KmsError("ERR_KMS_DECRYPT", message, { operation: "decrypt", reason: "", cause: error });
}

function unreadable(operation: string): KmsError {
  const message = `Vault ${operation}: the answer is unreadable: check the address`;
  return new KmsError("ERR_KMS_RESPONSE", message, { operation, reason: "" });
}
