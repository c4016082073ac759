import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { type OpenKeyOptions, openKey } from "../../lib/keys/open-key.js";
import { HmacSignerV4a } from "../../lib/sigv4/signer-v4a.js";
import { secretAccessKey } from "../support/backends.js";
import { startBao } from "../support/bao.js";
import { runAtTerminal, runCli } from "../support/cli.js";
import { allRight, flood } from "../support/flood.js";
import { startKms } from "../support/kms.js";
import { temporaryFolder } from "../support/process.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm } from "../support/softhsm.js";
import { startSwtpm } from "../support/swtpm.js";

const { folder, remove } = temporaryFolder("cli-import");
afterAll(remove);

/** Whether the key at the reference is made of the tests' secret. */
async function expectKey(reference: string, options: OpenKeyOptions = {}): Promise<void> {
  const key = await openKey(reference, options);
  try {
    expect(await flood(key)).toEqual(allRight);
  } finally {
    await key.close();
  }
}

const other = "another-secret/of-40-bytes-0123456789ABC";

describe("what is wrong is refused before a secret is read", () => {
  test.each([
    [["import"], /missing required argument 'reference'/],
    [["import", "nonsense:"], /it must begin with pkcs11:/],
    [["import", "--secret", "x", "tpm:free"], /unknown option '--secret'/],
    [["import", "--stdin", "--from-profile", "x", "tpm:free"], /exclude each other/],
    [
      ["import", "--replace", "aws-kms:arn:aws:kms:eu-central-1:123456789012:key/1"],
      /--replace is for keys in/,
    ],
    [["import", "--wrapped", "tpm:free"], /--wrapped is for keys in pkcs11 only/],
    [["import", "--pcrs", "sha256:0", "pkcs11:token=a;object=b"], /--pcrs is for keys in tpm only/],
    [["import", "vault:https://vault.example/transit/signer?version=1"], /which the server numbers/],
    [["import", "tink:/keyset.json"], /the reference has no kek/],
    [["import", "--algorithm", "sigv5", "tpm:free"], /Allowed choices are sigv4, sigv4a/],
    [["import", "--stdin", "tpm:free"], /--stdin: nothing came/],
    [["import", "--secret-file", "/nonexistent", "tpm:free"], /--secret-file: cannot open \/nonexistent/],
    [
      ["import", "--from-profile", "nobody", "tpm:free"],
      /no profile nobody in \/nonexistent\/.aws\/credentials/,
    ],
  ])("%j", async (args, said) => {
    const { code, stdout, stderr } = await runCli(args);
    expect(stderr).toMatch(said);
    expect([code, stdout]).toEqual([2, ""]);
  });

  test("without a terminal nobody is asked for the secret", async () => {
    const { code, stderr } = await runCli(["import", "tpm:free"], { input: secretAccessKey });
    expect([code, stderr]).toEqual([5, "aws-hmac: no terminal to ask at for: Secret access key: \n"]);
  });

  test("a file that others can read", async () => {
    const file = path.join(folder, "open");
    writeFileSync(file, secretAccessKey, { mode: 0o644 });
    const { code, stderr } = await runCli(["import", "--secret-file", file, "tpm:free"]);
    expect(stderr).toContain("chmod o=,g-w it");
    expect(code).toBe(2);
  });

  test("a profile of temporary credentials, and one without a secret", async () => {
    const file = path.join(folder, "session");
    writeFileSync(
      file,
      "[a]\naws_secret_access_key = x\naws_session_token = y\n[b]\naws_access_key_id = z\n",
    );
    const env = { AWS_SHARED_CREDENTIALS_FILE: file };
    const of = (name: string) => runCli(["import", "--from-profile", name, "tpm:free"], { env });
    expect(await of("a")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("temporary credentials"),
    });
    expect(await of("b")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no aws_secret_access_key"),
    });
    expect(await of("__proto__")).toMatchObject({ code: 2, stderr: expect.stringContaining("no profile") });
  });
});

