// Stores an object in S3 and reads it again with axios, whose requests an interceptor signs.
//
//   AWS_ACCESS_KEY_ID=AKIA… AWS_REGION=eu-central-1 SIGNING_KEY=tpm:0x81008001 KEY_PASSWORD=… \
//     BUCKET_URL=https://my-bucket.s3.eu-central-1.amazonaws.com node examples/axios.mjs
//
// SIGNING_KEY is what openKey() takes; a PKCS#11 token's PIN comes from TOKEN_PIN.
import process from "node:process";
import { HmacSigner, openKey, signedRequest } from "aws-hmac";
import axios from "axios";

const { env } = process;
const key = await openKey(env.SIGNING_KEY ?? "", {
  ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
  ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
});
const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: region } = env;
const signer = new HmacSigner({ key, accessKeyId, region, service: "s3" });

const s3 = axios.create({ baseURL: env.BUCKET_URL, maxRedirects: 0 });
s3.interceptors.request.use(async (config) => {
  // What axios would only later make of these is signed: the URL with its parameters, and the body.
  const url = s3.getUri(config);
  const headers = Object.fromEntries(
    Object.entries(config.headers.toJSON()).map(([name, value]) => [name, String(value)]),
  );
  const body = typeof config.data === "object" ? JSON.stringify(config.data) : config.data;
  const signed = await signedRequest(signer, url, { method: config.method, headers, body });
  for (const [name, value] of signed.headers) config.headers.set(name, value);
  return Object.assign(config, { url: signed.url, baseURL: undefined, params: undefined, data: body });
});

try {
  await s3.put(
    "/by%20axios.json",
    { stored: "by axios" },
    { headers: { "content-type": "application/json" } },
  );
  const { data } = await s3.get("/by%20axios.json", {
    params: { "response-content-type": "application/json", a: "b c" },
  });
  console.log(data.stored);
} catch (error) {
  console.error(error.response ? `HTTP ${error.response.status} ${error.response.data}` : error.message);
  process.exitCode = 1;
} finally {
  await signer.close();
  await key.close();
}
