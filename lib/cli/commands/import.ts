import { Command, Option } from "commander";
import { AwsHmacError } from "../../core/errors.js";
import { wipe } from "../../core/wipe.js";
import {
  type ImportFlags,
  importSecret,
  importTarget,
  refuseTpmFlags,
  withImportOptions,
} from "../importer.js";
import { withDeviceOptions } from "../key-options.js";
import { say, write, writeJson } from "../output.js";
import {
  type PlainSecret,
  readPlainSecret,
  type SecretSourceFlags,
  withSecretSource,
} from "../secret-source.js";
import { confirm, isInteractive } from "../terminal.js";

interface Flags extends ImportFlags, SecretSourceFlags {
  json?: boolean;
  removeSource?: boolean;
}

const examples = `
The place is written as for --key, and tpm:free is the first free handle of a TPM. stdout gets the
reference to use from now on. The plaintext is removed if you say so, and only once the key is proved.

Examples:
  aws-hmac import tpm:0x81008001
  aws-hmac import --from-profile default --remove-source tpm:free
  aws-hmac import --from-profile default --pin-file pin 'pkcs11:token=aws;object=signer'
  gpg -d secret.gpg | aws-hmac import --stdin vault:https://vault.example:8200/transit/signer
  aws-hmac import --stdin --pcrs sha256:0,7 ./key.pem < secret
  aws-hmac import 'tink:/etc/keyset.json?kek=aws-kms%3A%2F%2Farn%3Aaws%3Akms%3A…'`;

/** `aws-hmac import`: a secret access key into a device, from where nobody reads it. */
export function importCommand(): Command {
  const command = new Command("import")
    .summary("put a secret access key into a device")
    .description(
      "Put a secret access key into a TPM, a PKCS#11 token, Vault, a Tink keyset or AWS KMS, and prove that it signs there. " +
        "Without --stdin, --secret-file or --from-profile the secret is asked for.",
    )
    .argument(
      "<reference>",
      "where it goes: tpm:0x81008001, tpm:free, ./key.pem, pkcs11:…, vault:…, tink:…, aws-kms:…",
    );
  return withDeviceOptions(withImportOptions(withSecretSource(command)))
    .addOption(
      new Option("--algorithm <name>", "what the key is for").choices(["sigv4", "sigv4a"]).default("sigv4"),
    )
    .option("--remove-source", "remove the plaintext afterwards, without asking")
    .option("--no-remove-source", "keep it, without asking")
    .option("--json", "print all that is known of the new key, as JSON")
    .addHelpText("after", examples)
    .action((reference: string, flags: Flags) => run(reference, flags));
}

async function run(reference: string, flags: Flags): Promise<void> {
  const target = importTarget(reference, flags);
  refuseTpmFlags(target, flags);
  const plain = await readPlainSecret(flags);
  try {
    const { reference: made, details } = await importSecret(plain.secret, target, flags);
    const { accessKeyId } = plain;
    if (!flags.json) await write(`${made}\n`);
    else await writeJson({ reference: made, ...(accessKeyId !== undefined && { accessKeyId }), ...details });
    await removeSource(plain, flags.removeSource);
  } finally {
    wipe(plain.secret);
  }
}

async function removeSource({ remains, remove }: PlainSecret, wanted: boolean | undefined): Promise<void> {
  if (!remains || !remove || wanted === false) return;
  const isAsked = wanted === undefined && isInteractive();
  if (wanted || (isAsked && (await confirm(`Remove ${remains}?`, "--remove-source")))) {
    try {
      await remove();
    } catch (cause) {
      if (!(cause instanceof AwsHmacError)) throw cause;
      throw new AwsHmacError(
        cause.code,
        `the key is imported, but the plaintext is still there: ${cause.message}`,
        { cause },
      );
    }
    say(`removed ${remains}`);
  } else say(`the secret is still in ${remains}`);
}