describeWith(["swtpm", "tpm2-tools"], "aws-hmac import into a TPM", () => {
  let tpm: Awaited<ReturnType<typeof startSwtpm>>;
  let at: (place: string) => string;
  beforeAll(async () => {
    tpm = await startSwtpm();
    at = (place) => `${place}?tcti=${encodeURIComponent(tpm.tcti)}`;
  });
  afterAll(() => tpm?.stop());
  const stdin = { input: `${secretAccessKey}\n` };
  const handles = (): string =>
    execFileSync("tpm2_getcap", ["-T", tpm.tcti, "handles-persistent"], { encoding: "utf8" });

  test("at a handle, or the first free one, from stdin", async () => {
    const named = await runCli(["import", "--stdin", at("tpm:0x81008001")], stdin);
    expect(named).toEqual({ code: 0, stdout: `${at("tpm:0x81008001")}\n`, stderr: "" });
    await expectKey(named.stdout.trim());
    const free = await runCli(["import", "--stdin", "--json", at("tpm:free")], stdin);
    const { reference, handle } = JSON.parse(free.stdout);
    expect([free.code, free.stderr, reference]).toEqual([0, "", at(`tpm:${handle}`)]);
    await expectKey(reference);
  });

  test("a handle that is taken stays as it is, until --replace", async () => {
    const place = at("tpm:0x81008002");
    const put = (secret: string, ...flags: string[]) =>
      runCli(["import", "--stdin", ...flags, place], { input: secret });
    expect(await put(other)).toMatchObject({ code: 0 });
    const before = handles();
    const refused = await put(secretAccessKey);
    expect(refused).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("ERR_TPM_HANDLE_IN_USE"),
    });
    await expect(expectKey(place)).rejects.toThrow();
    expect(await put(secretAccessKey, "--replace")).toEqual({ code: 0, stdout: `${place}\n`, stderr: "" });
    await expectKey(place);
    expect(handles()).toBe(before);
  });

  test("--replace touches nothing that is no HMAC key", async () => {
    execFileSync("tpm2_createprimary", ["-Q", "-T", tpm.tcti, "-c", path.join(folder, "primary.ctx")]);
    execFileSync("tpm2_evictcontrol", [
      "-Q",
      "-T",
      tpm.tcti,
      "-c",
      path.join(folder, "primary.ctx"),
      "0x81008003",
    ]);
    execFileSync("tpm2_flushcontext", ["-T", tpm.tcti, "-t"]);
    const before = handles();
    const refused = await runCli(["import", "--stdin", "--replace", at("tpm:0x81008003")], stdin);
    expect(refused).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining("ERR_KEY_UNSUITABLE"),
    });
    expect(handles()).toBe(before);
  });

  test("as a file, with a password and the values of PCRs", async () => {
    const file = path.join(folder, "key.pem");
    const password = path.join(folder, "password");
    writeFileSync(password, "correct horse", { mode: 0o600 });
    const flags = ["--stdin", "--password-file", password, "--pcrs", "sha256:0,16"];
    const put = (...more: string[]) => runCli(["import", ...flags, ...more, at(`tpm:${file}`)], stdin);
    expect(await put()).toEqual({ code: 0, stdout: `${at(`tpm:${file}`)}\n`, stderr: "" });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await expectKey(at(`tpm:${file}`), { auth: { password: "correct horse" } });
    const first = readFileSync(file, "utf8");
    expect(await put()).toMatchObject({ code: 1, stderr: expect.stringContaining("ERR_KEY_EXISTS") });
    expect(readFileSync(file, "utf8")).toBe(first);
    expect(await put("--replace")).toMatchObject({ code: 0 });
    expect(readFileSync(file, "utf8")).not.toBe(first);
    await expectKey(at(`tpm:${file}`), { auth: { password: "correct horse" } });
    execFileSync("tpm2_pcrextend", ["-T", tpm.tcti, `16:sha256=${"ab".repeat(32)}`]);
    await expect(expectKey(at(`tpm:${file}`), { auth: { password: "correct horse" } })).rejects.toThrow();
    expect(readdirSync(folder).filter((name) => name.startsWith(".aws-hmac"))).toEqual([]);
  });

  test("at a handle with PCRs, which the other commands open with --pcrs", async () => {
    const imported = await runCli(["import", "--stdin", "--pcrs", "sha256:7", at("tpm:0x81008004")], stdin);
    expect(imported).toMatchObject({ code: 0, stderr: "" });
    const who = ["-i", "AKIAEXAMPLE", "-r", "eu-central-1", "-k", imported.stdout.trim()];
    const presign = (...flags: string[]) => runCli(["presign", ...who, ...flags, "https://a.example/b"]);
    expect(await presign("--pcrs", "sha256:7")).toMatchObject({ code: 0 });
    expect(await presign()).toMatchObject({ code: 4, stderr: expect.stringContaining("ERR_TPM_POLICY") });
    expect(await presign("--pcrs", "all")).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("sha256:0,7"),
    });
  });

  test("into a folder that is not there: nothing is left", async () => {
    const before = handles();
    const { code, stderr } = await runCli(["import", "--stdin", at(`tpm:${folder}/none/key.pem`)], stdin);
    expect([code, stderr]).toEqual([2, expect.stringContaining("cannot be written (ENOENT)")]);
    expect(handles()).toBe(before);
  });

  test("for SigV4a", async () => {
    const put = await runCli(["import", "--stdin", "--algorithm", "sigv4a", at("tpm:free")], stdin);
    expect(put).toMatchObject({ code: 0, stderr: "" });
    const key = await openKey(put.stdout.trim());
    const signer = new HmacSignerV4a({ key, accessKeyId: "AKIAEXAMPLE", regionSet: ["*"], service: "s3" });
    const { headers } = await signer.sign({
      protocol: "https:",
      hostname: "a.example",
      method: "GET",
      path: "/",
      headers: { host: "a.example" },
    });
    expect(headers.authorization).toContain("AWS4-ECDSA-P256-SHA256");
    await signer.close();
    await key.close();
  });

  test("the owner hierarchy has a password", async () => {
    const own = await startSwtpm();
    try {
      execFileSync("tpm2_changeauth", ["-T", own.tcti, "-c", "owner", "owner secret"]);
      const place = `tpm:0x81008001?tcti=${encodeURIComponent(own.tcti)}`;
      const refused = await runCli(["import", "--stdin", place], stdin);
      expect(refused).toMatchObject({ code: 4, stdout: "", stderr: expect.stringContaining("ERR_TPM_AUTH") });
      const env = { OWNER: "owner secret" };
      expect(
        await runCli(["import", "--stdin", "--owner-password-env", "OWNER", place], { ...stdin, env }),
      ).toMatchObject({ code: 0 });
      await expectKey(place);
    } finally {
      await own.stop();
    }
  });

  test("secret and password asked for at a terminal, without echo, the password twice", async () => {
    const password = "typed at the terminal";
    const asked = (second: string) =>
      runAtTerminal(
        ["import", "--ask-password", at("tpm:0x81008005")],
        [
          { question: "Secret access key: ", answer: `${secretAccessKey}\r` },
          { question: "New password of the key: ", answer: `${password}\r` },
          { question: "once more: ", answer: `${second}\r` },
        ],
      );
    const before = handles();
    expect(await asked("something else")).toMatchObject({
      code: 5,
      shown: expect.stringContaining("the two differ"),
    });
    expect(handles()).toBe(before);
    const done = await asked(password);
    expect(done).toMatchObject({ code: 0, shown: expect.stringContaining(at("tpm:0x81008005")) });
    expect(done.shown).not.toContain(secretAccessKey);
    expect(done.shown).not.toContain(password);
    await expectKey(at("tpm:0x81008005"), { auth: { password } });
  });

  test("interrupted at the question, nothing is done", async () => {
    const before = handles();
    const asked = await runAtTerminal(
      ["import", at("tpm:free")],
      [{ question: "Secret access key: ", answer: `${secretAccessKey.slice(0, 9)}\x03` }],
    );
    expect(asked).toMatchObject({ code: 5, shown: expect.stringContaining("interrupted") });
    expect(handles()).toBe(before);
  });

  describe("the plaintext", () => {
    const file = path.join(folder, "plain");
    beforeEach(() => writeFileSync(file, `${secretAccessKey}\n`, { mode: 0o600 }));
    const from = (...flags: string[]) => runCli(["import", "--secret-file", file, ...flags, at("tpm:free")]);

    test("is kept, and that is said, where nobody can be asked", async () => {
      expect(await from()).toMatchObject({
        code: 0,
        stderr: `aws-hmac: the secret is still in the file ${file}\n`,
      });
      expect(await from("--no-remove-source")).toMatchObject({ code: 0, stderr: "" });
      expect(existsSync(file)).toBe(true);
    });

    test("goes with --remove-source, and not where the import fails", async () => {
      const args = ["import", "--secret-file", file, "--remove-source"];
      expect(await runCli([...args, at(`tpm:${folder}/none/key.pem`)])).toMatchObject({ code: 2 });
      expect(existsSync(file)).toBe(true);
      expect(await from("--remove-source")).toMatchObject({
        code: 0,
        stderr: `aws-hmac: removed the file ${file}\n`,
      });
      expect(existsSync(file)).toBe(false);
    });

    test("goes when the answer at the terminal is yes", async () => {
      const answer = (text: string) =>
        runAtTerminal(
          ["import", "--secret-file", file, at("tpm:free")],
          [{ question: "[y/N] ", answer: `${text}\r` }],
        );
      expect(await answer("n")).toMatchObject({
        code: 0,
        shown: expect.stringContaining("still in the file"),
      });
      expect(existsSync(file)).toBe(true);
      expect(await answer("y")).toMatchObject({
        code: 0,
        shown: expect.stringContaining(`removed the file ${file}`),
      });
      expect(existsSync(file)).toBe(false);
    });

    test("is one line of a profile, and all else stays as it was", async () => {
      mkdirSync(path.join(folder, "real"));
      const real = path.join(folder, "real", "credentials");
      const link = path.join(folder, "credentials");
      symlinkSync(real, link);
      const line = `aws_secret_access_key = ${secretAccessKey} # mine\r\n`;
      const profile = (secret: string) =>
        `# ünï: ${secretAccessKey.slice(0, 5)}\n[default]\naws_access_key_id=AKIADEFAULT\naws_secret_access_key=${other}\n\n` +
        `[mine] ; here\r\naws_access_key_id = AKIAMINE\r\n${secret}s3 =\r\n  max_concurrent_requests = 20\r\n[after]\nregion = x`;
      writeFileSync(real, profile(line), { mode: 0o640 });
      const env = { AWS_SHARED_CREDENTIALS_FILE: link };
      const args = ["import", "--from-profile", "mine", "--remove-source", "--json", at("tpm:free")];
      const { code, stdout, stderr } = await runCli(args, { env });
      expect([code, stderr]).toEqual([
        0,
        expect.stringContaining("removed aws_secret_access_key of profile mine"),
      ]);
      const { accessKeyId, reference } = JSON.parse(stdout);
      expect(accessKeyId).toBe("AKIAMINE");
      await expectKey(reference);
      expect(readFileSync(real, "utf8")).toBe(profile(""));
      expect(statSync(real).mode & 0o777).toBe(0o640);
      expect(readdirSync(path.dirname(real))).toEqual(["credentials"]);
      expect(await runCli(args, { env })).toMatchObject({
        code: 2,
        stderr: expect.stringContaining("has no aws_secret_access_key"),
      });
    });

    test("that stands in a profile where it cannot be told apart stays, and so does the key", async () => {
      const credentials = path.join(folder, "nested");
      const text = `[mine]\naws_secret_access_key = ${secretAccessKey}\ns3 =\n  aws_secret_access_key = nested\n`;
      writeFileSync(credentials, text);
      const { code, stdout, stderr } = await runCli(
        ["import", "--from-profile", "mine", "--remove-source", at("tpm:free")],
        {
          env: { AWS_SHARED_CREDENTIALS_FILE: credentials },
        },
      );
      expect([code, stderr]).toEqual([
        2,
        expect.stringContaining("the key is imported, but the plaintext is still there"),
      ]);
      await expectKey(stdout.trim());
      expect(readFileSync(credentials, "utf8")).toBe(text);
    });
  });
});

