import { createECDH, createPublicKey, type KeyObject, verify } from "node:crypto";
import { SignatureV4a } from "@smithy/signature-v4a";
import type { HttpRequest } from "@smithy/types";
import { PlainSha256 } from "./plain-sha256.js";

/** The P-256 public key of coordinates in hex. */
export function publicKey({ x, y }: { x: string; y: string }): KeyObject {
  const coordinate = (hex: string): string => Buffer.from(hex, "hex").toString("base64url");
  return createPublicKey({
    key: { kty: "EC", crv: "P-256", x: coordinate(x), y: coordinate(y) },
    format: "jwk",
  });
}

/** The P-256 public key of a private one. */
export function publicKeyOf(privateKey: bigint): KeyObject {
  const curve = createECDH("prime256v1");
  curve.setPrivateKey(privateKey.toString(16).padStart(64, "0"), "hex");
  const point = curve.getPublicKey("hex");
  return publicKey({ x: point.slice(2, 66), y: point.slice(66) });
}

/** Whether node:crypto takes a signature, in hex, of a string to sign. */
export function verifies(key: KeyObject, stringToSign: string, signature: unknown): boolean {
  return verify("sha256", Buffer.from(stringToSign), key, Buffer.from(String(signature), "hex"));
}

/** The signature in an authorization header, in hex. */
export function signatureOf(headers: Record<string, string>): string {
  return /Signature=([0-9a-f]+)$/.exec(headers.authorization ?? "")?.[1] ?? "";
}

class Capturing extends SignatureV4a {
  stringToSign = "";

  protected override async createStringToSign(...parts: [string, string, string, string]): Promise<string> {
    this.stringToSign = await super.createStringToSign(...parts);
    return this.stringToSign;
  }
}

/** What @smithy/signature-v4a signs with the plain secret, and the string that it signs. */
export async function smithyV4a(
  request: HttpRequest,
  { service, accessKeyId, secret, signingDate }: SmithyV4aOptions,
): Promise<{ headers: Record<string, string>; stringToSign: string }> {
  const isS3 = service === "s3";
  const smithy = new Capturing({
    ...{ region: "*", service, sha256: PlainSha256, uriEscapePath: !isS3, applyChecksum: isS3 },
    credentials: { accessKeyId, secretAccessKey: secret },
  });
  const { headers } = await smithy.sign(request, { signingDate });
  return { headers, stringToSign: smithy.stringToSign };
}

interface SmithyV4aOptions {
  service: string;
  accessKeyId: string;
  secret: string;
  signingDate: Date;
}
