import type { GenerateMacCommand, KMSClient } from "@aws-sdk/client-kms";
import { AwsHmacError, KmsError } from "../core/errors.js";
import type { HmacKey, MacOptions } from "../core/hmac-key.js";
import { checkTimeout, invalid, secretBytes } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { takeBytes } from "../kms/aws-answer.js";
import { type KmsArn, parseKmsArn } from "../kms/aws-arn.js";
import { asKmsClient, callAwsKms, checkAwsClient, checkAwsRegion, loadAwsKms } from "../kms/aws-client.js";
import type { AwsKmsClient, AwsKmsClientConfig } from "../kms/aws-options.js";

/** Which HMAC key of AWS KMS, and who calls it. */
export interface AwsKmsKeyOptions {
  /** The ARN of the key or of an alias: it says the region and the account. */
  keyId: string;
  /** A `KMSClient` of yours for the key's region, which is never closed here. */
  client?: AwsKmsClient | undefined;
  /** Settings for a client that lives until `close()` instead: those of a `KMSClient`, `region` being the ARN's. */
  clientConfig?: AwsKmsClientConfig | undefined;
  /** Milliseconds for each call, the SDK's retries included: 30,000 unless given. */
  timeout?: number | undefined;
}

/** The message lengths that GenerateMac takes, in bytes. */
const lengths = { least: 1, most: 4096 };

/**
 * Opens an HMAC_256 key of AWS KMS whose imported material is "AWS4" and a secret access key: each MAC is one GenerateMac
 * (AWS KMS API reference) with HMAC_SHA_256. One is made now, of a fixed message, so that a missing key or permission shows
 * here. The MACs stay out of the client's `logger`, where the SDK would write them.
 *
 * A MAC of an empty message, or of more than 4096 bytes, rejects with `ERR_MESSAGE_LENGTH`: KMS makes none.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_PEER_MISSING` without the package @aws-sdk/client-kms, `ERR_KMS_MISMATCH` of
 *   a client for another region, `ERR_MAC_LENGTH`
 * @throws KmsError `ERR_KEY_NOT_FOUND`, `ERR_KEY_UNSUITABLE` of a key for another use or algorithm, `ERR_KMS_DENIED`,
 *   `ERR_KMS_CREDENTIALS`, `ERR_KMS_KEY_STATE`, `ERR_KMS_UNAVAILABLE`, `ERR_KMS_RESPONSE`, `ERR_KMS`, `ERR_TIMEOUT`
 * @example
 * const key = await openAwsKmsKey({ keyId: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-…" });
 */
export async function openAwsKmsKey(options: AwsKmsKeyOptions): Promise<HmacKey> {
  const arn = parseKmsArn(String(options.keyId));
  if (!arn) {
    throw invalid(
      "keyId must be an ARN: arn:aws:kms:<region>:<account>:key/<id>, or the same with alias/<name> at its end",
    );
  }
  const timeout = checkTimeout(options.timeout);
  const { client, clientConfig } = options;
  checkAwsClient("client", client, clientConfig);
  const kms = await loadAwsKms("openAwsKmsKey");
  // Calls that wait for a connection end at the timeout, with an error; the SDK would print a warning before.
  const requestHandler = { socketAcquisitionWarningTimeout: timeout };
  const own = client ? undefined : new kms.KMSClient({ region: arn.region, requestHandler, ...clientConfig });
  try {
    const used = own ?? asKmsClient(client as AwsKmsClient);
    await checkAwsRegion(used, arn.region);
    const key = new AwsKmsKey({ arn, timeout, kms, client: used, destroy: () => own?.destroy() });
    wipe(await key.mac(Buffer.from("aws-hmac")));
    return key;
  } catch (error) {
    own?.destroy();
    throw error;
  }
}

/** What a key needs for its calls. */
interface Parts {
  arn: KmsArn;
  timeout: number;
  kms: typeof import("@aws-sdk/client-kms");
  client: KMSClient;
  /** Ends the client where it is ours. */
  destroy(): void;
}

class AwsKmsKey implements HmacKey {
  readonly backend = "aws-kms";
  readonly #parts: Parts;
  readonly #closed = new AbortController();
  readonly #calls = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  async mac(message: Uint8Array, { signal }: MacOptions = {}): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (!(message instanceof Uint8Array)) throw invalid("message must be a Uint8Array");
    if (this.#closing) throw new AwsHmacError("ERR_CLOSED", "the key is closed");
    if (message.length < lengths.least || message.length > lengths.most) {
      const said = `AWS KMS makes MACs of ${lengths.least} to ${lengths.most} bytes, not of ${message.length}`;
      throw new AwsHmacError("ERR_MESSAGE_LENGTH", said);
    }
    // a copy: the SDK reads it later, when the caller may have changed its own
    const call = this.#generate(Uint8Array.from(message), signal);
    this.#calls.add(call);
    try {
      return await call;
    } finally {
      this.#calls.delete(call);
    }
  }

  #generate(message: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { arn, timeout, kms, client } = this.#parts;
    const command = new kms.GenerateMacCommand({
      ...{ KeyId: arn.arn, Message: message, MacAlgorithm: "HMAC_SHA_256" },
    });
    keepFromLog(command);
    const taken = takeBytes(command, "Mac");
    return callAwsKms({
      ...{ operation: "GenerateMac", timeout, signal },
      send: async (abortSignal) => {
        let theirs: Uint8Array | undefined;
        try {
          const answer = await client.send(command, { abortSignal });
          theirs = answer.Mac;
          const mac = taken.bytes ?? theirs;
          checkAnswer(arn, answer.KeyId, mac);
          abortSignal.throwIfAborted(); // nobody takes it any more
          return secretBytes("Mac", mac);
        } finally {
          wipe(theirs, taken.bytes);
        }
      },
    });
  }

  close(): Promise<void> {
    this.#closed.abort(new AwsHmacError("ERR_CLOSED", "the key is closed"));
    this.#closing ??= Promise.allSettled(this.#calls).then(() => this.#parts.destroy());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** The SDK takes MACs for public and writes those that it reads to the client's logger: here they are the keys of a day. */
function keepFromLog(command: GenerateMacCommand): void {
  command.middlewareStack.add(
    (next, context) => (args) => {
      delete context.logger;
      return next(args);
    },
    { step: "initialize", name: "awsHmacKeepFromLog" },
  );
}

function checkAnswer(
  { arn, alias }: KmsArn,
  keyId: string | undefined,
  mac: Uint8Array | undefined,
): asserts mac is Uint8Array {
  const rest = { operation: "GenerateMac", reason: "" };
  // AWS says which key by its ARN, other makers also by the id alone
  if (mac === undefined || (!alias && keyId !== arn && keyId !== arn.replace(/.*\//, ""))) {
    const message = "AWS KMS GenerateMac: the answer is not this key's MAC: check the endpoint";
    throw new KmsError("ERR_KMS_RESPONSE", message, rest);
  }
  if (mac.length !== 32) {
    const message = `AWS KMS GenerateMac: the MAC has ${mac.length} bytes instead of 32: check the endpoint`;
    throw new KmsError("ERR_MAC_LENGTH", message, rest);
  }
}
