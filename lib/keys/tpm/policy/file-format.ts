import { der, integer, tags } from "../der.js";
import { readPublicArea } from "../public-area.js";
import { tpmSignature } from "../signature.js";
import { algorithms, tpm2b, uint8, uint16, uint32 } from "../structures.js";
import { branchDigests, emptyDigest, extend } from "./digest.js";
import { commandCodes } from "./policy.js";
import { type AuthorizeStep, needsTpm, pcrSelection, policyCommands, type Step } from "./steps.js";

/** The fields of a TPM key file that have its policy, in DER. */
export interface FileFields {
  /** SEQUENCE OF TPMPolicy. */
  policy: Buffer;
  /** SEQUENCE OF TPMAuthPolicy. */
  authPolicy?: Buffer;
}

/**
 * Writes a policy as TPM key files have it (draft-bottomley-tpm2-keys, 4 and 5). They have lists of commands and no
 * branches: of an `or` they get the first branch that TPM2_HMAC can satisfy, and the digests of all. No password is written.
 *
 * @returns undefined where the format has no words for it: a PolicyAuthorize within a signed policy, after other steps,
 *   or with a signature that is not its key's; a digest or name that only the TPM knows and that others need
 */
export function formatFilePolicy(policy: readonly Step[]): FileFields | undefined {
  const [first, ...rest] = flat(policy, []) ?? [];
  const after = commands(rest);
  if (first === undefined || after === undefined) return undefined;
  if (first.kind !== "authorize") {
    const own = commands([first]);
    return own && { policy: list(...own, ...after) };
  }
  const unsigned = list(authorizeCommand(first, uint16(algorithms.none)), ...after);
  if (first.policy === undefined || first.signature === undefined) return { policy: unsigned };
  const approved = signedPolicy(first, first.policy, first.signature);
  if (approved === undefined) return undefined;
  return { policy: unsigned, authPolicy: list(der(tags.sequence, der(tags.explicit(1), list(...approved)))) };
}

function signedPolicy(step: AuthorizeStep, policy: Step[], signature: Buffer): Buffer[] | undefined {
  const steps = commands(flat(policy, []));
  if (steps === undefined || needsTpm(policy)) return undefined;
  const message = Buffer.concat([extend(emptyDigest, policy), step.policyRef]);
  const marshalled = tpmSignature(signature, readPublicArea(step.publicKey), message);
  return marshalled && [...steps, authorizeCommand(step, marshalled)];
}

/** The steps without branches, as a file has them. */
function flat(steps: readonly Step[], before: readonly Step[]): Step[] | undefined {
  const result: Step[] = [];
  for (const [index, step] of steps.entries()) {
    const until = [...before, ...steps.slice(0, index)];
    const own = step.kind === "or" ? flatOr(step.branches, until) : [step];
    if (own === undefined) return undefined;
    result.push(...own);
  }
  return result;
}

function flatOr(branches: Step[][], before: readonly Step[]): Step[] | undefined {
  const branch = branches.find(isForHmac);
  if (branch === undefined || needsTpm(before) || branches.some(needsTpm)) return undefined;
  const own = flat(branch, before);
  return own && [...own, { kind: "orOf", digests: branchDigests(extend(emptyDigest, before), branches) }];
}

/** Whether TPM2_HMAC can satisfy these steps at all. */
function isForHmac(steps: readonly Step[]): boolean {
  return steps.every((step) => {
    if (step.kind === "commandCode") return hmacCommands.includes(step.code);
    if (step.kind === "or") return step.branches.some(isForHmac);
    return step.kind !== "duplicationSelect" && step.kind !== "nvWritten";
  });
}

const hmacCommands: number[] = [commandCodes.TPM2_HMAC, commandCodes.TPM2_HMAC_Start];

function commands(steps: readonly Step[] | undefined): Buffer[] | undefined {
  const written = steps?.map(command);
  return written?.every((element) => element !== undefined) ? written : undefined;
}

/** The parameters as file-commands.ts reads them. */
function command(step: Step): Buffer | undefined {
  switch (step.kind) {
    case "pcr":
      return element("pcr", tpm2b(step.digest ?? Buffer.alloc(0)), pcrSelection(step));
    case "authValue":
    case "password": // the draft's 4.3.1 wants PolicyAuthValue for both, which has the same digest
      return element("authValue");
    case "secret":
      return step.name && element("secret", uint32(step.handle), tpm2b(step.name), tpm2b(step.policyRef));
    case "duplicationSelect": {
      const { objectName, newParentName } = step;
      if (newParentName === undefined) return undefined;
      const names = [tpm2b(objectName ?? Buffer.alloc(0)), tpm2b(newParentName)];
      return element("duplicationSelect", ...names, uint8(objectName ? 1 : 0));
    }
    case "nvWritten":
      return element("nvWritten", uint8(step.written ? 1 : 0));
    case "commandCode":
      return element("commandCode", uint32(step.code));
    case "orOf":
      return element("or", uint32(step.digests.length), ...step.digests.map((digest) => tpm2b(digest)));
    case "or": // flat() leaves none
    case "authorize": // at the beginning only
      return undefined;
  }
}

function authorizeCommand({ publicKey, policyRef }: AuthorizeStep, signature: Buffer): Buffer {
  return element("authorize", publicKey, tpm2b(policyRef), signature);
}

/** TPMPolicy. */
function element(name: keyof typeof policyCommands, ...parameters: Buffer[]): Buffer {
  const code = der(tags.explicit(0), integer(policyCommands[name]));
  return der(tags.sequence, code, der(tags.explicit(1), der(tags.octetString, ...parameters)));
}

function list(...elements: Buffer[]): Buffer {
  return der(tags.sequence, ...elements);
}
