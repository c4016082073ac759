import {
  ALGORITHM_IDENTIFIER_V4A as algorithm,
  getCanonicalHeaders,
  getPayloadHash,
  KEY_TYPE_IDENTIFIER,
  moveHeadersToQuery,
  prepareRequest,
  SignatureV4Base,
} from "@smithy/signature-v4";
import type {
  HttpRequest,
  RequestPresigner,
  RequestPresigningArguments,
  RequestSigner,
  RequestSigningArguments,
} from "@smithy/types";
import type { Scope } from "./key-cache.js";
import { Sha256 } from "./sha256.js";

export interface CanonicalV4aSettings {
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
  /** The region set, e.g. `*` or `us-east-1,us-west-2`. */
  readonly region: string;
  readonly service: string;
  readonly uriEscapePath: boolean;
  readonly applyChecksum: boolean;
}

type SignDigest = (scope: Scope, stringToSign: string) => Promise<string>;

/**
 * SigV4a's requests on smithy's canonical form, which @smithy/signature-v4a has too: the region set is sent
 * and signed, and is not part of the scope. `signDigest` makes the signature, so that smithy gets no key.
 */
export class CanonicalV4a extends SignatureV4Base implements RequestSigner, RequestPresigner {
  readonly #settings: CanonicalV4aSettings;
  readonly #sign: SignDigest;

  constructor(settings: CanonicalV4aSettings, signDigest: SignDigest) {
    const { accessKeyId, region, service, uriEscapePath, applyChecksum } = settings;
    const credentials = { accessKeyId, secretAccessKey: "" };
    super({ credentials, region, service, uriEscapePath, applyChecksum, sha256: Sha256 });
    this.#settings = settings;
    this.#sign = signDigest;
  }

  async sign(
    given: HttpRequest,
    {
      signingDate = new Date(),
      signableHeaders,
      unsignableHeaders,
      ...options
    }: RequestSigningArguments = {},
  ): Promise<HttpRequest> {
    const { sessionToken } = this.#settings;
    const { longDate, region, scope, credential } = this.#context(signingDate, options);
    const request = prepareRequest(given);
    request.headers["x-amz-date"] = longDate;
    if (sessionToken) request.headers["x-amz-security-token"] = sessionToken;
    request.headers["x-amz-region-set"] = region;
    const payload = await getPayloadHash(request, this.sha256);
    if (this.applyChecksum) request.headers["x-amz-content-sha256"] ??= payload;
    const headers = getCanonicalHeaders(request, unsignableHeaders, signableHeaders);
    const canonical = this.createCanonicalRequest(request, headers, payload);
    const names = this.getCanonicalHeaderList(headers);
    const signature = await this.#signature(longDate, scope, canonical);
    request.headers.authorization = `${algorithm} Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
    return request;
  }

  async presign(
    given: HttpRequest,
    {
      signingDate = new Date(),
      expiresIn = 3600,
      signableHeaders,
      unsignableHeaders,
      hoistableHeaders,
      unhoistableHeaders,
      ...options
    }: RequestPresigningArguments = {},
  ): Promise<HttpRequest> {
    const { sessionToken } = this.#settings;
    const { longDate, region, scope, credential } = this.#context(signingDate, options);
    const hoisting = {
      ...(hoistableHeaders && { hoistableHeaders }),
      ...(unhoistableHeaders && { unhoistableHeaders }),
    };
    const request = moveHeadersToQuery(prepareRequest(given), hoisting);
    const headers = getCanonicalHeaders(request, unsignableHeaders, signableHeaders);
    Object.assign(request.query, {
      ...(sessionToken && { "X-Amz-Security-Token": sessionToken }),
      "X-Amz-Algorithm": algorithm,
      "X-Amz-Credential": credential,
      "X-Amz-Date": longDate,
      "X-Amz-Expires": String(expiresIn),
      "X-Amz-Region-Set": region,
      "X-Amz-SignedHeaders": this.getCanonicalHeaderList(headers),
    });
    const payload = await getPayloadHash(given, this.sha256);
    const canonical = this.createCanonicalRequest(request, headers, payload);
    request.query["X-Amz-Signature"] = await this.#signature(longDate, scope, canonical);
    return request;
  }

  #context(
    signingDate: Required<RequestSigningArguments>["signingDate"],
    { signingRegion, signingService }: RequestSigningArguments,
  ): { longDate: string; region: string; scope: Scope; credential: string } {
    const { longDate, shortDate: date } = this.formatDate(signingDate);
    const region = signingRegion ?? this.#settings.region;
    const scope = { date, region, service: signingService ?? this.service };
    return { longDate, region, scope, credential: `${this.#settings.accessKeyId}/${scopeName(scope)}` };
  }

  async #signature(longDate: string, scope: Scope, canonicalRequest: string): Promise<string> {
    const text = await this.createStringToSign(longDate, scopeName(scope), canonicalRequest, algorithm);
    return this.#sign(scope, text);
  }
}

/** The credential scope: SigV4a's has no region. */
function scopeName({ date, service }: Scope): string {
  return `${date}/${service}/${KEY_TYPE_IDENTIFIER}`;
}
