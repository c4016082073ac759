import { SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest } from "@smithy/types";
import { sign } from "aws4";
import { PlainSha256 } from "../test/support/plain-sha256.js";

/** The same GET of an S3 object, signed by everybody; `date` lets the signatures be compared. */
export const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
export const secretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
export const region = "eu-central-1";
export const service = "s3";
export const expiresIn = 900;
const hostname = "bucket.s3.eu-central-1.amazonaws.com";
const path = "/folder/photo%20of%20a%20cat.jpg";
export const url = `https://${hostname}${path}`;

export function getRequest(): HttpRequest {
  return { method: "GET", protocol: "https:", hostname, path, query: {}, headers: { host: hostname } };
}

const smithy = new SignatureV4({
  credentials: { accessKeyId, secretAccessKey },
  region,
  service,
  sha256: PlainSha256,
  uriEscapePath: false,
});

export async function smithySign(signingDate = new Date()): Promise<string | undefined> {
  const { headers } = await smithy.sign(getRequest(), { signingDate });
  return headers.authorization;
}

const payloadHash = "x-amz-content-sha256";
const unsigned = { unhoistableHeaders: new Set([payloadHash]), unsignableHeaders: new Set([payloadHash]) };

/** Presigns by S3's rule, that the payload is not signed, and formats the URL. */
export async function smithyPresign(signingDate = new Date()): Promise<string> {
  const request = getRequest();
  request.headers[payloadHash] = "UNSIGNED-PAYLOAD";
  const { query } = await smithy.presign(request, { signingDate, expiresIn, ...unsigned });
  const pairs = Object.entries(query ?? {}).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  );
  return `${url}?${pairs.join("&")}`;
}

export function aws4Sign(date = new Date()): string | undefined {
  const headers = { "X-Amz-Date": amzDate(date) };
  const request = sign({ service, region, host: hostname, path, headers }, { accessKeyId, secretAccessKey });
  return request.headers?.Authorization as string | undefined;
}

export function aws4Presign(date = new Date()): string {
  const query = `X-Amz-Date=${amzDate(date)}&X-Amz-Expires=${expiresIn}`;
  const options = { service, region, host: hostname, path: `${path}?${query}`, signQuery: true };
  return `https://${hostname}${sign(options, { accessKeyId, secretAccessKey }).path}`;
}

function amzDate(date: Date): string {
  return date.toISOString().replace(/[:-]|\.\d{3}/g, "");
}