describeWith(["softhsm"], "aws-hmac import into a PKCS#11 token", () => {
  let hsm: SoftHsm;
  let env: NodeJS.ProcessEnv;
  let place: (label: string) => string;
  beforeAll(async () => {
    hsm = await makeSoftHsm();
    env = { SOFTHSM2_CONF: hsm.conf, TOKEN_PIN: hsm.pin };
    place = (label) =>
      `pkcs11:token=${encodeURIComponent(hsm.tokenLabel)};object=${label}?module-path=${hsm.module}`;
  });
  afterAll(() => hsm?.remove());
  const run = (args: string[], input = secretAccessKey) =>
    runCli(["import", "--stdin", ...args], { env, input });

  test("with a PIN from a variable, wrapped on its way, and in place of another", async () => {
    expect(await run(["--pin-env", "TOKEN_PIN", place("signer")], other)).toMatchObject({
      code: 0,
      stderr: "",
    });
    const again = await run(["--pin-env", "TOKEN_PIN", "--wrapped", "--replace", "--json", place("signer")]);
    expect([again.code, again.stderr]).toEqual([0, ""]);
    const { reference, label, id, extractable } = JSON.parse(again.stdout);
    expect([label, id, extractable]).toEqual(["signer", expect.stringMatching(/^[\da-f]{32}$/), false]);
    expect(reference).not.toContain(hsm.pin);
    await expectKey(reference, { pin: hsm.pin });
    await expectKey(place("signer"), { pin: hsm.pin });
  });

  test("without a PIN it says how to give one; at a terminal it asks", async () => {
    const without = await run([place("other")]);
    expect(without).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("give --pin-file or --pin-env"),
    });
    const asked = await runAtTerminal(
      ["import", place("asked")],
      [
        { question: "Secret access key: ", answer: `${secretAccessKey}\r` },
        { question: "PIN of the token: ", answer: `${hsm.pin}\r` },
      ],
      { env },
    );
    expect(asked).toMatchObject({ code: 0, shown: expect.stringContaining("pkcs11:token=") });
    expect(asked.shown).not.toContain(hsm.pin);
    await expectKey(place("asked"), { pin: hsm.pin });
  });

  test("a wrong PIN is refused", async () => {
    const { code, stderr } = await runCli(["import", "--stdin", "--pin-env", "WRONG", place("wrong")], {
      ...{ env: { ...env, WRONG: "000000" }, input: secretAccessKey },
    });
    expect([code, stderr]).toEqual([4, expect.stringContaining("ERR_PIN_INCORRECT")]);
  });
});

