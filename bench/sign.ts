import { performance } from "node:perf_hooks";
import { Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
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
import { printRatesAndDelays } from "./table.js";

const credentials = { accessKeyId, secretAccessKey };

type Sign = (date?: Date) => Promise<string | undefined> | string | undefined;

/** Presigned GETs of S3 beside smithy, aws4 and the SDK's own function. */
export const presign: Part = async (effort) => {
  await using key = insecureMemoryKey(secretAccessKey);
  await using signer = new HmacSigner({ key, accessKeyId, region, service });
  const ours: Sign = (signingDate = new Date()) => signer.presignUrl(url, { expiresIn, signingDate });
  const inBatch: Sign = async (signingDate = new Date()) => {
    for await (const presigned of signer.presignUrls([url], { expiresIn, signingDate })) return presigned;
    return undefined;
  };
  await requireSameSignature([smithyPresign, ours, inBatch, aws4Presign]);

  const client = new S3Client({ region, credentials });
  const command = new GetObjectCommand({ Bucket: "bucket", Key: "folder/photo of a cat.jpg" });
  const contenders = [
    one("smithy presign and format", smithyPresign),
    { ...one("aws-hmac presignUrl", ours), targets: [6], targetDelay: 5 },
    { ...batch("aws-hmac presignUrls, into a stream", signer), targets: [10, 4], targetDelay: 5 },
    { ...one("aws4 signQuery", aws4Presign), baseline: true },
    one("AWS SDK getSignedUrl", () => getSignedUrl(client, command, { expiresIn })),
  ];
  printRatesAndDelays("Presigned S3 GETs, one after the other", await compare(contenders, effort));
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

  const contenders = [
    one("smithy sign", smithySign),
    { ...one("aws-hmac sign", ours), targets: [2.2, 1], targetDelay: 5 },
    { ...one("aws4 sign", aws4Sign), baseline: true },
  ];
  printRatesAndDelays("Signed S3 GETs (headers), one after the other", await compare(contenders, effort));
};

function one(name: string, sign: Sign): Contender {
  return { name, run: (seconds) => load(() => sign(), 1, seconds) };
}

/** URLs of other objects each, into a stream that takes 64 KiB at a time and drops it. */
function batch(name: string, signer: HmacSigner): Contender {
  const run = async (seconds: number): Promise<number> => {
    const begin = performance.now();
    const end = begin + seconds * 1000;
    let count = 0;
    function* urls(): Generator<string> {
      while (performance.now() < end) yield url + count++;
    }
    async function* chunks(): AsyncGenerator<string> {
      let chunk = "";
      for await (const presigned of signer.presignUrls(urls(), { expiresIn })) {
        chunk += `${presigned}\n`;
        if (chunk.length < 65_536) continue;
        yield chunk;
        chunk = "";
      }
    }
    await pipeline(chunks(), new Writable({ write: (_chunk, _encoding, done) => done() }));
    return (count * 1000) / (performance.now() - begin);
  };
  return { name, run };
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
