import type { Command } from "commander";
import { AwsHmacError } from "../core/errors.js";
import type { HmacKey } from "../core/hmac-key.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { type OpenKeyOptions, openKey } from "../keys/open-key.js";
import { parsePkcs11Uri } from "../keys/pkcs11/uri.js";
import { parseKeyReference } from "../keys/reference.js";
import type { TpmPcrBank, TpmPolicy } from "../keys/tpm/policy/policy.js";
import { wholeNumber } from "./numbers.js";
import { secretFrom } from "./secrets.js";
import { type SettingFlags, Settings } from "./settings.js";
import { askSecret, isInteractive } from "./terminal.js";

/** What the flags of {@link withDeviceOptions} say. */
export interface DeviceFlags {
  pinFile?: string;
  pinEnv?: string;
  passwordFile?: string;
  passwordEnv?: string;
  askPassword?: boolean;
  pcrs?: string;
  vaultTokenFile?: string;
  timeout?: number;
}

/** What the flags of {@link withKeyOptions} say. */
export interface KeyFlags extends SettingFlags, DeviceFlags {}

/** Adds the flags that say which key signs, and how it is opened. */
export function withKeyOptions(command: Command): Command {
  command
    .option("-k, --key <reference>", "the key: pkcs11:…, tpm:…, vault:…, tink:…, aws-kms:… or a TSS2 PEM")
    .option("-p, --profile <name>", "the profile of ~/.aws/config that holds settings");
  return withDeviceOptions(command);
}

/** Adds the flags that say how a device or server is logged in to. */
export function withDeviceOptions(command: Command): Command {
  return command
    .option("--pin-file <path>", "the PIN of a PKCS#11 token, in a file")
    .option("--pin-env <name>", "the PIN, in an environment variable")
    .option("--password-file <path>", "the password of a TPM key, in a file")
    .option("--password-env <name>", "the password of a TPM key, in an environment variable")
    .option("--ask-password", "ask for the password of a TPM key at the terminal")
    .option("--pcrs <bank:list>", "the PCRs that a TPM key is bound to, e.g. sha256:0,7")
    .option("--vault-token-file <path>", "a file with Vault's token, as its agent writes it")
    .option("--timeout <ms>", "how long the device or server may take", wholeNumber);
}

/** Adds the flags that say who signs and where. */
export function withSigningOptions(command: Command): Command {
  return withKeyOptions(command)
    .option("-i, --access-key-id <id>", "the access key id that belongs to the key")
    .option("-r, --region <region>", "the region");
}

/** Opens the key that the settings name. `more`: options for which there are no flags of ours. */
export async function openKeyOf(
  flags: KeyFlags,
  settings = new Settings(flags),
  more: OpenKeyOptions = {},
): Promise<HmacKey> {
  return openReference(await settings.require("key"), flags, more);
}

/** Opens a key by its reference, with what the flags say besides. A PIN that is wanted and not given is asked for at the terminal. */
export async function openReference(
  reference: string,
  flags: DeviceFlags,
  more: OpenKeyOptions = {},
): Promise<HmacKey> {
  const { backend } = parseKeyReference(reference);
  const options: OpenKeyOptions = { ...more };
  if (flags.timeout !== undefined) options.timeout = flags.timeout;
  if (flags.vaultTokenFile !== undefined) options.tokenFile = flags.vaultTokenFile;
  let secret =
    backend === "pkcs11" ? await pinOf(flags) : backend === "tpm" ? await passwordOf(flags) : undefined;
  try {
    if (backend === "tpm") {
      const policy = policyOf(flags, secret !== undefined);
      const auth = secret && { password: secret };
      return await openKey(reference, { ...options, ...(policy && { policy }), ...(auth && { auth }) });
    }
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

/**
 * The policy of a TPM key that `--pcrs` says, and its password where there is one.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function policyOf({ pcrs }: DeviceFlags, hasPassword: boolean): TpmPolicy | undefined {
  if (pcrs === undefined) return undefined;
  const [, bank = "sha256", list = ""] = /^(?:(sha1|sha256|sha384|sha512):)?(\d+(?:,\d+)*)$/.exec(pcrs) ?? [];
  if (list === "") throw invalid("--pcrs must be like sha256:0,7: a bank, and the numbers of its PCRs");
  const pcr = { bank: bank as TpmPcrBank, indices: list.split(",").map(Number) };
  return [{ pcr }, ...(hasPassword ? [{ authValue: true } as const] : [])];
}

/**
 * The PIN of a token, from a file or a variable, else asked for where the URI says nothing of it and `isWanted`; the caller wipes it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where it is wanted and nobody can be asked
 */
export async function tokenPin(
  uri: string,
  flags: DeviceFlags,
  isWanted: boolean,
): Promise<Buffer | undefined> {
  const pin = await pinOf(flags);
  if (pin) return pin;
  const { pinSource, pinValue } = parsePkcs11Uri(uri);
  if (!isWanted || pinSource !== undefined || pinValue !== undefined) return undefined;
  if (!isInteractive()) throw invalid("the PIN is missing: give --pin-file or --pin-env");
  return askSecret("PIN of the token: ");
}

/** The PIN in a file or a variable; the caller wipes it. */
export function pinOf({ pinFile, pinEnv }: DeviceFlags): Promise<Buffer | undefined> {
  return secretFrom({ what: "PIN", file: pinFile, variable: pinEnv });
}

/** The password in a file or a variable, else the one that `ask` gives where it is to be asked for; the caller wipes it. */
export async function passwordOf(
  { passwordFile, passwordEnv, askPassword }: DeviceFlags,
  ask = () => askSecret("Password of the key: "),
): Promise<Buffer | undefined> {
  const given = await secretFrom({ what: "password", file: passwordFile, variable: passwordEnv });
  return given ?? (askPassword ? ask() : undefined);
}
