import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { policyDigest } from "../../lib/keys/tpm/policy/policy-digest.js";
import { listTpmKeys } from "../../lib/provision/tpm/housekeeping.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { newParentName, policyTools } from "../support/tpm-policy.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "importTpmKey with a policy", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  const auth = { password };
  const into = (): { tcti: string } => ({ tcti: suite.tcti });
  const evict = (persistent: string): void =>
    void suite.tool("tpm2_evictcontrol", "-C", "o", "-c", persistent);
  beforeAll(() => suite.makePrimary());
  afterEach(() => tools.resetPcr(23));

  test("makes a key without userWithAuth, with the digest that policyDigest and tpm2-tools give", async () => {
    const policy: TpmPolicy = [{ pcr: { indices: [0, 23] } }, { authValue: true }];
    const theirs = tools.key([["tpm2_policypcr", "-l", "sha256:0,23"], ["tpm2_policyauthvalue"]], password);
    for (const options of [{}, { auth }, { auth, noDA: true }]) {
      await importTpmKey(Buffer.from(secret), { ...into(), handle, policy, ...options });
      const [key] = await listTpmKeys(into());
      evict("0x81008001");
      const noDA = !("auth" in options) || "noDA" in options;
      expect(key?.attributes).toEqual(["fixedTPM", "fixedParent", ...(noDA ? ["noDA"] : []), "sign"]);
      expect(key?.policy).toBe((await policyDigest(policy, into())).toString("hex"));
      expect(key).toMatchObject({ hasPolicy: true, usableForAws4: true });
    }
    const key = await suite.open({ blobs: theirs, policy, auth });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test.each<[string, TpmPolicy]>([
    ["PCRs without digest", [{ pcr: { bank: "sha1", indices: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 23] } }]],
    [
      "a branch of them",
      [{ or: [[{ pcr: { indices: [23] } }], [{ pcr: { bank: "sha384", indices: [0] } }]] }],
    ],
  ])("binds it to the values of the moment: %s", async (_, policy) => {
    const { pem } = await importTpmKey(Buffer.from(secret), { ...into(), output: "pem", policy });
    const key = await suite.open({ pem, policy });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test("checks a key that is bound to the PCRs of tomorrow", async () => {
    tools.extendPcr(23);
    const policy: TpmPolicy = [{ pcr: { indices: [23], digest: tools.pcrDigest(23) } }];
    tools.resetPcr(23);
    for (const parent of ["owner", "ek-ecc"] as const) {
      const made = await importTpmKey(Buffer.from(secret), { ...into(), output: "pem", policy, parent });
      const key = await suite.open({ ...made, policy });
      await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_POLICY_UNSATISFIED" });
      tools.extendPcr(23);
      expect(await macOf(key, day)).toBe(expected(day));
      tools.resetPcr(23);
      await key.close();
    }
  });

  test("checks a key that nothing can use now, and keeps its twin nowhere", async () => {
    const policy: TpmPolicy = [{ duplicationSelect: { newParentName } }];
    await importTpmKey(Buffer.from(secret), { ...into(), handle, policy });
    const keys = await listTpmKeys(into());
    expect(keys.map((key) => key.handle)).toEqual([handle]);
    expect(keys[0]?.attributes).not.toContain("userWithAuth");
    evict("0x81008001");
  });

  test("takes the secrets of hierarchies, persistent keys and NV indices, with and without their names", async () => {
    const [ofOwner, ofKey, ofIndex] = ["the owner's", "a key's", "an index's"];
    suite.toolAndFlush("tpm2_createprimary", "-C", "o", "-G", "ecc", "-p", ofKey, "-c", "p.ctx");
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "p.ctx", "0x81000020");
    const index = ["-C", "o", "-s", "8", "-a", "authread|authwrite|no_da", "-p", ofIndex];
    suite.tool("tpm2_nvdefine", "0x01500001", ...index);
    suite.tool("tpm2_changeauth", "-c", "owner", ofOwner);
    const ownerAuth = { password: ofOwner };
    try {
      const secrets = [
        { object: "owner", password: ofOwner },
        { object: 0x81000020, password: ofKey, policyRef: "c0ffee" },
        { object: 0x01500001, password: ofIndex },
        { object: "lockout" },
      ] as const;
      for (const chosen of secrets) {
        const step = { secret: chosen };
        for (const policy of [[step], [{ or: [[{ nvWritten: true }], [step]] }]] as TpmPolicy[]) {
          const made = await importTpmKey(Buffer.from(secret), {
            ...into(),
            output: "pem",
            policy,
            ownerAuth,
          });
          const parentAuth = { hierarchyPassword: ofOwner };
          for (const encryption of ["session", "none"] as const) {
            const key = await suite.open({ ...made, policy, parentAuth, encryption });
            for (const message of [day, Buffer.alloc(2000)]) {
              expect(await macOf(key, message)).toBe(expected(message));
            }
            await key.close();
          }
        }
      }
    } finally {
      suite.tool("tpm2_changeauth", "-c", "owner", "-p", ofOwner);
      suite.tool("tpm2_nvundefine", "0x01500001", "-C", "o");
      evict("0x81000020");
    }
  });

  test("with a secret's wrong password leaves nothing, and a key sends it once", async () => {
    const attributes = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt";
    const create = ["-C", "o", "-G", "ecc", "-p", "right", "-a", attributes, "-c", "p.ctx"];
    suite.toolAndFlush("tpm2_createprimary", ...create);
    suite.toolAndFlush("tpm2_evictcontrol", "-C", "o", "-c", "p.ctx", "0x81000020");
    try {
      const policyWith = (word: string): TpmPolicy => [{ secret: { object: 0x81000020, password: word } }];
      const refused = {
        ...{ name: "TpmError", code: "ERR_TPM_AUTH", operation: "TPM2_PolicySecret" },
        message: expect.stringContaining("policy[0].secret.password"),
      };
      const importing = { ...into(), handle } as const;
      const before = tools.failedTries();
      await expect(
        importTpmKey(Buffer.from(secret), { ...importing, policy: policyWith("wrong") }),
      ).rejects.toMatchObject(refused);
      expect(tools.failedTries()).toBe(before + 1);
      expect(await listTpmKeys(into())).toEqual([]);
      await importTpmKey(Buffer.from(secret), { ...importing, policy: policyWith("right") });
      const key = await suite.open({ handle, policy: policyWith("wrong") });
      for (let turn = 0; turn < 3; turn++) await expect(key.mac(day)).rejects.toMatchObject(refused);
      expect(tools.failedTries()).toBe(before + 2);
      await key.close();
      const right = await suite.open({ handle, policy: policyWith("right") });
      expect(await macOf(right, day)).toBe(expected(day));
      evict("0x81008001");
    } finally {
      evict("0x81000020");
    }
  });

  test("names what the TPM does not have", async () => {
    for (const [policy, message] of [
      [[{ secret: { object: 0x81000055 } }], "policy[0].secret.object"],
      [[{ pcr: { bank: "sha512", indices: [0] } }, { secret: { object: 0x01500055 } }], "policy[1].secret"],
    ] as const) {
      await expect(
        importTpmKey(Buffer.from(secret), { ...into(), output: "pem", policy }),
      ).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(message) });
      await expect(policyDigest(policy, into())).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    }
  });
});
