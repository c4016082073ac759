import { isUint8Array } from "node:util/types";
import { SignatureV4, type SignatureV4CryptoInit, type SignatureV4Init } from "@smithy/signature-v4";
import type {
  EventSigner,
  EventSigningArguments,
  FormattedEvent,
  HttpRequest,
  MessageSigner,
  MessageSigningArguments,
  Provider,
  RequestPresigner,
  RequestPresigningArguments,
  RequestSigner,
  RequestSigningArguments,
  SignableMessage,
  SignedMessage,
  SigningArguments,
  StringSigner,
} from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { flag } from "../core/validate.js";
import { canonicalInput, checkBody, checkSendable, type SignableRequest } from "./canonical-input.js";
import {
  checkAccessKeyId,
  checkDay,
  checkRegion,
  checkService,
  checkSessionToken,
  checkSigningService,
  checkWellFormed,
  defaultExpiry,
  expiresIn,
  signingDate,
} from "./checks.js";
import { type Clock, systemClock } from "./clock.js";
import { type ExplainOptions, type Explanation, explain, presentedDate } from "./explain.js";
import { FastPresigner, type PresignTerms, presignTerms } from "./fast-presigner.js";
import { FastSigner } from "./fast-signer.js";
import { KeyCache, type KeyCacheMetrics } from "./key-cache.js";
import { opaqueChain } from "./opaque-chain.js";
import { presignUrls, type UrlItem } from "./presign-urls.js";
import { requestOfUrl, urlOfRequest } from "./presigned-url.js";
import { isS3Family, presignS3 } from "./s3.js";
import { type SignChunksOptions, type SignedChunks, signChunks } from "./signed-chunks.js";
import type { HmacSignerOptions, PresignUrlOptions, PresignUrlsOptions } from "./signer-options.js";
import type { SigningIdentity } from "./signing-context.js";
import type { SigningScope } from "./signing-key-source.js";
import type { Items } from "./source.js";

/**
 * Signs AWS Signature Version 4 with an {@link MacSource | HmacKey}: requests, presigned requests, strings and events, in
 * the shapes and with the option names of @smithy/signature-v4.
 *
 * Every call rejects with a SigningError: `ERR_SIGN_INPUT` for what cannot be signed faithfully, `ERR_EXPIRES_IN`,
 * `ERR_REGION_MISSING`, `ERR_SIGV4A_UNSUPPORTED` for region `*`, `ERR_MAC_LENGTH`, `ERR_CLOSED`; or with the key's error.
 */
