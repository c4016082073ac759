import type { KMSClient } from "@aws-sdk/client-kms";
import type { Aead, AeadOptions } from "../core/aead.js";
import { KmsError } from "../core/errors.js";
import { secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { takeBytes } from "./aws-answer.js";
import type { KmsArn } from "./aws-arn.js";
import { asKmsClient, callAwsKms, checkAwsRegion, loadAwsKms } from "./aws-client.js";
import type { AwsKmsClient, AwsKmsClientConfig } from "./aws-options.js";

/** Who calls AWS KMS, and for how long. */
export interface AwsKekOptions {
  client: AwsKmsClient | undefined;
  clientConfig: AwsKmsClientConfig | undefined;
  /** Milliseconds for each call. */
  timeout: number;
}

/**
 * A symmetric key of AWS KMS as Tink uses it: Encrypt and Decrypt, with `{ associatedData: <hex> }` as the encryption
 * context, or none where there is no associated data. A client of ours lives for one call.
 */
export class AwsKmsAead implements Aead {
  readonly #key: KmsArn;
  readonly #options: AwsKekOptions;

  constructor(key: KmsArn, options: AwsKekOptions) {
    this.#key = key;
    this.#options = options;
  }

  encrypt(plaintext: Uint8Array, associatedData: Uint8Array, options: AeadOptions = {}): Promise<Uint8Array> {
    const input = { KeyId: this.#key.arn, Plaintext: plaintext, ...context(associatedData) };
    return this.#call("Encrypt", options, async (kms, client, abortSignal) => {
      const answer = await client.send(new kms.EncryptCommand(input), { abortSignal });
      this.#check("Encrypt", answer.KeyId);
      return answer.CiphertextBlob ?? incomplete("Encrypt");
    });
  }

  decrypt(
    ciphertext: Uint8Array,
    associatedData: Uint8Array,
    options: AeadOptions = {},
  ): Promise<Uint8Array> {
    const input = { KeyId: this.#key.arn, CiphertextBlob: ciphertext, ...context(associatedData) };
    return this.#call("Decrypt", options, async (kms, client, abortSignal) => {
      const command = new kms.DecryptCommand(input);
      const taken = takeBytes(command, "Plaintext");
      let plaintext: Uint8Array | undefined;
      try {
        const answer = await client.send(command, { abortSignal });
        plaintext = answer.Plaintext ?? incomplete("Decrypt");
        this.#check("Decrypt", answer.KeyId);
        abortSignal.throwIfAborted(); // nobody takes it any more
        return secretBytes("Plaintext", taken.bytes ?? plaintext);
      } finally {
        wipe(plaintext, taken.bytes);
      }
    });
  }

  #call(
    operation: string,
    { signal }: AeadOptions,
    send: (
      kms: typeof import("@aws-sdk/client-kms"),
      client: KMSClient,
      signal: AbortSignal,
    ) => Promise<Uint8Array>,
  ): Promise<Uint8Array> {
    const { client, clientConfig, timeout } = this.#options;
    const { region } = this.#key;
    return callAwsKms({
      ...{ operation, timeout, signal },
      send: async (abortSignal) => {
        const kms = await loadAwsKms("aws-kms://");
        const own = client ? undefined : new kms.KMSClient({ region, ...clientConfig });
        const used = own ?? asKmsClient(client as AwsKmsClient);
        try {
          await checkAwsRegion(used, region);
          return await send(kms, used, abortSignal);
        } finally {
          own?.destroy();
        }
      },
    });
  }

  /** Tink checks it as well: an answer of another key is none. An alias may be any key's. */
  #check(operation: string, answered: string | undefined): void {
    if (this.#key.alias || answered === this.#key.arn) return;
    throw new KmsError("ERR_KMS_RESPONSE", `AWS KMS ${operation}: another key answered: check the endpoint`, {
      operation,
      reason: "",
    });
  }
}

function context(associatedData: Uint8Array): { EncryptionContext?: Record<string, string> } {
  if (associatedData.length === 0) return {};
  return { EncryptionContext: { associatedData: Buffer.from(associatedData).toString("hex") } };
}

function incomplete(operation: string): never {
  throw new KmsError(
    "ERR_KMS_RESPONSE",
    `AWS KMS ${operation}: the answer is not complete: check the endpoint`,
    { operation, reason: "" },
  );
}
