import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { describeWith } from "../support/requirements.js";
import { messages, newParentName, policyTools } from "../support/tpm-policy.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { tap } from "../support/wiretap.js";

const otherPcrs = { pcr: { indices: [23], digest: "22".repeat(32) } };
const pcrs = { pcr: { indices: [23] } };
const duplication = { duplicationSelect: { newParentName } };

describeWith(["swtpm", "tpm2-tools"], "the branches of a TPM policy", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  const auth = { password };
  beforeAll(() => suite.makePrimary());
  afterEach(() => tools.resetPcr(23));

  /** A key with this policy, as options to open it. */
  const made = async (policy: TpmPolicy): Promise<TpmKeyOptions> => {
    const { pem } = await importTpmKey(Buffer.from(secret), {
      ...{ tcti: suite.tcti, output: "pem", auth, policy },
    });
    return { pem, policy, auth };
  };
  const signs = async (options: TpmKeyOptions): Promise<void> => {
    const key = await suite.open(options);
    for (let turn = 0; turn < 2; turn++) {
      for (const message of messages) expect(await macOf(key, message)).toBe(expected(message));
    }
    await key.close();
  };

  test.each<[string, TpmPolicy]>([
    ["after one whose PCRs differ", [{ or: [[otherPcrs], [{ authValue: true }]] }]],
    [
      "after one that using the key never satisfies",
      [{ or: [[duplication], [{ nvWritten: true }], [pcrs]] }],
    ],
    ["after the password and other PCRs", [{ or: [[{ authValue: true }, otherPcrs], [pcrs]] }]],
    ["that sends the password, after other PCRs", [{ or: [[otherPcrs], [{ password: true }], [pcrs]] }]],
    [
      "in an or of its own",
      [{ or: [[duplication], [{ or: [[otherPcrs], [pcrs, { authValue: true }]] }, { authValue: true }]] }],
    ],
    ["in each of two ors", [{ or: [[duplication], [pcrs]] }, { or: [[otherPcrs], [{ authValue: true }]] }]],
    ["after steps before the or", [pcrs, { or: [[otherPcrs], [{ secret: { object: "owner" } }]] }]],
    [
      "for each command",
      [{ or: [[{ commandCode: "TPM2_HMAC_Start" }], [pcrs, { commandCode: "TPM2_HMAC" }]] }],
    ],
    ["for sequences alone", [{ authValue: true }, { commandCode: "TPM2_HMAC_Start" }]],
  ])("are tried until one is satisfied: %s", async (_, policy) => {
    const options = await made(policy);
    for (const encryption of ["session", "none"] as const) {
      for (const mode of ["hmac", "plain"] as const) {
        await signs({ ...options, encryption, auth: { ...auth, mode } });
      }
    }
  });

  test("are skipped where the password was not given, and no empty one is tried", async () => {
    const options = await made([{ or: [[{ authValue: true }], [pcrs]] }]);
    const before = tools.failedTries();
    await signs({ ...options, auth: undefined });
    const key = await suite.open({ ...options, auth: undefined });
    tools.extendPcr(23);
    await expect(key.mac(day)).rejects.toMatchObject({
      code: "ERR_POLICY_UNSATISFIED",
      message: expect.stringMatching(/policy\[0\]\.or\[0\]: .*auth\.password.*policy\[0\]\.or\[1\]: .*PCRs/),
    });
    expect(tools.failedTries()).toBe(before);
  });

  test("stop at a wrong password, which is sent once", async () => {
    for (const policy of [[{ or: [[{ authValue: true }], [pcrs]] }], [pcrs, { password: true as const }]]) {
      const options = await made(policy as TpmPolicy);
      for (const mode of ["hmac", "plain"] as const) {
        const before = tools.failedTries();
        const key = await suite.open({ ...options, auth: { password: "wrong", mode } });
        for (let turn = 0; turn < 3; turn++) {
          await expect(key.mac(day)).rejects.toMatchObject({ name: "TpmError", code: "ERR_TPM_AUTH" });
        }
        expect(tools.failedTries()).toBe(before + 1);
        await key.close();
        suite.tool("tpm2_dictionarylockout", "--clear-lockout");
      }
    }
  });

  test("are each named where none is left, and what was wrong may be put right", async () => {
    const options = await made([
      { or: [[duplication], [{ nvWritten: false }], [pcrs], [{ commandCode: "TPM2_Certify" }]] },
    ]);
    const key = await suite.open(options);
    tools.extendPcr(23);
    await expect(key.mac(day)).rejects.toMatchObject({
      ...{ name: "TpmError", code: "ERR_POLICY_UNSATISFIED", retryable: false },
      message: expect.stringMatching(
        /or\[0\]: .*TPM2_Duplicate.*or\[1\]: .*NV indices.*or\[2\]: .*PCRs.*or\[3\]: .*commandCode/,
      ),
    });
    tools.resetPcr(23);
    expect(await macOf(key, day)).toBe(expected(day));
    // PCRs without a digest, in an or, have it from when the key was opened.
    await key.close();
    tools.extendPcr(23);
    await expect(suite.open(options)).rejects.toMatchObject({
      code: "ERR_TPM_POLICY",
      message: expect.stringMatching(/digest is [0-9a-f]{64}, the key's [0-9a-f]{64}/),
    });
  });

  test("for TPM2_HMAC alone leave no way for a message that needs a sequence", async () => {
    const key = await suite.open(await made([{ commandCode: "TPM2_HMAC" }]));
    expect(await macOf(key, day)).toBe(expected(day));
    await expect(key.mac(Buffer.alloc(1025))).rejects.toMatchObject({
      code: "ERR_POLICY_UNSATISFIED",
      message: expect.stringMatching(/policy\[0\]\.commandCode.*TPM2_HMAC_Start/),
    });
    expect(await macOf(key, day)).toBe(expected(day));
  });

  test.each<TpmPolicy>([
    [duplication],
    [{ nvWritten: true }],
    [{ or: [[duplication], [{ nvWritten: true }]] }],
  ])("that using the key never satisfies are refused when it is opened: %j", async (policy) => {
    const options = await made([policy] as unknown as TpmPolicy);
    await expect(suite.open(options)).rejects.toMatchObject({
      name: "AwsHmacError",
      code: "ERR_POLICY_UNSATISFIED",
    });
  });

  test("are those of the key, or nothing is authorised", async () => {
    const options = await made([{ authValue: true }]);
    const { pem } = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, output: "pem", auth });
    const wire = await tap(suite.tcti);
    try {
      const wrong = { ...options, tcti: wire.tcti, policy: [otherPcrs] };
      await expect(suite.open(wrong)).rejects.toMatchObject({
        code: "ERR_TPM_POLICY",
        message: expect.stringMatching(/digest is [0-9a-f]{64}, the key's [0-9a-f]{64}/),
      });
      const none = { pem, tcti: wire.tcti, auth, policy: [{ authValue: true as const }] };
      await expect(suite.open(none)).rejects.toMatchObject({
        code: "ERR_TPM_POLICY",
        message: expect.stringContaining("leave option policy out"),
      });
      const code = Buffer.alloc(4);
      code.writeUInt32BE(commands.startAuthSession);
      expect(wire.saw(code)).toBe(false);
    } finally {
      await wire.stop();
    }
  });

  describe("and a PCR that changes between policy and use", () => {
    /** TPM2_PCR_Extend of PCR 10, which the TPM counts as it does not count 16 and 23. */
    const extend = Buffer.concat([
      Buffer.from("8002000000410000018200", "hex"),
      Buffer.from("00000a00000009400000090000000000", "hex"),
      Buffer.from("00000001000b", "hex"),
      Buffer.alloc(32, 7),
    ]);
    const hmac = commands.hmac;

    test.each([
      [1, "succeeds"],
      [2, "is refused, and may succeed later"],
    ] as const)("%d times in a row: the use %s", async (times, outcome) => {
      const options = await made([pcrs, { authValue: true }]);
      const wire = await tap(suite.tcti);
      try {
        const key = await suite.open({ ...options, tcti: wire.tcti });
        const counted = tools.pcrDigest(10);
        await wire.intrude(hmac, extend, times);
        const use = macOf(key, day);
        if (outcome === "succeeds") expect(await use).toBe(expected(day));
        else {
          const changed = { rcName: "TPM_RC_PCR_CHANGED", retryable: true };
          await expect(use).rejects.toMatchObject({ code: "ERR_TPM_POLICY", ...changed });
        }
        expect(await macOf(key, day)).toBe(expected(day));
        await key.close();
        expect(tools.pcrDigest(10).equals(counted)).toBe(false);
      } finally {
        await wire.stop();
      }
    });
  });
});
