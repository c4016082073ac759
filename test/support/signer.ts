import { SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest } from "@smithy/types";
import {
  type ErrorCode,
  HmacSigner,
  type HmacSignerOptions,
  insecureMemoryKey,
  type SigningError,
} from "../../lib/index.js";
import { PlainSha256 } from "./plain-sha256.js";

export const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
export const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
export const signingDate = new Date("2026-11-23T12:00:00Z");
export const request: HttpRequest = {
  method: "GET",
  protocol: "https:",
  hostname: "sqs.eu-central-1.amazonaws.com",
  path: "/",
  query: {},
  headers: { host: "sqs.eu-central-1.amazonaws.com" },
};

export function openSigner(options: Partial<HmacSignerOptions> = {}): HmacSigner {
  return new HmacSigner({
    key: insecureMemoryKey(secret),
    accessKeyId,
    region: "eu-central-1",
    service: "sqs",
    ...options,
  });
}

/** Smithy with the plain secret, on input that it signs faithfully. */
export async function judge(input: Partial<HttpRequest>, service = "sqs"): Promise<string | undefined> {
  const smithy = new SignatureV4({
    region: "eu-central-1",
    service,
    credentials: { accessKeyId, secretAccessKey: secret },
    sha256: PlainSha256,
    uriEscapePath: service !== "s3",
    applyChecksum: service === "s3",
  });
  return (await smithy.sign({ ...request, ...input }, { signingDate })).headers.authorization;
}

export function refusal(code: ErrorCode): SigningError {
  return expect.objectContaining({ name: "SigningError", code });
}

/** A value that the types forbid. */
export const wrong = <T>(value: unknown): T => value as T;