describeWith(["openbao"], "aws-hmac import into Vault", () => {
  test("a key, and versions of it", async () => {
    const bao = await startBao();
    try {
      const place = `vault:${bao.address}/transit/signer`;
      const env = { VAULT_TOKEN: bao.token };
      const put = (...flags: string[]) =>
        runCli(["import", "--stdin", ...flags, place], { env, input: secretAccessKey });
      expect(await put()).toEqual({ code: 0, stdout: `${place}?version=1\n`, stderr: "" });
      expect(await put()).toMatchObject({ code: 1, stderr: expect.stringContaining("ERR_KEY_EXISTS") });
      expect(await put("--new-version")).toEqual({ code: 0, stdout: `${place}?version=2\n`, stderr: "" });
      await expectKey(`${place}?version=1`, { token: bao.token });
      expect(await put("--replace")).toEqual({ code: 0, stdout: `${place}?version=3\n`, stderr: "" });
      await expectKey(`${place}?version=3`, { token: bao.token });
      await expect(expectKey(`${place}?version=1`, { token: bao.token })).rejects.toMatchObject({
        code: "ERR_VAULT_VERSION",
      });
      const file = path.join(folder, "token");
      writeFileSync(file, "wrong", { mode: 0o600 });
      const refused = await runCli(["import", "--stdin", "--vault-token-file", file, `${place}2`], {
        input: secretAccessKey,
      });
      expect(refused).toMatchObject({
        code: 4,
        stdout: "",
        stderr: expect.stringMatching(/ERR_VAULT_(TOKEN|DENIED)/),
      });
    } finally {
      await bao.stop();
    }
  });
});

