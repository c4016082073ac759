import { readFileSync, writeFileSync } from "node:fs";
import type { TpmPolicy } from "../../lib/keys/tpm/policy/policy.js";
import type { TpmKeyOptions } from "../../lib/keys/tpm.js";
import { importTpmKey } from "../../lib/provision/tpm.js";
import { describeWith } from "../support/requirements.js";
import { messages, newParentName, policyTools } from "../support/tpm-policy.js";
import { day, expected, handle, macOf, password, secret, tpmSuite } from "../support/tpm-suite.js";
import type { PolicyTool } from "../support/tpm-trial.js";

const duplication: TpmPolicy = [{ duplicationSelect: { newParentName } }];
const duplicate: PolicyTool = ["tpm2_policyduplicationselect", "-N", "parent.name"];
const pcr: TpmPolicy = [{ pcr: { indices: [23] } }];
const pcrTool: PolicyTool = ["tpm2_policypcr", "-l", "sha256:23"];

/** A class of session that users of other tools know, and how tpm2-tools make its policy. */
interface PolicyClass {
  name: string;
  policy: TpmPolicy;
  tools: PolicyTool[] | [first: PolicyTool, second: PolicyTool, or: "or"];
  auth?: { password: string };
}

const classes: PolicyClass[] = [
  { name: "PCRs", policy: pcr, tools: [pcrTool] },
  {
    ...{ name: "the password", policy: [{ password: true }], tools: [["tpm2_policypassword"]] },
    auth: { password },
  },
  {
    ...{ name: "the password or a duplication", policy: [{ or: [[{ authValue: true }], duplication] }] },
    ...{ tools: [["tpm2_policyauthvalue"], duplicate, "or"], auth: { password } },
  },
  { name: "PCRs or a duplication", policy: [{ or: [pcr, duplication] }], tools: [pcrTool, duplicate, "or"] },
  {
    ...{ name: "PCRs and the password", policy: [{ pcr: { indices: [0, 23] } }, { authValue: true }] },
    ...{ tools: [["tpm2_policypcr", "-l", "sha256:0,23"], ["tpm2_policyauthvalue"]], auth: { password } },
  },
];

describeWith(["swtpm", "tpm2-tools"], "a TPM key whose policy is", () => {
  const suite = tpmSuite();
  const tools = policyTools(suite);
  beforeAll(() => suite.makePrimary());
  afterEach(() => tools.resetPcr(23));

  const macs = async (options: TpmKeyOptions): Promise<string[]> => {
    const key = await suite.open(options);
    const results: string[] = [];
    for (const message of messages) results.push(await macOf(key, message));
    await key.close();
    return results;
  };
  const rightMacs = messages.map((message) => expected(message));

  /** Where the key of a class is: made by tpm2-tools, and by us as a file and in the TPM. */
  const sources = async (chosen: PolicyClass): Promise<TpmKeyOptions[]> => {
    const { policy, auth } = chosen;
    const [first, second, or] = chosen.tools;
    const steps = or === "or" ? tools.or(first as PolicyTool, second as PolicyTool) : chosen.tools;
    const blobs = tools.key(steps as PolicyTool[], auth?.password);
    const into = { tcti: suite.tcti, policy, auth };
    const { pem } = await importTpmKey(Buffer.from(secret), { ...into, output: "pem", policyInPem: false });
    await importTpmKey(Buffer.from(secret), { ...into, handle });
    return [{ blobs }, { pem }, { handle }];
  };
  const removeHandle = (): void => void suite.tool("tpm2_evictcontrol", "-C", "o", "-c", "0x81008001");

  test.each(classes)("$name: right MACs of keys that we and tpm2-tools made", async (chosen) => {
    const { policy, auth } = chosen;
    try {
      for (const source of await sources(chosen)) {
        for (const encryption of ["session", "none"] as const) {
          for (const mode of ["hmac", "plain"] as const) {
            const options = { ...source, policy, encryption, ...(auth && { auth: { ...auth, mode } }) };
            expect(await macs(options)).toEqual(rightMacs);
          }
        }
      }
    } finally {
      removeHandle();
    }
  });

  test.each(classes.filter(({ name }) => name.includes("PCRs")))(
    "$name: a changed PCR refuses the key, until it has its value again",
    async (chosen) => {
      const { policy, auth } = chosen;
      try {
        for (const source of await sources(chosen)) {
          const key = await suite.open({ ...source, policy, auth });
          expect(await macOf(key, day)).toBe(expected(day));
          tools.extendPcr(23);
          for (const message of [day, Buffer.alloc(2000)]) {
            await expect(key.mac(message)).rejects.toMatchObject({
              ...{ name: "TpmError", code: "ERR_POLICY_UNSATISFIED", retryable: false },
              message: expect.stringMatching(/PCR/),
            });
          }
          tools.resetPcr(23);
          expect(await macOf(key, day)).toBe(expected(day));
          await key.close();
        }
      } finally {
        removeHandle();
      }
    },
  );

  test.each(classes)("$name: a password alone does not open it", async (chosen) => {
    const { auth = { password: "" } } = chosen;
    try {
      for (const source of await sources(chosen)) {
        await expect(suite.open({ ...source, auth })).rejects.toMatchObject({
          code: "ERR_TPM_POLICY",
          message: expect.stringContaining("option policy"),
        });
      }
      writeFileSync(suite.file("message"), day);
      const theirs = (): string =>
        suite.tool("tpm2_hmac", "-c", "0x81008001", "-p", auth.password, "-o", "mac", "message");
      expect(theirs).toThrow(/0x12F/i); // TPM_RC_AUTH_UNAVAILABLE
    } finally {
      removeHandle();
    }
  });

  test("PCRs and the password, by a key that tpm2_create made: the MAC of tpm2_hmac", async () => {
    const policy: TpmPolicy = [{ pcr: { indices: [0, 23] } }, { authValue: true }];
    tools.key([["tpm2_policypcr", "-l", "sha256:0,23"], ["tpm2_policyauthvalue"]], password);
    const areas = ["-u", "made.pub", "-r", "made.priv"];
    const attributes = "fixedtpm|fixedparent|sensitivedataorigin|sign";
    const create = ["-C", "primary.ctx", "-G", "hmac", "-L", "policy", "-p", password, "-a", attributes];
    suite.toolAndFlush("tpm2_create", ...create, ...areas);
    suite.toolAndFlush("tpm2_load", "-C", "primary.ctx", ...areas, "-c", "made.ctx");
    writeFileSync(suite.file("message"), day);
    suite.tool("tpm2_startauthsession", "--policy-session", "-S", "use.ctx");
    suite.tool("tpm2_policypcr", "-S", "use.ctx", "-l", "sha256:0,23");
    suite.tool("tpm2_policyauthvalue", "-S", "use.ctx");
    const auth = `session:use.ctx+${password}`;
    suite.tool("tpm2_hmac", "-c", "made.ctx", "-p", auth, "-o", "mac", "message");
    suite.tool("tpm2_flushcontext", "use.ctx");
    suite.tool("tpm2_flushcontext", "-t");
    const made = { publicArea: suite.file("made.pub"), privateArea: suite.file("made.priv") };
    const key = await suite.open({ blobs: made, policy, auth: { password } });
    expect(await macOf(key, day)).toBe(readFileSync(suite.file("mac")).toString("hex"));
  });
});
