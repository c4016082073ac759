import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { policyDigest } from "../../lib/keys/tpm/policy/policy-digest.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { commands } from "../support/interposer.js";
import { runTool } from "../support/process.js";
import { codeOf, message, withRelay } from "../support/relay.js";
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

  test("is refused at once where it is not satisfied, and its sessions stay as they are", async () => {
    const policy: TpmPolicy = [{ pcr: { indices: [23] } }];
    const { pem } = await importTpmKey(Buffer.from(secret), { tcti: suite.tcti, policy, output: "pem" });
    await withRelay(suite.tcti, async ({ tcti, count, answer }) => {
      const uses: Buffer[] = [];
      answer((command, ask) => {
        if (codeOf(command) === commands.hmac) uses.push(command);
        return ask(command);
      });
      const key = await suite.open({ tcti, pem, policy });
      expect(await macOf(key, day)).toBe(expected(day));
      const opened = count(commands.startAuthSession);
      await runTool("tpm2_pcrextend", ["-T", suite.tcti, `23:sha256=${"ab".repeat(32)}`]);
      await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_POLICY_UNSATISFIED" });
      expect(count(commands.hmac)).toBe(2);
      await runTool("tpm2_pcrreset", ["-T", suite.tcti, "23"]);
      expect(await macOf(key, day)).toBe(expected(day));
      expect(count(commands.hmac)).toBe(3);
      expect(count(commands.startAuthSession)).toBe(opened);
      expect(uses.map(sessionAttributes)).toEqual(Array(3).fill(sessionAttributes(uses[0] as Buffer)));
      await key.close();
    });
  });

  test("a TPM that answers the same PCR for ever is not believed", () =>
    withRelay(suite.tcti, async ({ tcti, count, answer }) => {
      const pcr0 = Buffer.of(0, 0x0b, 3, 1, 0, 0); // of bank SHA-256
      const value = Buffer.concat([Buffer.of(0, 32), Buffer.alloc(32)]);
      answer((command, ask) =>
        codeOf(command) === commands.pcrRead ? message(0, 7, 1, pcr0, 1, value) : ask(command),
      );
      await expect(policyDigest([{ pcr: { indices: [0, 7] } }], { tcti })).rejects.toMatchObject({
        ...{ name: "TpmError", code: "ERR_TPM", operation: "TPM2_PCR_Read" },
      });
      expect(count(commands.pcrRead)).toBe(2);
    }));
});

/** The attributes (TPMA_SESSION) of a command's sessions, whose area comes after one handle (TCG TPM 2.0 Part 1, 18.4). */
function sessionAttributes(command: Buffer): number[] {
  const found: number[] = [];
  const end = 18 + command.readUInt32BE(14);
  for (let at = 18; at < end; ) {
    const attributes = at + 6 + command.readUInt16BE(at + 4);
    found.push(command.readUInt8(attributes));
    at = attributes + 3 + command.readUInt16BE(attributes + 1);
  }
  return found;
}
