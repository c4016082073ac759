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

const gcp = "projects/signing-1/locations/europe-west3/keyRings/ring_1/cryptoKeys/kek-1";

test.each([
  gcp,
  `${gcp}/cryptoKeyVersions/12`,
  gcp.replace("signing-1", "example.com:signing"),
  gcp.replace("europe-west3", "global"),
])("%s is taken", async (name) => {
  await expect(openKek(`gcp-kms://${name}`)).resolves.toHaveProperty("decrypt");
});

const hcvault = "hcvault://vault.example:8200/transit/keys/kek";
const vault = { token: "a-token" };

test.each([
  "vault.example:8200/transit/keys/kek",
  "vault.example/transit/keys/kek",
  "127.0.0.1:8200/team/a/transit/keys/kek-1.2",
  "[::1]:8200/transit/keys/kek",
  "vault.example:8200/keys/keys/keys",
])("hcvault://%s is taken", async (name) => {
  await expect(openKek(`hcvault://${name}`, { vault })).resolves.toHaveProperty("decrypt");
});

test("an address may have another scheme than https, and no other host", async () => {
  const uri = "hcvault://vault.example:8200/transit/keys/kek";
  for (const address of ["http://vault.example:8200", "https://vault.example:8200/"]) {
    await expect(openKek(uri, { vault: { ...vault, address } })).resolves.toHaveProperty("decrypt");
  }
  for (const address of ["https://vault.example", "https://other.example:8200"]) {
    await expect(openKek(uri, { vault: { ...vault, address } })).rejects.toMatchObject({
      code: "ERR_KMS_MISMATCH",
    });
  }
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
  ["a key ring", `gcp-kms://${gcp.replace(/\/cryptoKeys.*/, "")}`],
  ["version zero", `gcp-kms://${gcp}/cryptoKeyVersions/0`],
  ["no version", `gcp-kms://${gcp}/cryptoKeyVersions/`],
  ["a location that leads elsewhere", `gcp-kms://${gcp.replace("europe-west3", "..")}`],
  ["a slash too many", `gcp-kms:///${gcp}`],
  ["no host", "hcvault:///transit/keys/kek"],
  ["no mount", "hcvault://vault.example:8200/keys/kek"],
  ["no key", "hcvault://vault.example:8200/transit/keys/"],
  ["no keys", "hcvault://vault.example:8200/transit/kek"],
  ["a user", "hcvault://user:pass@vault.example:8200/transit/keys/kek"],
  ["a mount that leads elsewhere", "hcvault://vault.example:8200/../sys/keys/kek"],
  ["a query", "hcvault://vault.example:8200/transit/keys/kek?x=y"],
  ["a bad port", "hcvault://vault.example:port/transit/keys/kek"],
  ["another kind", "azure-kms://vault.azure.net/keys/k"],
])("%s is refused, with the right forms", async (_, uri) => {
  await expect(openKek(uri as string, { kmsClient })).rejects.toMatchObject({
    code: "ERR_KEK_URI",
    message: expect.stringMatching(
      /aws-kms:\/\/arn:aws:kms:<region>:<account>:key\/<id>|gcp-kms:\/\/projects\/<project>\/locations\/|hcvault:\/\/<host>:<port>\/<mount>\/keys\/<name>/,
    ),
  });
});

test("another kind is told of aead", async () => {
  await expect(openKek("azure-kms://vault.azure.net/keys/k")).rejects.toThrow(/encrypt and decrypt as aead/);
});

test.each([
  [arn, { kmsClient, clientConfig: {} }, /exclude each other/],
  [arn, { kmsClient: {} }, /kmsClient must be a KMSClient/],
  [arn, { kmsClient: { ...kmsClient, config: { region: "eu-central-1" } } }, /SDK for JavaScript v3/],
  [arn, { clientConfig: "eu-central-1" }, /clientConfig must be an object/],
  [arn, { timeout: 0 }, /timeout/],
  [gcp, { kmsClient, clientConfig: {} }, /exclude each other/],
  [gcp, { kmsClient }, /kmsClient must be a KeyManagementServiceClient/],
  [gcp, { clientConfig: 7 }, /clientConfig must be an object/],
  [hcvault, { kmsClient, vault }, /hcvault:\/\/ takes vault/],
  [hcvault, { vault: { token: "" } }, /token/],
  [hcvault, { vault: { ...vault, retries: -1 } }, /retries/],
])("for %s the options %j are refused", async (name, options, message) => {
  const scheme = name === gcp ? "gcp-kms://" : name === arn ? "aws-kms://" : "";
  await expect(openKek(`${scheme}${name}`, options as never)).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringMatching(message),
  });
});
