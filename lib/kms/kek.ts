import type { Aead } from "../core/aead.js";
import { AwsHmacError } from "../core/errors.js";
import { checkTimeout, invalid } from "../core/validate.js";
import type { VaultServerOptions } from "../vault/options.js";
import { parseKmsArn } from "./aws-arn.js";
import { checkAwsClient } from "./aws-client.js";
import { AwsKmsAead } from "./aws-kms.js";
import type { AwsKmsClient, AwsKmsClientConfig } from "./aws-options.js";
import {
  checkGcpClient,
  checkGcpLocation,
  type GcpKmsClient,
  type GcpKmsClientConfig,
} from "./gcp-client.js";
import { GcpKmsAead } from "./gcp-kms.js";
import { parseGcpKeyName } from "./gcp-name.js";
import { HcVaultAead, parseHcVaultName } from "./hcvault.js";

/** How the KMS is called that holds a key encryption key (KEK). */
export interface KekOptions {
  /**
   * A client of yours, which is never closed here: for `aws-kms://` a `KMSClient` of the key's region, for `gcp-kms://` a
   * `KeyManagementServiceClient`.
   */
  kmsClient?: AwsKmsClient | GcpKmsClient | undefined;
  /** Settings for a client that is made for each call instead: those of a `KMSClient`, or of a `KeyManagementServiceClient`. */
  clientConfig?: AwsKmsClientConfig | GcpKmsClientConfig | undefined;
  /**
   * For `hcvault://`: the token, the CA and what else its server needs, else the environment's (`VAULT_TOKEN`, …) but for the
   * address, which is `https://` with the URI's host unless `address` is given, e.g. with `http://`.
   */
  vault?: Omit<VaultServerOptions, "timeout"> | undefined;
  /** Milliseconds for each call, retries included: 30,000 unless given. */
  timeout?: number | undefined;
}

const forms = {
  "aws-kms": "aws-kms://arn:aws:kms:<region>:<account>:key/<id>",
  "gcp-kms": "gcp-kms://projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>",
  hcvault: "hcvault://<host>:<port>/<mount>/keys/<name>",
} as const;

/**
 * The key encryption key that a URI of Tink's names. Nothing is loaded and nothing is called before it is used.
 *
 * @param uri `aws-kms://` with the ARN of a key or of an alias; `gcp-kms://` with the name of a key, or of the version that
 *   is to encrypt; `hcvault://` with the server and a key of its Transit engine
 * @throws AwsHmacError `ERR_KEK_URI`, `ERR_INVALID_ARGUMENT`; `ERR_KMS_MISMATCH` of an `apiEndpoint` in another location or a
 *   `vault.address` of another host. Its calls reject with `ERR_PEER_MISSING`, `ERR_KMS_MISMATCH` of a client for another
 *   region, with KmsErrors, and with VaultErrors
 */
export async function openKek(uri: string, options: KekOptions = {}): Promise<Aead> {
  const timeout = checkTimeout(options.timeout);
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):\/\/(.*)$/is.exec(String(uri)) ?? [];
  switch (scheme?.toLowerCase()) {
    case "aws-kms":
      return awsKek(rest, options, timeout);
    case "gcp-kms":
      return gcpKek(rest, options, timeout);
    case "hcvault":
      return vaultKek(rest, options, timeout);
    default:
      throw unusable(
        `it must be one of ${Object.values(forms).join(", ")}; for any other KMS give an object with encrypt and decrypt as aead`,
      );
  }
}

function awsKek(name: string, { kmsClient, clientConfig }: KekOptions, timeout: number): Aead {
  const key = parseKmsArn(name);
  if (!key) {
    throw unusable(`not the ARN of a KMS key or alias: ${forms["aws-kms"]} (or alias/<name> at its end)`);
  }
  checkAwsClient("kmsClient", kmsClient, clientConfig);
  return new AwsKmsAead(key, {
    client: kmsClient as AwsKmsClient | undefined,
    clientConfig: clientConfig as AwsKmsClientConfig | undefined,
    timeout,
  });
}

function gcpKek(name: string, { kmsClient, clientConfig }: KekOptions, timeout: number): Aead {
  const key = parseGcpKeyName(name);
  if (!key) {
    throw unusable(
      `not the name of a Cloud KMS key: ${forms["gcp-kms"]} (and /cryptoKeyVersions/<n> where one is to encrypt)`,
    );
  }
  checkGcpClient(kmsClient, clientConfig);
  const config = clientConfig as GcpKmsClientConfig | undefined;
  checkGcpLocation(config, key);
  return new GcpKmsAead(key, {
    client: kmsClient as GcpKmsClient | undefined,
    clientConfig: config,
    timeout,
  });
}

function vaultKek(text: string, { kmsClient, clientConfig, vault }: KekOptions, timeout: number): Aead {
  const name = parseHcVaultName(text);
  if (!name) throw unusable(`not the name of a Transit key: ${forms.hcvault}`);
  if (kmsClient !== undefined || clientConfig !== undefined) {
    throw invalid("kmsClient and clientConfig are for aws-kms:// and gcp-kms://: hcvault:// takes vault");
  }
  return new HcVaultAead(name, { ...vault, timeout });
}

function unusable(reason: string): AwsHmacError {
  return new AwsHmacError("ERR_KEK_URI", `the URI of the key encryption key is not usable: ${reason}`);
}
