import { execFileSync } from "node:child_process";
import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  type AwsHmacError,
  importTpmKey,
  policyDigest,
  type TpmKeyOptions,
  type TpmPolicy,
} from "../../lib/index.js";
import { externalPublicArea } from "../../lib/keys/tpm/public-area.js";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import { command, derOf, keyFileOf, policyField, signedField, signedPolicy } from "../support/key-file.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, macOf, secret, type TpmSuite, tpmSuite } from "../support/tpm-suite.js";
import { toolsKey } from "../support/tpm-tools-key.js";
import { type PolicyTool, trialDigest } from "../support/tpm-trial.js";

const fixtures = path.join(__dirname, "..", "fixtures", "go-tpm-keyfiles");
const file = (name: string): string => path.join(fixtures, `policy-${name}.pem`);
const auth = { password: "go password" };
const unsatisfied = { code: "ERR_POLICY_UNSATISFIED" };

/** The MAC of the day by tpm2_hmac, in a session that these tools satisfy. */
function hmacOf(suite: TpmSuite, context: string, password: string, ...tools: PolicyTool[]): string {
  writeFileSync(suite.file("message"), day);
  suite.tool("tpm2_startauthsession", "--policy-session", "-S", "session.ctx");
  for (const [tool, ...args] of tools) suite.tool(tool, "-S", "session.ctx", ...args);
  const session = `session:session.ctx${password}`;
  suite.tool("tpm2_hmac", "-c", context, "-p", session, "-g", "sha256", "-o", "mac", "message");
  suite.tool("tpm2_flushcontext", "session.ctx");
  suite.tool("tpm2_flushcontext", "-t");
  return readFileSync(suite.file("mac")).toString("hex");
}

