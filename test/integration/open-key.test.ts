import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { CreateAliasCommand } from "@aws-sdk/client-kms";
import {
  type ErrorCode,
  importAwsKmsKey,
  importPkcs11Key,
  importTinkKey,
  importTpmKey,
  importVaultKey,
  type OpenKeyOptions,
  openKey,
} from "../../lib/index.js";
import { startBao } from "../support/bao.js";
import { startKms } from "../support/kms.js";
import { localKms } from "../support/local-kms.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm } from "../support/softhsm.js";
import { startSwtpm } from "../support/swtpm.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

async function expectSigns(backend: string, reference: string, options?: OpenKeyOptions): Promise<void> {
  const key = await openKey(reference, options);
  try {
    const message = randomBytes(8);
    const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest();
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
    expect(key.backend).toBe(backend);
  } finally {
    await key.close();
  }
}

async function expectRefused(code: ErrorCode, reference: string, options?: OpenKeyOptions): Promise<void> {
  await expect(openKey(reference, options)).rejects.toMatchObject({ code });
}

describeWith(["openbao"], "a key by its reference, in OpenBao", () => {
  test("what the import gives, with the token beside it, from options and from the environment", async () => {
    const { address, token, stop } = await startBao();
    const { VAULT_TOKEN } = process.env;
    try {
      const place = { address, token, name: "signer" };
      const { reference } = await importVaultKey(Buffer.from(secret), place);
      expect(reference).toBe(`vault:${address}/transit/signer?version=1`);
      await expectSigns("vault", reference, { token, pin: "of another backend", clientConfig: {} });
      await expectSigns("vault", reference.replace("?version=1", ""), { token });
      process.env.VAULT_TOKEN = token;
      await expectSigns("vault", reference);
      await expectRefused("ERR_VAULT_VERSION", reference.replace("version=1", "version=2"));
      await expectRefused("ERR_KEY_NOT_FOUND", reference.replace("signer", "another"));
      await expectRefused("ERR_VAULT_MOUNT", reference.replace("transit", "elsewhere"));
    } finally {
      if (VAULT_TOKEN === undefined) delete process.env.VAULT_TOKEN;
      else process.env.VAULT_TOKEN = VAULT_TOKEN;
      await stop();
    }
  });
});

describeWith(["moto"], "a key by its reference, with AWS KMS", () => {
  const { folder, remove } = temporaryFolder("open-key-kms");
  afterAll(remove);

  test("in a Tink keyset that it decrypts", async () => {
    const { arn, clientConfig, stop } = await startKms();
    try {
      const place = { kek: `aws-kms://${arn}`, keysetFile: path.join(folder, "keyset.json") };
      const { reference } = await importTinkKey(Buffer.from(secret), { ...place, clientConfig });
      expect(reference).toBe(`tink:${place.keysetFile}?kek=${encodeURIComponent(place.kek)}`);
      await expectSigns("tink", String(reference), {
        clientConfig,
        auth: { password: "of another backend" },
      });
    } finally {
      await stop();
    }
  });
});

describeWith(["moto"], "a key by its reference, in AWS KMS", () => {
  test("what the import gives, and an alias", async () => {
    const { arn, client, clientConfig, stop } = await startKms({
      ...{ KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" },
    });
    try {
      const { reference } = await importAwsKmsKey(Buffer.from(secret), { keyId: arn, clientConfig });
      expect(reference).toBe(`aws-kms:${arn}`);
      await expectSigns("aws-kms", reference, { clientConfig, token: "of another backend" });
      await expectSigns("aws-kms", reference, { client });
      await client.send(new CreateAliasCommand({ AliasName: "alias/team/signer", TargetKeyId: arn }));
      const alias = reference.replace(/key\/.*/, "alias/team/signer");
      await expectSigns("aws-kms", alias, { clientConfig });
      await expectRefused("ERR_KEY_NOT_FOUND", alias.replace("signer", "another"), { clientConfig });
    } finally {
      await stop();
    }
  });
});

describeWith(["swtpm", "softhsm"], "a key by its reference", () => {
  const { folder, remove } = temporaryFolder("open-key");
  afterAll(remove);

  test("in a TPM: what the import gives, a handle, and the paths of a PEM", async () => {
    const { tcti, stop } = await startSwtpm();
    try {
      const auth = { password: "device password" };
      const handle = 0x81008001;
      const { reference } = await importTpmKey(Buffer.from(secret), { tcti, auth, handle });
      expect(reference).not.toContain(auth.password);
      const pin = "of another backend";
      await expectSigns("tpm", reference, { auth, pin });
      await expectSigns("tpm", "handle:0x81008001", { tcti, auth });
      await expectSigns("tpm", reference, { tcti, auth });

      const { pem, parent } = await importTpmKey(Buffer.from(secret), {
        ...{ tcti, auth },
        ...({ output: "pem", parent: "ek-ecc" } as const),
      });
      const file = path.join(folder, "key 1.pem");
      writeFileSync(file, pem);
      const query = `?tcti=${encodeURIComponent(tcti)}&parent=${parent}`;
      await expectSigns("tpm", `tpm:${encodeURI(file)}${query}`, { auth });
      await expectSigns("tpm", file, { tcti, auth, parent: "ek-ecc" });
      await expect(openKey(reference, { tcti: "swtpm:port=1" })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringContaining("tcti is not what"),
      });
    } finally {
      await stop();
    }
  });

  test("in a PKCS#11 token: what the import gives, with the PIN beside or in it", async () => {
    const hsm = await makeSoftHsm();
    try {
      const { module, tokenLabel, pin } = hsm;
      const options = { module, tokenLabel, pin, label: "signer" };
      const { uri } = await importPkcs11Key(Buffer.from(secret), options);
      await expectSigns("pkcs11", uri, { pin, auth: { password: "of another backend" } });
      await expectSigns("pkcs11", `${uri}&pin-value=${pin}`);
      await expect(openKey(uri)).rejects.toMatchObject({ code: "ERR_PIN_REQUIRED" });
      await expect(openKey("pkcs11:colour=red")).rejects.toMatchObject({ code: "ERR_PKCS11_URI" });
    } finally {
      hsm.remove();
    }
  });

  test("in a Tink keyset: what the import gives, with the bytes that it is bound to in it", async () => {
    const secretAccessKey = Buffer.from(secret);
    const aead = localKms();
    const keysetFile = path.join(folder, "key set?.json");
    const associatedData = Buffer.from("61ff00", "hex");
    const imported = await importTinkKey(secretAccessKey, { aead, keysetFile, associatedData });
    const reference = String(imported.reference);
    await expectSigns("tink", reference, { aead, pin: "of another backend" });
    await expectRefused("ERR_INVALID_ARGUMENT", reference);
    await expectRefused("ERR_KEYSET_DECRYPT", reference.replace("%FF", "%FE"), { aead });
    await expectRefused("ERR_KEY_NOT_FOUND", reference.replace("json", "yaml"), { aead });
  });

  test("a reference that is none rejects", async () => {
    await expect(openKey("vault:https://host/transit/key")).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
    });
    await expect(openKey(path.join(folder, "none.pem"))).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });
});
