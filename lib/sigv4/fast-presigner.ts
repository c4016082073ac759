import { hash } from "node:crypto";
import { emptyPayloadHash } from "./canonical-request.js";
import { defaultExpiry, isExpiry, signingDate } from "./checks.js";
import type { KeyCache } from "./key-cache.js";
import type { PresignUrlOptions } from "./signer-options.js";
import { LastContext, type SigningContext, type SigningIdentity } from "./signing-context.js";
import { escapeUri } from "./uri.js";
import { type UrlParts, UrlReader } from "./url-parts.js";

/** What every URL of a signer has in common. */
export interface PresignSettings extends SigningIdentity {
  /** Whether URLs sign no payload, as S3's do; the others sign that there is none. */
  readonly isS3: boolean;
  readonly uriEscapePath: boolean;
  /** Added after signing. */
  readonly unsignedToken: string | undefined;
}

/** What a caller wants, checked. */
export interface PresignTerms {
  readonly method: string;
  /** Seconds since 1970; undefined: now. */
  readonly second: number | undefined;
  readonly expiresIn: number;
}

/** What the URLs of one context and expiry have in common. */
interface Template {
  readonly context: SigningContext;
  readonly expiresIn: number;
  /** The signature's parameters as they are signed: in order of their names. */
  readonly canonicalQuery: string;
  /** As they are sent, up to the signature. */
  readonly query: string;
}

/** In hex digits. */
const signatureLength = 64;
/** How many URLs go together: more gain nothing, and would hold the event loop up. */
const longestRun = 64;

const options = new Set(["method", "expiresIn", "signingDate", "headers"]);

/** The terms of a URL of which only the host is signed; undefined for what is refused, or is better signed by the general path. */
export function presignTerms(given: PresignUrlOptions): PresignTerms | undefined {
  for (const name in given) if (!options.has(name)) return undefined;
  const { method = "GET", expiresIn = defaultExpiry, signingDate: date, headers } = given;
  if (date === null || headers !== undefined || !isExpiry(expiresIn) || typeof method !== "string")
    return undefined;
  if (method !== "GET" && !/^[A-Za-z]+$/.test(method)) return undefined;
  try {
    const second = date === undefined ? undefined : Math.floor(signingDate(date).getTime() / 1000);
    return { method: method.toUpperCase(), second, expiresIn };
  } catch {
    return undefined;
  }
}

/**
 * Presigns URLs of which only the host is signed, at once with keys that are in memory. Gives byte for byte what
 * @smithy/signature-v4 does; whatever is unusual is left to it.
 */
export class FastPresigner {
  readonly #keys: KeyCache;
  readonly #settings: PresignSettings;
  readonly #contexts: LastContext;
  readonly #urls: UrlReader;
  /** What a URL ends with after the signature. */
  readonly #end: string;
  #template: Template | undefined;
  #host = "";
  /** The canonical request after the query. */
  #tail = "";

  constructor(keys: KeyCache, settings: PresignSettings) {
    this.#keys = keys;
    this.#settings = settings;
    this.#contexts = new LastContext(settings);
    this.#urls = new UrlReader(settings.uriEscapePath);
    const token = settings.unsignedToken;
    this.#end = token === undefined ? "" : `&X-Amz-Security-Token=${escapeUri(token)}`;
  }

  /** The parts of a URL; undefined for one that is refused, or is better signed by the general path. */
  read(url: string | URL): UrlParts | undefined {
    return this.#urls.read(url);
  }

  /**
   * The presigned URL; undefined where the region is none or the key not there.
   *
   * @param now milliseconds since 1970
   */
  presign(parts: UrlParts, terms: PresignTerms, region: string, now: number): string | undefined {
    const template = this.#templateOf(terms, region, now);
    if (!template) return undefined;
    const { scope, head } = template.context;
    const signature = this.#keys.signNow(scope, head, this.#hashedRequest(parts, terms, template));
    return signature && parts.url + template.query + signature + this.#end;
  }

