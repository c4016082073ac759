import path from "node:path";
import { CreateKeyCommand, KMSClient } from "@aws-sdk/client-kms";
import { importTinkKey } from "../../lib/provision/tink.js";
import { backends, secretAccessKey } from "../support/backends.js";
import { keyVariables, runExample, signatureOf } from "../support/example.js";
import { type Moto, startMoto } from "../support/moto.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { accessKeyId } from "../support/signer.js";

const devices = backends.filter(({ name }) => name === "tpm" || name === "pkcs11");

// moto checks the signature of the call that decrypts the keyset.
describeWith(["moto"], "examples/kms-behind-device.mjs", () => {
  let moto: Moto;
  let variables: NodeJS.ProcessEnv;
  const { folder, remove } = temporaryFolder("keyset");

  beforeAll(async () => {
    moto = await startMoto();
    const { endpoint, credentials } = moto;
    const client = new KMSClient({ region: "eu-central-1", endpoint, credentials });
    const { KeyMetadata } = await client.send(new CreateKeyCommand({}));
    const kek = `aws-kms://${KeyMetadata?.Arn}`;
    const keysetFile = path.join(folder, "keyset.json");
    await importTinkKey(Buffer.from(secretAccessKey), { keysetFile, kek, kmsClient: client });
    client.destroy();
    variables = {
      ...{ KEK: kek, KEYSET: keysetFile, KEYSET_ACCESS_KEY_ID: accessKeyId },
      ...{ AWS_ACCESS_KEY_ID: credentials.accessKeyId, AWS_ENDPOINT_URL_KMS: endpoint },
    };
  }, 60_000);
  afterAll(async () => {
    remove();
    await moto?.stop();
  });

  for (const backend of devices) {
    describeWith(backend.needs, `with a key in ${backend.name}`, () => {
      test("the keyset's key signs", async () => {
        const device = await backend.start(moto.credentials.secretAccessKey);
        try {
          const env = { ...variables, ...keyVariables(device.child) };
          const { code, stdout, stderr } = await runExample("kms-behind-device.mjs", { env });
          expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
          const url = new URL(stdout.trim());
          expect(url.searchParams.get("X-Amz-Signature")).toBe(await signatureOf("report.pdf", url));
        } finally {
          await device.stop();
        }
      });

      test("moto refuses the call where the device holds another secret", async () => {
        const device = await backend.start("wrongTest/Secret+Key0001wrongTest/Secret");
        try {
          const env = { ...variables, ...keyVariables(device.child) };
          const { code, stdout, stderr } = await runExample("kms-behind-device.mjs", { env });
          expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
          expect(stderr).toContain("ERR_KMS_DENIED");
        } finally {
          await device.stop();
        }
      });
    });
  }
});
