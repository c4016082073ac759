import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { policyTools } from "../support/tpm-policy.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM key with a policy", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  const auth = { password };
  afterEach(() => tools.resetPcr(23));

  const policies: [string, TpmPolicy][] = [
    ["PCRs and the password", [{ pcr: { indices: [23] } }, { authValue: true }]],
    ["a branch", [{ or: [[{ nvWritten: true }], [{ pcr: { indices: [23] } }]] }]],
    ["a secret", [{ secret: { object: "endorsement" } }]],
  ];
  const sessions = (): number => suite.tool("tpm2_getcap", "handles-loaded-session").split("\n").length - 1;

  describe.each(policies)("%s", (_, policy) => {
    test.each(["session", "none"] as const)(
      "is used again after a reset, encryption %s",
      async (encryption) => {
        const to = { tcti: suite.tcti, auth, policy, noDA: true };
        const { pem } = await importTpmKey(Buffer.from(secret), { ...to, output: "pem" });
        const key = await suite.open({ pem, auth, policy, encryption });
        expect(await macOf(key, day)).toBe(expected(day));
        const used = sessions();
        for (const reset of [
          () => suite.tpm.kill().then(() => suite.tpm.start()),
          () => suite.tpm.reset().then(() => void suite.tool("tpm2_startup", "-c")),
          async () => void suite.tool("tpm2_flushcontext", "-l"),
        ]) {
          await reset();
          for (const message of [day, Buffer.alloc(2000)]) {
            expect(await macOf(key, message)).toBe(expected(message));
          }
        }
        expect(sessions()).toBe(used);
      },
    );

    test("leaves nothing in the TPM however often it is used and refused", async () => {
      const { pem } = await importTpmKey(Buffer.from(secret), {
        ...{ tcti: suite.tcti, auth, policy, output: "pem" },
      });
      const key = await suite.open({ pem, auth, policy });
      expect(await macOf(key, day)).toBe(expected(day));
      const used = sessions();
      tools.extendPcr(23);
      const refusals = await Promise.allSettled(Array.from({ length: 20 }, () => key.mac(day)));
      const outcomes = new Set(refusals.map(({ status }) => status));
      expect(outcomes).toEqual(new Set([policy === policies[2]?.[1] ? "fulfilled" : "rejected"]));
      tools.resetPcr(23);
      const macs = await Promise.all(Array.from({ length: 20 }, () => macOf(key, day)));
      expect(new Set(macs)).toEqual(new Set([expected(day)]));
      expect(sessions()).toBe(used);
    });
  });
});
