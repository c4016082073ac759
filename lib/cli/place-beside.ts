import { lstat } from "node:fs/promises";
import path from "node:path";
import { AwsHmacError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { formatPkcs11Uri, parsePkcs11Uri } from "../keys/pkcs11/uri.js";
import { formatTinkReference } from "../keys/reference/tink.js";
import { formatTpmFileReference, formatTpmReference } from "../keys/reference/tpm.js";
import { formatVaultReference } from "../keys/reference/vault.js";
import { parseKeyReference } from "../keys/reference.js";
import { type DeviceFlags, openReference } from "./key-options.js";
import { readVaultKey } from "./vault-key.js";

/** How many places are tried. */
const most = 100;

/**
 * The reference of the first free place beside a key: the next handle of a TPM, or the next name (`signer`, `signer-2`, …) of a
 * token, of Vault or of a file.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where a reference does not tell, and what opening a key throws
 */
export async function placeBeside(reference: string, flags: DeviceFlags): Promise<string> {
  for (let step = 1; step <= most; step++) {
    const next = nextPlace(reference, step);
    if (await isFree(next, flags)) return next;
  }
  throw invalid(`none of ${most} places beside the key is free: say with --to where the new one goes`);
}

/** Whether no key is there, as far as it can be seen. */
export async function isFree(reference: string, flags: DeviceFlags): Promise<boolean> {
  const parsed = parseKeyReference(reference);
  const file =
    parsed.backend === "tpm"
      ? parsed.place.pemFile
      : parsed.backend === "tink"
        ? parsed.place.keysetFile
        : undefined;
  if (file !== undefined) return (await lstat(file).catch(() => undefined)) === undefined;
  if (parsed.backend === "vault" && parsed.place.keyVersion === undefined) {
    return (await readVaultKey(parsed.place, flags)) === undefined;
  }
  try {
    await (await openReference(reference, flags)).close();
    return false;
  } catch (error) {
    const code = error instanceof AwsHmacError ? error.code : undefined;
    // a key of AWS KMS that waits for its material is there, and free
    if (
      code === "ERR_KEY_NOT_FOUND" ||
      code === "ERR_VAULT_VERSION" ||
      (parsed.backend === "aws-kms" && code === "ERR_KMS_KEY_STATE")
    )
      return true;
    if (code === "ERR_KEY_UNSUITABLE" || code === "ERR_KEY_AMBIGUOUS" || code === "ERR_TPM_POLICY")
      return false;
    throw error;
  }
}

/** A PKCS#11 URI may hold a PIN: nothing that is kept has it. */
export function withoutPin(reference: string): string {
  return parseKeyReference(reference).backend === "pkcs11"
    ? formatPkcs11Uri(parsePkcs11Uri(reference))
    : reference;
}

function nextPlace(reference: string, step: number): string {
  const parsed = parseKeyReference(reference);
  switch (parsed.backend) {
    case "tpm": {
      const { handle, pemFile, tcti, parent } = parsed.place;
      if (handle !== undefined) return formatTpmReference(handle + step, tcti);
      return formatTpmFileReference(nextFile(pemFile as string, step), { tcti, parent });
    }
    case "pkcs11": {
      const uri = parsePkcs11Uri(parsed.place.uri);
      if (uri.label === undefined) throw notSaid();
      const { id: _, ...place } = { ...uri, label: nextName(uri.label, step) };
      return formatPkcs11Uri(place);
    }
    case "vault": {
      const { keyVersion: _, ...place } = parsed.place;
      return formatVaultReference({ ...place, name: nextName(place.name, step) });
    }
    case "tink":
      return formatTinkReference({ ...parsed.place, keysetFile: nextFile(parsed.place.keysetFile, step) });
    case "aws-kms":
      throw notSaid();
  }
}

function notSaid(): AwsHmacError {
  return invalid(
    "the key's reference has no name from which another could be made: say with --to where the new key goes",
  );
}

function nextName(name: string, step: number): string {
  const [, stem = name, number = "1"] = /^(.*)-(\d{1,6})$/s.exec(name) ?? [];
  return `${stem}-${Number(number) + step}`;
}

function nextFile(file: string, step: number): string {
  const { dir, name, ext } = path.parse(path.resolve(file));
  return path.join(dir, nextName(name, step) + ext);
}
