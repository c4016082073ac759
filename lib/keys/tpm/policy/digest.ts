import { createHash } from "node:crypto";
import { invalid } from "../../../core/validate.js";
import { uint8, uint32 } from "../structures.js";
import { pcrSelection, policyCommands, type Step } from "./steps.js";

/** The digest of a session in which nothing was satisfied yet. */
export const emptyDigest: Buffer = Buffer.alloc(32);

/**
 * The policy digest, SHA-256, after these steps (TCG TPM 2.0 Part 3, 23: each command's own rule).
 *
 * @param start the digest before them
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where something is missing that only the TPM knows
 */
export function extend(start: Buffer, steps: readonly Step[]): Buffer {
  return steps.reduce(extendBy, start);
}

function extendBy(digest: Buffer, step: Step): Buffer {
  switch (step.kind) {
    case "pcr": // 23.7
      return update(digest, "pcr", pcrSelection(step), known(step.digest, step.at, "digest"));
    case "authValue": // 23.17
    case "password": // 23.18
      return update(digest, "authValue");
    case "secret": // 23.4
      return hash(update(digest, "secret", known(step.name, step.at, "name")), step.policyRef);
    case "duplicationSelect": {
      // 23.15
      const { objectName } = step;
      const newParentName = known(step.newParentName, step.at, "newParentName");
      const names = objectName ? [objectName, newParentName, uint8(1)] : [newParentName, uint8(0)];
      return update(digest, "duplicationSelect", ...names);
    }
    case "authorize": // 23.16
      return hash(update(emptyDigest, "authorize", step.name), step.policyRef);
    case "nvWritten": // 23.20
      return update(digest, "nvWritten", uint8(step.written ? 1 : 0));
    case "commandCode": // 23.11
      return update(digest, "commandCode", uint32(step.code));
    case "or": // 23.6
      return update(emptyDigest, "or", ...branchDigests(digest, step.branches));
    case "orOf":
      return update(emptyDigest, "or", ...step.digests);
  }
}

/** What TPM2_PolicyOR compares the session's digest with: each branch's, after the steps before the OR. */
export function branchDigests(start: Buffer, branches: readonly Step[][]): Buffer[] {
  return branches.map((branch) => extend(start, branch));
}

function update(digest: Buffer, command: keyof typeof policyCommands, ...parameters: Buffer[]): Buffer {
  return hash(digest, uint32(policyCommands[command]), ...parameters);
}

function hash(...parts: Buffer[]): Buffer {
  return createHash("sha256").update(Buffer.concat(parts)).digest();
}

function known(bytes: Buffer | undefined, at: string, member: string): Buffer {
  if (bytes === undefined) throw invalid(`${at}.${member} is needed where no TPM is asked for it`);
  return bytes;
}