export class HmacSigner
  implements RequestSigner, RequestPresigner, StringSigner, EventSigner, MessageSigner, AsyncDisposable
{
  readonly #keys: KeyCache;
  readonly #signer: FastSigner;
  readonly #presigner: FastPresigner;
  readonly #clock: Clock;
  readonly #region: string | Provider<string>;
  readonly #service: string;
  readonly #identity: SigningIdentity;
  /** Added after signing. */
  readonly #unsignedToken: string | undefined;
  readonly #isS3: boolean;
  readonly #uriEscapePath: boolean;
  readonly #applyChecksum: boolean;
  #general: SignatureV4 | undefined;
  #closed = false;

  /**
   * @param clock for tests
   * @throws SigningError `ERR_INVALID_ARGUMENT`
   */
  constructor(options: HmacSignerOptions, clock: Clock = systemClock) {
    const { key, accessKeyId, sessionToken, region, service, keyCache } = options;
    checkAccessKeyId(accessKeyId);
    checkSessionToken(sessionToken);
    checkService(service);
    this.#keys = new KeyCache(key, keyCache, clock);
    this.#clock = clock;
    this.#region = region;
    this.#service = service;
    this.#isS3 = isS3Family(service);
    this.#uriEscapePath = options.uriEscapePath ?? !this.#isS3;
    this.#applyChecksum = options.applyChecksum ?? this.#isS3;
    const [isS3, uriEscapePath, applyChecksum] = [this.#isS3, this.#uriEscapePath, this.#applyChecksum];
    const isOmitted = flag("omitSessionToken", options.omitSessionToken);
    this.#unsignedToken = isOmitted ? sessionToken : undefined;
    const identity = { accessKeyId, sessionToken: isOmitted ? undefined : sessionToken, service };
    this.#identity = identity;
    this.#presigner = new FastPresigner(this.#keys, {
      ...identity,
      ...{ isS3, uriEscapePath, unsignedToken: this.#unsignedToken },
    });
    this.#signer = new FastSigner(this.#keys, { ...identity, uriEscapePath, applyChecksum });
  }

  /** The request to send, with its `authorization` header. The given one is not changed. */
  sign(request: SignableRequest, options?: RequestSigningArguments): Promise<HttpRequest>;
  /** The signature of a string to sign: 64 hex digits. */
  sign(stringToSign: string, options?: SigningArguments): Promise<string>;
  /** The signature of an event, or of a chunk (`headers` empty), that follows `priorSignature`: 64 hex digits. */
  sign(event: FormattedEvent, options: EventSigningArguments): Promise<string>;
  /** The message with its signature. */
  sign(message: SignableMessage, options: MessageSigningArguments): Promise<SignedMessage>;
  async sign(
    input: SignableRequest | string | FormattedEvent | SignableMessage,
    options: RequestSigningArguments & Partial<EventSigningArguments> = {},
  ): Promise<HttpRequest | string | SignedMessage> {
    // Whatever credentials a client has for its event streams, the key signs.
    const { eventStreamCredentials: _, ...checked } = this.#check(options);
    if (typeof input === "string") {
      checkWellFormed("the string to sign", input);
      return this.#smithy.sign(input, checked);
    }
    if (input !== null && typeof input === "object") {
      if ("message" in input) {
        return this.#smithy.signMessage(
          { ...input, priorSignature: signature(input.priorSignature) },
          checked,
        );
      }
      if ("payload" in input) {
        checkEvent(input);
        return this.#smithy.sign(input, { ...checked, priorSignature: signature(options.priorSignature) });
      }
    }
    const { request, path } = canonicalInput(input, this.#uriEscapePath);
    if (!this.#applyChecksum) checkBody(request);
    const region =
      checked.signingRegion ??
      (typeof this.#region === "string" ? checkRegion(this.#region) : await this.#signingRegion());
    const signing =
      this.#signer.sign(request, checked, region) ??
      this.#smithy.sign(request, { ...checked, signingRegion: region });
    const signed = signing instanceof Promise ? await signing : signing;
    if (this.#unsignedToken !== undefined) signed.headers["x-amz-security-token"] = this.#unsignedToken;
    checkSendable(signed.headers);
    return Object.assign(signed, { path });
  }

  /** The message with its signature, as `sign` gives it. */
  signMessage(message: SignableMessage, options: MessageSigningArguments): Promise<SignedMessage> {
    return this.sign(message, options);
  }

  /**
   * The request to send for an S3 upload whose body is signed in chunks while it is sent, and what the body goes through
   * for that. Chunks are signed on the request's date, after midnight too; with `keyCache: "none"` each asks the device.
   */
  async signChunks(request: SignableRequest, options: SignChunksOptions = {}): Promise<SignedChunks> {
    if (!this.#isS3)
      throw new SigningError("ERR_SIGN_INPUT", "only S3 takes a body that is signed in chunks");
    return signChunks(this, this.#keys, request, options);
  }

  /**
   * The request with its signature in the query; whoever sends it needs no key. `expiresIn`: seconds, 1 to 604800,
   * 3600 by default. For the S3 family the payload is not signed unless x-amz-content-sha256 is given.
   */
  async presign(input: SignableRequest, options: RequestPresigningArguments = {}): Promise<HttpRequest> {
    const checked = { ...this.#check(options), expiresIn: expiresIn(options.expiresIn ?? defaultExpiry) };
    const { request, path } = canonicalInput(input, this.#uriEscapePath);
    if (!this.#isS3) checkBody(request);
    const presigned = this.#isS3
      ? await presignS3(this.#smithy, request, checked)
      : await this.#smithy.presign(request, checked);
    if (this.#unsignedToken !== undefined && presigned.query)
      presigned.query["X-Amz-Security-Token"] = this.#unsignedToken;
    checkSendable(presigned.headers);
    return Object.assign(presigned, { path });
  }

  /** The presigned URL. `url` may have a query; its fragment is dropped. */
  async presignUrl(url: string | URL, options: PresignUrlOptions = {}): Promise<string> {
    const terms = presignTerms(options);
    const parts = terms && this.#presigner.read(url);
    if (!terms || !parts) return this.#presignUrl(url, options);
    const region = typeof this.#region === "function" ? await this.#signingRegion() : this.#region;
    const now = this.#clock.now();
    return (
      this.#presigner.presign(parts, terms, region, now) ??
      this.#presigner.presignLater(parts, terms, region, now) ??
      this.#presignUrl(url, options)
    );
  }

  /**
   * The presigned URLs of `urls`, in order, at batch speed. They may come with options of their own, and some at a time in
   * arrays. At most 64 are signed ahead: while a device is waited for, and for one who takes them fast. The event loop turns every millisecond.
   *
   * @returns what rejects with ERR_SIGN_INPUT or ERR_EXPIRES_IN for a URL that cannot be signed, naming its index from 0,
   * unless `onError` is given; with what `urls` rejects with, the signal's reason, or the key's error
   * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_EXPIRES_IN`, `ERR_SIGN_INPUT` for the options
   */
  presignUrls(
    urls: Items<UrlItem>,
    options: PresignUrlsOptions = {},
  ): AsyncGenerator<string, void, undefined> {
    const presigner = {
      many: (items: readonly unknown[], from: number, terms: PresignTerms): string[] =>
        typeof this.#region === "string"
          ? this.#presigner.presignLike(items, from, terms, this.#region, this.#clock.now())
          : [],
      now: (url: string | URL, terms: PresignTerms | undefined): string | undefined => {
        const parts = terms && this.#presigner.read(url);
        if (!terms || !parts || typeof this.#region !== "string") return undefined;
        return this.#presigner.presign(parts, terms, this.#region, this.#clock.now());
      },
      later: (url: string | URL, own: PresignUrlOptions): Promise<string> => this.presignUrl(url, own),
    };
    return presignUrls(presigner, urls, options);
  }

  async #presignUrl(url: string | URL, options: PresignUrlOptions): Promise<string> {
    const { method = "GET", headers = {}, expiresIn = defaultExpiry, signingDate = this.#now() } = options;
    const request = requestOfUrl(url, method, headers);
    return urlOfRequest(await this.presign(request, { ...options, expiresIn, signingDate }));
  }

  /**
   * A signing key itself: derived key material, which signs everything in its scope for that whole day. For a worker thread
   * of this process: `port.postMessage(key, [key])` leaves no copy here, and a `SigningKeySource` there gives it to a signer.
   *
   * @param scope `date`: the UTC day, `yyyymmdd`; `region` and `service` are the signer's own unless given
   * @returns 32 bytes that are the caller's to wipe or to transfer
   */
  async exportSigningKey({
    date,
    region,
    service = this.#service,
  }: Pick<SigningScope, "date"> & Partial<SigningScope>): Promise<ArrayBuffer> {
    checkDay(date);
    checkSigningService(service);
    const known = region === undefined ? await this.#signingRegion() : checkRegion(region);
    return this.#keys.exportSigningKey({ date, region: known, service });
  }

  /**
   * What would be signed: the canonical request and the string to sign, of the presigned form where `expiresIn` is given; with
   * `awsError` also where AWS saw something else. Nothing is signed, and no device asked. For people: not fast.
   */
  async explain(request: SignableRequest | string | URL, options: ExplainOptions = {}): Promise<Explanation> {
    const { awsError } = options;
    const seenDate = awsError === undefined ? undefined : presentedDate(awsError);
    const checked = this.#check({ ...options, signingDate: options.signingDate ?? seenDate ?? this.#now() });
    if (options.expiresIn !== undefined) expiresIn(options.expiresIn);
    const isUrl = typeof request === "string" || request instanceof URL;
    const { request: canonical } = canonicalInput(
      isUrl ? requestOfUrl(request, "GET", {}) : request,
      this.#uriEscapePath,
    );
    const isHashed = options.expiresIn === undefined ? !this.#applyChecksum : !this.#isS3;
    if (isHashed) checkBody(canonical);
    const region = checked.signingRegion ?? (await this.#signingRegion());
    const [uriEscapePath, applyChecksum] = [this.#uriEscapePath, this.#applyChecksum];
    const settings = { ...this.#identity, region, uriEscapePath, applyChecksum };
    return explain(settings, canonical, checked);
  }

  /** What the key cache did until now. */
  keyCacheMetrics(): KeyCacheMetrics {
    return this.#keys.metrics;
  }

  /** Wipes the derived keys it holds and leaves the key open; later calls reject with `ERR_CLOSED`. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#keys.close();
  }

  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The options with a valid date and region. */
  #check<T extends SigningArguments>(options: T): T & { signingDate: Date } {
    if (this.#closed) throw new SigningError("ERR_CLOSED", "the signer is closed");
    if (options.signingRegion !== undefined) checkRegion(options.signingRegion);
    if (options.signingService !== undefined) checkSigningService(options.signingService);
    return { ...options, signingDate: signingDate(options.signingDate ?? this.#now()) };
  }

  /** The general path, loaded when something unusual is signed: it takes longer to start than all the rest. */
  get #smithy(): SignatureV4 {
    this.#general ??= new SignatureV4({
      ...opaqueIdentity(this.#identity, this.#keys),
      region: () => this.#signingRegion(),
      uriEscapePath: this.#uriEscapePath,
      applyChecksum: this.#applyChecksum,
    });
    return this.#general;
  }

  #now(): Date {
    return new Date(this.#clock.now());
  }

  async #signingRegion(): Promise<string> {
    return checkRegion(typeof this.#region === "function" ? await this.#region() : this.#region);
  }
}

/** Who signs, for smithy: without a secret. */
function opaqueIdentity(
  { accessKeyId, sessionToken, service }: SigningIdentity,
  keys: KeyCache,
): Pick<SignatureV4Init, "credentials" | "service"> & SignatureV4CryptoInit {
  const { secretAccessKey, sha256 } = opaqueChain(keys);
  const credentials = { accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) };
  return { credentials, service, sha256 };
}

function checkEvent({ headers, payload }: FormattedEvent): void {
  if (isUint8Array(headers) && isUint8Array(payload)) return;
  throw new SigningError("ERR_SIGN_INPUT", "an event's headers and payload must be Uint8Arrays");
}

function signature(prior: unknown): string {
  if (typeof prior !== "string") throw new SigningError("ERR_SIGN_INPUT", "priorSignature must be a string");
  return prior;
}
