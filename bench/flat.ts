import process from "node:process";
import { HmacSigner, insecureMemoryKey } from "aws-hmac";
import type { Part } from "./part.js";
import { accessKeyId, expiresIn, region, secretAccessKey, service, url } from "./peers.js";

const million = 1_000_000;
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

/** The memory of this process while ten million URLs go through presignUrls, and how often the device is asked for them. */
export const flat: Part = async () => {
  await using key = insecureMemoryKey(secretAccessKey);
  await using signer = new HmacSigner({ key, accessKeyId, region, service });
  function* urls(): Generator<string> {
    for (let index = 0; index < 10 * million; index++) yield url + index;
  }
  console.log("\nTen million URLs in one batch: memory after each two million");
  let count = 0;
  for await (const presigned of signer.presignUrls(urls(), { expiresIn })) {
    if (!presigned.includes("X-Amz-Signature=")) throw new Error(`not signed: ${presigned}`);
    if (++count % (2 * million) !== 0) continue;
    const { rss, heapUsed } = process.memoryUsage();
    console.log(
      `  ${count / million} million: resident ${megabytes(rss)}, JavaScript heap ${megabytes(heapUsed)}`,
    );
  }
  const days = signer.keyCacheMetrics().deviceCalls;
  console.log(`  device calls: ${days}${days === 1 ? "" : " (one for each UTC day)"}`);
};
