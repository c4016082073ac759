import { Crc32c } from "@aws-sdk/checksums/crc";
import type { Aead, AeadOptions } from "../core/aead.js";
import { KmsError } from "../core/errors.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import {
  callGcpKms,
  type GcpAnswer,
  type GcpKmsClient,
  type GcpKmsClientConfig,
  openGcpKms,
} from "./gcp-client.js";
import type { GcpKeyName } from "./gcp-name.js";

/** Who calls Cloud KMS, and for how long. */
export interface GcpKekOptions {
  client: GcpKmsClient | undefined;
  clientConfig: GcpKmsClientConfig | undefined;
  /** Milliseconds for each call. */
  timeout: number;
}

/**
 * A symmetric key of Google Cloud KMS as Tink uses it: Encrypt and Decrypt with the associated data as it is. What goes
 * and what comes is checked by CRC-32C (Castagnoli), as Google recommends. A client of ours lives for one call.
 */
export class GcpKmsAead implements Aead {
  readonly #key: GcpKeyName;
  readonly #options: GcpKekOptions;

  constructor(key: GcpKeyName, options: GcpKekOptions) {
    this.#key = key;
    this.#options = options;
  }

  async encrypt(
    plaintext: Uint8Array,
    associatedData: Uint8Array,
    options: AeadOptions = {},
  ): Promise<Uint8Array> {
    const name = this.#key.version ?? this.#key.key;
    const request = {
      name,
      ...(await checked("plaintext", plaintext)),
      ...(await additional(associatedData)),
    };
    const { ciphertext, answer } = await this.#call("encrypt", request, options, (answer) => ({
      ciphertext: bytesOf("Encrypt", answer, "ciphertext"),
      answer,
    }));
    const arrived =
      answer.verifiedPlaintextCrc32c === true &&
      (associatedData.length === 0 || answer.verifiedAdditionalAuthenticatedDataCrc32c === true);
    if (!arrived || (await crc32c(ciphertext)) !== checksumOf(answer.ciphertextCrc32c))
      throw corrupt("Encrypt");
    const used = String(answer.name);
    const expected = this.#key.version ?? `${this.#key.key}/cryptoKeyVersions/`;
    if (this.#key.version ? used !== expected : !used.startsWith(expected)) {
      throw unusable("Encrypt", "another key or version answered: check the endpoint");
    }
    return ciphertext;
  }

  async decrypt(
    ciphertext: Uint8Array,
    associatedData: Uint8Array,
    options: AeadOptions = {},
  ): Promise<Uint8Array> {
    const request = {
      name: this.#key.key, // Cloud KMS finds the version by the ciphertext
      ...(await checked("ciphertext", ciphertext)),
      ...(await additional(associatedData)),
    };
    const { plaintext, checksum } = await this.#call("decrypt", request, options, (answer, signal) => {
      const theirs = bytesOf("Decrypt", answer, "plaintext");
      try {
        signal.throwIfAborted(); // nobody takes it any more
        const plaintext = secretBuffer(theirs.length);
        plaintext.set(theirs);
        return { plaintext, checksum: checksumOf(answer.plaintextCrc32c) };
      } finally {
        wipe(theirs);
      }
    });
    if ((await crc32c(plaintext)) === checksum) return plaintext;
    wipe(plaintext);
    throw corrupt("Decrypt");
  }

  #call<T>(
    method: "encrypt" | "decrypt",
    request: { name: string },
    { signal }: AeadOptions,
    use: (answer: GcpAnswer, signal: AbortSignal) => T,
  ): Promise<T> {
    const { client, clientConfig, timeout } = this.#options;
    return callGcpKms({ method, request, timeout, signal }, () => openGcpKms(client, clientConfig), use);
  }
}

/** A field of a request, with its checksum beside it. */
async function checked(field: string, bytes: Uint8Array): Promise<Record<string, unknown>> {
  return { [field]: bytes, [`${field}Crc32c`]: { value: await crc32c(bytes) } };
}

async function additional(associatedData: Uint8Array): Promise<Record<string, unknown>> {
  return associatedData.length === 0 ? {} : checked("additionalAuthenticatedData", associatedData);
}

async function crc32c(bytes: Uint8Array): Promise<number> {
  const checksum = new Crc32c();
  checksum.update(bytes);
  return Buffer.from(await checksum.digest()).readUInt32BE(0);
}

/** An Int64Value: google-gax gives its number as a string. */
function checksumOf(field: unknown): number {
  const { value } = (field ?? {}) as { value?: unknown };
  return value === undefined || value === null ? Number.NaN : Number(value);
}

function bytesOf(operation: string, answer: GcpAnswer, field: string): Uint8Array {
  const bytes = answer[field];
  if (bytes instanceof Uint8Array) return bytes;
  throw unusable(operation, "the answer is not complete: check the endpoint");
}

function corrupt(operation: string): KmsError {
  return unusable(operation, "a checksum is wrong: something was changed on its way; try again", true);
}

function unusable(operation: string, what: string, retryable = false): KmsError {
  const message = `Cloud KMS ${operation}: ${what}`;
  return new KmsError("ERR_KMS_RESPONSE", message, { operation, reason: "", retryable });
}
