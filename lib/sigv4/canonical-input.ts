import { isArrayBuffer } from "node:util/types";
import type { HttpRequest, QueryParameterBag } from "@smithy/types";
import { SigningError } from "../core/errors.js";
import { checkWellFormed } from "./checks.js";
import { wirePath } from "./uri.js";

/** Smithy's HttpRequest; the protocol is `https:` unless given, and headers may have several values. */
export type SignableRequest = Omit<HttpRequest, "headers" | "protocol"> & {
  /** `https:` by default. */
  protocol?: string | undefined;
  /** By name, in any case. */
  headers: Record<string, string | readonly string[] | undefined>;
};

export interface CanonicalInput {
  /** What smithy can sign faithfully. */
  request: HttpRequest;
  /** The path to send. */
  path: string;
}

/**
 * Brings a request into the form that is both signed and sent: an upper-case method, lower-case headers each once (the
 * values of repeated ones joined with "," in order), `host` present, no null in the query, the path percent-encoded when
 * the service takes it as it comes. A path that is normalised must come percent-encoded, as it is sent.
 *
 * @throws SigningError `ERR_SIGN_INPUT` for anything that would be signed otherwise than it is sent
 */
export function canonicalInput(request: SignableRequest, uriEscapePath: boolean): CanonicalInput {
  if (typeof request !== "object" || request === null || typeof request.method !== "string") {
    throw invalid("an HTTP request must be an object with method, hostname, path and headers");
  }
  const path = checkedPath(request.path);
  const { wire, canonical } = uriEscapePath ? { wire: path, canonical: path } : wirePath(path);
  const headers = canonicalHeaders(request.headers);
  headers.host ??= hostHeader(request);
  const query = canonicalQuery(request.query ?? {});
  const { protocol = "https:" } = request;
  return {
    request: { ...request, protocol, method: request.method.toUpperCase(), path: canonical, headers, query },
    path: wire,
  };
}

/**
 * A body must be one that can be hashed, unless the request says what is signed in its place: of any other smithy signs
 * UNSIGNED-PAYLOAD, and a server that is not told so hashes what it gets.
 *
 * @throws SigningError `ERR_SIGN_INPUT`
 */
export function checkBody({ body, headers }: HttpRequest): void {
  if (body === undefined || body === null || typeof body === "string") return;
  if (ArrayBuffer.isView(body) || isArrayBuffer(body) || "x-amz-content-sha256" in headers) return;
  throw invalid("body must be a string or bytes, unless the header x-amz-content-sha256 says what is signed");
}

/**
 * Smithy signs a header's UTF-8; HTTP clients send Latin-1.
 *
 * @throws SigningError `ERR_SIGN_INPUT`
 */
export function checkSendable(headers: HttpRequest["headers"]): void {
  const name = Object.keys(headers).find((one) => /[^\0-\x7f]/.test(headers[one] ?? ""));
  if (name !== undefined)
    throw invalid(`header ${name} must be ASCII: HTTP clients send no UTF-8 in headers`);
}

function checkedPath(path: unknown = "/"): string {
  if (typeof path !== "string") throw invalid("path must be a string");
  checkWellFormed("path", path);
  if (/[?#]/.test(path)) throw invalid('path must not hold "?" or "#": give the query as an object');
  return path.startsWith("/") ? path : `/${path}`;
}

function canonicalHeaders(headers: SignableRequest["headers"] = {}): Record<string, string> {
  checkRecord("headers", headers);
  const merged = new Map<string, string[]>();
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || value === null) continue;
    const lowerCase = name.toLowerCase();
    const values = typeof value === "string" ? [value] : value;
    if (!Array.isArray(values))
      throw invalid(`header ${lowerCase} must be a string or strings, not a ${typeof value}`);
    for (const one of values) checkText(`header ${lowerCase}`, one);
    merged.set(lowerCase, [...(merged.get(lowerCase) ?? []), ...values]);
  }
  return Object.fromEntries(
    [...merged].map(([name, values]) => [
      name,
      values.length === 1 ? values[0] : values.map((v) => v.trim()).join(","),
    ]),
  ) as Record<string, string>;
}

function canonicalQuery(query: QueryParameterBag): QueryParameterBag {
  checkRecord("query", query);
  const result: QueryParameterBag = {};
  for (const [name, value] of Object.entries(query)) {
    // Smithy builds its query in an object, where this name is lost.
    if (name === "__proto__") throw invalid("a query parameter must not be called __proto__");
    checkText("query", name);
    if (value === undefined) continue;
    // Smithy leaves null out of the signature, but the server sees `?acl` as `acl=`.
    const values = (Array.isArray(value) ? value : [value]).map((one) => one ?? "");
    for (const one of values) checkText(`query parameter ${name}`, one);
    result[name] = Array.isArray(value) ? values : (values[0] ?? "");
  }
  return result;
}

/** `host` as HTTP clients send it: with the port unless it is the protocol's own. */
function hostHeader({ protocol, hostname, port }: SignableRequest): string {
  if (typeof hostname !== "string" || hostname === "")
    throw invalid("a request needs a hostname or a host header");
  const isDefault = port === undefined || port === (protocol?.startsWith("https") === false ? 80 : 443);
  return isDefault ? hostname : `${hostname}:${port}`;
}

/** Headers, Map and URLSearchParams have no properties: their content would be lost. */
function checkRecord(what: string, value: unknown): void {
  if (Object.prototype.toString.call(value) === "[object Object]") return;
  throw invalid(`${what} must be a plain object, such as Object.fromEntries(…) makes`);
}

function checkText(what: string, value: unknown): void {
  if (typeof value !== "string") throw invalid(`${what} must be a string, not a ${typeof value}`);
  checkWellFormed(what, value);
}

function invalid(message: string): SigningError {
  return new SigningError("ERR_SIGN_INPUT", message);
}
