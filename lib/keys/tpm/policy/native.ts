import { createHash } from "node:crypto";
import type { NativePolicyStep, NativeTpmPolicy } from "../../../binding/native-tpm.js";
import { AwsHmacError } from "../../../core/errors.js";
import { invalid } from "../../../core/validate.js";
import { wipe } from "../../../core/wipe.js";
import { secretOfTpm } from "../options.js";
import { readPublicArea } from "../public-area.js";
import { tpmSignature } from "../signature.js";
import { hashName } from "../structures.js";
import { branchDigests, emptyDigest, extend } from "./digest.js";
import { type AuthorizeStep, needsTpm, pcrBits, type Step } from "./steps.js";

/** A policy as the addon takes it. */
export interface NativePolicy {
  policy: NativeTpmPolicy;
  /** Wipes the copies of passwords in it. */
  wipe(): void;
}

type Path = NativeTpmPolicy["paths"][number];

/** ORs in a row multiply: this many ways to satisfy a policy are enough for every sensible one. */
const maxPaths = 256;

/** One way to satisfy a policy, which may have branches of its own. */
export interface PolicyWay {
  /** Where it was read: the option's path or the place in a key file, for errors. */
  at: string;
  /** Resolved (`resolvePolicy`) where there is an `or` or `authorize`. */
  steps: readonly Step[];
  /** Why it cannot be carried out, such as `TPM2_PolicyNV is not supported`: then it is never taken. */
  unsupported?: string | undefined;
}

/**
 * A policy as the addon takes it: every way to satisfy it, a branch of each OR, in the order in which they are tried.
 *
 * @param ways at least one; they lead to the same digest
 * @param hasPassword whether the key's password was given
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, also for a policy with more than 256 ways
 */
export function nativePolicy(ways: readonly PolicyWay[], hasPassword: boolean): NativePolicy {
  const builder = new PathBuilder();
  try {
    const paths = ways.flatMap((way) => builder.paths(way));
    if (paths.length > maxPaths) throw tooMany("policy");
    return { policy: { paths, digest: digestOf(ways), hasPassword }, wipe: () => builder.wipe() };
  } catch (error) {
    builder.wipe();
    throw error;
  }
}

/** Empty where only the TPM knows it. */
function digestOf(ways: readonly PolicyWay[]): Buffer {
  const known = ways.find(({ steps, unsupported }) => unsupported === undefined && !needsTpm(steps));
  return known === undefined ? Buffer.alloc(0) : extend(emptyDigest, known.steps);
}

function tooMany(at: string): Error {
  return invalid(`${at} makes more than ${maxPaths} ways to satisfy the policy`);
}

/**
 * @throws AwsHmacError `ERR_POLICY_UNSATISFIED` for a policy that can never be satisfied by using the key
 */
export function requireSatisfiable({ paths }: NativeTpmPolicy): void {
  const whys = paths.map(({ steps }) => steps.find((step) => step.kind === "never")?.why);
  if (whys.includes(undefined)) return;
  const reasons = paths.map(({ name }, index) => `${name}: ${whys[index]}`);
  throw new AwsHmacError(
    "ERR_POLICY_UNSATISFIED",
    `using the key never satisfies this policy: ${reasons.join("; ")}`,
  );
}

class PathBuilder {
  readonly #secrets: Buffer[] = [];

  wipe(): void {
    wipe(...this.#secrets);
  }

  paths({ at, steps, unsupported }: PolicyWay): Path[] {
    const paths = this.#append([{ name: at, steps: [] }], steps, at);
    if (unsupported === undefined) return paths;
    const never: NativePolicyStep = { kind: "never", why: unsupported };
    return paths.map(({ name, steps: done }) => ({ name, steps: [...done, never] }));
  }

  /** Every path goes on with the steps; `before` is the digest after it. */
  #append(paths: Path[], steps: readonly Step[], at: string, before = emptyDigest): Path[] {
    return steps.reduce((longer, step, index) => {
      const path = `${at}[${index}]`;
      const digest = (): Buffer => extend(before, steps.slice(0, index));
      if (step.kind === "or") return this.#or(longer, step.branches, `${path}.or`, digest());
      if (step.kind === "authorize") return this.#authorize(step, `${path}.authorize`);
      const native = this.#step(step, path);
      return longer.map(({ name, steps: done }) => ({ name, steps: [...done, native] }));
    }, paths);
  }

  #or(paths: Path[], branches: Step[][], at: string, before: Buffer): Path[] {
    const last: NativePolicyStep = { kind: "or", at, digests: branchDigests(before, branches) };
    const all = paths.flatMap(({ name, steps }) =>
      branches.flatMap((branch, index) => {
        const path = { name: nameOf(name, `${at}[${index}]`), steps };
        return this.#append([path], branch, `${at}[${index}]`, before);
      }),
    );
    if (all.length > maxPaths) throw tooMany(at);
    return all.map(({ name, steps }) => ({ name, steps: [...steps, last] }));
  }

  /** It is the first step: what was signed comes in its place. */
  #authorize(step: AuthorizeStep, at: string): Path[] {
    const approval = approvalOf(step, at);
    const start = [{ name: at.replace(/\[\d+\]\.authorize$/, ""), steps: [] }];
    const signed = this.#append(start, step.policy ?? [], `${at}.policy`);
    return signed.map(({ name, steps }) => ({ name, steps: [...steps, approval] }));
  }

  #step(step: Exclude<Step, { kind: "or" | "authorize" }>, at: string): NativePolicyStep {
    switch (step.kind) {
      case "pcr": {
        const { bank, digest = Buffer.alloc(0) } = step;
        return { kind: "pcr", at: step.at, bank, selected: pcrBits(step), digest };
      }
      case "authValue":
      case "password":
        return { kind: "authValue", mayBeSent: step.kind === "password" };
      case "secret": {
        const password = secretOfTpm(`${step.at}.password`, step.password ?? "", 64);
        this.#secrets.push(password);
        return { kind: "secret", at: step.at, handle: step.handle, password, policyRef: step.policyRef };
      }
      case "commandCode":
        return { kind: "commandCode", at: `${at}.commandCode`, code: step.code };
      case "orOf":
        return { kind: "or", at, digests: step.digests };
      case "duplicationSelect":
        return { kind: "never", why: `${at}.duplicationSelect is for TPM2_Duplicate alone` };
      case "nvWritten":
        return { kind: "never", why: `${at}.nvWritten is for NV indices alone` };
    }
  }
}

/** The branch of a nested OR says the outer one's too; that of another OR is added. */
function nameOf(path: string, branch: string): string {
  const isWithin = branch.startsWith(path);
  return isWithin ? branch : `${path} and ${branch}`;
}

function approvalOf(step: AuthorizeStep, at: string): NativePolicyStep {
  const { policy, policyRef, publicKey, signature } = step;
  if (policy === undefined || signature === undefined) {
    return { kind: "never", why: `${at}.${policy ? "signature" : "policy"} was not given` };
  }
  const key = readPublicArea(publicKey);
  const approved = extend(emptyDigest, policy);
  const message = Buffer.concat([approved, policyRef]);
  const native = tpmSignature(signature, key, message);
  const hash = hashName(key.nameAlgorithm);
  if (native === undefined || hash === undefined) {
    const why = "is not the key's signature of this policy, PCRs without a digest taken as they are now";
    return { kind: "never", why: `${at}.signature ${why}` };
  }
  const signedDigest = createHash(hash).update(message).digest();
  return {
    kind: "authorize",
    at,
    publicArea: publicKey,
    approved,
    policyRef,
    signedDigest,
    signature: native,
  };
}
