import { createHash } from "node:crypto";
import type { Connection } from "../../../binding/connection.js";
import type { NativeTpmObject, NativeTpmParent, NativeTpmValues } from "../../../binding/native-tpm.js";
import { invalid } from "../../../core/validate.js";
import { wipe } from "../../../core/wipe.js";
import { secretOfTpm } from "../options.js";
import { hashName } from "../structures.js";
import {
  type DuplicationSelectStep,
  needsTpm,
  type PcrStep,
  pcrBits,
  type SecretStep,
  type Step,
} from "./steps.js";

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
  const named: Named[] = [];
  visit(steps, (step) => {
    if (step.kind === "pcr" && step.digest === undefined) pcrs.push(step);
    if (step.kind === "secret" && step.name === undefined) {
      named.push({ step, at: `${step.at}.object`, place: { parent: step.handle, primary: "ecc" } });
    }
    if (step.kind === "duplicationSelect" && step.newParent !== undefined) {
      named.push({ step, at: `${step.at}.newParent`, place: step.newParent });
    }
  });
  const objects: NativeTpmObject[] = [];
  try {
    for (const one of named) objects.push(objectOf(one));
    const query = {
      ...place,
      pcrs: pcrs.map((step) => ({
        ...{ at: step.at, bank: step.bank, selected: pcrBits(step), digest: Buffer.alloc(0) },
      })),
      objects,
    };
    const values = await connection.readTpm(query, { timeout: call });
    const known = new Map<Step, Step>([...digests(pcrs, values), ...names(named, values)]);
    return replace(steps, known);
  } finally {
    for (const { hierarchyPassword } of objects) wipe(hierarchyPassword);
  }
}

/** A step that the name of an object in the TPM is missing in. */
interface Named {
  step: SecretStep | DuplicationSelectStep;
  /** The option's path. */
  at: string;
  place: NativeTpmParent;
}

function objectOf({ step, place }: Named): NativeTpmObject {
  const password = step.kind === "duplicationSelect" ? step.hierarchyPassword : undefined;
  const option = `${step.at}.hierarchyPassword`;
  return { ...place, hierarchyPassword: secretOfTpm(option, password ?? "", 64) };
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

function names(named: Named[], { names }: NativeTpmValues): [Step, Step][] {
  return named.map(({ step, at, place }, index) => {
    const name = Buffer.from(names[index] ?? []);
    if (name.length === 0) {
      throw invalid(`${at}: the TPM has nothing at 0x${place.parent.toString(16)}; give its name`);
    }
    return [step, step.kind === "secret" ? { ...step, name } : { ...step, newParentName: name }];
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
