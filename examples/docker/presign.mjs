// Presigns the URL that it is given, with the key that SIGNING_KEY names. docs/docker.md puts it into an image.
import { readFileSync } from "node:fs";
import { HmacSigner, openKey } from "aws-hmac";

const { SIGNING_KEY, AWS_ACCESS_KEY_ID: accessKeyId, AWS_REGION: region } = process.env;
const { KEY_PASSWORD_FILE, VAULT_TOKEN_FILE } = process.env;
const [url] = process.argv.slice(2);

const key = await openKey(SIGNING_KEY, {
  ...(KEY_PASSWORD_FILE && { auth: { password: readFileSync(KEY_PASSWORD_FILE) } }),
  ...(VAULT_TOKEN_FILE && { tokenFile: VAULT_TOKEN_FILE }),
});
const signer = new HmacSigner({ key, accessKeyId, region, service: "s3" });
console.log(await signer.presignUrl(url));
await key.close();
