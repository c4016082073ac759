import type {
  HttpRequest,
  RequestPresigner,
  RequestPresigningArguments,
  RequestSigner,
  RequestSigningArguments,
} from "@smithy/types";
import { SigningError } from "../core/errors.js";
import type { MacSource } from "../core/hmac-key.js";
import { canonicalInput, checkBody, checkSendable, type SignableRequest } from "./canonical-input.js";
import { CanonicalV4a } from "./canonical-v4a.js";
import {
  checkAccessKeyId,
  checkRegionSet,
  checkService,
  checkSessionToken,
  checkSigningService,
  defaultExpiry,
  expiresIn,
  signingDate,
} from "./checks.js";
import { type Clock, systemClock } from "./clock.js";
import { type EcdsaCacheMode, EcdsaKeys } from "./ecdsa-keys.js";
import type { KeyCacheMetrics } from "./key-cache.js";
import { requestOfUrl, urlOfRequest } from "./presigned-url.js";
import { isS3Family, presignS3 } from "./s3.js";
import type { HmacSignerOptions, PresignUrlOptions } from "./signer-options.js";

/** What {@link HmacSignerV4a} is made with. */
export interface HmacSignerV4aOptions
  extends Omit<HmacSignerOptions, "key" | "region" | "keyCache" | "omitSessionToken"> {
  /** The key that holds `"AWS4A" + secretAccessKey`: imported with `algorithm: "sigv4a"`. The signer never closes it. */
  key: MacSource;
  /** Where the signature is good: regions, `*` in their place or at their end (`us-*`); `*` alone for everywhere. */
  regionSet: string | readonly string[];
  /**
   * `"key"` (default) keeps the derived private key, which is good for ever, until `close()` or 15 idle minutes;
   * `"none"` asks the device for it with each signature.
   */
  keyCache?: EcdsaCacheMode | undefined;
}

/**
 * Signs AWS Signature Version 4A, for S3 multi-region access points and other requests that several regions may get, with
 * a key for `"sigv4a"`. The signatures are ECDSA: the same request has another one each time.
 *
 * Every call rejects with a SigningError: `ERR_SIGN_INPUT` for what cannot be signed faithfully, `ERR_EXPIRES_IN`,
 * `ERR_MAC_LENGTH`, `ERR_CLOSED`; or with the key's error.
 */
export class HmacSignerV4a implements RequestSigner, RequestPresigner, AsyncDisposable {
  readonly #keys: EcdsaKeys;
  readonly #canonical: CanonicalV4a;
  readonly #clock: Clock;
  readonly #isS3: boolean;
  readonly #uriEscapePath: boolean;
  readonly #applyChecksum: boolean;
  #closed = false;

  /**
   * @param clock for tests
   * @throws SigningError `ERR_INVALID_ARGUMENT`
   */
  constructor(options: HmacSignerV4aOptions, clock: Clock = systemClock) {
    const { key, accessKeyId, sessionToken, regionSet, service, keyCache = "key" } = options;
    checkAccessKeyId(accessKeyId);
    checkSessionToken(sessionToken);
    checkService(service);
    const region = checkRegionSet("ERR_INVALID_ARGUMENT", "regionSet", regionSet);
    this.#keys = new EcdsaKeys(key, accessKeyId, keyCache, clock);
    this.#clock = clock;
    this.#isS3 = isS3Family(service);
    this.#uriEscapePath = options.uriEscapePath ?? !this.#isS3;
    this.#applyChecksum = options.applyChecksum ?? this.#isS3;
    const [uriEscapePath, applyChecksum] = [this.#uriEscapePath, this.#applyChecksum];
    const settings = { accessKeyId, sessionToken, region, service, uriEscapePath, applyChecksum };
    const keys = this.#keys;
    this.#canonical = new CanonicalV4a(settings, async (scope, stringToSign) =>
      (await keys.sign(scope, Buffer.from(stringToSign))).toString("hex"),
    );
  }

  /** The request to send, with its `authorization` and `x-amz-region-set` headers. The given one is not changed. */
  async sign(input: SignableRequest, options: RequestSigningArguments = {}): Promise<HttpRequest> {
    const checked = this.#check(options);
    const { request, path } = canonicalInput(input, this.#uriEscapePath);
    if (!this.#applyChecksum) checkBody(request);
    const signed = await this.#canonical.sign(request, checked);
    checkSendable(signed.headers);
    return Object.assign(signed, { path });
  }

  /** The request with its signature in the query. `expiresIn`: seconds, 1 to 604800, 3600 by default. */
  async presign(input: SignableRequest, options: RequestPresigningArguments = {}): Promise<HttpRequest> {
    const checked = { ...this.#check(options), expiresIn: expiresIn(options.expiresIn ?? defaultExpiry) };
    const { request, path } = canonicalInput(input, this.#uriEscapePath);
    if (!this.#isS3) checkBody(request);
    const presigned = this.#isS3
      ? await presignS3(this.#canonical, request, checked)
      : await this.#canonical.presign(request, checked);
    checkSendable(presigned.headers);
    return Object.assign(presigned, { path });
  }

  /** The presigned URL. `url` may have a query; its fragment is dropped. */
  async presignUrl(url: string | URL, options: PresignUrlOptions = {}): Promise<string> {
    const { method = "GET", headers = {}, ...rest } = options;
    const { expiresIn: seconds = defaultExpiry, signingDate: date = new Date(this.#clock.now()) } = rest;
    const request = requestOfUrl(url, method, headers);
    return urlOfRequest(await this.presign(request, { expiresIn: seconds, signingDate: date }));
  }

  /** What the key cache did until now. */
  keyCacheMetrics(): KeyCacheMetrics {
    return this.#keys.metrics;
  }

  /** Lets go of the private key and leaves the HmacKey open; later calls reject with `ERR_CLOSED`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#keys.close();
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The options with a valid date and region set. */
  #check<T extends RequestSigningArguments>(options: T): T & { signingDate: Date } {
    if (this.#closed) throw new SigningError("ERR_CLOSED", "the signer is closed");
    const { signingRegion, signingService } = options;
    if (signingRegion !== undefined) checkRegionSet("ERR_SIGN_INPUT", "signingRegion", signingRegion);
    if (signingService !== undefined) checkSigningService(signingService);
    return { ...options, signingDate: signingDate(options.signingDate ?? new Date(this.#clock.now())) };
  }
}
