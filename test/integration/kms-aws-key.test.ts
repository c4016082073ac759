import { createHmac, randomBytes } from "node:crypto";
import { CreateAliasCommand, CreateKeyCommand, KMSClient, type KMSClientConfig } from "@aws-sdk/client-kms";
import { HmacSigner, openKey } from "../../lib/index.js";
import { openAwsKmsKey } from "../../lib/keys/aws-kms.js";
import { importAwsKmsKey } from "../../lib/provision/aws-kms.js";
import { secretAccessKey } from "../support/backends.js";
import { startHttp } from "../support/http.js";
import { type Moto, startMoto } from "../support/moto.js";
import { describeWith } from "../support/requirements.js";
import { watchSecretBuffers } from "../support/secret-buffers.js";

const region = "eu-central-1";
const message = Buffer.from("20261123");
const expected = createHmac("sha256", `AWS4${secretAccessKey}`).update(message).digest();
const secret = Buffer.from(secretAccessKey);

describeWith(["moto"], "a key in AWS KMS", () => {
  let moto: Moto;
  let clientConfig: KMSClientConfig;
  let client: KMSClient;

  let server: Awaited<ReturnType<typeof startHttp>> | undefined;
  afterEach(async () => {
    await server?.stop();
    server = undefined;
  });

  const newKey = async (settings: object = {}): Promise<string> => {
    const hmac = { KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" } as const;
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ ...hmac, ...settings }));
    return String(KeyMetadata?.Arn);
  };
  const imported = async (): Promise<string> =>
    (await importAwsKmsKey(secret, { keyId: await newKey(), client })).keyId;

  beforeAll(async () => {
    moto = await startMoto();
    clientConfig = { endpoint: moto.endpoint, credentials: moto.credentials, maxAttempts: 1 };
    client = new KMSClient({ region, ...clientConfig });
  });
  afterAll(async () => {
    client?.destroy();
    await moto?.stop();
  });

  test("the secret is imported, encrypted on its way, and signs", async () => {
    const sent: string[] = [];
    const watched = new KMSClient({ region, ...clientConfig });
    watched.middlewareStack.add(
      (next) => (call) => {
        sent.push(Buffer.copyBytesFrom((call.request as { body: Uint8Array }).body).toString());
        return next(call);
      },
      { step: "finalizeRequest" },
    );
    const made = watchSecretBuffers();
    const { keyId, reference } = await importAwsKmsKey(secret, { keyId: await newKey(), client: watched });
    watched.destroy();
    // the key itself is among them, and everything is wiped
    const buffers = made();
    expect(buffers.map(({ length }) => length)).toContain("AWS4".length + secret.length);
    expect(buffers.filter((buffer) => buffer.some((byte) => byte !== 0))).toEqual([]);
    expect(secret.toString()).toBe(secretAccessKey);
    expect(sent).toHaveLength(4); // parameters, import, two MACs
    for (const body of sent) {
      for (const encoding of ["utf8", "base64", "hex"] as const) {
        expect(body).not.toContain(secret.toString(encoding).slice(0, 16));
        expect(body).not.toContain(Buffer.from(`AWS4${secretAccessKey}`).toString(encoding).slice(0, 16));
      }
    }
    expect(reference).toBe(`aws-kms:${keyId}`);
    const key = await openKey(reference, { clientConfig });
    const signer = new HmacSigner({ key, accessKeyId: "AKIAIOSFODNN7EXAMPLE", region, service: "s3" });
    expect(await signer.presignUrl("https://bucket.s3.eu-central-1.amazonaws.com/a")).toContain("X-Amz-Sign");
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    await key.close();
  });

  test("a key for SigV4a holds the other prefix", async () => {
    const { keyId } = await importAwsKmsKey(secret, { keyId: await newKey(), client, algorithm: "sigv4a" });
    const key = await openAwsKmsKey({ keyId, client });
    const mac = createHmac("sha256", `AWS4A${secretAccessKey}`).update(message).digest();
    expect(Buffer.from(await key.mac(message))).toEqual(mac);
    await key.close();
  });

  test("an alias opens the key it stands for", async () => {
    const keyId = await imported();
    const TargetKeyId = keyId.replace(/.*\//, "");
    await client.send(new CreateAliasCommand({ AliasName: "alias/team/signer", TargetKeyId }));
    const alias = keyId.replace(/key\/.*/, "alias/team/signer");
    const key = await openAwsKmsKey({ keyId: alias, client });
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    await key.close();
  });

  test("no MAC gets into the log of the SDK, which would write it", async () => {
    const lines: unknown[] = [];
    const write = (line: unknown): void => void lines.push(line);
    const logger = { debug: () => undefined, info: write, warn: write, error: write };
    const logging = new KMSClient({ region, ...clientConfig, logger });
    const key = await openAwsKmsKey({ keyId: await imported(), client: logging });
    await key.mac(message);
    await key.close();
    expect(lines).toEqual([]);
    await logging.send(new CreateKeyCommand({}));
    expect(lines).toHaveLength(1);
    logging.destroy();
  });

  test("the SDK makes no string of a MAC", async () => {
    const key = await openAwsKmsKey({ keyId: await imported(), client });
    const parse = jest.spyOn(JSON, "parse");
    try {
      expect(Buffer.from(await key.mac(message))).toEqual(expected);
      const texts = parse.mock.calls.map(([text]) => String(text)).join();
      expect(texts).toContain('"MacAlgorithm"');
      expect(texts).not.toContain(expected.toString("base64").slice(0, 16));
    } finally {
      parse.mockRestore();
      await key.close();
    }
  });

  test("a client made from settings is ended with the key, or where it cannot be opened; the caller's is not", async () => {
    const keyId = await imported();
    const destroy = jest.spyOn(KMSClient.prototype, "destroy");
    try {
      const own = await openAwsKmsKey({ keyId, clientConfig });
      const given = await openAwsKmsKey({ keyId, client });
      await Promise.all([given.close(), own.mac(message)]);
      expect(destroy).not.toHaveBeenCalled();
      await Promise.all([own.close(), own.close()]);
      expect(destroy).toHaveBeenCalledTimes(1);
      const missing = keyId.replace(/.{12}$/, "000000000000");
      await expect(openAwsKmsKey({ keyId: missing, clientConfig })).rejects.toMatchObject({
        ...{ code: "ERR_KEY_NOT_FOUND", name: "KmsError", operation: "GenerateMac" },
      });
      expect(destroy).toHaveBeenCalledTimes(2);
    } finally {
      destroy.mockRestore();
    }
  });

  test("a client of another region is refused before a call", async () => {
    const keyId = await imported();
    const far = new KMSClient({ ...clientConfig, region: "us-east-1" });
    const send = jest.spyOn(far, "send");
    for (const options of [{ client: far }, { clientConfig: { ...clientConfig, region: "us-east-1" } }]) {
      for (const refused of [
        openAwsKmsKey({ keyId, ...options }),
        importAwsKmsKey(secret, { keyId, ...options }),
      ]) {
        await expect(refused).rejects.toMatchObject({ code: "ERR_KMS_MISMATCH" });
      }
    }
    expect(send).not.toHaveBeenCalled();
    far.destroy();
  });

  test("keys that are made for something else are refused", async () => {
    const encrypting = await newKey({ KeyUsage: "ENCRYPT_DECRYPT", KeySpec: "SYMMETRIC_DEFAULT" });
    await expect(openAwsKmsKey({ keyId: encrypting, client })).rejects.toMatchObject({
      code: "ERR_KEY_UNSUITABLE",
    });
    const ofKms = await newKey({ Origin: "AWS_KMS" });
    await expect(importAwsKmsKey(secret, { keyId: ofKms, client })).rejects.toMatchObject({
      code: "ERR_KEY_UNSUITABLE",
      reason: "UnsupportedOperationException",
    });
  });

  test("material that makes other MACs is deleted again", async () => {
    const keyId = await newKey();
    const astray = new KMSClient({ region, ...clientConfig });
    const calls: string[] = [];
    astray.middlewareStack.add(
      (next, { commandName = "" }) =>
        (call) => {
          calls.push(commandName);
          if (commandName !== "GenerateMacCommand") return next(call);
          const input = { ...call.input, Message: randomBytes(32) };
          return next({ ...call, input: input as typeof call.input });
        },
      { step: "initialize" },
    );
    await expect(importAwsKmsKey(secret, { keyId, client: astray })).rejects.toMatchObject({
      code: "ERR_IMPORT_VERIFY",
    });
    expect(calls.at(-1)).toBe("DeleteImportedKeyMaterialCommand");
    astray.destroy();
    await expect(openAwsKmsKey({ keyId, client })).rejects.toMatchObject({ code: "ERR_KMS_KEY_STATE" });
  });

  test.each([
    [{ keyId: "" }, /keyId must be an ARN/],
    [{ keyId: "alias/signer" }, /keyId must be an ARN/],
    [{ keyId: "1234abcd-12ab-34cd-56ef-1234567890ab" }, /keyId must be an ARN/],
    [{ client: {} }, /client must be a KMSClient/],
    [{ timeout: 1.5 }, /timeout/],
  ])("the options %j are refused", async (wrong, text) => {
    const options = { keyId: "arn:aws:kms:eu-central-1:123456789012:key/1234abcd", client, ...wrong };
    await expect(openAwsKmsKey(options as never)).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringMatching(text),
    });
  });

  test("an alias and a bad secret are refused for an import", async () => {
    const keyId = "arn:aws:kms:eu-central-1:123456789012:alias/signer";
    await expect(importAwsKmsKey(secret, { keyId, client })).rejects.toThrow(/not of an alias/);
    const key = keyId.replace("alias/signer", "key/1234abcd");
    await expect(importAwsKmsKey(Buffer.from("a secret\n"), { keyId: key, client })).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
  });

  test.each([
    ["too short a MAC", { Mac: randomBytes(28).toString("base64") }, "ERR_MAC_LENGTH"],
    ["no MAC", {}, "ERR_KMS_RESPONSE"],
    ["another key's MAC", { Mac: expected.toString("base64"), KeyId: "other" }, "ERR_KMS_RESPONSE"],
  ])("an answer with %s is refused", async (_, fields, code) => {
    const keyId = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd";
    server = await startHttp(() => ({
      status: 200,
      body: JSON.stringify({ KeyId: keyId, ...fields }),
    }));
    const settings = { ...clientConfig, endpoint: server.endpoint };
    await expect(openAwsKmsKey({ keyId, clientConfig: settings })).rejects.toMatchObject({ code });
  });

  test("no answer in time", async () => {
    const keyId = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd";
    server = await startHttp(() => undefined);
    const settings = { ...clientConfig, endpoint: server.endpoint };
    await expect(openAwsKmsKey({ keyId, clientConfig: settings, timeout: 100 })).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
      retryable: true,
    });
  });
});
