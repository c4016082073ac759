import type { NativeTpmParent } from "../../../binding/native-tpm.js";
import type { Secret } from "../../../core/validate.js";
import { uint8, uint16, uint32 } from "../structures.js";

/** A step of a policy whose options are checked and whose defaults are applied; `at` is the option's path, for errors. */
export type Step =
  | PcrStep
  | { kind: "authValue" | "password" }
  | SecretStep
  | DuplicationSelectStep
  | AuthorizeStep
  | { kind: "nvWritten"; written: boolean }
  | { kind: "commandCode"; code: number }
  | { kind: "or"; branches: Step[][] }
  /** PolicyOR as a key file has it: the branch is what comes before. */
  | { kind: "orOf"; digests: Buffer[] };

export interface PcrStep {
  kind: "pcr";
  at: string;
  /** TPM_ALG_ID. */
  bank: number;
  /** Ascending. */
  indices: number[];
  /** 32 bytes; the values of the moment without it. */
  digest?: Buffer | undefined;
}

export interface SecretStep {
  kind: "secret";
  at: string;
  handle: number;
  /** Undefined where only the TPM knows it. */
  name?: Buffer | undefined;
  policyRef: Buffer;
  password?: Secret | undefined;
}

export interface DuplicationSelectStep {
  kind: "duplicationSelect";
  at: string;
  /** Undefined where only the TPM knows it: then it is that of `newParent`. */
  newParentName?: Buffer | undefined;
  newParent?: NativeTpmParent | undefined;
  hierarchyPassword?: Secret | undefined;
  objectName?: Buffer | undefined;
}

export interface AuthorizeStep {
  kind: "authorize";
  /** Marshalled TPM2B_PUBLIC. */
  publicKey: Buffer;
  /** The key's object name. */
  name: Buffer;
  policyRef: Buffer;
  /** What was signed. */
  policy?: Step[] | undefined;
  signature?: Buffer | undefined;
}

/** TPM_CC of the policy commands (TCG TPM 2.0 Part 2, 6.5.2). */
export const policyCommands = {
  secret: 0x151,
  authorize: 0x16a,
  authValue: 0x16b,
  commandCode: 0x16c,
  or: 0x171,
  pcr: 0x17f,
  duplicationSelect: 0x188,
  password: 0x18c,
  nvWritten: 0x18f,
} as const;

/** TPML_PCR_SELECTION of one bank (TCG TPM 2.0 Part 2, 10.9.7). */
export function pcrSelection(step: PcrStep): Buffer {
  const bits = pcrBits(step);
  return Buffer.concat([uint32(1), uint16(step.bank), uint8(bits.length), bits]);
}

/** A bit for each PCR, the lowest first: three bytes, as PC clients have. */
export function pcrBits({ indices }: PcrStep): Buffer {
  const bits = Buffer.alloc(3);
  for (const index of indices) bits[index >> 3] = (bits[index >> 3] ?? 0) | (1 << (index & 7));
  return bits;
}

/** Whether the TPM alone knows something that this policy's digest needs. */
export function needsTpm(steps: readonly Step[]): boolean {
  return steps.some((step) => {
    if (step.kind === "pcr") return step.digest === undefined;
    if (step.kind === "secret") return step.name === undefined;
    if (step.kind === "duplicationSelect") return step.newParentName === undefined;
    if (step.kind === "or") return step.branches.some(needsTpm);
    return step.kind === "authorize" && needsTpm(step.policy ?? []);
  });
}
