import { hash } from "node:crypto";
import { isExpiry, isName, signingDate } from "./checks.js";
import type { KeyCache, Scope } from "./key-cache.js";
import type { PresignUrlOptions } from "./signer-options.js";
import { escapeUri } from "./uri.js";
import { type UrlParts, UrlReader } from "./url-parts.js";

/** Seconds. */
export const defaultExpiry = 3600;
const emptyPayload = hash("sha256", "", "hex");

/** What every URL of a signer has in common. */
export interface PresignSettings {
  readonly accessKeyId: string;
  readonly sessionToken: string | undefined;
  readonly service: string;
  /** Whether URLs sign no payload, as S3's do; the others sign that there is none. */
  readonly isS3: boolean;
  readonly uriEscapePath: boolean;
}

/** What a caller wants, checked. */
export interface PresignTerms {
  readonly method: string;
  /** Seconds since 1970; undefined: now. */
  readonly second: number | undefined;
  readonly expiresIn: number;
}

/** What the URLs of one second, region and expiry have in common. */
interface Template {
  readonly second: number;
  readonly region: string;
  readonly expiresIn: number;
  readonly scope: Scope;
  /** The string to sign but for the hash of the canonical request. */
  readonly head: string;
  /** The signature's parameters as they are signed: in order of their names. */
  readonly canonicalQuery: string;
  /** As they are sent, up to the signature. */
  readonly query: string;
}

const options = new Set(["method", "expiresIn", "signingDate", "headers"]);

/** The terms of a URL of which only the host is signed; undefined for what is refused, or is better signed by the general path. */
export function presignTerms(given: PresignUrlOptions): PresignTerms | undefined {
  for (const name in given) if (!options.has(name)) return undefined;
  const { method = "GET", expiresIn = defaultExpiry, signingDate: date, headers } = given;
  if (headers !== undefined || !isExpiry(expiresIn) || typeof method !== "string") return undefined;
  if (method !== "GET" && !/^[A-Za-z]+$/.test(method)) return undefined;
  try {
    const second = date === undefined ? undefined : Math.floor(signingDate(date).getTime() / 1000);
    return { method: method.toUpperCase(), second, expiresIn };
  } catch {
    return undefined;
  }
}

/**
 * Presigns URLs of which only the host is signed, with keys that are in memory. Gives byte for byte what
 * @smithy/signature-v4 does; whatever is unusual is left to it.
 */
export class FastPresigner {
  readonly #keys: KeyCache;
  readonly #settings: PresignSettings;
  readonly #urls: UrlReader;
  readonly #end: string;
  #template: Template | undefined;

  constructor(keys: KeyCache, settings: PresignSettings) {
    this.#keys = keys;
    this.#settings = settings;
    this.#urls = new UrlReader(settings.uriEscapePath);
    this.#end = `\n\nhost\n${settings.isS3 ? "UNSIGNED-PAYLOAD" : emptyPayload}`;
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
    const { method, second = Math.floor(now / 1000), expiresIn } = terms;
    const template = this.#templateOf(second, region, expiresIn);
    if (!template) return undefined;
    const query = parts.before + template.canonicalQuery + parts.after;
    const request = `${method}\n${parts.canonicalPath}\n${query}\nhost:${parts.host}${this.#end}`;
    const signature = this.#keys.signNow(template.scope, template.head, hash("sha256", request, "hex"));
    return signature && parts.url + template.query + signature;
  }

  #templateOf(second: number, region: string, expiresIn: number): Template | undefined {
    const last = this.#template;
    if (last?.second === second && last.region === region && last.expiresIn === expiresIn) return last;
    if (!isName(region) || region === "*") return undefined;
    this.#template = makeTemplate(this.#settings, second, region, expiresIn);
    return this.#template;
  }
}

function makeTemplate(
  { accessKeyId, sessionToken, service }: PresignSettings,
  second: number,
  region: string,
  expiresIn: number,
): Template {
  const longDate = new Date(second * 1000).toISOString().replace(/[-:]|\.000/g, "");
  const date = longDate.slice(0, 8);
  const scope = `${date}/${region}/${service}/aws4_request`;
  const token = sessionToken ? `X-Amz-Security-Token=${escapeUri(sessionToken)}&` : "";
  const parameters =
    `X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=${escapeUri(`${accessKeyId}/${scope}`)}` +
    `&X-Amz-Date=${longDate}&X-Amz-Expires=${expiresIn}&`;
  const signedHeaders = "X-Amz-SignedHeaders=host";
  return {
    ...{ second, region, expiresIn },
    scope: { date, region, service },
    head: `AWS4-HMAC-SHA256\n${longDate}\n${scope}\n`,
    canonicalQuery: parameters + token + signedHeaders,
    query: `${token}${parameters}${signedHeaders}&X-Amz-Signature=`,
  };
}
