import { generateKeyPairSync, sign } from "node:crypto";
import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import { policyDigest } from "../../lib/keys/tpm/policy/policy-digest.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { policyTools } from "../support/tpm-policy.js";
import { day, expected, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import { tap } from "../support/wiretap.js";

const ofOwner = "the owner's password";
const signer = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = signer.publicKey.export({ type: "spki", format: "pem" }).toString();

describeWith(["swtpm", "tpm2-tools"], "a TPM's bus, where policies authorise,", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  beforeAll(() => suite.tool("tpm2_changeauth", "-c", "owner", ofOwner));

  const pcrs = { pcr: { indices: [0, 23] } };
  const owner = { secret: { object: "owner", password: ofOwner } } as const;
  const policies: [string, TpmPolicy][] = [
    ["PCRs", [pcrs]],
    ["PCRs and a proved password", [pcrs, { authValue: true }]],
    ["a password", [{ password: true }]],
    ["the owner's secret", [owner]],
    [
      "the second branch",
      [
        {
          or: [
            [{ authValue: true }, { nvWritten: true }],
            [pcrs, owner],
          ],
        },
      ],
    ],
  ];
  const passwords = [secret, password, ofOwner].map((text) => Buffer.from(text));

  /** What passed while a key was imported and used: secret, password, the owner's password, MACs. */
  const seen = async (policy: TpmPolicy, options: Partial<TpmKeyOptions>): Promise<boolean[]> => {
    const wire = await tap(suite.tcti);
    try {
      const to = { tcti: wire.tcti, auth: { password }, policy, ownerAuth: { password: ofOwner } };
      const { pem } = await importTpmKey(Buffer.from(secret), { ...to, output: "pem" });
      const parentAuth = { hierarchyPassword: ofOwner };
      const opened = { pem, tcti: wire.tcti, auth: { password }, policy, parentAuth, ...options };
      const key = await suite.open(opened);
      const macs: Buffer[] = [];
      for (const message of [day, Buffer.alloc(3000)]) {
        const mac = await macOf(key, message);
        expect(mac).toBe(expected(message));
        macs.push(Buffer.from(mac, "hex"));
      }
      await key.close();
      return [...passwords.map(wire.saw), macs.some(wire.saw)];
    } finally {
      await wire.stop();
    }
  };

  test.each(policies)("shows neither secret, password nor MAC: %s", async (_, policy) => {
    expect(await seen(policy, {})).toEqual([false, false, false, false]);
  });

  test("shows them not either where a signed policy does", async () => {
    const steps: TpmPolicy = [{ pcr: { indices: [23], digest: tools.pcrDigest(23) } }, { authValue: true }];
    const signature = sign("sha256", await policyDigest(steps), signer.privateKey);
    const policy: TpmPolicy = [{ authorize: { publicKey, policy: steps, signature } }];
    expect(await seen(policy, {})).toEqual([false, false, false, false]);
  });

  test("shows the MACs without encryption, and no password", async () => {
    for (const [, policy] of policies) {
      expect(await seen(policy, { encryption: "none" })).toEqual([false, false, false, true]);
    }
  });

  test.each<[TpmPolicy, boolean]>([
    [[pcrs, { password: true }], true],
    [[pcrs, { authValue: true }], false],
  ])("shows the key's password where step and mode ask for that, and no MAC: %j", async (policy, isSent) => {
    const auth = { password, mode: "plain" } as const;
    // The passwords above the key are sent in this mode too.
    expect(await seen(policy, { auth })).toEqual([false, isSent, true, false]);
  });
});
