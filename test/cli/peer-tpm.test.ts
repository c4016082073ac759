import { readFileSync } from "node:fs";
import path from "node:path";
import type { TpmPolicyStep } from "../../lib/keys/tpm/policy/policy.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { runCli } from "../support/cli.js";
import { startHttp } from "../support/http.js";
import { describeWith } from "../support/requirements.js";
import { credentialsXml, secret } from "../support/sts.js";
import { password, tpmSuite } from "../support/tpm-suite.js";

const fixtures = path.join(__dirname, "..", "fixtures", "go-tpm-keyfiles");
const key = Buffer.from(secret);

describeWith(["swtpm", "tpm2-tools"], "the flags of aws-tpm-process-credential", () => {
  const suite = tpmSuite(path.join(fixtures, "tpm2-00.permall"));
  let sts: Awaited<ReturnType<typeof startHttp>>;
  beforeAll(async () => {
    sts = await startHttp(() => credentialsXml("GetSessionToken"));
  });
  afterAll(() => sts?.stop());

  const run = (args: string[], env: NodeJS.ProcessEnv = {}): ReturnType<typeof runCli> => {
    const [, port] = /port=(\d+)/.exec(suite.tcti) ?? [];
    const flags = ["--aws-region=us-east-1", "--aws-access-key-id=AKIAPEER", `--tpm-path=127.0.0.1:${port}`];
    return runCli(["credential-process", ...flags, ...args], {
      env: { AWS_ENDPOINT_URL_STS: sts.endpoint, ...env },
    });
  };
  const done = { code: 0, stderr: "", stdout: expect.stringContaining('"Version": 1') };

  test("a handle with a password, of which a warning tells", async () => {
    await importTpmKey(key, { tcti: suite.tcti, handle: 0x81008001, auth: { password } });
    for (const handle of ["0x81008001", String(0x81008001)]) {
      const { code, stdout, stderr } = await run([
        `-persistentHandle=${handle}`,
        `-keyPass=${password}`,
        "-timeout=5",
      ]);
      expect([code, JSON.parse(stdout).Version]).toEqual([0, 1]);
      expect(stderr).toMatch(
        /^aws-hmac: --keyPass is seen by everybody .* use TPM_KEY_AUTH or --password-file/,
      );
    }
    expect(await run(["--persistentHandle=0x81008001"], { TPM_KEY_AUTH: password })).toMatchObject(done);
  });

  test("0x81008003 without a handle, and a wrong password is refused", async () => {
    expect((await run([])).stderr).toMatch(/\[ERR_KEY_NOT_FOUND\]/);
    expect((await run(["--persistentHandle=0x81008001", "--keyPass=wrong"])).code).toBe(4);
  });

  test("a key bound to PCRs", async () => {
    const place = { tcti: suite.tcti, handle: 0x81008010 };
    await importTpmKey(key, { ...place, policy: [{ pcr: { indices: [16] } }] });
    const args = ["--persistentHandle=0x81008010", "-pcrs=16"];
    expect(await run(args)).toMatchObject(done);
    expect((await run(args.slice(0, 1))).stderr).toContain("[ERR_TPM_POLICY]");
    suite.tool("tpm2_pcrextend", `16:sha256=${"ab".repeat(32)}`);
    expect((await run(args)).code).toBe(4);
  });

  describe("--useEKParent", () => {
    const file = (name: string): string => path.join(fixtures, `tpmcopy-${name}.pem`);
    const withPassword = ["--useEKParent", "--credential-file", file("password")];
    const withPcrs = ["--useEKParent", "--credential-file", file("pcr"), "--pcrs=23"];
    const nameOfEk = (): string => {
      suite.toolAndFlush("tpm2_createek", "-G", "rsa", "-c", "ek.ctx");
      suite.tool("tpm2_readpublic", "-c", "ek.ctx", "-n", "ek.name");
      suite.tool("tpm2_flushcontext", "-t");
      return readFileSync(suite.file("ek.name")).toString("hex");
    };

    test("a key that tpmcopy wrapped, with a password", async () => {
      expect(await run(withPassword, { TPM_KEY_AUTH: "bar" })).toMatchObject(done);
      expect((await run([...withPassword, "--keyPass", "another"])).code).toBe(4);
    });

    test("a key that tpmcopy wrapped, with PCRs", async () => {
      expect(await run(withPcrs)).toMatchObject(done);
      suite.tool("tpm2_pcrextend", `23:sha256=${"ab".repeat(32)}`);
      expect((await run(withPcrs)).code).toBe(4);
      suite.tool("tpm2_pcrreset", "23");
    });

    test("such a key at a handle", async () => {
      const branches = (step: TpmPolicyStep) => [
        { or: [[step], [{ duplicationSelect: { newParent: "ek-rsa" } as const }]] },
      ];
      const place = { tcti: suite.tcti, auth: { password } };
      await importTpmKey(key, { ...place, handle: 0x81008011, policy: branches({ authValue: true }) });
      await importTpmKey(key, { ...place, handle: 0x81008012, policy: branches({ pcr: { indices: [23] } }) });
      const args = ["--useEKParent", "--persistentHandle=0x81008011"];
      expect(await run(args, { TPM_KEY_AUTH: password })).toMatchObject(done);
      expect(await run(["-useEKParent", "-persistentHandle=0x81008012", "-pcrs=23"])).toMatchObject(done);
      expect((await run([...args, "-pcrs=23"])).stderr).toContain("[ERR_TPM_POLICY]");
    });

    test("with a password of the endorsement hierarchy", async () => {
      suite.tool("tpm2_changeauth", "-c", "endorsement", "of the hierarchy");
      try {
        const env = { TPM_KEY_AUTH: "bar", TPM_PARENT_AUTH: "of the hierarchy" };
        expect(await run(withPassword, env)).toMatchObject(done);
        expect(await run(withPcrs, env)).toMatchObject(done);
        const refused = await run(withPcrs, { TPM_PARENT_AUTH: "another" });
        expect([refused.code, refused.stderr]).toEqual([4, expect.stringContaining("[ERR_TPM_AUTH]")]);
      } finally {
        suite.tool("tpm2_changeauth", "-c", "endorsement", "-p", "of the hierarchy");
      }
    });

    test("with the key's name, which pins the sessions' salt", async () => {
      const name = nameOfEk();
      const env = { TPM_KEY_AUTH: "bar" };
      expect(await run([...withPassword, `--tpm-session-encrypt-with-name=${name}`], env)).toMatchObject(
        done,
      );
      const other = `--tpm-session-encrypt-with-name=000b${"00".repeat(32)}`;
      expect((await run([...withPcrs, other])).stderr).toMatch(/\[ERR_TPM_POLICY\]|\[ERR_TPM_SALT_KEY\]/);
    });
  });
});
