import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { KMSClient } from "@aws-sdk/client-kms";
import { importTinkKey, insecureMemoryKey, openKey, openTinkKey, sdkIdentity } from "../../lib/index.js";
import { type Kms, startKms } from "../support/kms.js";
import { freePorts } from "../support/ports.js";
import { runTool, temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { askTink, type TinkKekPlace } from "../support/tink.js";

const secret = randomBytes(30).toString("base64");
const region = "eu-central-1";
const message = Buffer.from("20261129");
const mac = createHmac("sha256", `AWS4${secret}`).update(message).digest();
const associatedData = Buffer.from("a keyset of production: 100%");

describeWith(["moto", "tink"], "keysets that AWS KMS encrypts", () => {
  const { folder, remove } = temporaryFolder("tink-kms");
  let kms: Kms;
  let kek: string;
  let place: TinkKekPlace;
  beforeAll(async () => {
    kms = await startKms();
    const { endpoint, credentials } = kms.clientConfig;
    kek = `aws-kms://${kms.arn}`;
    place = { kek, endpoint, ...credentials };
  }, 60_000);
  afterAll(async () => {
    await kms?.stop();
    remove();
  });

  test.each([
    ["without associated data", undefined],
    ["with associated data", associatedData],
  ])("Tink for Python opens ours, and we open its, %s", async (_, data) => {
    const { clientConfig } = kms;
    const options = { kek, clientConfig, associatedData: data };
    const json = await importTinkKey(Buffer.from(secret), options);
    const binary = await importTinkKey(Buffer.from(secret), { ...options, format: "binary" });
    const made = { ...place, message, associatedData: data ?? Buffer.alloc(0) };
    const [theirs, ...answers] = await askTink(
      { do: "seal", ...made, keys: [{ id: 5, value: `AWS4${secret}` }], primary: 5 },
      { do: "mac", ...made, keyset: json.keyset },
      { do: "mac", ...made, keyset: binary.keyset },
    );
    expect(answers).toEqual([
      { mac, primary: json.keyId, keys: 1 },
      { mac, primary: binary.keyId, keys: 1 },
    ]);
    for (const keyset of [theirs?.json, theirs?.binary]) {
      await using key = await openTinkKey({ ...options, keyset });
      expect(await key.mac(message)).toEqual(mac);
    }
  });

  test("in a file, by the reference that the import gives", async () => {
    const { clientConfig } = kms;
    const keysetFile = path.join(folder, "of ünïcode & 100%.json");
    const options = { kek, clientConfig };
    const { reference, keyset } = await importTinkKey(Buffer.from(secret), {
      ...options,
      associatedData,
      keysetFile,
    });
    expect(readFileSync(keysetFile, "utf8")).toBe(keyset);
    await using key = await openKey(reference as string, { clientConfig, pin: "of another backend" });
    expect(await key.mac(message)).toEqual(mac);
    expect(key.backend).toBe("tink");
  });

  test("a KMS that is called with another key's device: sdkIdentity signs the call", async () => {
    const { clientConfig } = kms;
    const { credentials, endpoint } = clientConfig;
    const device = insecureMemoryKey(credentials.secretAccessKey);
    const identity = sdkIdentity({ key: device, accessKeyId: credentials.accessKeyId });
    const kmsClient = new KMSClient({ ...identity, endpoint, region });
    try {
      const { keyset } = await importTinkKey(Buffer.from(secret), { kek, clientConfig });
      await using key = await openTinkKey({ keyset, kek, kmsClient });
      expect(await key.mac(message)).toEqual(mac);
    } finally {
      kmsClient.destroy();
      await device.close();
    }
  });

  describe("that cannot be decrypted:", () => {
    let keyset: string;
    beforeAll(async () => {
      const { clientConfig } = kms;
      ({ keyset } = await importTinkKey(Buffer.from(secret), { kek, clientConfig, associatedData }));
    });
    const refusal = (options: object) => {
      const { clientConfig } = kms;
      return openTinkKey({ keyset, kek, clientConfig, associatedData, ...options }).catch(
        (error: unknown) => error,
      );
    };

    test("other associated data, or a changed ciphertext: the keyset is at fault", async () => {
      const other = await refusal({ associatedData: Buffer.from("other") });
      expect(other).toMatchObject({ name: "KeysetError", code: "ERR_KEYSET_DECRYPT", retryable: false });
      expect((other as Error).cause).toMatchObject({ name: "KmsError", code: "ERR_KMS_DECRYPT" });
      const parsed = JSON.parse(keyset) as { encryptedKeyset: string };
      const ciphertext = Buffer.from(parsed.encryptedKeyset, "base64");
      ciphertext[ciphertext.length - 1] = (ciphertext.at(-1) ?? 0) ^ 1;
      const changed = JSON.stringify({ encryptedKeyset: ciphertext.toString("base64") });
      expect(await refusal({ keyset: changed })).toMatchObject({
        code: "ERR_KEYSET_DECRYPT",
        retryable: false,
      });
    });

    test("no KMS: the same call may succeed later", async () => {
      const endpoint = `http://127.0.0.1:${await freePorts(1)}`;
      const clientConfig = { ...kms.clientConfig, endpoint, maxAttempts: 1 };
      const options = JSON.stringify({ keyset, kek, clientConfig });
      // in a process of its own: the SDK takes an error that comes out of jest's realm for none
      const program = `require(process.argv[1]).openTinkKey(JSON.parse(process.argv[2])).catch(
        ({ code, retryable }) => console.log(code, retryable));`;
      const output = await runTool(process.execPath, [
        "-e",
        program,
        path.join(__dirname, "..", ".."),
        options,
      ]);
      expect(output).toBe("ERR_KMS_UNAVAILABLE true\n");
    });

    test("another region's client, or no ARN: nothing is called", async () => {
      const kmsClient = new KMSClient({ ...kms.clientConfig, region: "us-east-1" });
      const options = { clientConfig: undefined, kmsClient };
      expect(await refusal(options)).toMatchObject({ code: "ERR_KMS_MISMATCH", retryable: false });
      expect(await refusal({ kek: "aws-kms://alias/x" })).toMatchObject({ code: "ERR_KEK_URI" });
      kmsClient.destroy();
    });
  });
});