describeWith(["moto"], "aws-hmac import by AWS KMS", () => {
  test("into a Tink keyset", async () => {
    const { arn, clientConfig, env, stop } = await startKms();
    try {
      const file = path.join(folder, "keyset.json");
      const reference = `tink:${file}?kek=${encodeURIComponent(`aws-kms://${arn}`)}`;
      const put = (input: string, ...flags: string[]) =>
        runCli(["import", "--stdin", ...flags, reference], { env, input });
      expect(await put(other)).toEqual({ code: 0, stdout: `${reference}\n`, stderr: "" });
      expect(await put(secretAccessKey)).toMatchObject({
        code: 1,
        stderr: expect.stringContaining("ERR_KEY_EXISTS"),
      });
      expect(await put(secretAccessKey, "--replace")).toMatchObject({ code: 0, stdout: `${reference}\n` });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      await expectKey(reference, { clientConfig });
    } finally {
      await stop();
    }
  });

  test("into a key of its own", async () => {
    const how = { KeyUsage: "GENERATE_VERIFY_MAC", KeySpec: "HMAC_256", Origin: "EXTERNAL" } as const;
    const { arn, clientConfig, env, stop } = await startKms(how);
    try {
      const put = await runCli(["import", "--stdin", `aws-kms:${arn}`], { env, input: secretAccessKey });
      expect(put).toEqual({ code: 0, stdout: `aws-kms:${arn}\n`, stderr: "" });
      await expectKey(`aws-kms:${arn}`, { clientConfig });
    } finally {
      await stop();
    }
  });
});
