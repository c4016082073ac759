import { CreateBucketCommand, ListBucketsCommand, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { createCredentialChain, fromEnv, fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import {
  type CredentialsEvent,
  fromAssumeRole,
  fromFederationToken,
  fromSessionToken,
  type HmacKey,
  insecureMemoryKey,
  type TemporaryCredentialsProvider,
} from "../../lib/index.js";
import { eventsDuring } from "../support/events.js";
import { type Moto, startMoto } from "../support/moto.js";
import { describeWith } from "../support/requirements.js";

type AnyProvider = NonNullable<S3ClientConfig["credentials"]>;

const region = "eu-central-1";
const account = "123456789012";
const everything = JSON.stringify({
  ...{ Version: "2012-10-17" },
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});

describeWith(["moto"], "moto's STS, which checks signatures and rights", () => {
  let moto: Moto;
  let key: HmacKey;
  const clients: { destroy(): void }[] = [];

  beforeAll(async () => {
    moto = await startMoto({}, ["first", "second"]);
    key = insecureMemoryKey(moto.credentials.secretAccessKey);
  }, 60_000);
  afterEach(() => {
    for (const client of clients.splice(0)) client.destroy();
  });
  afterAll(async () => {
    await key?.close();
    await moto?.stop();
  });

  const RoleArn = (name: string): string => `arn:aws:iam::${account}:role/${name}`;
  const clientConfig = () => ({ region, endpoint: moto.endpoint });
  const options = () => ({ key, accessKeyId: moto.credentials.accessKeyId, clientConfig: clientConfig() });
  const opened = <Client extends { destroy(): void }>(client: Client): Client => {
    clients.push(client);
    return client;
  };
  const s3 = (credentials: AnyProvider): S3Client =>
    opened(new S3Client({ ...clientConfig(), credentials, forcePathStyle: true }));

  async function identityOf(credentials: AnyProvider): Promise<string | undefined> {
    const sts = opened(new STSClient({ ...clientConfig(), credentials }));
    return (await sts.send(new GetCallerIdentityCommand({}))).Arn;
  }

  const role = (...names: string[]): TemporaryCredentialsProvider =>
    fromAssumeRole({
      ...options(),
      params: names.map((name) => ({ RoleArn: RoleArn(name), RoleSessionName: `as-${name}` })),
    });

  test.each<[string, () => TemporaryCredentialsProvider, RegExp]>([
    ["fromAssumeRole", () => role("first"), /:assumed-role\/first\/as-first$/],
    [
      "fromAssumeRole of a chain of roles",
      () => role("first", "second"),
      /:assumed-role\/second\/as-second$/,
    ],
  ])("%s: another client is who it should be, and its signatures are right", async (_, provider, arn) => {
    expect(await identityOf(provider())).toMatch(arn);
  });

  // moto's credentials for these are examples: it takes none of them
  test.each<[string, () => TemporaryCredentialsProvider, object]>([
    [
      "fromFederationToken",
      () =>
        fromFederationToken({
          ...options(),
          params: { Name: "somebody", Policy: everything, DurationSeconds: 900 },
        }),
      { accountId: account },
    ],
    ["fromSessionToken", () => fromSessionToken({ ...options(), params: { DurationSeconds: 900 } }), {}],
  ])("%s gives whole credentials", async (_, provider, more) => {
    const credentials = await provider()();
    expect(credentials).toEqual({
      ...{ accessKeyId: expect.stringMatching(/^A/), secretAccessKey: expect.stringMatching(/./) },
      ...{ sessionToken: expect.stringMatching(/./), expiration: expect.any(Date), ...more },
    });
    const left = credentials.expiration.getTime() - Date.now();
    expect(left).toBeGreaterThan(800_000);
    expect(left).toBeLessThanOrEqual(905_000);
  });

  test("500 callers and 20 SDK clients cause one call, and one more when it is forced", async () => {
    const provide = role("first");
    const users = Array.from({ length: 20 }, () => s3(provide));
    const events = await eventsDuring<CredentialsEvent>("aws-hmac:credentials", async () => {
      await users[0]?.send(new CreateBucketCommand({ Bucket: "shared" }));
      const lists = users.map(async (client) => (await client.send(new ListBucketsCommand({}))).Buckets);
      const [buckets] = await Promise.all([
        Promise.all(lists),
        Promise.all(Array.from({ length: 500 }, () => provide())),
      ]);
      expect(buckets).toEqual(Array(20).fill([expect.objectContaining({ Name: "shared" })]));
      await Promise.all(Array.from({ length: 500 }, () => provide({ forceRefresh: true })));
    });
    expect(events).toHaveLength(2);
  });

  test("in createCredentialChain: used when those before have nothing, and its failure is not passed over", async () => {
    const before = { ...process.env };
    delete process.env.AWS_ACCESS_KEY_ID;
    try {
      const chain = createCredentialChain(fromEnv(), role("first"));
      await s3(chain).send(new ListBucketsCommand({}));
      expect((await chain()).accessKeyId).toMatch(/^ASIA/);
      const wrong = fromSessionToken({ ...options(), key: insecureMemoryKey("wrong/secret") });
      const others = jest.fn(async () => ({ accessKeyId: "AKIAOTHER", secretAccessKey: "other" }));
      await expect(createCredentialChain(wrong, others)()).rejects.toMatchObject({
        code: "ERR_STS_KEY_REJECTED",
      });
      expect(others).not.toHaveBeenCalled();
    } finally {
      process.env = before;
    }
  });

  test("as masterCredentials of the SDK's own provider", async () => {
    const credentials = fromTemporaryCredentials({
      masterCredentials: role("first"),
      params: { RoleArn: RoleArn("second"), RoleSessionName: "by-the-sdk" },
      clientConfig: clientConfig(),
    });
    expect(await identityOf(credentials)).toMatch(/:assumed-role\/second\/by-the-sdk$/);
  });

  test.each<[string, () => TemporaryCredentialsProvider, object]>([
    [
      "another secret in the device",
      () => fromSessionToken({ ...options(), key: insecureMemoryKey("wrong/secret") }),
      { code: "ERR_STS_KEY_REJECTED", reason: "SignatureDoesNotMatch" },
    ],
    [
      "an access key id that is none",
      () => fromSessionToken({ ...options(), accessKeyId: "AKIANOBODY0000000000" }),
      { code: "ERR_STS_KEY_REJECTED", reason: "InvalidClientTokenId" },
    ],
    [
      "a policy that is too long",
      () => fromFederationToken({ ...options(), params: { Name: "somebody", Policy: "x".repeat(3_000) } }),
      { code: "ERR_STS", reason: "ValidationError" },
    ],
  ])("%s", async (_, provider, error) => {
    await expect(provider()()).rejects.toMatchObject({ name: "CredentialsError", ...error });
  });
});
