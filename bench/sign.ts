import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { HmacSigner, insecureMemoryKey } from "aws-hmac";
import { type Contender, compare, load } from "./measure.js";
import type { Part } from "./part.js";
import {
  accessKeyId,
  aws4Presign,
  aws4Sign,
  expiresIn,
  getRequest,
  region,
  secretAccessKey,
  service,
  smithyPresign,
  smithySign,
  url,
} from "./peers.js";
import { printRates } from "./table.js";

const credentials = { accessKeyId, secretAccessKey };

type Sign = (date?: Date) => Promise<string | undefined> | string | undefined;

/** Presigned GETs of S3 beside smithy, aws4 and the SDK's own function. */
export const presign: Part = async (effort) => {
  await using key = insecureMemoryKey(secretAccessKey);
  await using signer = new HmacSigner({ key, accessKeyId, region, service });
  const ours: Sign = (signingDate = new Date()) => signer.presignUrl(url, { expiresIn, signingDate });
  await requireSameSignature([smithyPresign, ours, aws4Presign]);

  const client = new S3Client({ region, credentials });
  const command = new GetObjectCommand({ Bucket: "bucket", Key: "folder/photo of a cat.jpg" });
  const contenders = [
    one("smithy presign and format", smithyPresign),
    one("aws-hmac presignUrl", ours),
    one("aws4 signQuery", aws4Presign),
    one("AWS SDK getSignedUrl", () => getSignedUrl(client, command, { expiresIn })),
  ];
  printRates("Presigned S3 GETs, one after the other", await compare(contenders, effort));
  client.destroy();
};

/** Signed headers of an S3 GET beside smithy and aws4. */
export const sign: Part = async (effort) => {
  await using key = insecureMemoryKey(secretAccessKey);
  await using signer = new HmacSigner({ key, accessKeyId, region, service });
  const ours: Sign = async (signingDate = new Date()) => {
    const { headers } = await signer.sign(getRequest(), { signingDate });
    return headers.authorization;
  };
  await requireSameSignature([smithySign, ours, aws4Sign]);

  const contenders = [one("smithy sign", smithySign), one("aws-hmac sign", ours), one("aws4 sign", aws4Sign)];
  printRates("Signed S3 GETs (headers), one after the other", await compare(contenders, effort));
};

function one(name: string, sign: Sign): Contender {
  return { name, run: (seconds) => load(() => sign(), 1, seconds) };
}

/** Only the same work can be compared. */
async function requireSameSignature(signs: Sign[]): Promise<void> {
  const date = new Date();
  const results = await Promise.all(signs.map((sign) => sign(date)));
  const signatures = results.map((result) => /Signature=([0-9a-f]{64})/.exec(result ?? "")?.[1]);
  if (signatures.some((signature) => signature === undefined || signature !== signatures[0])) {
    throw new Error(`the signatures differ:\n${results.join("\n")}`);
  }
}
