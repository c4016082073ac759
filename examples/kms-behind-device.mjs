// A device's key signs the one call of AWS KMS that decrypts a Tink keyset: no secret of AWS lies on this machine in clear.
// Prints a presigned URL by the keyset's key.
//
//   AWS_ACCESS_KEY_ID=AKIA… SIGNING_KEY=tpm:0x81008001 KEK=aws-kms://arn:aws:kms:… KEYSET=keyset.json \
//     KEYSET_ACCESS_KEY_ID=AKIA… node examples/kms-behind-device.mjs
//
// AWS_ACCESS_KEY_ID belongs to the device's key, whose user needs kms:Decrypt only; KEYSET_ACCESS_KEY_ID to the keyset's.
// A password of the device's key comes from KEY_PASSWORD, a token's PIN from TOKEN_PIN.
import process from "node:process";
import { KMSClient } from "@aws-sdk/client-kms";
import { HmacSigner, openKey, openTinkKey, sdkIdentity } from "aws-hmac";

const { env } = process;
const device = await openKey(env.SIGNING_KEY, {
  ...(env.TOKEN_PIN ? { pinEnv: "TOKEN_PIN" } : {}),
  ...(env.KEY_PASSWORD ? { auth: { password: env.KEY_PASSWORD } } : {}),
});
const region = env.KEK.split(":")[4]; // aws-kms://arn:aws:kms:eu-central-1:…
const kmsClient = new KMSClient({
  region,
  ...sdkIdentity({ key: device, accessKeyId: env.AWS_ACCESS_KEY_ID }),
});
const key = await openTinkKey({ keysetFile: env.KEYSET, kek: env.KEK, kmsClient });
// the device is not needed any more
kmsClient.destroy();
await device.close();

const accessKeyId = env.KEYSET_ACCESS_KEY_ID;
const signer = new HmacSigner({ key, accessKeyId, region: "eu-central-1", service: "s3" });
console.log(await signer.presignUrl("https://my-bucket.s3.eu-central-1.amazonaws.com/report.pdf"));
await key.close();
