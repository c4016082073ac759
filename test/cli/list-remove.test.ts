import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { importAwsKmsKey } from "../../lib/provision/aws-kms.js";
import { importPkcs11Key } from "../../lib/provision/pkcs11.js";
import { importTinkKey } from "../../lib/provision/tink.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { importVaultKey } from "../../lib/provision/vault.js";
import { secretAccessKey } from "../support/backends.js";
import { startBao } from "../support/bao.js";
import { runAtTerminal, runCli } from "../support/cli.js";
import { startKms } from "../support/kms.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm } from "../support/softhsm.js";
import { startSwtpm } from "../support/swtpm.js";
import { pkcs11Tool } from "../support/token.js";

const { folder, remove } = temporaryFolder("cli-list");
afterAll(remove);
const secret = Buffer.from(secretAccessKey);

describe("what is wrong is refused", () => {
  test.each([
    [["list", "nonsense:"], /it must begin with pkcs11:/],
    [["list", "--mount", "a b", "vault"], /address is missing|mount must be/],
    [["remove"], /missing required argument 'reference'/],
    [["remove", "--yes", "tpm:free"], /behind tpm: comes a handle/],
  ])("%j", async (args, said) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stderr).toMatch(said);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("without a terminal nothing is removed that --yes does not say", async () => {
    const { code, stderr } = await runCli(["remove", "tpm:0x81008001"]);
    expect([code, stderr]).toEqual([
      5,
      expect.stringContaining("Remove tpm:0x81008001 for good? Say so with --yes"),
    ]);
  });
});

describeWith(["swtpm", "tpm2-tools"], "keys in a TPM", () => {
  let tpm: Awaited<ReturnType<typeof startSwtpm>>;
  beforeAll(async () => {
    tpm = await startSwtpm();
  });
  afterAll(() => tpm?.stop());
  const handles = (): string =>
    execFileSync("tpm2_getcap", ["-T", tpm.tcti, "handles-persistent"], { encoding: "utf8" });

  test("are listed and removed, when the answer is yes", async () => {
    const { tcti } = tpm;
    const plain = await importTpmKey(secret, { tcti, handle: 0x81008001 });
    const policy = [{ pcr: { indices: [7] } }];
    const bound = await importTpmKey(secret, { tcti, handle: 0x81008002, policy });
    const { stdout, code } = await runCli(["list", "tpm", "--tcti", tcti]);
    expect([code, stdout.split("\n").map((line) => line.split(/ {2,}/))]).toEqual([
      0,
      [["KEY", "SIGNS", "ABOUT"], [plain.reference, "yes"], [bound.reference, "yes", "has a policy"], [""]],
    ]);
    const one = await runCli(["list", "--json", bound.reference]);
    const { keys } = JSON.parse(one.stdout);
    const shown = execFileSync("tpm2_readpublic", ["-T", tcti, "-c", "0x81008002"], { encoding: "utf8" });
    expect(keys).toMatchObject([{ reference: bound.reference, usable: true, hasPolicy: true }]);
    expect(shown).toContain(keys[0].policy);
    expect(shown).toContain(keys[0].name);

    const answer = (text: string) =>
      runAtTerminal(["remove", plain.reference], [{ question: "for good? [y/N] ", answer: `${text}\r` }]);
    expect(await answer("no")).toMatchObject({
      code: 5,
      shown: expect.stringContaining("nothing was removed"),
    });
    expect(handles()).toContain("0x81008001");
    expect(await answer("yes")).toMatchObject({
      code: 0,
      shown: expect.stringContaining("removed tpm:0x81008001"),
    });
    expect(handles()).not.toContain("0x81008001");
    expect(handles()).toContain("0x81008002");
    const again = await runCli(["remove", "--yes", plain.reference]);
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining("ERR_KEY_NOT_FOUND") });
    expect(await runCli(["list", plain.reference])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("ERR_KEY_NOT_FOUND"),
    });
  });

  test("in files too, and no other file is removed", async () => {
    const { pem } = await importTpmKey(secret, {
      tcti: tpm.tcti,
      output: "pem",
      auth: { password: "secret" },
    });
    const [file, other] = [path.join(folder, "key.pem"), path.join(folder, "other.pem")];
    writeFileSync(file, pem);
    writeFileSync(other, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    expect((await runCli(["list", file])).stdout).toContain(`tpm:${file}  yes    loadable, has a password\n`);
    expect(await runCli(["remove", "--yes", other])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("ERR_PEM_INVALID"),
    });
    expect(existsSync(other)).toBe(true);
    expect(await runCli(["remove", "--yes", file])).toMatchObject({
      code: 0,
      stderr: `aws-hmac: removed ${file}\n`,
    });
    expect(existsSync(file)).toBe(false);
    expect(await runCli(["remove", "--yes", file])).toMatchObject({ code: 1 });
  });

  test("are removed by the owner hierarchy's password", async () => {
    const own = await startSwtpm();
    try {
      const { reference } = await importTpmKey(secret, { tcti: own.tcti, handle: 0x81008001 });
      execFileSync("tpm2_changeauth", ["-T", own.tcti, "-c", "owner", "owner secret"]);
      expect(await runCli(["remove", "--yes", reference])).toMatchObject({
        code: 4,
        stderr: expect.stringContaining("ERR_TPM_AUTH"),
      });
      const env = { OWNER: "owner secret" };
      expect(
        await runCli(["remove", "--yes", "--owner-password-env", "OWNER", reference], { env }),
      ).toMatchObject({ code: 0 });
    } finally {
      await own.stop();
    }
  });

  test("no TPM: another kind of device is listed all the same", async () => {
    const ended = await runCli(["list", "--tcti", "device:/nonexistent"]);
    expect(ended).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("KEY"),
      stderr: expect.stringContaining("ERR_TPM_DEVICE_NOT_FOUND"),
    });
    expect(await runCli(["list", "tpm", "--tcti", "device:/nonexistent"])).toMatchObject({
      code: 1,
      stdout: "",
    });
  });
});

