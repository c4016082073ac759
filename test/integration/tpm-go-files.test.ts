import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import type { TpmParent } from "../../lib/keys/tpm/parent.js";
import type { TpmPolicy, TpmPolicyStep } from "../../lib/keys/tpm/policy/policy.js";
import { policyDigest } from "../../lib/keys/tpm/policy/policy-digest.js";
import { parseTss2Pem } from "../../lib/keys/tpm/tss2-pem.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importWrappedTpmKey } from "../../lib/provision/import-wrapped-tpm.js";
import { describeWith } from "../support/requirements.js";
import { day, expected, macOf, tpmSuite } from "../support/tpm-suite.js";

const fixtures = path.join(__dirname, "..", "fixtures", "go-tpm-keyfiles");
const file = (name: string): string => path.join(fixtures, `${name}.pem`);

describeWith(["swtpm", "tpm2-tools"], "key files of Go programs", () => {
  const suite = tpmSuite(path.join(fixtures, "tpm2-00.permall"));
  const auth = { password: "go password" };
  /** The policy that tpmcopy gives a key for another machine's endorsement key. */
  const copied = (step: TpmPolicyStep, newParent: TpmParent): TpmPolicy => [
    { or: [[step], [{ duplicationSelect: { newParent } }]] },
  ];

  const files: [string, TpmKeyOptions][] = [
    ["transient-parent", {}],
    ["owner", {}],
    ["owner-password", { auth }],
    ["owner-created", { auth }],
    ["persistent", {}],
    ["endorsement", {}],
    ["ek-rsa", {}],
    ["ek-ecc", {}],
    ["ek-rsa-transient", { parent: "ek-rsa" }],
    ["ek-ecc-transient", { parent: "ek-ecc" }],
    ["ek-rsa-transient", { parent: 0x81010001 }],
    ["ek-ecc-transient", { parent: 0x81010002 }],
    [
      "tpmcopy-password",
      { parent: "ek-rsa", auth: { password: "bar" }, policy: copied({ authValue: true }, "ek-rsa") },
    ],
    ["tpmcopy-pcr", { parent: "ek-rsa", policy: copied({ pcr: { indices: [23] } }, "ek-rsa") }],
    ["tpmcopy-pcr", { parent: 0x81010001, policy: copied({ pcr: { indices: [23] } }, 0x81010001) }],
  ];

  test.each(files)("%s %j opens and gives the right MACs", async (name, options) => {
    for (const encryption of ["session", "none"] as const) {
      const key = await suite.open({ pemFile: file(name), encryption, ...options });
      for (const message of [day, Buffer.alloc(0), Buffer.alloc(1025, 7)]) {
        expect(await macOf(key, message)).toBe(expected(message));
      }
      await key.close();
    }
  });

  test.each([
    ["importable-owner", { auth }],
    ["importable-ek-rsa", {}],
    ["importable-ek-ecc", { auth }],
  ])("%s, which go-tpm wrapped, is imported, and its MACs are right", async (name, options) => {
    const wrapped = readFileSync(file(name));
    const imported = await importWrappedTpmKey(wrapped, { tcti: suite.tcti, output: "pem", ...options });
    expect(imported).toEqual({ pem: imported.pem, verified: false });
    const key = await suite.open({ pem: imported.pem, ...options });
    for (const message of [day, Buffer.alloc(0), Buffer.alloc(1025, 7)]) {
      expect(await macOf(key, message)).toBe(expected(message));
    }
    await key.close();
    await expect(suite.open({ pemFile: file(name) })).rejects.toMatchObject({ code: "ERR_PEM_INVALID" });
  });

  test("a policy with a new parent that the TPM does not have", async () => {
    const policy = copied({ authValue: true }, 0x81010003);
    await expect(
      suite.open({ pemFile: file("tpmcopy-password"), parent: "ek-rsa", policy }),
    ).rejects.toMatchObject({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringMatching(/newParent: the TPM has nothing at 0x81010003/),
    });
  });

  test.each(["owner-password", "owner-created"])("%s is refused without its password", async (name) => {
    const key = await suite.open({ pemFile: file(name) });
    await expect(key.mac(day)).rejects.toMatchObject({ code: "ERR_TPM_AUTH" });
  });

  const zeroPcr = createHash("sha256").update(Buffer.alloc(32)).digest();
  const policies: [string, TpmPolicy][] = [
    ["policy-auth-value", [{ authValue: true }]],
    ["policy-pcr", [{ pcr: { bank: "sha256", indices: [23], digest: zeroPcr } }]],
  ];

  test.each(policies)("%s is read, and has the digest that policyDigest gives", async (name, policy) => {
    const { parent, publicArea } = parseTss2Pem(readFileSync(file(name), "latin1"));
    expect(parent).toBe(0x40000001);
    expect(Buffer.from(publicArea).includes(await policyDigest(policy))).toBe(true);
  });

  test.each(["ek-rsa-transient", "ek-ecc-transient"])("%s needs its parent named", async (name) => {
    await expect(suite.open({ pemFile: file(name) })).rejects.toMatchObject({
      code: "ERR_TPM_PARENT",
      rcName: "TPM_RC_INTEGRITY",
    });
  });
});
