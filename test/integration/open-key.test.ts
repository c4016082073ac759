import { createHmac, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import {
  type ErrorCode,
  importPkcs11Key,
  importTinkKey,
  importTpmKey,
  type OpenKeyOptions,
  openKey,
} from "../../lib/index.js";
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