describeWith(["softhsm", "opensc"], "keys in a PKCS#11 token", () => {
  test("are listed and removed with a PIN", async () => {
    const hsm = await makeSoftHsm();
    try {
      const { module, tokenLabel, pin, serial, conf } = hsm;
      const env = { SOFTHSM2_CONF: conf, TOKEN_PIN: pin };
      const one = await importPkcs11Key(secret, { module, tokenLabel, pin, label: "first" });
      await importPkcs11Key(secret, { module, tokenLabel, pin, label: "second" });
      const token = `pkcs11:token=${encodeURIComponent(tokenLabel)}?module-path=${module}`;
      const without = await runCli(["list", token], { env });
      expect(without).toMatchObject({
        code: 0,
        stderr: expect.stringContaining(`private keys of token ${tokenLabel} show`),
      });
      expect(without.stdout).toMatch(new RegExp(`^${tokenLabel} +${serial} +${module} +ok$`, "m"));
      expect(without.stdout).not.toContain("object=");
      const withPin = await runCli(["list", "--pin-env", "TOKEN_PIN", "--json", token], { env });
      expect([withPin.code, withPin.stderr]).toEqual([0, ""]);
      const { keys, tokens } = JSON.parse(withPin.stdout);
      expect(
        keys.map(({ label, usable }: { label: string; usable: boolean }) => [label, usable]).sort(),
      ).toEqual([
        ["first", true],
        ["second", true],
      ]);
      expect(tokens).toMatchObject([{ tokenLabel, serial, loggedIn: true }]);
      const named = await runCli(["list", "--pin-env", "TOKEN_PIN", "--json", one.uri], { env });
      expect(JSON.parse(named.stdout).keys).toHaveLength(1);

      const args = ["remove", "--yes", one.uri];
      expect(await runCli(args, { env })).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("give --pin-file or --pin-env"),
      });
      expect(await runCli([...args, "--pin-env", "TOKEN_PIN"], { env })).toMatchObject({ code: 0 });
      const objects = await pkcs11Tool(hsm, ["--list-objects"], pin);
      expect([objects.includes("first"), objects.includes("second")]).toEqual([false, true]);
      const asked = await runAtTerminal(
        ["remove", `${token.replace("?", ";object=second?")}&pin-value=${pin}`],
        [{ question: "for good? [y/N] ", answer: "y\r" }],
        { env },
      );
      expect(asked).toMatchObject({ code: 0, shown: expect.stringContaining("object=second") });
      expect(asked.shown).not.toContain(pin);
      expect(await pkcs11Tool(hsm, ["--list-objects"], pin)).not.toContain("second");
    } finally {
      hsm.remove();
    }
  });
});

