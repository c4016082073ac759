import { createPublicKey, type KeyObject } from "node:crypto";
import { VaultError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import type { VaultClient } from "../../vault/client.js";
import type { VaultServer } from "../../vault/options.js";

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * The option `wrappingKey`; undefined where the server is to be asked.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where it is no RSA key, or is missing though the server's answer may be another's
 */
export function checkWrappingKey(pem: string | undefined, { address }: VaultServer): KeyObject | undefined {
  if (pem !== undefined) {
    const key = typeof pem === "string" ? rsaKey(pem) : undefined;
    if (!key) throw invalid("wrappingKey must be the engine's public RSA key in PEM");
    return key;
  }
  if (address.protocol === "http:" && !loopback.test(address.hostname)) {
    throw invalid(
      "address is http: whoever is between could put a wrapping key of their own in place, and read the secret; use https, or give the engine's as wrappingKey",
    );
  }
  return undefined;
}

/** The public key that keys are wrapped for (`GET <mount>/wrapping_key`). */
export async function readWrappingKey(client: VaultClient, mount: string): Promise<KeyObject> {
  const path = `${mount}/wrapping_key`;
  const { public_key: pem } = await client.request("GET", path);
  const key = typeof pem === "string" ? rsaKey(pem) : undefined;
  if (!key) {
    const message = `GET ${path}: the answer has no RSA key; Vault before 1.12 imports no keys`;
    throw new VaultError("ERR_VAULT_RESPONSE", message, { status: 200, operation: `GET ${path}` });
  }
  return key;
}

function rsaKey(pem: string): KeyObject | undefined {
  try {
    const key = createPublicKey(pem);
    const isLong = (key.asymmetricKeyDetails?.modulusLength ?? 0) >= 2048;
    return key.asymmetricKeyType === "rsa" && isLong ? key : undefined;
  } catch {
    return undefined;
  }
}
