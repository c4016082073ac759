import { createHash } from "node:crypto";
import type { Connection } from "../../../binding/connection.js";
import type { NativeTpmValues } from "../../../binding/native-tpm.js";
import { invalid } from "../../../core/validate.js";
import { hashName } from "../structures.js";
import { needsTpm, type PcrStep, pcrBits, type SecretStep, type Step } from "./steps.js";

/** Which TPM to ask, and how long. */
export interface PolicyTpm {
  tcti: string;
  /** Milliseconds for one command. */
  timeout: number;
}

/**
 * A policy whose digest needs no TPM any more: PCRs without a digest get that of the values that they have now, and
 * objects their names. They are read without protection; who must not trust the bus gives them.
 *
 * @param call milliseconds for all of it
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for what the TPM does not have, and what `openTpmKey` throws for the TPM
 */
export async function resolvePolicy(
  steps: readonly Step[],
  connection: Connection,
  place: PolicyTpm,
  call: number,
): Promise<Step[]> {
  if (!needsTpm(steps)) return [...steps];
  const pcrs: PcrStep[] = [];
  const secrets: SecretStep[] = [];
  visit(steps, (step) => {
    if (step.kind === "pcr" && step.digest === undefined) pcrs.push(step);
    if (step.kind === "secret" && step.name === undefined) secrets.push(step);
  });
  const query = {
    ...place,
    pcrs: pcrs.map((step) => ({
      ...{ at: step.at, bank: step.bank, selected: pcrBits(step), digest: Buffer.alloc(0) },
    })),
    objects: secrets.map(({ handle }) => ({ handle })),
  };
  const values = await connection.readTpm(query, { timeout: call });
  const known = new Map<Step, Step>([...digests(pcrs, values), ...names(secrets, values)]);
  return replace(steps, known);
}

/** Whether satisfying the policy needs digests of branches or of what was signed. */
export function hasBranches(steps: readonly Step[]): boolean {
  return steps.some(({ kind }) => kind === "or" || kind === "authorize");
}

function digests(steps: PcrStep[], { pcrs }: NativeTpmValues): [Step, Step][] {
  return steps.map((step, index) => {
    const values = pcrs[index] ?? Buffer.alloc(0);
    const hash = hashName(step.bank);
    const size = hash === undefined ? 0 : createHash(hash).digest().length;
    if (values.length !== step.indices.length * size) {
      throw invalid(`${step.at}.bank ${hash} is one in which the TPM does not have these PCRs`);
    }
    return [step, { ...step, digest: createHash("sha256").update(values).digest() }];
  });
}

function names(steps: SecretStep[], { names }: NativeTpmValues): [Step, Step][] {
  return steps.map((step, index) => {
    const name = Buffer.from(names[index] ?? []);
    if (name.length === 0) {
      throw invalid(`${step.at}.object: the TPM has nothing at 0x${step.handle.toString(16)}; give its name`);
    }
    return [step, { ...step, name }];
  });
}

function visit(steps: readonly Step[], see: (step: Step) => void): void {
  for (const step of steps) {
    see(step);
    if (step.kind === "or") for (const branch of step.branches) visit(branch, see);
    if (step.kind === "authorize") visit(step.policy ?? [], see);
  }
}

function replace(steps: readonly Step[], known: Map<Step, Step>): Step[] {
  return steps.map((step) => {
    if (step.kind === "or")
      return { ...step, branches: step.branches.map((branch) => replace(branch, known)) };
    if (step.kind === "authorize") return { ...step, policy: step.policy && replace(step.policy, known) };
    return known.get(step) ?? step;
  });
}
