import { hash } from "node:crypto";
import type { HttpRequest, RequestSigningArguments } from "@smithy/types";
import { canonicalHeaders, canonicalQuery, payloadHash } from "./canonical-request.js";
import type { KeyCache } from "./key-cache.js";
import { LastContext, type SigningIdentity } from "./signing-context.js";
import { normalisedPath } from "./uri.js";

export interface SignSettings extends SigningIdentity {
  readonly uriEscapePath: boolean;
  readonly applyChecksum: boolean;
}

/**
 * Signs the headers of requests, at once with keys that are in memory. Gives byte for byte what @smithy/signature-v4 does;
 * whatever is unusual is left to it.
 */
export class FastSigner {
  readonly #keys: KeyCache;
  readonly #settings: SignSettings;
  readonly #contexts: LastContext;

  constructor(keys: KeyCache, settings: SignSettings) {
    this.#keys = keys;
    this.#settings = settings;
    this.#contexts = new LastContext(settings);
  }

  /**
   * The signed request, or its promise where the key is not there; undefined where it is better signed by the general path.
   *
   * @param request as `canonicalInput` gives it, which nobody else has
   */
  sign(
    request: HttpRequest,
    {
      signingDate,
      signableHeaders,
      unsignableHeaders,
      signingService,
    }: RequestSigningArguments & { signingDate: Date },
    region: string,
  ): HttpRequest | Promise<HttpRequest> | undefined {
    const {
      method,
      protocol,
      hostname,
      port,
      path,
      query = {},
      body,
      username,
      password,
      fragment,
    } = request;
    if (signableHeaders || unsignableHeaders || !method || !hostname || !protocol.endsWith(":"))
      return undefined;
    const second = Math.floor(signingDate.getTime() / 1000);
    const context = this.#contexts.of(second, region, signingService);
    const payload = payloadHash(request);
    if (!context || payload === undefined) return undefined;

    const { sessionToken, uriEscapePath, applyChecksum } = this.#settings;
    const { authorization: _, "x-amz-date": __, date: ___, ...headers } = request.headers;
    headers["x-amz-date"] = context.longDate;
    if (sessionToken) headers["x-amz-security-token"] = sessionToken;
    if (applyChecksum) headers["x-amz-content-sha256"] = payload;

    const { lines, names } = canonicalHeaders(headers);
    const canonicalPath = uriEscapePath ? normalisedPath(path) : path;
    const canonical = `${method}\n${canonicalPath}\n${canonicalQuery(query)}\n${lines}\n${names}\n${payload}`;
    const hashedRequest = hash("sha256", canonical, "hex");
    const { scope, head, credential } = context;
    const signed = (signature: string): HttpRequest => {
      headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${names}, Signature=${signature}`;
      return {
        method,
        hostname,
        port,
        query,
        headers,
        body,
        protocol,
        path,
        username,
        password,
        fragment,
      } as HttpRequest;
    };
    const signature = this.#keys.signNow(scope, head, hashedRequest);
    if (signature !== undefined) return signed(signature);
    return this.#keys
      .sign(scope, Buffer.from(head + hashedRequest, "latin1"))
      .then((late) => signed(late.toString("hex")));
  }
}
