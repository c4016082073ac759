import type { Command } from "commander";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { type OpenKeyOptions, openKey } from "../keys/open-key.js";
import { parseKeyReference } from "../keys/reference.js";
import { wholeNumber } from "./numbers.js";
import { secretFrom } from "./secrets.js";
import { type SettingFlags, Settings } from "./settings.js";
import { askSecret, isInteractive } from "./terminal.js";

/** What the flags of {@link withKeyOptions} say. */
export interface KeyFlags extends SettingFlags {
  pinFile?: string;
  pinEnv?: string;
  passwordFile?: string;
  passwordEnv?: string;
  askPassword?: boolean;
  vaultTokenFile?: string;
  timeout?: number;
}

/** Adds the flags that say which key signs, and how it is opened. */
export function withKeyOptions(command: Command): Command {
  return command
    .option("-k, --key <reference>", "the key: pkcs11:…, tpm:…, vault:…, tink:…, aws-kms:… or a TSS2 PEM")
    .option("-p, --profile <name>", "the profile of ~/.aws/config that holds settings")
    .option("--pin-file <path>", "the PIN of a PKCS#11 token, in a file")
    .option("--pin-env <name>", "the PIN, in an environment variable")
    .option("--password-file <path>", "the password of a TPM key, in a file")
    .option("--password-env <name>", "the password of a TPM key, in an environment variable")
    .option("--ask-password", "ask for the password of a TPM key at the terminal")
    .option("--vault-token-file <path>", "a file with Vault's token, as its agent writes it")
    .option("--timeout <ms>", "how long the device or server may take", wholeNumber);
}

/** Adds the flags that say who signs and where. */
export function withSigningOptions(command: Command): Command {
  return withKeyOptions(command)
    .option("-i, --access-key-id <id>", "the access key id that belongs to the key")
    .option("-r, --region <region>", "the region");
}

/** Opens the key that the settings name. */
export async function openKeyOf(flags: KeyFlags, settings = new Settings(flags)): Promise<HmacKey> {
  return openReference(await settings.require("key"), flags);
}

/** Opens a key by its reference, with what the flags say besides. A PIN that is wanted and not given is asked for at the terminal. */
export async function openReference(reference: string, flags: KeyFlags): Promise<HmacKey> {
  const { backend } = parseKeyReference(reference);
  const options: OpenKeyOptions = {};
  if (flags.timeout !== undefined) options.timeout = flags.timeout;
  if (flags.vaultTokenFile !== undefined) options.tokenFile = flags.vaultTokenFile;
  let secret =
    backend === "pkcs11" ? await pinOf(flags) : backend === "tpm" ? await passwordOf(flags) : undefined;
  try {
    if (backend === "tpm" && secret)
      return await openKey(reference, { ...options, auth: { password: secret } });
    if (backend !== "pkcs11") return await openKey(reference, options);
    try {
      return await openKey(reference, { ...options, pin: secret });
    } catch (error) {
      const isWanted = error instanceof AwsHmacError && error.code === "ERR_PIN_REQUIRED";
      if (!isWanted || secret || !isInteractive()) throw error;
    }
    secret = await askSecret("PIN of the token: ");
    return await openKey(reference, { ...options, pin: secret });
  } finally {
    wipe(secret);
  }
}

function pinOf({ pinFile, pinEnv }: KeyFlags): Promise<Buffer | undefined> {
  return secretFrom({ what: "PIN", file: pinFile, variable: pinEnv });
}

async function passwordOf(flags: KeyFlags): Promise<Buffer | undefined> {
  const { passwordFile, passwordEnv, askPassword } = flags;
  const given = await secretFrom({ what: "password", file: passwordFile, variable: passwordEnv });
  return given ?? (askPassword ? askSecret("Password of the key: ") : undefined);
}
