import { DerError, DerReader, der, integer, tags } from "../der.js";
import { inFile, readCommand, type Unsupported } from "./file-commands.js";
import type { PolicyWay } from "./native.js";
import type { Step } from "./steps.js";

/** What a command asks for, and where the file has it. */
interface PlacedStep {
  at: string;
  step: Step | Unsupported;
}

/**
 * Reads the policies of a TPM key file (draft-bottomley-tpm2-keys, 4 and 5): what `policy` asks for, once for each of the
 * signed policies in `authPolicy` that may stand for the PolicyAuthorize at its beginning. They are to be tried in this order.
 *
 * @param policy the content of [1], a SEQUENCE OF TPMPolicy
 * @param authPolicy the content of [3], a SEQUENCE OF TPMAuthPolicy
 * @returns undefined where the file has no policy
 * @throws DerError, StructureError
 */
export function readFilePolicies(
  policy: Buffer | undefined,
  authPolicy: Buffer | undefined,
): PolicyWay[] | undefined {
  const own = policy === undefined ? [] : readSteps(policy, "policy");
  const signed = authPolicy === undefined ? [] : readSigned(authPolicy);
  if (signed.length === 0) return own.length === 0 ? undefined : [filePolicy("policy", own)];
  const [first, ...after] = own; // GRUB's tools write authPolicy alone
  return signed.map(({ at, steps }) => {
    requireSigned(at, steps.at(-1), first);
    return filePolicy(at, [...steps, ...after]);
  });
}

function readSigned(content: Buffer): { at: string; steps: PlacedStep[] }[] {
  return elements(content, "authPolicy").map(({ content: element, at: place }) => {
    const reader = new DerReader(element);
    const name = reader.readOptional(tags.explicit(0), `${place}.name`);
    const at = name === undefined ? place : `${place} ${readName(name, `${place}.name`)}`;
    const steps = readSteps(reader.read(tags.explicit(1), `${place}.policy`), `${place}.policy`);
    reader.end(`${place}.policy`);
    return { at, steps };
  });
}

/** As it is shown: quoted, since anything may be in it. */
function readName(content: Buffer, what: string): string {
  const bytes = readOnly(content, tags.utf8String, what);
  try {
    return JSON.stringify(new TextDecoder("utf-8", { fatal: true }).decode(bytes).slice(0, 64));
  } catch {
    throw new DerError(`${what} is not UTF-8`);
  }
}

function readSteps(content: Buffer, what: string): PlacedStep[] {
  return elements(content, what).map(({ content: element, at }) => {
    const reader = new DerReader(element);
    const code = reader.read(tags.explicit(0), `${at}.commandCode`);
    const policy = reader.read(tags.explicit(1), `${at}.commandPolicy`);
    reader.end(`${at}.commandPolicy`);
    const command = {
      code: readCode(readOnly(code, tags.integer, `${at}.commandCode`), at),
      body: readOnly(policy, tags.octetString, `${at}.commandPolicy`),
    };
    return { at, step: readCommand(command, at) };
  });
}

/** Far more than files have; each may be tried at each use. */
const longest = 256;

/** The elements of a SEQUENCE OF SEQUENCE. */
function elements(content: Buffer, what: string): { content: Buffer; at: string }[] {
  const reader = new DerReader(readOnly(content, tags.sequence, what));
  const found: { content: Buffer; at: string }[] = [];
  while (reader.next !== undefined) {
    const at = `${what}[${found.length}]`;
    if (found.length === longest) throw new DerError(`${what} has more than ${longest} elements`);
    found.push({ content: reader.read(tags.sequence, at), at });
  }
  return found;
}

function readOnly(content: Buffer, tag: number, what: string): Buffer {
  const reader = new DerReader(content);
  const only = reader.read(tag, what);
  reader.end(what);
  return only;
}

/** What {@link integer} writes, of at most 32 bits. */
function readCode(bytes: Buffer, at: string): number {
  const code = bytes.length >= 1 && bytes.length <= 5 ? bytes.readUIntBE(0, bytes.length) : Number.NaN;
  if (!(code <= 0xffffffff) || !der(tags.integer, bytes).equals(integer(code))) {
    throw new DerError(`${at}.commandCode is not a TPM_CC`);
  }
  return code;
}

/** What is signed ends with the PolicyAuthorize that the policy begins with, and its signature. */
function requireSigned(at: string, last: PlacedStep | undefined, first: PlacedStep | undefined): void {
  if (last?.step.kind !== "authorize") throw new DerError(`${at} does not end with TPM2_PolicyAuthorize`);
  if (first === undefined) return;
  if (first.step.kind !== "authorize") {
    throw new DerError("authPolicy is for a policy that begins with TPM2_PolicyAuthorize");
  }
  const { publicKey, policyRef } = first.step;
  if (!publicKey.equals(last.step.publicKey))
    throw new DerError(`${at} is signed with another key than policy[0]'s`);
  if (!policyRef.equals(last.step.policyRef))
    throw new DerError(`${at} has another policyRef than policy[0]`);
}

/** What comes before a PolicyAuthorize is what was signed. */
function filePolicy(place: string, placed: readonly PlacedStep[]): PolicyWay {
  const at = inFile(place);
  let steps: Step[] = [];
  for (const { step } of placed) {
    if (step.kind === "unsupported") return { at, steps, unsupported: `${step.what} is not supported` };
    if (step.kind !== "authorize") {
      steps.push(step);
    } else if (steps.length === 0 || step.signature === undefined) {
      return { at, steps, unsupported: "TPM2_PolicyAuthorize wants a signed policy, and the file has none" };
    } else if (steps.some(({ kind }) => kind === "authorize")) {
      return { at, steps, unsupported: "more than one TPM2_PolicyAuthorize is not supported" };
    } else {
      steps = [{ ...step, policy: steps }];
    }
  }
  return { at, steps };
}
