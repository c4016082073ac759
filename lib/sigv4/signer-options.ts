import type { DateInput, Provider } from "@smithy/types";
import type { SigningError } from "../core/errors.js";
import type { SignableRequest } from "./canonical-input.js";
import type { KeyCacheMode } from "./key-cache.js";
import type { KeySource } from "./signing-key-source.js";

/** What {@link HmacSigner} is made with. */
export interface HmacSignerOptions {
  /** The key that holds `"AWS4" + secretAccessKey`, or a source of signing keys. The signer never closes it. */
  key: KeySource;
  /** The access key id that belongs to the secret, e.g. `AKIA…`. */
  accessKeyId: string;
  /** Sent and signed where the credentials are temporary. */
  sessionToken?: string | undefined;
  /** Send the session token and do not sign it, as AWS IoT's WebSockets want; false by default. */
  omitSessionToken?: boolean | undefined;
  /** E.g. `eu-central-1`. */
  region: string | Provider<string>;
  /** The service's signing name, e.g. `s3`, `sts`, `execute-api`. */
  service: string;
  /** What may stay in memory between signatures; `"day"` by default. */
  keyCache?: KeyCacheMode | undefined;
  /** Normalise the path and encode it once more; by default true except for the S3 family. */
  uriEscapePath?: boolean | undefined;
  /** Send the payload's hash in x-amz-content-sha256; by default true for the S3 family only. */
  applyChecksum?: boolean | undefined;
}

/** What `presignUrl` takes beside the URL. */
export interface PresignUrlOptions {
  /** `GET` by default. */
  method?: string | undefined;
  /** Seconds, 1 to 604800; 3600 by default. */
  expiresIn?: number | undefined;
  /** Now by default. A number is seconds since 1970. */
  signingDate?: DateInput | undefined;
  /** Headers that will be sent with the URL. They are signed; x-amz-… ones move into the query. */
  headers?: SignableRequest["headers"] | undefined;
}

/** A URL with options of its own, which take precedence over those of the batch. */
export interface PresignUrlItem extends PresignUrlOptions {
  /** The URL. */
  url: string | URL;
}

/** What `presignUrls` takes beside the URLs: what is the same for all of them. */
export interface PresignUrlsOptions extends PresignUrlOptions {
  /** Ends the batch: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /**
   * Called with a URL that cannot be signed (`ERR_SIGN_INPUT`, `ERR_EXPIRES_IN`), what was given for it and its index, from 0:
   * the batch goes on, with the string that this returns in the URL's place, or without any. By default the batch
   * rejects with the error.
   */
  onError?:
    | ((error: SigningError, item: string | URL | PresignUrlItem, index: number) => string | undefined)
    | undefined;
}