describeWith(["swtpm", "tpm2-tools"], "the policy in a key file", () => {
  const suite = tpmSuite(path.join(fixtures, "tpm2-00.permall"));
  const extend = (byte: string): void => void suite.tool("tpm2_pcrextend", `23:sha256=${byte.repeat(32)}`);
  afterEach(() => suite.tool("tpm2_pcrreset", "23"));

  const files: [string, TpmKeyOptions][] = [
    ["auth-value", { auth }],
    ["auth-value", { auth: { ...auth, mode: "plain" } }],
    ["pcr", {}],
    ["pcr-engine", {}],
    ["pcr-auth-value", { auth }],
    ["secret", {}],
    ["or", { auth }],
    ["signed-rsa", { auth }],
    ["signed-ecc", { auth }],
  ];

  test.each(files)("of a Go program is satisfied: %s %j", async (name, options) => {
    for (const encryption of ["session", "none"] as const) {
      const key = await suite.open({ pemFile: file(name), encryption, ...options });
      for (const message of [day, Buffer.alloc(0), Buffer.alloc(1025, 7), day]) {
        expect(await macOf(key, message)).toBe(expected(message));
      }
      await key.close();
    }
  });

  test("may allow TPM2_HMAC alone, which takes no long message", async () => {
    const key = await suite.open({ pemFile: file("command-code"), auth });
    expect(await macOf(key, day)).toBe(expected(day));
    await expect(key.mac(Buffer.alloc(1025))).rejects.toMatchObject(unsatisfied);
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test.each(["pcr", "pcr-engine", "pcr-auth-value"])("a changed PCR refuses: %s", async (name) => {
    const key = await suite.open({ pemFile: file(name), auth });
    expect(await macOf(key, day)).toBe(expected(day));
    extend("22");
    await expect(key.mac(day)).rejects.toMatchObject(unsatisfied);
    suite.tool("tpm2_pcrreset", "23");
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test.each(["rsa", "ecc"])("signed policies are tried one after another: %s", async (kind) => {
    const pemFile = file(`signed-${kind}`);
    const macs = async (options: TpmKeyOptions): Promise<string[]> => {
      const key = await suite.open({ pemFile, ...options });
      const results: string[] = [];
      for (const value of ["reset", "extended with 0x11", "something else"]) {
        if (value !== "reset") extend("11");
        const failed = (error: Error): string => `${(error as AwsHmacError).code} ${error.message}`;
        results.push(await macOf(key, day).catch(failed));
      }
      await key.close();
      suite.tool("tpm2_pcrreset", "23");
      return results;
    };
    const mac = expected(day);
    expect(await macs({ auth })).toEqual([mac, mac, mac]);
    const places = ['[0] "PCR 23 extended with 0x11"', '[1] "PCR 23 reset"', '[2] "password"'];
    const every = places.map((place) => `the key file's authPolicy${place}: `.replace(/[[\]]/g, "\\$&"));
    const refused = new RegExp(`^ERR_POLICY_UNSATISFIED .*${every.join(".*")}`);
    expect(await macs({})).toEqual([mac, mac, expect.stringMatching(refused)]);
  });

  test("an explicit policy wins", async () => {
    const zeros = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    const pcr = { pcr: { indices: [23], digest: zeros } };
    const pemFile = file("pcr-auth-value");
    const key = await suite.open({ pemFile, auth, policy: [pcr, { authValue: true }] });
    expect(await macOf(key, day)).toBe(expected(day));
    await expect(suite.open({ pemFile, auth, policy: [pcr] })).rejects.toMatchObject({
      code: "ERR_TPM_POLICY",
    });
  });

  /** Makes k.pub, k.priv and k.ctx: a key of tpm2-tools with the digest in `policy`, and its file with these fields. */
  const toolsKeyFile = (attributes: string, ...fields: Buffer[]): string => {
    suite.makePrimary();
    const areas = ["-u", "k.pub", "-r", "k.priv"];
    const create = ["-C", "primary.ctx", "-G", "hmac", "-g", "sha256", "-L", "policy", "-p", "theirs"];
    const all = `fixedtpm|fixedparent|sensitivedataorigin|sign${attributes}`;
    suite.toolAndFlush("tpm2_create", ...create, "-a", all, ...areas);
    suite.toolAndFlush("tpm2_load", "-C", "primary.ctx", ...areas, "-c", "k.ctx");
    const [publicArea, privateArea] = [readFileSync(suite.file("k.pub")), readFileSync(suite.file("k.priv"))];
    return keyFileOf({ publicArea, privateArea }, ...fields);
  };
  const pcrTool: PolicyTool = ["tpm2_policypcr", "-l", "sha256:16,23"];
  const authTool: PolicyTool = ["tpm2_policyauthvalue"];
  const pcrCommand = command("017f", "000000000001000b03000081");

  test("of tpm2-tools' keys is satisfied: PCRs, a password, and both", async () => {
    const cases: [PolicyTool[], Buffer[], TpmPolicy][] = [
      [[pcrTool], [pcrCommand], [{ pcr: { indices: [16, 23] } }]],
      [[authTool], [command("016b")], [{ authValue: true }]],
      [
        [pcrTool, authTool],
        [pcrCommand, command("016b")],
        [{ pcr: { indices: [16, 23] } }, { authValue: true }],
      ],
    ];
    const options = { auth: { password: "theirs" } };
    for (const [tools, commands, policy] of cases) {
      trialDigest(suite, "policy", ...tools);
      const pem = toolsKeyFile("", policyField(...commands));
      const mac = hmacOf(suite, "k.ctx", tools.includes(authTool) ? "+theirs" : "", ...tools);
      expect(await toolsKey(suite).macHere({ pem, ...options })).toBe(mac);
      // tpm2_encodeobject writes no policy.
      const pemFile = toolsKey(suite).encode("primary.ctx", "-p");
      await expect(suite.open({ pemFile, ...options })).rejects.toMatchObject({ code: "ERR_TPM_POLICY" });
      expect(await toolsKey(suite).macHere({ pemFile, policy, ...options })).toBe(mac);
    }
  });

  test("is not used for a key that takes its password", async () => {
    trialDigest(suite, "policy", authTool);
    const pem = toolsKeyFile("|userwithauth", policyField(command("016d")));
    const mac = await toolsKey(suite).macHere({ pem, auth: { password: "theirs" } });
    expect(mac).toBe(toolsKey(suite).theirMac("-p", "theirs"));
  });

  test("that is not supported is refused unless another is given", async () => {
    trialDigest(suite, "policy", authTool);
    const options = { auth: { password: "theirs" } };
    const pem = toolsKeyFile("", policyField(command("016f", "01")));
    const refused = suite.open({ pem, ...options });
    await expect(refused).rejects.toMatchObject({
      code: "ERR_POLICY_UNSATISFIED",
      message: expect.stringContaining("the key file's policy: TPM2_PolicyLocality is not supported"),
    });
    const mac = hmacOf(suite, "k.ctx", "+theirs", authTool);
    expect(await toolsKey(suite).macHere({ pem, policy: [{ authValue: true }], ...options })).toBe(mac);
  });

  test("that leads elsewhere than the key's is refused", async () => {
    trialDigest(suite, "policy", authTool);
    const pem = toolsKeyFile("", policyField(command("016b"), command("016c", "00000155")));
    await expect(suite.open({ pem, auth: { password: "theirs" } })).rejects.toMatchObject({
      code: "ERR_TPM_POLICY",
    });
  });
});

describeWith(["swtpm", "tpm2-tools"], "the policy in a key file of importTpmKey", () => {
  const suite = tpmSuite();
  const imported = async (policy: TpmPolicy, options: object = {}): Promise<string> => {
    const place = { tcti: suite.tcti, output: "pem" as const, ...options };
    return (await importTpmKey(Buffer.from(secret), { ...place, policy })).pem;
  };
  const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const publicKey = signer.publicKey.export({ type: "spki", format: "pem" }).toString();
  const duplication: TpmPolicy = [{ duplicationSelect: { newParentName: `000b${"11".repeat(32)}` } }];

  const policies: [string, TpmPolicy][] = [
    ["PCRs of the moment", [{ pcr: { indices: [16, 23] } }]],
    ["a password", [{ authValue: true }]],
    ["a password that may be sent", [{ password: true }]],
    ["PCRs and a password", [{ pcr: { indices: [23] } }, { authValue: true }]],
    ["a secret", [{ secret: { object: "endorsement", policyRef: "c0ffee" } }]],
    ["a password or duplication", [{ or: [[{ authValue: true }], duplication] }]],
    ["duplication or PCRs", [{ or: [duplication, [{ pcr: { indices: [23] } }]] }]],
  ];
  test.each(policies)("opens the key: %s", async (_what, policy) => {
    const pem = await imported(policy, { auth });
    expect(parseTss2Pem(pem).policies).toHaveLength(1);
    for (const message of [day, Buffer.alloc(1025, 7)]) {
      const key = await suite.open({ pem, auth });
      expect(await macOf(key, message)).toBe(expected(message));
      await key.close();
    }
  });

  test("holds what was signed", async () => {
    const policy: TpmPolicy = [{ authValue: true }];
    const signature = sign(
      "sha256",
      Buffer.concat([await policyDigest(policy), Buffer.from("ref")]),
      signer.privateKey,
    );
    const policyRef = Buffer.from("ref");
    const pem = await imported([{ authorize: { publicKey, policyRef, policy, signature } }], { auth });
    const key = await suite.open({ pem, auth });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test("may be signed several times: what is not supported is passed over", async () => {
    const area = externalPublicArea(signer.publicKey);
    const made = parseTss2Pem(await imported([{ authorize: { publicKey: area } }], { auth }));
    const approved = await policyDigest([{ authValue: true }]);
    const signature = sign("sha256", approved, {
      key: signer.privateKey,
      dsaEncoding: "ieee-p1363",
    }).toString("hex");
    const authorize = `${area.toString("hex")}0000`;
    const numbers = `0020${signature.slice(0, 64)}0020${signature.slice(64)}`;
    const authorized = command("016a", `${authorize}0018000b${numbers}`);
    const signed = [
      signedPolicy("place", command("016f", "01"), authorized),
      signedPolicy("password", command("016b"), authorized),
    ];
    const fields = [policyField(command("016a", `${authorize}0010`)), signedField(...signed)];
    const key = await suite.open({ pem: keyFileOf(made, ...fields), auth });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test("holds no password, and OpenSSL reads it", async () => {
    const password = "a password of the owner";
    suite.tool("tpm2_changeauth", "-c", "owner", password);
    try {
      const ownerPolicy: TpmPolicy = [{ secret: { object: "owner", password } }];
      const pem = await imported(ownerPolicy, { parentAuth: { hierarchyPassword: password } });
      writeFileSync(suite.file("key.pem"), pem);
      const shown = execFileSync("openssl", ["asn1parse", "-in", suite.file("key.pem")], {
        encoding: "utf8",
      });
      expect(shown).toMatch(/INTEGER +:0151\n.*\n.*\[HEX DUMP\]:400000010004400000010000\n/);
      expect(derOf(pem).includes(password)).toBe(false);
      const parentAuth = { hierarchyPassword: password };
      const key = await suite.open({ pem, parentAuth, policy: ownerPolicy });
      expect(await macOf(key, day)).toBe(expected(day));
      await key.close();
      const without = await suite.open({ pem, parentAuth });
      await expect(without.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
      await without.close();
    } finally {
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", password);
    }
  });

  test("is left out for tpm2-tools, which read no file that has one", async () => {
    const policy: TpmPolicy = [{ pcr: { indices: [16, 23] } }, { authValue: true }];
    const load = (pem: string): void => {
      writeFileSync(suite.file("ours.pem"), pem);
      suite.toolAndFlush("tpm2_load", "-r", "ours.pem", "-c", "ours.ctx");
    };
    const withPolicy = await imported(policy, { auth });
    expect(() => load(withPolicy)).toThrow("Unable to read PEM");
    const pem = await imported(policy, { auth, policyInPem: false });
    load(pem);
    const pcrTool: PolicyTool = ["tpm2_policypcr", "-l", "sha256:16,23"];
    expect(hmacOf(suite, "ours.ctx", `+${auth.password}`, pcrTool, ["tpm2_policyauthvalue"])).toBe(
      expected(day),
    );
    await expect(suite.open({ pem, auth })).rejects.toMatchObject({ code: "ERR_TPM_POLICY" });
    const key = await suite.open({ pem, auth, policy });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test.each([[{ policyInPem: "no" }], [{ policyInPem: true, output: undefined, handle: "free" }]])(
    "%j is refused",
    async (options) => {
      await expect(imported([{ authValue: true }], options)).rejects.toMatchObject({
        code: "ERR_INVALID_ARGUMENT",
        message: expect.stringContaining("policyInPem"),
      });
    },
  );
});
