// Presigns URLs, a line each, as a filter: the presigned URLs come in the order of the lines, 64 KiB at a time. Empty lines are
// left out. A URL that cannot be signed ends it, with what is wrong and its index, after those before it.
//
//   AWS_ACCESS_KEY_ID=AKIA… AWS_REGION=eu-central-1 SIGNING_KEY=tpm:0x81008001 KEY_PASSWORD=… \
//     node examples/presign-lines.mjs < urls.txt > presigned.txt
//
// SIGNING_KEY is what openKey() takes; a PKCS#11 token's PIN comes from TOKEN_PIN. EXPIRES_IN is in seconds.
import process from "node:process";
import { pipeline } from "node:stream/promises";
import { HmacSigner, openKey } from "aws-hmac";

const { env } = process;
const chunkSize = 64 * 1024;

/** The lines of a text, all that a chunk of it ends at a time: one by one would take longer than their signatures. */
async function* readLines(input) {
  let rest = "";
  for await (const chunk of input.setEncoding("utf8")) {
    const lines = (rest + chunk).split(/\r?\n/);
    rest = lines.pop();
    yield lines.filter((line) => line !== "");
  }
  if (rest !== "") yield [rest];
}

/** Lines of text in chunks: a write for each line would cost more than its signature. */
async function* inChunks(lines) {
  let chunk = "";
  let failure;
  try {
    for await (const line of lines) {
      chunk += `${line}\n`;
      if (chunk.length < chunkSize) continue;
      yield chunk;
      chunk = "";
    }
  } catch (error) {
    failure = error; // after the lines before it
  }
  if (chunk !== "") yield chunk;
  if (failure !== undefined) throw failure;
}

const key = await openKey(env.SIGNING_KEY ?? "", {
  ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
  ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
});
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: region } = env;
const signer = new HmacSigner({ key, accessKeyId, region, service: "s3" });
try {
  const presigned = signer.presignUrls(readLines(process.stdin), {
    expiresIn: Number(env.EXPIRES_IN ?? 3600),
  });
  await pipeline(inChunks(presigned), process.stdout);
  console.error(`device calls: ${signer.keyCacheMetrics().deviceCalls}`);
} catch (error) {
  // Whoever reads the lines may have had enough, as `head` has.
  if (error.code !== "EPIPE") {
    console.error(error.message);
    process.exitCode = 1;
  }
} finally {
  process.stdin.destroy();
  await signer.close();
  await key.close();
}
