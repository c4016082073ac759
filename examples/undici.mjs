// Stores an object in S3 with undici's request, and reads it again with its fetch; both are signed.
//
//   AWS_ACCESS_KEY_ID=AKIA… AWS_REGION=eu-central-1 SIGNING_KEY=tpm:0x81008001 KEY_PASSWORD=… \
//     BUCKET_URL=https://my-bucket.s3.eu-central-1.amazonaws.com node examples/undici.mjs
//
// SIGNING_KEY is what openKey() takes; a PKCS#11 token's PIN comes from TOKEN_PIN.
import process from "node:process";
import { createSignedFetch, HmacSigner, openKey, signedRequest } from "aws-hmac";
import { fetch, request } from "undici";

const { env } = process;
const key = await openKey(env.SIGNING_KEY ?? "", {
  ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
  ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
});
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: region } = env;
const signer = new HmacSigner({ key, accessKeyId, region, service: "s3" });

try {
  const url = `${env.BUCKET_URL}/by%20undici.txt`;
  const body = "stored by undici";
  const { method, headers } = await signedRequest(signer, url, { method: "PUT", body });
  const stored = await request(url, { method, headers: Object.fromEntries(headers), body });
  await stored.body.dump();
  if (stored.statusCode !== 200) throw new Error(`PUT: HTTP ${stored.statusCode}`);

  const signedFetch = createSignedFetch({ signer, fetch });
  const answer = await signedFetch(`${url}?response-content-type=text/plain`);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`GET: HTTP ${answer.status} ${text}`);
  console.log(text);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await signer.close();
  await key.close();
}
