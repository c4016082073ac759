import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { policyDigest, type TpmPolicy } from "../../lib/index.js";
import { describeWith } from "../support/requirements.js";
import { tpmSuite } from "../support/tpm-suite.js";
import { type PolicyTool, trialDigest } from "../support/tpm-trial.js";

describeWith(["swtpm", "tpm2-tools"], "policyDigest", () => {
  const suite = tpmSuite();
  const theirs = (...tools: PolicyTool[]): string => trialDigest(suite, "policy", ...tools);
  const ours = async (policy: TpmPolicy): Promise<string> =>
    Buffer.from(await policyDigest(policy)).toString("hex");

  /** The SHA-256 over PCRs as tpm2_pcrread writes them. */
  const pcrDigest = (selection: string): Buffer => {
    suite.tool("tpm2_pcrread", selection, "-o", "pcrs");
    return createHash("sha256")
      .update(readFileSync(suite.file("pcrs")))
      .digest();
  };
  /** The names that tpm2-tools show of an object that they make persistent. */
  const persistent = (handle: string): Buffer => {
    suite.toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc", "-c", "primary.ctx");
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "primary.ctx", handle);
    suite.tool("tpm2_readpublic", "-c", handle, "-n", "object.name");
    return readFileSync(suite.file("object.name"));
  };
  /** Leaves key.pem and its name, as tpm2_loadexternal makes it, in key.name. */
  const verifyKey = (kind: "rsa" | "ecc"): string => {
    const { publicKey } =
      kind === "rsa"
        ? generateKeyPairSync("rsa", { modulusLength: 2048 })
        : generateKeyPairSync("ec", { namedCurve: "P-256" });
    const pem = publicKey.export({ type: "spki", format: "pem" }).toString();
    writeFileSync(suite.file("key.pem"), pem);
    suite.toolAndFlush("tpm2_loadexternal", "-G", kind, "-u", "key.pem", "-c", "key.ctx", "-n", "key.name");
    return pem;
  };
  const names = {
    newParentName: `000b${"11".repeat(32)}`,
    objectName: Buffer.concat([Buffer.of(0, 11), Buffer.alloc(32, 2)]),
  };
  const writeNames = (): void => {
    writeFileSync(suite.file("parent.name"), Buffer.from(names.newParentName, "hex"));
    writeFileSync(suite.file("object.name"), names.objectName);
  };

  test.each([
    ["sha256", "sha256:0,7", [7, 0]],
    ["sha1", "sha1:23", [23]],
    ["sha384", "sha384:8,16,17", [16, 8, 17]],
  ] as const)("of PCRs in bank %s", async (bank, selection, indices) => {
    const digest = pcrDigest(selection);
    const expected = theirs(["tpm2_policypcr", "-l", selection]);
    expect(await ours([{ pcr: { bank, indices, digest } }])).toBe(expected);
    expect(await ours([{ pcr: { bank, indices, digest: digest.toString("hex") } }])).toBe(expected);
  });

  test("of the key's password, proved or sent", async () => {
    const expected = theirs(["tpm2_policyauthvalue"]);
    expect(await ours([{ authValue: true }])).toBe(expected);
    expect(await ours([{ password: true }])).toBe(expected);
    expect(theirs(["tpm2_policypassword"])).toBe(expected);
  });

  test.each(["owner", "endorsement", "platform", "lockout"] as const)(
    "of the secret of %s",
    async (object) => {
      const letter = object.charAt(0);
      expect(await ours([{ secret: { object } }])).toBe(theirs(["tpm2_policysecret", "-c", letter]));
      expect(await ours([{ secret: { object, policyRef: "c0ffee" } }])).toBe(
        theirs(["tpm2_policysecret", "-c", letter, "-q", "c0ffee"]),
      );
    },
  );

  test("of the secret of a persistent object", async () => {
    const name = persistent("0x81000010");
    const expected = theirs(["tpm2_policysecret", "-c", "0x81000010"]);
    expect(await ours([{ secret: { object: 0x81000010, name } }])).toBe(expected);
    suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81000010");
  });

  test("of the secret of an NV index", async () => {
    suite.tool("tpm2_nvdefine", "0x01500001", "-C", "o", "-s", "8", "-a", "authread|authwrite", "-p", "nv");
    const name = /name: ([0-9a-f]+)/.exec(suite.tool("tpm2_nvreadpublic", "0x01500001"))?.[1] ?? "";
    const expected = theirs(["tpm2_policysecret", "-c", "0x01500001", "nv"]);
    expect(await ours([{ secret: { object: 0x01500001, name } }])).toBe(expected);
    suite.tool("tpm2_nvundefine", "0x01500001", "-C", "o");
  });

  test("of a duplication, of any object and of one", async () => {
    writeNames();
    const { newParentName, objectName } = names;
    const tool: PolicyTool = ["tpm2_policyduplicationselect", "-N", "parent.name"];
    expect(await ours([{ duplicationSelect: { newParentName } }])).toBe(theirs(tool));
    expect(await ours([{ duplicationSelect: { newParentName, objectName } }])).toBe(
      theirs([...tool, "-n", "object.name", "--include-object"]),
    );
  });

  test.each(["rsa", "ecc"] as const)("of what an %s key authorises", async (kind) => {
    const publicKey = verifyKey(kind);
    theirs(["tpm2_policyauthvalue"]);
    writeFileSync(suite.file("approved"), readFileSync(suite.file("policy")));
    const tool: PolicyTool = ["tpm2_policyauthorize", "-i", "approved", "-n", "key.name"];
    const expected = theirs(["tpm2_policyauthvalue"], tool);
    expect(await ours([{ authorize: { publicKey } }])).toBe(expected);
    expect(
      await ours([{ authorize: { publicKey: Buffer.from(publicKey), policy: [{ authValue: true }] } }]),
    ).toBe(expected);
    suite.tool("tpm2_readpublic", "-c", "key.ctx", "-o", "key.tpm2b");
    suite.tool("tpm2_flushcontext", "-t");
    expect(await ours([{ authorize: { publicKey: readFileSync(suite.file("key.tpm2b")) } }])).toBe(expected);
    expect(await ours([{ authorize: { publicKey, policyRef: "0102" } }, { authValue: true }])).toBe(
      theirs(["tpm2_policyauthvalue"], [...tool, "-q", "0102"], ["tpm2_policyauthvalue"]),
    );
  });

  test.each([true, false])("of an NV index that was written: %s", async (nvWritten) => {
    expect(await ours([{ nvWritten }])).toBe(theirs(["tpm2_policynvwritten", nvWritten ? "s" : "c"]));
  });

  test.each([
    ["TPM2_HMAC", "TPM2_CC_HMAC"],
    ["TPM2_HMAC_Start", "TPM2_CC_HMAC_Start"],
    ["TPM2_Duplicate", "TPM2_CC_Duplicate"],
    ["TPM2_Certify", "TPM2_CC_Certify"],
    ["TPM2_ObjectChangeAuth", "TPM2_CC_ObjectChangeAuth"],
    [0x15d, "TPM2_CC_Sign"],
  ] as const)("of the command %s", async (commandCode, name) => {
    expect(await ours([{ commandCode }])).toBe(theirs(["tpm2_policycommandcode", name]));
  });

  test("of the peers' branches: a password or PCRs, or duplication", async () => {
    writeNames();
    const { newParentName } = names;
    const duplication: TpmPolicy = [{ duplicationSelect: { newParentName } }];
    trialDigest(suite, "duplication", ["tpm2_policyduplicationselect", "-N", "parent.name"]);
    const pcr = { indices: [0, 23], digest: pcrDigest("sha256:0,23") };
    for (const [file, step, tool] of [
      ["auth", { authValue: true }, ["tpm2_policyauthvalue"]],
      ["pcr", { pcr }, ["tpm2_policypcr", "-l", "sha256:0,23"]],
    ] as const) {
      trialDigest(suite, file, [...tool]);
      const first = theirs(["tpm2_policyor", `sha256:${file},duplication`]);
      const second = theirs(["tpm2_policyor", `sha256:duplication,${file}`]);
      expect(await ours([{ or: [[step], duplication] }])).toBe(first);
      expect(await ours([{ or: [duplication, [step]] }])).toBe(second);
      expect(first).not.toBe(second);
    }
  });

  test("of PCRs and a password, then one of two secrets, one of them under an or of its own", async () => {
    const pcrTool: PolicyTool = ["tpm2_policypcr", "-l", "sha256:0"];
    const before: PolicyTool[] = [pcrTool, ["tpm2_policyauthvalue"]];
    trialDigest(suite, "owner", ...before, ["tpm2_policysecret", "-c", "o"]);
    trialDigest(suite, "platform", ...before, ["tpm2_policysecret", "-c", "p"]);
    trialDigest(suite, "inner", ["tpm2_policyor", "sha256:owner,platform"]);
    trialDigest(suite, "lockout", ...before, ["tpm2_policysecret", "-c", "l"]);
    const expected = theirs(
      ["tpm2_policyor", "sha256:inner,lockout"],
      ["tpm2_policycommandcode", "TPM2_CC_HMAC"],
    );
    const or: TpmPolicy[] = [
      [{ or: [[{ secret: { object: "owner" } }], [{ secret: { object: "platform" } }]] }],
      [{ secret: { object: "lockout" } }],
    ];
    const pcr = { indices: [0], digest: pcrDigest("sha256:0") };
    expect(await ours([{ pcr }, { authValue: true }, { or }, { commandCode: "TPM2_HMAC" }])).toBe(expected);
  });
});
