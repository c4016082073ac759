import { CreateAliasCommand, CreateKeyCommand, KMSClient, type KMSClientConfig } from "@aws-sdk/client-kms";
import type { Aead } from "../../lib/core/aead.js";
import { openKek } from "../../lib/kms/kek.js";
import { type Moto, startMoto } from "../support/moto.js";
import type { Credentials } from "../support/query-api.js";
import { describeWith } from "../support/requirements.js";
import { tinkAead } from "../support/tink-aead.js";

const region = "eu-central-1";
const none = Buffer.alloc(0);
const keyset = Buffer.from("a keyset's bytes");
const associatedData = Buffer.from([0, 255, 10, 47]);

describeWith(["moto"], "aws-kms:// key encryption keys", () => {
  let moto: Moto;
  let settings: KMSClientConfig;
  let client: KMSClient;
  let arn: string;
  let kek: Aead;

  beforeAll(async () => {
    const listing = { Effect: "Allow", Action: "kms:ListKeys", Resource: "*" };
    moto = await startMoto({ powerless: { Version: "2012-10-17", Statement: [listing] } });
    settings = { endpoint: moto.endpoint, credentials: moto.credentials, maxAttempts: 1 };
    client = new KMSClient({ ...settings, region });
    arn = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn as string;
    kek = await openKek(`aws-kms://${arn}`, { kmsClient: client });
  });
  afterAll(async () => {
    client?.destroy();
    await moto?.stop();
  });

  test.each([
    ["no associated data", none],
    ["associated data", associatedData],
  ])("tink-py decrypts what was encrypted here, and the reverse, with %s", async (_, data) => {
    const tink = tinkAead({
      kek: `aws-kms://${arn}`,
      endpoint: moto.endpoint,
      credentials: moto.credentials,
    });
    expect(await tink.decrypt(await kek.encrypt(keyset, data), data)).toEqual(keyset);
    expect(await kek.decrypt(await tink.encrypt(keyset, data), data)).toEqual(keyset);
  });

  test("the encryption context is the associated data as hex, and none where there is none", async () => {
    const inputs: unknown[] = [];
    const watched = new KMSClient({ ...settings, region });
    watched.middlewareStack.add(
      (next) => (call) => {
        inputs.push((call.input as { EncryptionContext?: unknown }).EncryptionContext);
        return next(call);
      },
      { step: "initialize" },
    );
    const watching = await openKek(`aws-kms://${arn}`, { kmsClient: watched });
    for (const data of [associatedData, none]) {
      await watching.decrypt(await watching.encrypt(keyset, data), data);
    }
    expect(inputs).toEqual([
      { associatedData: "00ff0a2f" },
      { associatedData: "00ff0a2f" },
      undefined,
      undefined,
    ]);
    watched.destroy();
  });

  test("a client made from settings is ended; one of the caller's goes on", async () => {
    const own = await openKek(`aws-kms://${arn}`, { clientConfig: settings });
    const destroy = jest.spyOn(KMSClient.prototype, "destroy");
    try {
      const ciphertext = await own.encrypt(keyset, none);
      expect(await own.decrypt(ciphertext, none)).toEqual(keyset);
      expect(destroy).toHaveBeenCalledTimes(2);
      expect(await kek.decrypt(ciphertext, none)).toEqual(keyset);
      expect(destroy).toHaveBeenCalledTimes(2);
    } finally {
      destroy.mockRestore();
    }
  });

  test("an alias and a multi-region key are taken by their ARNs", async () => {
    const alias = arn.replace(/key\/.*/, "alias/team/signing-key");
    await client.send(
      new CreateAliasCommand({ AliasName: "alias/team/signing-key", TargetKeyId: arn.replace(/.*\//, "") }),
    );
    const byAlias = await openKek(`aws-kms://${alias}`, { kmsClient: client });
    expect(await kek.decrypt(await byAlias.encrypt(keyset, none), none)).toEqual(keyset);
    expect(await byAlias.decrypt(await kek.encrypt(keyset, none), none)).toEqual(keyset);
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ MultiRegion: true }));
    expect(KeyMetadata?.Arn).toContain(":key/mrk-");
    const multi = await openKek(`aws-kms://${KeyMetadata?.Arn}`, { kmsClient: client });
    // moto cuts these keys' longer names off in its ciphertexts, and cannot decrypt them
    expect((await multi.encrypt(keyset, none)).length).toBeGreaterThan(keyset.length);
  });

  test("the plaintext lies in memory of its own, and the SDK gets none of it", async () => {
    const ciphertext = await kek.encrypt(keyset, none);
    const answers: Uint8Array[] = [];
    const watched = new KMSClient({ ...settings, region });
    watched.middlewareStack.add(
      (next) => async (call) => {
        const answer = await next(call);
        answers.push((answer.output as { Plaintext: Uint8Array }).Plaintext);
        return answer;
      },
      { step: "initialize" },
    );
    const plaintext = await (await openKek(`aws-kms://${arn}`, { kmsClient: watched })).decrypt(
      ciphertext,
      none,
    );
    expect(plaintext).toEqual(keyset);
    expect(plaintext.buffer.byteLength).toBe(keyset.length);
    expect(answers).toEqual([new Uint8Array(0)]);
    watched.destroy();
  });

  test("other associated data, a changed ciphertext and another key's are refused", async () => {
    const ciphertext = await kek.encrypt(keyset, associatedData);
    const changed = Buffer.from(ciphertext);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    for (const [bytes, data] of [
      [ciphertext, none],
      [changed, associatedData],
    ] as const) {
      await expect(kek.decrypt(bytes, data)).rejects.toMatchObject({
        code: "ERR_KMS_DECRYPT",
        name: "KmsError",
        operation: "Decrypt",
        reason: "InvalidCiphertextException",
        retryable: false,
      });
    }
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const other = await openKek(`aws-kms://${KeyMetadata?.Arn}`, { kmsClient: client });
    // AWS answers IncorrectKeyException here, moto this
    await expect(other.decrypt(ciphertext, associatedData)).rejects.toMatchObject({ code: "ERR_KMS_DENIED" });
  });

  test("an answer of another key is refused", async () => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const other = KeyMetadata?.Arn as string;
    const astray = new KMSClient({ ...settings, region });
    astray.middlewareStack.add(
      (next) => (call) => next({ ...call, input: { ...call.input, KeyId: other } as typeof call.input }),
      { step: "initialize" },
    );
    const misled = await openKek(`aws-kms://${arn}`, { kmsClient: astray });
    await expect(misled.encrypt(keyset, none)).rejects.toMatchObject({ code: "ERR_KMS_RESPONSE" });
    const its = await openKek(`aws-kms://${other}`, { kmsClient: client });
    await expect(misled.decrypt(await its.encrypt(keyset, none), none)).rejects.toMatchObject({
      code: "ERR_KMS_RESPONSE",
    });
    astray.destroy();
  });

  test("a client of another region is refused before a call", async () => {
    const far = new KMSClient({ ...settings, region: "us-east-1" });
    const send = jest.spyOn(far, "send");
    for (const options of [{ kmsClient: far }, { clientConfig: { ...settings, region: "us-east-1" } }]) {
      const misplaced = await openKek(`aws-kms://${arn}`, options);
      await expect(misplaced.decrypt(keyset, none)).rejects.toMatchObject({
        code: "ERR_KMS_MISMATCH",
        message: expect.stringContaining("us-east-1"),
      });
    }
    expect(send).not.toHaveBeenCalled();
    far.destroy();
  });

  test("a missing key, missing rights and a wrong secret have their codes", async () => {
    const missing = arn.replace(/.{12}$/, "000000000000");
    await expect(
      (await openKek(`aws-kms://${missing}`, { kmsClient: client })).encrypt(keyset, none),
    ).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    const { accessKeyId, secretAccessKey } = moto.users.powerless as Credentials;
    for (const credentials of [
      { accessKeyId, secretAccessKey },
      { ...moto.credentials, secretAccessKey },
    ]) {
      const refused = await openKek(`aws-kms://${arn}`, { clientConfig: { ...settings, credentials } });
      await expect(refused.encrypt(keyset, none)).rejects.toMatchObject({
        code: "ERR_KMS_DENIED",
        retryable: false,
      });
    }
  });
});
