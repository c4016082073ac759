import { rm } from "node:fs/promises";
import { Command } from "commander";
import { AwsHmacError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import { wipe } from "../../core/wipe.js";
import type { VaultPlace } from "../../keys/reference/vault.js";
import { type KeyReference, parseKeyReference } from "../../keys/reference.js";
import { deleteAwsKmsMaterial } from "../../provision/aws-kms/housekeeping.js";
import { removePkcs11Key } from "../../provision/pkcs11/housekeeping.js";
import { removeTpmKey } from "../../provision/tpm/housekeeping.js";
import { removeVaultKey } from "../../provision/vault/housekeeping.js";
import { Unconfirmed } from "../failure.js";
import { type OwnerFlags, ownerPasswordOf, withOwnerOptions } from "../importer-tpm.js";
import { type DeviceFlags, tokenPin, withDeviceOptions } from "../key-options.js";
import { listReference } from "../listing.js";
import { say } from "../output.js";
import { withoutPin } from "../place-beside.js";
import { confirm } from "../terminal.js";
import { readVaultKey } from "../vault-key.js";

interface Flags extends DeviceFlags, OwnerFlags {
  yes?: boolean;
  force?: boolean;
}

const examples = `
Of AWS KMS the imported material is removed; the key stays, and takes the same secret again.

Examples:
  aws-hmac remove tpm:0x81008001
  aws-hmac remove --yes ./key.pem
  aws-hmac remove --pin-file pin 'pkcs11:token=aws;object=signer'
  aws-hmac remove 'vault:https://vault.example:8200/transit/signer'`;

/** `aws-hmac remove`: a key out of its device, for good. */
export function removeCommand(): Command {
  const command = new Command("remove")
    .summary("remove a key from its device")
    .description("Remove a key from its device, for good. It asks first.")
    .argument("<reference>", "the key");
  return withDeviceOptions(withOwnerOptions(command))
    .option("--force", "also what is no HMAC key, in a TPM, a token or Vault")
    .option("-y, --yes", "do not ask")
    .addHelpText("after", examples)
    .action((reference: string, flags: Flags) => run(reference, flags));
}

async function run(reference: string, flags: Flags): Promise<void> {
  const parsed = parseKeyReference(reference);
  if (parsed.backend === "vault") await checkVersion(parsed.place, flags);
  const shown = withoutPin(reference);
  const what = parsed.backend === "vault" ? `${shown} with all its versions` : shown;
  if (!flags.yes && !(await confirm(`Remove ${what} for good?`, "--yes"))) {
    throw new Unconfirmed("nothing was removed");
  }
  await remove(parsed, flags);
  say(`removed ${what}`);
}

async function remove(parsed: KeyReference, flags: Flags): Promise<void> {
  const { timeout, force, vaultTokenFile: tokenFile } = flags;
  switch (parsed.backend) {
    case "tpm": {
      const { handle, tcti, pemFile = "" } = parsed.place;
      if (handle === undefined) return removeKeyFile(parsed, pemFile, flags);
      const owner = await ownerPasswordOf(flags);
      try {
        return await removeTpmKey({
          handle,
          tcti,
          timeout,
          force,
          ...(owner && { ownerAuth: { password: owner } }),
        });
      } finally {
        wipe(owner);
      }
    }
    case "pkcs11": {
      const { uri } = parsed.place;
      const pin = await tokenPin(uri, flags, true);
      try {
        return await removePkcs11Key({ uri, pin, timeout, force });
      } finally {
        wipe(pin);
      }
    }
    case "vault": {
      const { keyVersion: _, ...place } = parsed.place;
      return removeVaultKey({ ...place, tokenFile, timeout, force });
    }
    case "tink":
      return removeKeyFile(parsed, parsed.place.keysetFile, flags);
    case "aws-kms":
      return deleteAwsKmsMaterial({ ...parsed.place, timeout });
  }
}

/** Deletes a file that holds a key of this kind, and no other file. */
async function removeKeyFile(parsed: KeyReference, file: string, flags: Flags): Promise<void> {
  await listReference(parsed, flags);
  await rm(file).catch((cause: NodeJS.ErrnoException) => {
    throw new AwsHmacError("ERR_INVALID_ARGUMENT", `${file} cannot be removed (${cause.code})`, { cause });
  });
}

/** Vault removes a key with all its versions: not where the reference names one of several. */
async function checkVersion(place: VaultPlace, flags: Flags): Promise<void> {
  if (place.keyVersion === undefined) return;
  const key = await readVaultKey(place, flags);
  if (key && key.latestVersion !== place.keyVersion) {
    throw invalid(
      `version ${place.keyVersion} cannot be removed alone (the latest is ${key.latestVersion}): leave ?version=… out to remove the key with all its versions`,
    );
  }
}
