import { createHash } from "node:crypto";
import type { HttpRequest } from "@smithy/types";
import { plainSignature } from "./derived-keys.js";

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

export interface Dechunked {
  body: Buffer;
  /** The bytes of each chunk, the empty one at the end too. */
  sizes: number[];
  trailers: Record<string, string>;
}

/**
 * Takes apart a body as a server does (S3 API reference, "Transferring Payload in Multiple Chunks" and "Including Trailing
 * Headers"), and verifies every signature from the plain secret; throws for whatever is not as it must be.
 */
export function dechunk({ headers }: HttpRequest, sent: Uint8Array, secretAccessKey: string): Dechunked {
  const match = /Credential=[^/]+\/(.+)\/aws4_request, .*Signature=([0-9a-f]{64})$/.exec(
    headers.authorization ?? "",
  );
  if (!match) throw new Error("no signature in the request");
  const [, scope = "", seed = ""] = match;
  const where = `${headers["x-amz-date"]}\n${scope}/aws4_request`;
  const sign = (text: string): string => plainSignature(secretAccessKey, scope.split("/"), text);
  const bytes = Buffer.from(sent);
  let at = 0;
  let prior = seed;
  const line = (): string => {
    const end = bytes.indexOf("\r\n", at);
    if (end < 0) throw new Error("the body ends within a line");
    const text = bytes.toString("latin1", at, end);
    at = end + 2;
    return text;
  };
  const expectBreak = (): void => {
    if (line() !== "") throw new Error("no line break where one must be");
  };
  const chunks: Buffer[] = [];
  do {
    const [, size = "", signature] = /^([0-9a-f]+);chunk-signature=([0-9a-f]{64})$/.exec(line()) ?? [];
    const chunk = bytes.subarray(at, at + Number.parseInt(size, 16));
    const text = `AWS4-HMAC-SHA256-PAYLOAD\n${where}\n${prior}\n${sha256("")}\n${sha256(chunk)}`;
    prior = sign(text);
    if (signature !== prior) throw new Error(`chunk ${chunks.length}: SignatureDoesNotMatch`);
    chunks.push(chunk);
    at += chunk.length;
    if (chunk.length > 0) expectBreak();
  } while (chunks.at(-1)?.length);
  const trailers: Record<string, string> = {};
  if (headers["x-amz-content-sha256"] === "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
    let signed = "";
    let [name = "", value = ""] = line().split(":");
    while (name !== "x-amz-trailer-signature") {
      trailers[name] = value;
      signed += `${name}:${value}\n`;
      [name = "", value = ""] = line().split(":");
    }
    if (value !== sign(`AWS4-HMAC-SHA256-TRAILER\n${where}\n${prior}\n${sha256(signed)}`))
      throw new Error("trailer: SignatureDoesNotMatch");
    if (Object.keys(trailers).join() !== headers["x-amz-trailer"])
      throw new Error("not the trailers announced");
  }
  expectBreak();
  if (at !== bytes.length) throw new Error("something follows the body");
  const body = Buffer.concat(chunks);
  if (body.length !== Number(headers["x-amz-decoded-content-length"]))
    throw new Error("not the length announced");
  return { body, sizes: chunks.map((chunk) => chunk.length), trailers };
}
