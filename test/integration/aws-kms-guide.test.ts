// What docs/aws-kms.md and docs/kms.md show, where it can be run without AWS.
import { execFileSync } from "node:child_process";
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  CreateKeyCommand,
  GetParametersForImportCommand,
  ImportKeyMaterialCommand,
  KMSClient,
} from "@aws-sdk/client-kms";
import { importAwsKmsKey, importTinkKey, openAwsKmsKey, openTinkKey } from "../../lib/index.js";
import { secretAccessKey } from "../support/backends.js";
import { type Moto, startMoto } from "../support/moto.js";
import { temporaryFolder } from "../support/process.js";
import type { Credentials } from "../support/query-api.js";
import { describeWith } from "../support/requirements.js";

const page = (name: string): string => readFileSync(path.join(__dirname, "../../docs", name), "utf8");
const message = Buffer.from("20261123");
const expected = createHmac("sha256", `AWS4${secretAccessKey}`).update(message).digest();

/** The policy that a page shows, as far as moto judges it: the actions. */
function policyOf(name: string): object {
  const [policy = ""] = /^\{ "Version".+?^[} \]]+\}$/ms.exec(page(name)) ?? [];
  const [{ Effect, Action }] = JSON.parse(policy).Statement;
  return { Version: "2012-10-17", Statement: [{ Effect, Action, Resource: "*" }] };
}

const hmac = { KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" } as const;

describeWith(["moto", "openssl"], "docs/aws-kms.md and docs/kms.md", () => {
  let moto: Moto;
  let client: KMSClient;
  const { folder, remove } = temporaryFolder("guide");

  const clientOf = (credentials: Credentials): KMSClient =>
    new KMSClient({ region: "eu-central-1", endpoint: moto.endpoint, credentials, maxAttempts: 1 });

  const newKey = async (settings: object): Promise<string> =>
    String((await client.send(new CreateKeyCommand(settings))).KeyMetadata?.Arn);

  beforeAll(async () => {
    moto = await startMoto({ signer: policyOf("aws-kms.md"), opener: policyOf("kms.md") });
    client = clientOf(moto.credentials);
  });
  afterAll(async () => {
    client?.destroy();
    remove();
    await moto?.stop();
  });

  test("the material that OpenSSL encrypts is what signs", async () => {
    const keyId = await newKey(hmac);
    const { PublicKey, ImportToken } = await client.send(
      new GetParametersForImportCommand({
        ...{ KeyId: keyId, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_4096" },
      }),
    );
    writeFileSync(path.join(folder, "public.der"), PublicKey as Uint8Array);
    const [openssl = ""] = /^\{ printf AWS4.*?-out material$/ms.exec(page("aws-kms.md")) ?? [];
    execFileSync("sh", ["-ec", openssl], { cwd: folder, input: secretAccessKey });
    await client.send(
      new ImportKeyMaterialCommand({
        ...{ KeyId: keyId, ImportToken, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE" },
        EncryptedKeyMaterial: readFileSync(path.join(folder, "material")),
      }),
    );
    const key = await openAwsKmsKey({ keyId, client });
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    await key.close();
  });

  test("the signer's policy lets it sign, and not import", async () => {
    const { keyId } = await importAwsKmsKey(Buffer.from(secretAccessKey), {
      keyId: await newKey(hmac),
      client,
    });
    const signer = clientOf(moto.users.signer as Credentials);
    const key = await openAwsKmsKey({ keyId, client: signer });
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    await key.close();
    await expect(
      importAwsKmsKey(Buffer.from(secretAccessKey), { keyId, client: signer }),
    ).rejects.toMatchObject({ code: "ERR_KMS_DENIED", operation: "GetParametersForImport" });
    signer.destroy();
  });

  test("the opener's policy lets it open a keyset, and not make one", async () => {
    const arn = await newKey({});
    const kek = `aws-kms://${arn}`;
    const secret = Buffer.from(secretAccessKey);
    const { keyset } = await importTinkKey(secret, { kek, kmsClient: client });
    const opener = clientOf(moto.users.opener as Credentials);
    const key = await openTinkKey({ keyset, kek, kmsClient: opener });
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    await key.close();
    await expect(importTinkKey(secret, { kek, kmsClient: opener })).rejects.toMatchObject({
      code: "ERR_KMS_DENIED",
      operation: "Encrypt",
    });
    opener.destroy();
  });
});
