import { hash } from "node:crypto";
import type { HttpRequest } from "@smithy/types";
import { escapeUri } from "./uri.js";

/** SHA-256 of nothing: 64 hex digits. */
export const emptyPayloadHash = hash("sha256", "", "hex");

/**
 * What x-amz-content-sha256 says, or the SHA-256 of the body in hex digits; undefined for a body that cannot be hashed.
 *
 * @param headers in lower case
 */
export function payloadHash({ headers, body }: HttpRequest): string | undefined {
  const given = headers["x-amz-content-sha256"];
  if (given !== undefined) return given;
  if (body === undefined || body === null) return emptyPayloadHash;
  if (typeof body !== "string" && !ArrayBuffer.isView(body)) return undefined;
  return hash("sha256", body as string | Uint8Array, "hex");
}

/** The query as it is signed: encoded and in order (AWS SigV4 guide, "canonical query string"). */
export function canonicalQuery(query: HttpRequest["query"]): string {
  const parameters = new Map<string, string>();
  for (const name in query) {
    if (name.toLowerCase() === "x-amz-signature") continue;
    const encoded = escapeUri(name);
    const values = [query[name] ?? ""].flat().map((value) => `${encoded}=${escapeUri(value)}`);
    if (values.length > 0) parameters.set(encoded, values.sort().join("&"));
  }
  const names = [...parameters.keys()].sort();
  return names.map((name) => parameters.get(name)).join("&");
}

/** Smithy's ALWAYS_UNSIGNABLE_HEADERS: smithy itself is loaded only where it signs. */
export const unsignedHeaders: ReadonlySet<string> = new Set([
  "authorization",
  "cache-control",
  "connection",
  "expect",
  "from",
  "keep-alive",
  "max-forwards",
  "pragma",
  "referer",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "user-agent",
  "x-amzn-trace-id",
]);

/** Whether smithy signs a header of this name, in lower case, when it is not told otherwise. */
function isSigned(name: string): boolean {
  return !unsignedHeaders.has(name) && !name.startsWith("proxy-") && !name.startsWith("sec-");
}

/** The headers as they are signed, each on a line, and their names. */
export interface CanonicalHeaders {
  readonly lines: string;
  readonly names: string;
}

/** @param headers in lower case */
export function canonicalHeaders(headers: HttpRequest["headers"]): CanonicalHeaders {
  const names = Object.keys(headers).filter(isSigned).sort();
  let lines = "";
  for (const name of names) lines += `${name}:${oneLine(headers[name] ?? "")}\n`;
  return { lines, names: names.join(";") };
}

/** Without line breaks and with single spaces only, none at the ends. */
function oneLine(value: string): string {
  if (!/[\t\r\n]| {2}|^ | $/.test(value)) return value;
  return value.replace(/[\t\r\n ]+/g, " ").replace(/^ | $/g, "");
}
