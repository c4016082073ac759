import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { importPkcs11Key, openPkcs11Key, type Pkcs11KeyOptions } from "../../lib/index.js";
import { runTool, temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const label = "a key; of 100 % & ünïcode?";
const id = Buffer.from("0102ff2561", "hex");

async function expectSigns(options: Pkcs11KeyOptions): Promise<void> {
  const key = await openPkcs11Key(options);
  try {
    const message = randomBytes(8);
    const expected = createHmac("sha256", `AWS4${secret}`).update(message).digest();
    expect(Buffer.from(await key.mac(message))).toEqual(expected);
  } finally {
    await key.close();
  }
}

describeWith(["softhsm", "p11-kit", "gnutls"], "a PKCS#11 key by its URI", () => {
  let hsm: SoftHsm;
  let uri: string;
  let pin: string;

  beforeAll(async () => {
    hsm = await makeSoftHsm("uri test");
    pin = hsm.pin;
    await hsm.addToken("another token");
    const { module, tokenLabel } = hsm;
    ({ uri } = await importPkcs11Key(Buffer.from(secret), { module, tokenLabel, label, id, pin }));
  });
  afterAll(() => hsm.remove());

  /** The URIs that p11tool lists. */
  async function p11tool(...args: string[]): Promise<string[]> {
    const options = ["--provider", hsm.module, "--login", "--batch", "--only-urls", ...args];
    const listed = await runTool("p11tool", options, { env: { ...hsm.env, GNUTLS_PIN: pin } });
    return listed.split("\n").filter((line) => line.startsWith("pkcs11:"));
  }

  test("opens by the URI that the import gives, and p11tool finds the key by it", async () => {
    await expectSigns({ uri, pin });
    expect(uri).toContain(`?module-path=${hsm.module}`);
    expect(uri).not.toContain(pin);
    expect(await p11tool("--list-all", uri.replace(/\?.*/, ""))).toHaveLength(1);
  });

  test("opens by the URI that p11tool prints", async () => {
    const [listed, ...others] = await p11tool("--list-all", "pkcs11:token=uri%20test");
    expect(others).toEqual([]);
    await expectSigns({ uri: `${listed}?module-path=${hsm.module}`, pin });
    await expectSigns({ uri: String(listed), pin });
  });

  test("opens by each attribute that tells it from the others", async () => {
    const token = "pkcs11:token=uri%20test";
    for (const more of [
      "",
      ";object=a%20key%3B%20of%20100%20%25%20%26%20%C3%BCn%C3%AFcode%3F",
      ";id=%01%02%ff%25a",
      `;serial=${hsm.serial}`,
      `;slot-id=${hsm.slotId}`,
      ";manufacturer=SoftHSM%20project;model=SoftHSM%20v2;type=secret-key",
      ";library-manufacturer=SoftHSM;library-description=Implementation%20of%20PKCS11",
      ";slot-manufacturer=SoftHSM%20project",
    ]) {
      await expectSigns({ uri: `${token}${more}?module-path=${hsm.module}`, pin });
    }
    await expectSigns({ uri: `${token}?module-name=softhsm2`, pin });
  });

  test.each([
    ["ERR_TOKEN_NOT_FOUND", ";manufacturer=SoftHSM", 'manufacturer "SoftHSM"'],
    ["ERR_TOKEN_NOT_FOUND", ";model=", 'model ""'],
    ["ERR_TOKEN_NOT_FOUND", ";library-version=99", 'library version "99.0"'],
    ["ERR_TOKEN_NOT_FOUND", ";library-manufacturer=none", 'library manufacturer "none"'],
    ["ERR_TOKEN_NOT_FOUND", ";slot-description=none", 'slot description "none"'],
    ["ERR_KEY_NOT_FOUND", ";object=", 'label ""'],
    ["ERR_KEY_NOT_FOUND", ";id=%01", "id 0x01"],
  ])("%s for what does not match: %s", async (code, attribute, named) => {
    const other = `pkcs11:token=uri%20test${attribute}?module-path=${hsm.module}`;
    await expect(openPkcs11Key({ uri: other, pin })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(named),
    });
  });

  test("lists the tokens where several match, and the keys", async () => {
    const all = `pkcs11:manufacturer=SoftHSM%20project?module-path=${hsm.module}`;
    await expect(openPkcs11Key({ uri: all, pin })).rejects.toMatchObject({
      code: "ERR_TOKEN_AMBIGUOUS",
      message: expect.stringMatching(/"uri test".*"another token"|"another token".*"uri test"/),
    });
    const token = `pkcs11:token=another%20token?module-path=${hsm.module}`;
    const other = await hsm.addToken("keys");
    const keys = token.replace("another%20token", "keys");
    for (const name of ["one", "two"]) {
      await importPkcs11Key(Buffer.from(secret), { uri: keys, label: name, pin: other.pin });
    }
    await expect(openPkcs11Key({ uri: keys, pin: other.pin })).rejects.toMatchObject({
      code: "ERR_KEY_AMBIGUOUS",
      message: expect.stringMatching(/label "one", id 0x.*label "two", id 0x|label "two".*label "one"/),
    });
  });

  test("goes together with options that agree, and no others", async () => {
    const { module, tokenLabel, serial, slotId } = hsm;
    await expectSigns({ uri, pin, module, tokenLabel, serial, slotId, label, id });
    for (const [name, value] of [
      ["module", "/other.so"],
      ["tokenLabel", "other"],
      ["label", "other"],
      ["id", Buffer.of(1)],
    ] as const) {
      await expect(openPkcs11Key({ uri, pin, [name]: value })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringMatching(`^${name} is not what uri says`),
      });
    }
    const slot = `pkcs11:slot-id=${slotId};token=uri%20test?module-name=softhsm2`;
    for (const [options, named] of [
      [{ slotId: 1 }, /^slotId is not/],
      [{ module }, /module-name/],
    ] as const) {
      await expect(openPkcs11Key({ uri: slot, pin, ...options })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringMatching(named),
      });
    }
  });

  test("names a module of p11-kit's configuration, or lists those there are", async () => {
    const none = "pkcs11:token=uri%20test?module-name=no-such";
    await expect(openPkcs11Key({ uri: none, pin })).rejects.toMatchObject({
      code: "ERR_MODULE_NOT_FOUND",
      message: expect.stringMatching(/"no-such".*softhsm2/),
    });
  });

  test("takes the PIN from pin-source, pin-value or a variable", async () => {
    const { folder, remove } = temporaryFolder("pin");
    const file = path.join(folder, "pin");
    writeFileSync(file, `${pin}\n`, { mode: 0o600 });
    process.env.AWS_HMAC_TEST_PIN = pin;
    try {
      await expectSigns({ uri: `${uri}&pin-source=file:${file}` });
      await expectSigns({ uri: `${uri}&pin-value=${pin}` });
      await expectSigns({ uri, pinEnv: "AWS_HMAC_TEST_PIN" });
      chmodSync(file, 0o644);
      await expect(openPkcs11Key({ uri: `${uri}&pin-source=file:${file}` })).rejects.toMatchObject({
        code: "ERR_PIN_SOURCE",
      });
    } finally {
      delete process.env.AWS_HMAC_TEST_PIN;
      remove();
    }
  });
});

describeWith(["nss"], "a module that wants a string to start with", () => {
  test("NSS opens the database that initArgs names", async () => {
    const module = "libsoftokn3.so";
    const nss = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64"]
      .map((folder) => path.join(folder, module))
      .find((file) => existsSync(file));
    const { folder, remove } = temporaryFolder("nss");
    const pinFile = path.join(folder, "pin");
    writeFileSync(pinFile, "nss-pin-1", { mode: 0o600 });
    try {
      await runTool("certutil", ["-N", "-d", `sql:${folder}`, "-f", pinFile]);
      const uri = `pkcs11:token=NSS%20Certificate%20DB?module-path=${nss}`;
      const initArgs = `configdir='sql:${folder}' certPrefix='' keyPrefix='' secmod='secmod.db'`;
      // The token is there and takes the PIN.
      await expect(openPkcs11Key({ uri, initArgs, label: "signer", pin: "nss-pin-1" })).rejects.toMatchObject(
        {
          code: "ERR_KEY_NOT_FOUND",
          message: expect.stringContaining('token "NSS Certificate DB"'),
        },
      );
      await expect(openPkcs11Key({ initArgs, label: "signer" })).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringContaining("initArgs needs a module"),
      });
    } finally {
      remove();
    }
  });
});
