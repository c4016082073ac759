import type { HmacKey } from "../../core/hmac-key.js";
import { wipe } from "../../core/wipe.js";
import { type KeyReference, parseKeyReference } from "../../keys/reference.js";
import { vaultHealth } from "../../provision/vault/health.js";
import { type KeyFlags, openReference } from "../key-options.js";
import { type Finding, failure, ok, problem, warning } from "./finding.js";
import { keyTokens } from "./pkcs11.js";
import { defaultTcti, isNearLockout } from "./tpm.js";

const message = Buffer.from("aws-hmac doctor"); // no day: nobody can sign a request with its MAC

/** The TPM that a key is in; undefined of a key elsewhere, and of a reference that cannot be read. */
export function tctiOfKey(reference: string): string | undefined {
  try {
    const parsed = parseKeyReference(reference);
    return parsed.backend === "tpm" ? (parsed.place.tcti ?? defaultTcti) : undefined;
  } catch {
    return undefined; // which is told when the key is tried
  }
}

/**
 * Looks at a key and its place, and signs a test string. A PIN or a password is tried only where a wrong one can lock nothing.
 *
 * @param name how the key is called in the findings: a reference can hold a PIN
 * @returns `key`: open, where it signs
 */
export async function tryKey(
  name: string,
  reference: string,
  flags: KeyFlags,
): Promise<{ findings: Finding[]; key?: HmacKey }> {
  const findings: Finding[] = [];
  try {
    const parsed = parseKeyReference(reference);
    const { backend } = parsed;
    const { isSafe, about } = await place(parsed, flags);
    findings.push(...about);
    if (!isSafe) {
      const remedy = "mend what is said above first";
      return {
        findings: [...findings, problem(name, "not tried: a wrong PIN or password could lock it", remedy)],
      };
    }
    const opening = performance.now();
    const key = await openReference(reference, flags);
    try {
      const signing = performance.now();
      const mac = await key.mac(message);
      const took = `opened in ${(signing - opening).toFixed(0)} ms, a MAC in ${(performance.now() - signing).toFixed(1)} ms`;
      const isWhole = mac.length === 32;
      wipe(mac);
      if (isWhole) return { findings: [...findings, ok(name, `signs (${backend}): ${took}`)], key };
      const remedy = "the key is not one for HMAC-SHA256: import the secret anew";
      findings.push(problem(name, `its MAC has ${mac.length} bytes, not 32`, remedy));
    } catch (error) {
      findings.push(failure(name, error));
    }
    await key.close();
    return { findings };
  } catch (error) {
    return { findings: [...findings, failure(name, error)] };
  }
}

async function place(
  parsed: KeyReference,
  { timeout }: KeyFlags,
): Promise<{ isSafe: boolean; about: Finding[] }> {
  switch (parsed.backend) {
    case "pkcs11": {
      const { findings, mayLogIn } = await keyTokens(parsed.place.uri, timeout);
      return { isSafe: mayLogIn, about: findings };
    }
    case "tpm": {
      const tcti = parsed.place.tcti ?? defaultTcti;
      return { isSafe: !(await isNearLockout(tcti, timeout)), about: [] };
    }
    case "vault":
      return { isSafe: true, about: [await vault(parsed.place.address, timeout)] };
    default:
      return { isSafe: true, about: [] };
  }
}

async function vault(address: string, timeout: number | undefined): Promise<Finding> {
  const what = `server ${address}`;
  const { version, isInitialized, isSealed, isStandby } = await vaultHealth({ address, timeout });
  const found = `version ${version || "unknown"}${isStandby ? ", a standby server" : ""}`;
  if (!isInitialized) return problem(what, `${found}, not initialised`, "initialise it: `bao operator init`");
  if (isSealed) return problem(what, `${found}, sealed`, "unseal it: `bao operator unseal`");
  if (address.startsWith("http:") && !/^http:\/\/(?:127\.|localhost|\[::1\])/.test(address)) {
    return warning(what, found, "http: sends tokens in clear: use https:");
  }
  return ok(what, found);
}