describeWith(["openbao"], "keys in Vault", () => {
  test("are listed with their versions, and removed with all of them", async () => {
    const bao = await startBao();
    try {
      const place = { address: bao.address, token: bao.token, name: "signer" };
      const env = { VAULT_TOKEN: bao.token, VAULT_ADDR: bao.address };
      expect(await runCli(["list", "vault"], { env })).toMatchObject({
        code: 0,
        stdout: "KEY  SIGNS  ABOUT\n",
      });
      await importVaultKey(secret, place);
      const { reference } = await importVaultKey(secret, { ...place, newVersion: true });
      await bao.call("transit/keys/other", { body: { type: "aes256-gcm96" } });
      const { stdout, stderr } = await runCli(["list", "vault"], { env });
      expect(stderr).toBe("");
      expect(stdout).toContain(`${reference}  yes    hmac, latest version 2\n`);
      expect(stdout).toMatch(/other\?version=1 +no +aes256-gcm96, latest version 1\n/);
      const one = await runCli(["list", "--json", `vault:${bao.address}/transit/signer`], { env });
      expect(JSON.parse(one.stdout).keys).toMatchObject([{ reference, usable: true, latestVersion: 2 }]);

      const removed = (...args: string[]) => runCli(["remove", "--yes", ...args], { env });
      const first = reference.replace("version=2", "version=1");
      expect(await removed(first)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("version 1 cannot be removed alone"),
      });
      const other = `vault:${bao.address}/transit/other`;
      expect(await removed(other)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("ERR_KEY_UNSUITABLE"),
      });
      expect(await removed("--force", other)).toMatchObject({ code: 0 });
      expect(await removed(reference)).toMatchObject({
        code: 0,
        stderr: `aws-hmac: removed ${reference} with all its versions\n`,
      });
      await expect(bao.call("transit/keys/signer")).rejects.toMatchObject({ status: 404 });
      expect(await removed(reference)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("ERR_KEY_NOT_FOUND"),
      });
      const wrong = await runCli(["list", "vault"], { env: { ...env, VAULT_TOKEN: "wrong" } });
      expect(wrong).toMatchObject({ code: 4, stdout: "" });
    } finally {
      await bao.stop();
    }
  });
});

describeWith(["moto"], "keys that AWS KMS keeps", () => {
  test("a Tink keyset says what is in it without being decrypted", async () => {
    const { arn, clientConfig, stop } = await startKms();
    const file = path.join(folder, "keyset.json");
    const kek = `aws-kms://${arn}`;
    const { reference = "", keyId } = await importTinkKey(secret, {
      kek,
      clientConfig,
      keysetFile: file,
    }).finally(stop);
    expect((await runCli(["list", reference])).stdout).toContain(
      `${reference}  yes    HmacKey, RAW, ENABLED\n`,
    );
    expect(JSON.parse((await runCli(["list", "--json", reference])).stdout).keys[0].keys).toMatchObject([
      { keyId, primary: true },
    ]);
    writeFileSync(path.join(folder, "no-keyset.json"), "{}");
    const other = `tink:${folder}/no-keyset.json`;
    expect(await runCli(["remove", "--yes", other])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("ERR_KEYSET_FORMAT"),
    });
    expect(await runCli(["remove", "--yes", reference])).toMatchObject({ code: 0 });
    expect([existsSync(file), existsSync(path.join(folder, "no-keyset.json"))]).toEqual([false, true]);
  });

  test("a key of its own is described, and its material removed", async () => {
    const how = { KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" } as const;
    const { arn, clientConfig, env, stop } = await startKms(how);
    try {
      const { reference } = await importAwsKmsKey(secret, { keyId: arn, clientConfig });
      expect((await runCli(["list", reference], { env })).stdout).toMatch(
        / (yes|no) +HMAC_256, EXTERNAL, \w+\n/,
      );
      expect(await runCli(["remove", "--yes", reference], { env })).toMatchObject({ code: 0 });
      expect((await runCli(["list", reference], { env })).stdout).toMatch(
        / no +HMAC_256, EXTERNAL, PendingImport\n/,
      );
    } finally {
      await stop();
    }
  });
});
