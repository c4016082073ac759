import { lstat } from "node:fs/promises";
import path from "node:path";
import type { Command } from "commander";
import type { KeyAlgorithm } from "../core/aws4-key.js";
import { AwsHmacError } from "../core/errors.js";
import { wipe } from "../core/wipe.js";
import { formatTpmFileReference, type TpmPlace } from "../keys/reference/tpm.js";
import { removeTpmKey } from "../provision/tpm/housekeeping.js";
import { importTpmKey, type TpmImportBase } from "../provision/tpm.js";
import type { Imported } from "./importer.js";
import { type DeviceFlags, passwordOf, policyOf } from "./key-options.js";
import { secretFrom } from "./secrets.js";
import { askNewSecret, askSecret } from "./terminal.js";
import { writeWhole } from "./write-file.js";

/** Which place of a TPM a key goes to. */
export type TpmTarget = Pick<TpmPlace, "tcti" | "parent"> &
  ({ handle: number | "free"; pemFile?: undefined } | { pemFile: string; handle?: undefined });

/** The owner hierarchy's password. */
export interface OwnerFlags {
  ownerPasswordFile?: string;
  ownerPasswordEnv?: string;
  askOwnerPassword?: boolean;
}

export interface TpmImportFlags extends DeviceFlags, OwnerFlags {
  algorithm?: KeyAlgorithm;
  replace?: boolean;
}

/** Adds the flags that say the owner hierarchy's password. */
export function withOwnerOptions(command: Command): Command {
  return command
    .option("--owner-password-file <path>", "the password of a TPM's owner hierarchy, in a file")
    .option("--owner-password-env <name>", "the same in an environment variable")
    .option("--ask-owner-password", "ask for it at the terminal");
}

/** The owner hierarchy's password, which the caller wipes. */
export async function ownerPasswordOf(flags: OwnerFlags): Promise<Buffer | undefined> {
  const { ownerPasswordFile: file, ownerPasswordEnv: variable, askOwnerPassword } = flags;
  const given = await secretFrom({ what: "owner's password", file, variable });
  return given ?? (askOwnerPassword ? askSecret("Password of the owner hierarchy: ") : undefined);
}

/** Puts a secret into a TPM: at a handle, or in a file that this TPM alone can load. */
export async function importIntoTpm(
  secret: Buffer,
  { handle, pemFile, tcti, parent }: TpmTarget,
  flags: TpmImportFlags,
): Promise<Imported> {
  const file = pemFile === undefined ? undefined : path.resolve(pemFile);
  if (file !== undefined && !flags.replace && (await lstat(file).catch(() => undefined))) {
    throw new AwsHmacError(
      "ERR_KEY_EXISTS",
      `${file} is there already: --replace puts the new key in its place`,
    );
  }
  const password = await passwordOf(flags, () => askNewSecret("password of the key"));
  const owner = await ownerPasswordOf(flags).catch((error: unknown) => {
    wipe(password);
    throw error;
  });
  const options: TpmImportBase = {
    ...{ tcti, parent, timeout: flags.timeout, algorithm: flags.algorithm },
    ...{ policy: policyOf(flags, password !== undefined) },
    ...(password && { auth: { password } }),
    ...(owner && { ownerAuth: { password: owner } }),
  };
  try {
    if (file === undefined)
      return await toHandle(secret, handle as number | "free", options, flags.replace ?? false);
    const { pem, parent: above } = await importTpmKey(secret, { ...options, output: "pem" });
    await writeWhole(file, pem, { replace: flags.replace });
    return { reference: formatTpmFileReference(file, { tcti, parent: above }), details: { pemFile: file } };
  } finally {
    wipe(password, owner);
  }
}

/** A TPM moves no key to another handle: where one is to be replaced, the new one waits elsewhere until the old one is gone. */
async function toHandle(
  secret: Buffer,
  handle: number | "free",
  options: TpmImportBase,
  replace: boolean,
): Promise<Imported> {
  const into = async (where: number | "free"): Promise<Imported & { handle: number }> => {
    const made = await importTpmKey(secret, { ...options, handle: where });
    const shown = `0x${made.handle.toString(16)}`;
    return { handle: made.handle, reference: made.reference, details: { handle: shown } };
  };
  try {
    return await into(handle);
  } catch (error) {
    const isTaken = error instanceof AwsHmacError && error.code === "ERR_TPM_HANDLE_IN_USE";
    if (!isTaken || !replace || handle === "free") throw error;
  }
  const { tcti, timeout, ownerAuth } = options;
  const remove = (one: number): Promise<void> => removeTpmKey({ tcti, timeout, ownerAuth, handle: one });
  const spare = await into("free");
  try {
    await remove(handle);
  } catch (error) {
    await remove(spare.handle);
    throw error;
  }
  try {
    const made = await into(handle);
    await remove(spare.handle);
    return made;
  } catch (cause) {
    const said = cause instanceof Error ? cause.message : String(cause);
    const message = `the old key was removed, and the new one is at ${spare.reference}, not where it was to be: ${said}`;
    throw new AwsHmacError(cause instanceof AwsHmacError ? cause.code : "ERR_INTERNAL", message, { cause });
  }
}
