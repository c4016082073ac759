import type { AwsCredentialIdentityProvider, ChecksumConstructor } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { checkAccessKeyId } from "./checks.js";
import { KeyCache, type KeyCacheMetrics, type KeyCacheMode } from "./key-cache.js";
import { opaqueChain } from "./opaque-chain.js";
import type { KeySource } from "./signing-key-source.js";

/** What {@link sdkIdentity} takes. */
export interface SdkIdentityOptions {
  /** The key that holds `"AWS4" + secretAccessKey`, or a source of signing keys. Never closed here. */
  key: KeySource;
  /** The access key id that belongs to the secret, e.g. `AKIA…`. */
  accessKeyId: string;
  /** What may stay in memory between signatures; `"day"` by default. */
  keyCache?: KeyCacheMode | undefined;
}

/** Two settings of one AWS SDK v3 client that belong together. */
export interface SdkIdentity {
  /** Gives the access key id and an opaque handle in place of a secret. */
  readonly credentials: AwsCredentialIdentityProvider;
  /** The hash class that knows the handle. */
  readonly sha256: ChecksumConstructor;
  /** What the key cache did until now. Not one of the settings: spreading leaves it out. */
  keyCacheMetrics(): KeyCacheMetrics;
}

/**
 * Settings that make any AWS SDK v3 client sign directly with `key`: `new S3Client({ region, ...sdkIdentity({ … }) })`.
 * Presigned URLs, POST policies, S3 Express, event streams and RDS tokens follow. Whatever makes a client of its own
 * needs both settings: `fromTemporaryCredentials({ masterCredentials: credentials, clientConfig: { sha256 } })`.
 * Calls reject with the key's errors, or with `ERR_CLOSED` once the key is closed.
 *
 * @throws SigningError `ERR_INVALID_ARGUMENT`; the provider rejects with `ERR_IDENTITY_MISUSE` in a client that has
 * another `sha256`, which would sign with the handle; SigV4a is refused with `ERR_SIGV4A_UNSUPPORTED`
 */
export function sdkIdentity({ key, accessKeyId, keyCache }: SdkIdentityOptions): SdkIdentity {
  checkAccessKeyId(accessKeyId);
  const keys = new KeyCache(key, keyCache);
  const { secretAccessKey, sha256 } = opaqueChain(keys);
  const credentials: AwsCredentialIdentityProvider = async (properties) => {
    const client: { sha256?: unknown } | undefined = properties?.callerClientConfig;
    if (client && client.sha256 !== sha256) {
      throw new SigningError(
        "ERR_IDENTITY_MISUSE",
        "this client has the credentials of sdkIdentity() without its sha256: spread both into the client's options " +
          "(fromTemporaryCredentials: clientConfig: { sha256 })",
      );
    }
    // A new object each time, not frozen: the SDK writes `$source` into it.
    return { accessKeyId, secretAccessKey };
  };
  const settings = { credentials, sha256 };
  return Object.defineProperty(settings as SdkIdentity, "keyCacheMetrics", { value: () => keys.metrics });
}