  /** The same with a key that may have to come first; undefined where the region is none. Rejects as the key does. */
  presignLater(
    parts: UrlParts,
    terms: PresignTerms,
    region: string,
    now: number,
  ): Promise<string> | undefined {
    const template = this.#templateOf(terms, region, now);
    if (!template) return undefined;
    const { scope, head } = template.context;
    const stringToSign = Buffer.from(head + this.#hashedRequest(parts, terms, template), "latin1");
    const url = parts.url + template.query;
    return this.#keys
      .sign(scope, stringToSign)
      .then((signature) => url + signature.toString("hex") + this.#end);
  }

  /**
   * The presigned URLs of those of `urls` from index `from` on, {@link longestRun} at most, that are of the last server, have no query and need no encoding; none
   * where the region is none, or the key or the addon not there.
   */
  presignLike(
    urls: readonly unknown[],
    from: number,
    terms: PresignTerms,
    region: string,
    now: number,
  ): string[] {
    const template = this.#templateOf(terms, region, now);
    if (!template) return [];
    let lines = "";
    let end = from;
    for (const limit = Math.min(urls.length, from + longestRun); end < limit; end++) {
      const url = urls[end];
      const path = typeof url === "string" ? this.#urls.pathLike(url) : undefined;
      if (path === undefined) break;
      lines += `${path}\n`;
    }
    const count = end - from;
    if (count < 2) return [];
    if (this.#urls.lastHost !== this.#host) this.#setHost(this.#urls.lastHost);
    const { scope, head } = template.context;
    const requests = {
      before: `${terms.method}\n`,
      lines,
      after: `\n${template.canonicalQuery}${this.#tail}`,
      count,
    };
    const signatures = this.#keys.signLinesNow(scope, head, requests);
    if (signatures === undefined) return [];
    const presigned: string[] = [];
    for (let index = 0; index < count; index++) {
      const signature = signatures.slice(index * signatureLength, (index + 1) * signatureLength);
      presigned.push(`${urls[from + index]}?${template.query}${signature}${this.#end}`);
    }
    return presigned;
  }

  /** The canonical request's SHA-256 in hex digits. */
  #hashedRequest(parts: UrlParts, { method }: PresignTerms, { canonicalQuery }: Template): string {
    if (parts.host !== this.#host) this.#setHost(parts.host);
    const query = parts.before + canonicalQuery + parts.after;
    return hash("sha256", `${method}\n${parts.canonicalPath}\n${query}${this.#tail}`, "hex");
  }

  #setHost(host: string): void {
    const payload = this.#settings.isS3 ? "UNSIGNED-PAYLOAD" : emptyPayloadHash;
    this.#host = host;
    this.#tail = flat(`\nhost:${host}\n\nhost\n${payload}`);
  }

  /** @param now milliseconds since 1970 */
  #templateOf(terms: PresignTerms, region: string, now: number): Template | undefined {
    const { second = Math.floor(now / 1000), expiresIn } = terms;
    const context = this.#contexts.of(second, region);
    if (context !== this.#template?.context || expiresIn !== this.#template?.expiresIn) {
      this.#template = context && makeTemplate(context, expiresIn, this.#settings.sessionToken);
    }
    return this.#template;
  }
}

function makeTemplate(
  context: SigningContext,
  expiresIn: number,
  sessionToken: string | undefined,
): Template {
  const token = sessionToken ? `X-Amz-Security-Token=${escapeUri(sessionToken)}&` : "";
  const parameters =
    `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${escapeUri(context.credential)}` +
    `&X-Amz-Date=${context.longDate}&X-Amz-Expires=${expiresIn}&`;
  const signedHeaders = "X-Amz-SignedHeaders=host";
  return {
    ...{ context, expiresIn },
    canonicalQuery: flat(parameters + token + signedHeaders),
    query: flat(`${token}${parameters}${signedHeaders}&X-Amz-Signature=`),
  };
}

/** The same ASCII in one piece: V8 keeps what was put together as the tree of its parts, and walks it for each URL. */
function flat(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
