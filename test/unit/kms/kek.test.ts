import { openKek } from "../../../lib/kms/kek.js";

const arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const kmsClient = { config: { region: async () => "eu-central-1" }, send: async () => ({}) };

test.each([
  arn,
  arn.replace(/key\/.*/, "key/mrk-1234abcd12ab34cd56ef1234567890ab"),
  arn.replace(/key\/.*/, "alias/team/a_b-c"),
  arn.replace("aws:", "aws-cn:").replace("eu-central-1", "cn-north-1"),
  arn.replace("aws:", "aws-us-gov:").replace("eu-central-1", "us-gov-west-1"),
  arn.replace("aws:", "aws-iso-b:").replace("eu-central-1", "us-isob-east-1"),
])("%s is taken", async (key) => {
  await expect(openKek(`aws-kms://${key}`)).resolves.toHaveProperty("decrypt");
  await expect(openKek(`AWS-KMS://${key}`)).resolves.toHaveProperty("encrypt");
});

test.each([
  ["nothing", ""],
  ["no string", 7],
  ["the ARN alone", arn],
  ["a key id", "aws-kms://1234abcd-12ab-34cd-56ef-1234567890ab"],
  ["one slash", `aws-kms:/${arn}`],
  ["no account", `aws-kms://${arn.replace("123456789012", "")}`],
  ["no region", `aws-kms://${arn.replace("eu-central-1", "")}`],
  ["a region that leads elsewhere", `aws-kms://${arn.replace("eu-central-1", "eu-1.example.com/")}`],
  ["another service", `aws-kms://${arn.replace(":kms:", ":s3:")}`],
  ["no key", `aws-kms://${arn.replace(/key\/.*/, "key/")}`],
  ["something behind it", `aws-kms://${arn}?x=y`],
  ["a line end", `aws-kms://${arn}\n`],
  ["another kind", "azure-kms://vault.azure.net/keys/k"],
])("%s is refused, with the right forms", async (_, uri) => {
  await expect(openKek(uri as string, { kmsClient })).rejects.toMatchObject({
    code: "ERR_KEK_URI",
    message: expect.stringMatching(/aws-kms:\/\/arn:aws:kms:<region>:<account>:key\/<id>/),
  });
});

test("another kind is told of aead", async () => {
  await expect(openKek("azure-kms://vault.azure.net/keys/k")).rejects.toThrow(/encrypt and decrypt as aead/);
});

test.each([
  [{ kmsClient, clientConfig: {} }, /exclude each other/],
  [{ kmsClient: {} }, /kmsClient must be a KMSClient/],
  [{ kmsClient: { send: async () => ({}), config: { region: "eu-central-1" } } }, /SDK for JavaScript v3/],
  [{ clientConfig: "eu-central-1" }, /clientConfig must be an object/],
  [{ timeout: 0 }, /timeout/],
])("the options %j are refused", async (options, message) => {
  await expect(openKek(`aws-kms://${arn}`, options as never)).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringMatching(message),
  });
});
