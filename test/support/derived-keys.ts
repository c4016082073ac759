import { createHmac } from "node:crypto";

/** kDate, kRegion, kService and kSigning as the AWS SigV4 guide derives them. */
export function derivedKeys(secret: string, date: string, region: string, service: string): Buffer[] {
  let key: Buffer = Buffer.from(`AWS4${secret}`);
  return [date, region, service, "aws4_request"].map((name) => {
    key = createHmac("sha256", key).update(name).digest();
    return key;
  });
}

/** The signature of a string to sign, from the plain secret. */
export function plainSignature(
  secret: string,
  [date, region, service]: string[],
  stringToSign: string,
): string {
  const signingKey = derivedKeys(secret, date ?? "", region ?? "", service ?? "")[3] as Buffer;
  return createHmac("sha256", signingKey).update(stringToSign).digest("hex");
}
