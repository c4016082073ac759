import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { policyDigest } from "../../lib/keys/tpm/policy/policy-digest.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { messages, policyTools } from "../support/tpm-policy.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

/** A signature with a key, as its owner makes it where there is no TPM. */
const signed = async (policy: TpmPolicy, key: KeyObject, policyRef = Buffer.alloc(0)): Promise<Buffer> =>
  sign("sha256", Buffer.concat([await policyDigest(policy), policyRef]), key);

describeWith(["swtpm", "tpm2-tools"], "a TPM key whose policy is signed", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  const auth = { password };
  beforeAll(() => suite.makePrimary());
  afterEach(() => tools.resetPcr(23));

  const pairs = {
    rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
    ecc: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  };
  const pemOf = (kind: "rsa" | "ecc"): string =>
    pairs[kind].publicKey.export({ type: "spki", format: "pem" }).toString();

  const kinds = ["rsa", "ecc"] as const;
  test.each(kinds)(
    "with %s: goes on after an update that changes PCRs, without a new import",
    async (kind) => {
      const publicKey = pemOf(kind);
      const now = (): TpmPolicy => [
        { pcr: { indices: [23], digest: tools.pcrDigest(23) } },
        { authValue: true },
      ];
      const before = now();
      const policy = async (steps: TpmPolicy): Promise<TpmPolicy> => {
        const signature = await signed(steps, pairs[kind].privateKey);
        return [{ authorize: { publicKey, policy: steps, signature } }];
      };
      await importTpmKey(Buffer.from(secret), {
        tcti: suite.tcti,
        handle,
        auth,
        policy: await policy(before),
      });
      try {
        for (const encryption of ["session", "none"] as const) {
          const key = await suite.open({ handle, auth, encryption, policy: await policy(before) });
          for (const message of messages) expect(await macOf(key, message)).toBe(expected(message));
          tools.extendPcr(23); // the update
          await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_POLICY_UNSATISFIED" });
          await key.close();

          const updated = await suite.open({ handle, auth, encryption, policy: await policy(now()) });
          for (const message of messages) expect(await macOf(updated, message)).toBe(expected(message));
          await updated.close();
          tools.resetPcr(23);
        }
      } finally {
        suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");
      }
    },
  );

  test.each(kinds)("with %s: is a key of tpm2-tools too, with a policyRef", async (kind) => {
    const publicKey = pemOf(kind);
    writeFileSync(suite.file("key.pem"), publicKey);
    suite.toolAndFlush("tpm2_loadexternal", "-G", kind, "-u", "key.pem", "-c", "key.ctx", "-n", "key.name");
    const policyRef = Buffer.from("0102", "hex");
    tools.key([["tpm2_policypcr", "-l", "sha256:23"]]);
    writeFileSync(suite.file("approved"), readFileSync(suite.file("policy")));
    const authorize = ["tpm2_policyauthorize", "-i", "approved", "-n", "key.name", "-q", "0102"];
    const blobs = tools.key([["tpm2_policypcr", "-l", "sha256:23"], authorize as [string, ...string[]]]);
    const steps: TpmPolicy = [{ pcr: { indices: [23], digest: tools.pcrDigest(23) } }];
    const signature = await signed(steps, pairs[kind].privateKey, policyRef);
    const policy: TpmPolicy = [{ authorize: { publicKey, policyRef, policy: steps, signature } }];
    const key = await suite.open({ blobs, policy });
    for (const message of messages) expect(await macOf(key, message)).toBe(expected(message));
  });

  test("and has branches: each signed policy, and a password, are ways of their own", async () => {
    const publicKey = pemOf("ecc");
    const [older, newer] = [tools.pcrDigest(23), Buffer.alloc(32, 9)].map(
      (digest): TpmPolicy => [{ pcr: { indices: [23], digest } }],
    ) as [TpmPolicy, TpmPolicy];
    const way = async (steps: TpmPolicy): Promise<TpmPolicy> => [
      {
        authorize: { publicKey, policy: steps, signature: await signed(steps, pairs.ecc.privateKey) },
      },
    ];
    const policy: TpmPolicy = [{ or: [await way(newer), await way(older), [{ authValue: true }]] }];
    const { pem } = await importTpmKey(Buffer.from(secret), {
      tcti: suite.tcti,
      output: "pem",
      auth,
      policy,
    });
    const key = await suite.open({ pem, policy });
    expect(await macOf(key, day)).toBe(expected(day));
    tools.extendPcr(23);
    await expect(key.mac(day)).rejects.toMatchObject({
      code: "ERR_POLICY_UNSATISFIED",
      message: expect.stringMatching(/or\[0\].*PCRs.*or\[1\].*PCRs.*or\[2\].*auth\.password/),
    });
    await key.close();
    const withPassword = await suite.open({ pem, policy, auth });
    expect(await macOf(withPassword, day)).toBe(expected(day));
  });

  test("needs the policy and a signature of the key's to be used, and neither to be imported", async () => {
    const publicKey = pemOf("rsa");
    const steps: TpmPolicy = [{ authValue: true }];
    const authorize = { publicKey, policy: steps };
    const importing = { tcti: suite.tcti, output: "pem", auth } as const;
    const { pem } = await importTpmKey(Buffer.from(secret), {
      ...importing,
      policy: [{ authorize: { publicKey } }],
    });
    const another = generateKeyPairSync("rsa", { modulusLength: 2048 });
    for (const [missing, given] of [
      ["policy[0].authorize.policy was not given", { publicKey }],
      ["policy[0].authorize.signature was not given", authorize],
      [
        "policy[0].authorize.signature is not the key's",
        { ...authorize, signature: await signed(steps, another.privateKey) },
      ],
      [
        "policy[0].authorize.signature is not the key's",
        { ...authorize, signature: await signed([{ nvWritten: true }], pairs.rsa.privateKey) },
      ],
    ] as const) {
      await expect(suite.open({ pem, auth, policy: [{ authorize: given }] })).rejects.toMatchObject({
        code: "ERR_POLICY_UNSATISFIED",
        message: expect.stringContaining(missing),
      });
    }
    const signature = await signed(steps, pairs.rsa.privateKey);
    const key = await suite.open({ pem, auth, policy: [{ authorize: { ...authorize, signature } }] });
    expect(await macOf(key, day)).toBe(expected(day));
  });
});
