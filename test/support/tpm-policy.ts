import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import type { TpmBlobs } from "../../lib/keys/tpm/source.js";
import { secret, type TpmSuite } from "./tpm-suite.js";
import { type PolicyTool, trialDigest } from "./tpm-trial.js";

/** The name of a new parent that no key has: what `duplicationSelect` asks for. */
export const newParentName = `000b${"11".repeat(32)}`;

/** A day's message, an empty one, and some around a TPM's buffer of 1024 bytes. */
export const messages = [8, 0, 1024, 1025, 5000].map((length) => Buffer.alloc(length, "20261123"));

/** What tpm2-tools do for policies. */
export interface PolicyTools {
  /** An HMAC key of the test's secret that tpm2_import makes, under the owner's primary, with the policy of these tools alone. */
  key(tools: PolicyTool[], password?: string): TpmBlobs;
  /** The digests of two policies, and then that of their PolicyOR, left in the file `policy`. */
  or(first: PolicyTool, second: PolicyTool): PolicyTool[];
  extendPcr(index: number): void;
  /** Of PCR 16 and 23. */
  resetPcr(index: number): void;
  /** SHA-256 over the values of PCRs in bank SHA-256. */
  pcrDigest(...indices: number[]): Buffer;
  /** How many wrong passwords the TPM has counted. */
  failedTries(): number;
}

export function policyTools(suite: TpmSuite): PolicyTools {
  let keys = 0;
  return {
    key(tools, password) {
      const name = `policy-key-${++keys}`;
      trialDigest(suite, "policy", ...tools);
      writeFileSync(suite.file("key.bin"), `AWS4${secret}`);
      const areas = ["-u", `${name}.pub`, "-r", `${name}.priv`];
      const auth = password === undefined ? [] : ["-p", password];
      const made = ["-G", "hmac", "-i", "key.bin", "-L", "policy", "-a", "sign", ...auth, ...areas];
      suite.toolAndFlush("tpm2_import", "-C", "primary.ctx", ...made);
      return { publicArea: suite.file(`${name}.pub`), privateArea: suite.file(`${name}.priv`) };
    },
    or(first, second) {
      writeFileSync(suite.file("parent.name"), Buffer.from(newParentName, "hex"));
      trialDigest(suite, "first", first);
      trialDigest(suite, "second", second);
      return [["tpm2_policyor", "sha256:first,second"]];
    },
    extendPcr: (index) => void suite.tool("tpm2_pcrextend", `${index}:sha256=${"ab".repeat(32)}`),
    resetPcr: (index) => void suite.tool("tpm2_pcrreset", `${index}`),
    pcrDigest(...indices) {
      suite.tool("tpm2_pcrread", `sha256:${indices.join(",")}`, "-o", "pcrs");
      return createHash("sha256")
        .update(readFileSync(suite.file("pcrs")))
        .digest();
    },
    failedTries: () =>
      Number(/TPM2_PT_LOCKOUT_COUNTER: (\S+)/.exec(suite.tool("tpm2_getcap", "properties-variable"))?.[1]),
  };
}
