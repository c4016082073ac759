import { STSClient } from "@aws-sdk/client-sts";
import { insecureMemoryKey, sdkIdentity } from "../../../lib/index.js";
import { counted } from "../../support/counted.js";

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const region = "eu-central-1";
const misuse = {
  name: "SigningError",
  code: "ERR_IDENTITY_MISUSE",
  message: expect.stringContaining("sha256"),
};

function identity(): ReturnType<typeof sdkIdentity> {
  return sdkIdentity({ key: counted(insecureMemoryKey(secret)), accessKeyId });
}

test("a client gets credentials that hold no secret", async () => {
  const client = new STSClient({ region, ...identity() });
  const credentials = await client.config.credentials();
  expect(credentials.accessKeyId).toBe(accessKeyId);
  expect(credentials.secretAccessKey).toMatch(/^aws-hmac-handle-[0-9a-f]{48}$/);
  expect(JSON.stringify(credentials)).not.toContain(secret);
});

test("a client without the hash class, or with another identity's, is refused", async () => {
  const { credentials } = identity();
  const { sha256 } = identity();
  await expect(new STSClient({ region, credentials }).config.credentials()).rejects.toMatchObject(misuse);
  await expect(new STSClient({ region, credentials, sha256 }).config.credentials()).rejects.toMatchObject(
    misuse,
  );
});

test("tools that resolve the provider without a client get it", async () => {
  const { credentials } = identity();
  expect(await credentials()).toMatchObject({ accessKeyId });
  expect(await credentials({ forceRefresh: true })).toMatchObject({ accessKeyId });
});

test("the SDK may write into the credentials, and not into the next ones", async () => {
  const { credentials } = identity();
  const first = await credentials();
  Object.assign(first, { $source: { CREDENTIALS_CODE: "e" } });
  expect(first).toHaveProperty("$source");
  expect(await credentials()).not.toHaveProperty("$source");
});

test("two identities of one key have different handles", async () => {
  const key = counted(insecureMemoryKey(secret));
  const [a, b] = [1, 2].map(() => sdkIdentity({ key, accessKeyId }));
  expect((await a?.credentials())?.secretAccessKey).not.toBe((await b?.credentials())?.secretAccessKey);
});

test.each(["", "AKIA/X", "AK,IA", "AK IA", undefined, 5])("access key id %p is refused", (id) => {
  expect(() => sdkIdentity({ key: counted(insecureMemoryKey(secret)), accessKeyId: id as string })).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});
