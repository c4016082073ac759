import type { Aead } from "../core/aead.js";
import { AwsHmacError } from "../core/errors.js";
import { checkTimeout } from "../core/validate.js";
import { parseKmsArn } from "./aws-arn.js";
import { type AwsKmsClient, type AwsKmsClientConfig, checkAwsClient } from "./aws-client.js";
import { AwsKmsAead } from "./aws-kms.js";

/** How the KMS is called that holds a key encryption key (KEK). */
export interface KekOptions {
  /** A client of yours, which is never closed here: for `aws-kms://` a `KMSClient` of the key's region. */
  kmsClient?: AwsKmsClient | undefined;
  /** Settings for a client that is made for each call instead: for `aws-kms://` those of a `KMSClient`, without `region`. */
  clientConfig?: AwsKmsClientConfig | undefined;
  /** Milliseconds for each call, retries included: 30,000 unless given. */
  timeout?: number | undefined;
}

const forms = "aws-kms://arn:aws:kms:<region>:<account>:key/<id>";

/**
 * The key encryption key that a URI of Tink's names. Nothing is loaded and nothing is called before it is used.
 *
 * @param uri `aws-kms://` with the ARN of a key or of an alias
 * @throws AwsHmacError `ERR_KEK_URI`, `ERR_INVALID_ARGUMENT`. Its calls reject with `ERR_PEER_MISSING`, `ERR_KMS_MISMATCH`
 *   of a client for another region, and KmsErrors
 */
export async function openKek(uri: string, options: KekOptions = {}): Promise<Aead> {
  const timeout = checkTimeout(options.timeout);
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):\/\/(.*)$/is.exec(String(uri)) ?? [];
  if (scheme?.toLowerCase() === "aws-kms") {
    const key = parseKmsArn(rest);
    if (!key) throw unusable(`not the ARN of a KMS key or alias: ${forms} (or alias/<name> at its end)`);
    const { kmsClient: client, clientConfig } = options;
    checkAwsClient("kmsClient", client, clientConfig);
    return new AwsKmsAead(key, { client, clientConfig, timeout });
  }
  throw unusable(`it must be ${forms}; for any other KMS give an object with encrypt and decrypt as aead`);
}

function unusable(reason: string): AwsHmacError {
  return new AwsHmacError("ERR_KEK_URI", `the URI of the key encryption key is not usable: ${reason}`);
}
