import type { HttpRequest } from "@smithy/types";
import type { Random } from "./random.js";

const safe = "abcXYZ019-_.~";
const any = `${safe} !$&'()*,:;=@+/?#[]%"<>|^äß€日本😀`;
const headerNames = ["content-type", "X-Amz-Meta-One", "x-amz-target", "X-Custom", "accept", "if-match"];

/** Percent-encoding as RFC 3986 has it: written apart from the code that is judged by it. */
export function escapeUri(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => (/[\w.~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : hex(byte)))
    .join("");
}

const hex = (byte: number): string => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;

/** A request as a client would send it: the path percent-encoded, the query not. */
export function randomRequest(random: Random): HttpRequest {
  const hostname = `${random.text("abcdefgh", 1, 9)}.example.com`;
  const segments = Array.from({ length: random.below(4) }, () => escapeUri(random.text(any, 1, 12)));
  const query = Array.from({ length: random.below(4) }, () => [
    random.text(any, 1, 8),
    random.text(any, 0, 12),
  ]);
  const headers = Array.from({ length: random.below(4) }, () => [
    random.pick(headerNames),
    random.text(`${safe} ,=/;`, 1, 20),
  ]);
  const method = random.pick(["GET", "PUT", "POST", "DELETE", "HEAD"]);
  return {
    method,
    protocol: "https:",
    hostname,
    path: `/${segments.join("/")}`,
    query: Object.fromEntries(query),
    headers: { ...Object.fromEntries(headers), host: hostname },
    ...(method === "PUT" || method === "POST" ? { body: random.text(any, 0, 200) } : {}),
  };
}

/** The query as it is sent. */
export function queryString(query: HttpRequest["query"]): string {
  return Object.entries(query ?? {})
    .flatMap(([name, value]) => [value ?? ""].flat().map((one) => `${escapeUri(name)}=${escapeUri(one)}`))
    .join("&");
}

export function randomDate(random: Random): Date {
  return new Date(
    Date.UTC(
      2013 + random.below(30),
      random.below(12),
      1 + random.below(28),
      random.below(24),
      0,
      random.below(60),
    ),
  );
}
