// Asks AWS who it is talking to (STS GetCallerIdentity) with plain HTTP requests that a device signs; no AWS SDK.
//
//   AWS_ACCESS_KEY_ID=AKIA… AWS_REGION=eu-central-1 SIGNING_KEY=tpm:0x81008001 KEY_PASSWORD=… node examples/rest.mjs
//
// SIGNING_KEY is what openKey() takes; a PKCS#11 token's PIN comes from TOKEN_PIN. With AWS_SECRET_ACCESS_KEY instead it
// signs in memory. AWS_ENDPOINT_URL_STS names another server.
import process from "node:process";
import { HmacSigner, insecureMemoryKey, openKey } from "aws-hmac";

const { env } = process;

/** Signs a request, sends it, and gives the text of the answer. */
async function send(signer, method, url, body) {
  const { protocol, hostname, port, pathname, searchParams } = url;
  const signed = await signer.sign({
    method,
    protocol,
    hostname,
    port: port ? Number(port) : undefined,
    path: pathname,
    query: Object.fromEntries(searchParams),
    headers: body ? { "content-type": "application/x-www-form-urlencoded" } : {},
    body,
  });
  const { host, ...headers } = signed.headers; // fetch sets host itself
  const response = await fetch(url, { method, headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method}: HTTP ${response.status} ${text}`);
  return text;
}

const question = "Action=GetCallerIdentity&Version=2011-06-15";
const endpoint = env.AWS_ENDPOINT_URL_STS ?? `https://sts.${env.AWS_REGION}.amazonaws.com`;
const key = env.SIGNING_KEY
  ? await openKey(env.SIGNING_KEY, {
      ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
      ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
    })
  : insecureMemoryKey(env.AWS_SECRET_ACCESS_KEY ?? "");
const signer = new HmacSigner({
  key,
  accessKeyId: env.AWS_ACCESS_KEY_ID,
  sessionToken: env.AWS_SESSION_TOKEN,
  region: env.AWS_REGION,
  service: "sts",
  applyChecksum: true, // AWS does not ask for it here; moto takes a GET's query for its body without it
});
try {
  const answers = {
    GET: await send(signer, "GET", new URL(`/?${question}`, endpoint)),
    POST: await send(signer, "POST", new URL("/", endpoint), question),
  };
  for (const [method, xml] of Object.entries(answers)) {
    console.log(`${method.padEnd(4)} ${/<Arn>(.*?)<\/Arn>/.exec(xml)?.[1]}`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await signer.close();
  await key.close();
}
