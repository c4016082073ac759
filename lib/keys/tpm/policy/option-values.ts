import { invalid } from "../../../core/validate.js";

export function isTrue(value: unknown, at: string): true {
  if (value !== true) throw invalid(`${at} must be true`);
  return true;
}

export function policyRefAt(policyRef: unknown, at: string): Buffer {
  return policyRef === undefined ? Buffer.alloc(0) : bytesAt(policyRef, `${at}.policyRef`, 0, 64);
}

/** An object's name: TPM_ALG_ID and a digest, SHA-1 to SHA-512. */
export function nameAt(value: unknown, at: string): Buffer {
  return bytesAt(value, at, 22, 66);
}

export function bytesAt(value: unknown, at: string, least: number, most: number): Buffer {
  const isHex = typeof value === "string" && /^([0-9a-f]{2})*$/i.test(value);
  const bytes = isHex
    ? Buffer.from(value, "hex")
    : value instanceof Uint8Array
      ? Buffer.from(value)
      : undefined;
  if (bytes === undefined || bytes.length < least || bytes.length > most) {
    const length = least === most ? `${least}` : `${least} to ${most}`;
    throw invalid(`${at} must be ${length} bytes, as a Uint8Array or in hexadecimal`);
  }
  return bytes;
}

export function objectAt(value: unknown, at: string, ...members: string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw invalid(`${at} must be an object`);
  const other = members.length > 0 && Object.keys(value).find((member) => !members.includes(member));
  if (other) throw invalid(`${at}.${other} is not known; ${at} may have: ${members.join(", ")}`);
  return { ...value };
}
