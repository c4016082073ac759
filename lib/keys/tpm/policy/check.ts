import { createPublicKey, type KeyObject } from "node:crypto";
import { invalid } from "../../../core/validate.js";
import { type TpmParent, tpmParent } from "../parent.js";
import { externalPublicArea, objectName, readPublicArea } from "../public-area.js";
import { algorithms, StructureError, uint32 } from "../structures.js";
import { bytesAt, isTrue, nameAt, objectAt, policyRefAt } from "./option-values.js";
import { commandCodes, type TpmPolicy, type TpmSecretStep } from "./policy.js";
import type { Step } from "./steps.js";

/** Handles of permanent entities (TCG TPM 2.0 Part 2, 7.4): their name is the handle. */
export const permanent = new Map<unknown, number>([
  ["owner", 0x40000001],
  ["lockout", 0x4000000a],
  ["endorsement", 0x4000000b],
  ["platform", 0x4000000c],
]);

const banks = ["sha1", "sha256", "sha384", "sha512"] as const;

/**
 * Checks a policy.
 *
 * @param at the option's path, for errors
 * @param isFirst whether nothing comes before it
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` that names the path of what is wrong, such as `policy[1].or[0][0].pcr.indices`
 */
export function checkPolicy(policy: TpmPolicy, at = "policy", isFirst = true): Step[] {
  if (!Array.isArray(policy) || policy.length === 0)
    throw invalid(`${at} must be a list of at least one step`);
  return policy.map((step, index) => checkStep(step, `${at}[${index}]`, isFirst && index === 0));
}

const kinds = {
  pcr: checkPcr,
  authValue: (value: unknown, at: string): Step => isTrue(value, at) && { kind: "authValue" },
  password: (value: unknown, at: string): Step => isTrue(value, at) && { kind: "password" },
  secret: checkSecret,
  duplicationSelect: checkDuplicationSelect,
  authorize: checkAuthorize,
  nvWritten: (written: unknown, at: string): Step => {
    if (typeof written !== "boolean") throw invalid(`${at} must be true or false`);
    return { kind: "nvWritten", written };
  },
  commandCode: checkCommandCode,
  or: checkOr,
};

function checkStep(step: unknown, at: string, isFirst: boolean): Step {
  const [kind, ...more] = Object.entries(objectAt(step, at)).filter(([, value]) => value !== undefined);
  const known = Object.keys(kinds) as (keyof typeof kinds)[];
  const name = known.find((candidate) => candidate === kind?.[0]);
  if (kind === undefined || name === undefined || more.length > 0) {
    throw invalid(`${at} must have exactly one of: ${known.join(", ")}`);
  }
  return kinds[name](kind[1], `${at}.${name}`, isFirst);
}

function checkPcr(value: unknown, at: string): Step {
  const { bank = "sha256", indices, digest } = objectAt(value, at, "bank", "indices", "digest");
  const name = banks.find((candidate) => candidate === bank);
  if (name === undefined) throw invalid(`${at}.bank must be one of: ${banks.join(", ")}`);
  if (!isIndices(indices)) throw invalid(`${at}.indices must be a list of different PCRs, 0..23`);
  const sorted = [...indices].sort((a, b) => a - b);
  return {
    ...{ kind: "pcr", at, bank: algorithms[name], indices: sorted },
    digest: digest === undefined ? undefined : bytesAt(digest, `${at}.digest`, 32, 32),
  };
}

function isIndices(indices: unknown): indices is number[] {
  if (!Array.isArray(indices) || indices.length === 0 || new Set(indices).size !== indices.length)
    return false;
  return indices.every((index) => Number.isInteger(index) && index >= 0 && index < 24);
}

function checkSecret(value: unknown, at: string): Step {
  const { object, password, name, policyRef } = objectAt(
    value,
    at,
    "object",
    "password",
    "name",
    "policyRef",
  );
  const handle = handleAt(object, `${at}.object`);
  const isPermanent = permanent.has(object);
  if (isPermanent && name !== undefined) throw invalid(`${at}.name is for keys and NV indices`);
  const ownName = name === undefined ? undefined : nameAt(name, `${at}.name`);
  return {
    ...{ kind: "secret", at, handle, policyRef: policyRefAt(policyRef, at) },
    name: isPermanent ? uint32(handle) : ownName,
    password: password as TpmSecretStep["secret"]["password"],
  };
}

