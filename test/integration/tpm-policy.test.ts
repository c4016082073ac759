import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";

describeWith(["swtpm", "tpm2-tools"], "a TPM key with a policy", () => {
  const suite = tpmSuite();

  test.each(["session", "none"] as const)(
    "gives the right MACs through its policy, encryption %s",
    async (encryption) => {
      const messages = [day, Buffer.alloc(0), Buffer.alloc(1024, 3), Buffer.alloc(5000, 7)];
      const policies: TpmPolicy[] = [
        [{ pcr: { indices: [23] } }],
        [{ authValue: true }],
        [{ password: true }],
        [{ pcr: { indices: [0, 23] } }, { authValue: true }],
        [
          {
            or: [[{ authValue: true }], [{ duplicationSelect: { newParentName: `000b${"11".repeat(32)}` } }]],
          },
        ],
        [
          {
            or: [
              [{ duplicationSelect: { newParentName: `000b${"11".repeat(32)}` } }],
              [{ pcr: { indices: [23] } }],
            ],
          },
        ],
        [{ secret: { object: "owner" } }],
        [
          {
            or: [
              [{ pcr: { indices: [23] } }],
              [{ authValue: true }, { pcr: { indices: [23], digest: "22".repeat(32) } }],
              [{ pcr: { indices: [23], digest: "11".repeat(32) } }],
            ],
          },
        ],
        [
          {
            or: [
              [{ authValue: true }, { commandCode: "TPM2_HMAC_Start" }],
              [{ pcr: { indices: [23] } }, { commandCode: "TPM2_HMAC" }],
            ],
          },
        ],
        [{ or: [[{ commandCode: "TPM2_HMAC" }], [{ commandCode: "TPM2_HMAC_Start" }]] }],
        [
          {
            or: [
              [{ authValue: true }, { nvWritten: true }],
              [{ pcr: { indices: [1] } }],
              [{ authValue: true }],
            ],
          },
        ],
      ];
      for (const policy of policies) {
        const { pem } = await importTpmKey(Buffer.from(secret), {
          tcti: suite.tcti,
          output: "pem",
          auth: { password },
          policy,
        });
        for (const mode of ["hmac", "plain"] as const) {
          const key = await suite.open({ pem, policy, auth: { password, mode }, encryption });
          for (let i = 0; i < 2; i++)
            for (const message of messages) expect(await macOf(key, message)).toBe(expected(message));
          await key.close();
        }
      }
    },
  );
});