function handleAt(object: unknown, at: string): number {
  const handle = permanent.get(object) ?? object;
  const kinds = permanent.has(object) ? [0x40] : [0x01, 0x81];
  if (
    typeof handle === "number" &&
    Number.isInteger(handle) &&
    kinds.includes(Math.floor(handle / 2 ** 24))
  ) {
    return handle;
  }
  const handles = "a persistent handle (0x81000000..) or an NV index (0x01000000..)";
  throw invalid(`${at} must be ${handles} or one of: ${[...permanent.keys()].join(", ")}`);
}

function checkDuplicationSelect(value: unknown, at: string): Step {
  const members = ["newParentName", "newParent", "hierarchyPassword", "objectName"];
  const { newParentName, newParent, hierarchyPassword, objectName } = objectAt(value, at, ...members);
  if ((newParentName === undefined) === (newParent === undefined)) {
    throw invalid(`${at} must have exactly one of: ${at}.newParentName, ${at}.newParent`);
  }
  if (hierarchyPassword !== undefined && typeof newParent !== "string") {
    throw invalid(`${at}.hierarchyPassword is for a newParent that is a primary`);
  }
  return {
    ...{ kind: "duplicationSelect", at },
    ...(newParentName !== undefined
      ? { newParentName: nameAt(newParentName, `${at}.newParentName`) }
      : { newParent: tpmParent(newParent as TpmParent, `${at}.newParent`) }),
    hierarchyPassword: hierarchyPassword as TpmSecretStep["secret"]["password"],
    objectName: objectName === undefined ? undefined : nameAt(objectName, `${at}.objectName`),
  };
}

function checkAuthorize(value: unknown, at: string, isFirst: boolean): Step {
  const members = ["publicKey", "policyRef", "policy", "signature"];
  const { publicKey, policyRef, policy, signature } = objectAt(value, at, ...members);
  if (!isFirst) {
    throw invalid(
      `${at} must be the first step: the TPM forgets what was satisfied before; sign such steps with ${at}.policy, or put them after`,
    );
  }
  if (signature !== undefined && !(signature instanceof Uint8Array)) {
    throw invalid(`${at}.signature must be a Uint8Array`);
  }
  return {
    ...{ kind: "authorize", ...publicKeyAt(publicKey, at) },
    policyRef: policyRefAt(policyRef, at),
    policy: policy === undefined ? undefined : checkPolicy(policy as TpmPolicy, `${at}.policy`),
    signature: signature && Buffer.from(signature),
  };
}

function publicKeyAt(publicKey: unknown, at: string): { publicKey: Buffer; name: Buffer } {
  try {
    const area = publicAreaOf(publicKey);
    readPublicArea(area);
    return { publicKey: area, name: objectName(area) };
  } catch (error) {
    if (!(error instanceof StructureError)) throw error;
    const keys = "RSA (exponent 65537) or ECC (P-256, P-384, P-521)";
    throw invalid(`${at}.publicKey must be a PEM or a TPM2B_PUBLIC, ${keys}: ${error.message}`);
  }
}

function publicAreaOf(publicKey: unknown): Buffer {
  if (typeof publicKey !== "string" && !(publicKey instanceof Uint8Array)) {
    throw new StructureError("it is neither a string nor a Uint8Array");
  }
  const bytes = Buffer.from(publicKey as Uint8Array);
  return bytes.includes("-----BEGIN ") ? externalPublicArea(readPem(bytes)) : bytes;
}

function readPem(pem: Buffer): KeyObject {
  try {
    return createPublicKey(pem);
  } catch {
    throw new StructureError("the PEM cannot be read"); // Node's own words tell no more
  }
}

function checkCommandCode(value: unknown, at: string): Step {
  const code = new Map<unknown, number>(Object.entries(commandCodes)).get(value) ?? value;
  if (typeof code !== "number" || !Number.isInteger(code) || code < 1 || code > 0xffffffff) {
    throw invalid(`${at} must be a TPM_CC or one of: ${Object.keys(commandCodes).join(", ")}`);
  }
  return { kind: "commandCode", code };
}

function checkOr(value: unknown, at: string, isFirst: boolean): Step {
  if (!Array.isArray(value) || value.length < 2 || value.length > 8) {
    throw invalid(`${at} must have 2 to 8 branches; a branch may have an or of its own`);
  }
  return {
    kind: "or",
    branches: value.map((branch, index) => checkPolicy(branch, `${at}[${index}]`, isFirst)),
  };
}
