import path from "node:path";
import type { Command } from "commander";
import type { KeyAlgorithm } from "../core/aws4-key.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { formatTinkReference, type TinkPlace } from "../keys/reference/tink.js";
import type { VaultPlace } from "../keys/reference/vault.js";
import { type KeyReference, parseKeyReference } from "../keys/reference.js";
import { importAwsKmsKey } from "../provision/aws-kms.js";
import { importPkcs11Key } from "../provision/pkcs11.js";
import { importTinkKey } from "../provision/tink.js";
import { importVaultKey } from "../provision/vault.js";
import { importIntoTpm, type TpmImportFlags, type TpmTarget, withOwnerOptions } from "./importer-tpm.js";
import { tokenPin } from "./key-options.js";
import { writeWhole } from "./write-file.js";

/** What the flags of {@link withImportOptions} say. */
export interface ImportFlags extends TpmImportFlags {
  algorithm?: KeyAlgorithm;
  replace?: boolean;
  newVersion?: boolean;
  wrapped?: boolean;
  allowWrapping?: boolean;
}

/** Where a secret is to go: a key's reference, or a handle of a TPM that the import chooses. */
export type ImportTarget = Exclude<KeyReference, { backend: "tpm" }> | { backend: "tpm"; place: TpmTarget };

/** The new key. */
export interface Imported {
  reference: string;
  /** What else the import gives, as JSON has it. */
  details: Record<string, unknown>;
}

/** Adds the flags of an import but those that open the key. */
export function withImportOptions(command: Command): Command {
  return withOwnerOptions(command)
    .option("--replace", "put the key in the place of one that is there")
    .option("--new-version", "make a new version of a key in Vault; the earlier ones stay")
    .option("--wrapped", "encrypt the secret on its way into a PKCS#11 token (RSA-OAEP)")
    .option(
      "--allow-wrapping",
      "keep a key that the PKCS#11 token gives out wrapped by another, as NSS does",
    );
}

/**
 * Where a reference leads to, and whether the flags fit there.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 */
export function importTarget(reference: string, flags: ImportFlags): ImportTarget {
  const free = /^tpm:free(\?.*)?$/s.exec(reference);
  const parsed = parseKeyReference(free ? `tpm:0x81000000${free[1] ?? ""}` : reference);
  const target: ImportTarget =
    parsed.backend === "tpm"
      ? { backend: "tpm", place: { ...parsed.place, ...(free && { handle: "free" }) } as TpmTarget }
      : parsed;
  const only = (isGiven: unknown, flag: string, ...where: string[]): void =>
    onlyFor(target, isGiven, flag, ...where);
  only(flags.replace, "--replace", "tpm", "pkcs11", "vault", "tink");
  only(flags.newVersion, "--new-version", "vault");
  only(flags.wrapped, "--wrapped", "pkcs11");
  only(flags.allowWrapping, "--allow-wrapping", "pkcs11");
  if (flags.replace && flags.newVersion) throw invalid("--replace and --new-version exclude each other");
  if (target.backend === "vault" && target.place.keyVersion !== undefined) {
    throw invalid("the reference has a version, which the server numbers: leave ?version=… out");
  }
  if (target.backend === "tink" && target.place.kek === undefined) {
    throw invalid(
      "the reference has no kek, the KMS key that encrypts the keyset: tink:/path?kek=aws-kms%3A%2F%2Farn%3A…",
    );
  }
  return target;
}

/** Refuses flags for the key in a TPM that goes elsewhere. */
export function refuseTpmFlags(target: ImportTarget, flags: ImportFlags): void {
  const { ownerPasswordFile, ownerPasswordEnv, askOwnerPassword, passwordFile, passwordEnv, askPassword } =
    flags;
  onlyFor(target, flags.pcrs, "--pcrs", "tpm");
  onlyFor(target, ownerPasswordFile ?? ownerPasswordEnv ?? askOwnerPassword, "the owner's password", "tpm");
  onlyFor(target, passwordFile ?? passwordEnv ?? askPassword, "the key's password", "tpm");
}

function onlyFor({ backend }: ImportTarget, isGiven: unknown, flag: string, ...where: string[]): void {
  if (isGiven && !where.includes(backend)) throw invalid(`${flag} is for keys in ${where.join(", ")} only`);
}

/**
 * Puts a secret into a key's place and has the import prove it.
 *
 * @param secret is not changed
 * @throws what the backend's import function throws
 */
export async function importSecret(
  secret: Buffer,
  target: ImportTarget,
  flags: ImportFlags,
): Promise<Imported> {
  const { algorithm, timeout, vaultTokenFile: tokenFile } = flags;
  const common = { algorithm, timeout };
  switch (target.backend) {
    case "tpm":
      return importIntoTpm(secret, target.place, flags);
    case "pkcs11":
      return importIntoToken(secret, target.place.uri, flags);
    case "vault":
      return importIntoVault(secret, { ...target.place, ...common, tokenFile }, flags);
    case "tink":
      return importIntoKeyset(secret, target.place, { ...common, vault: { tokenFile } }, flags);
    case "aws-kms": {
      const { reference, ...details } = await importAwsKmsKey(secret, { ...target.place, ...common });
      return { reference, details };
    }
  }
}

async function importIntoToken(secret: Buffer, uri: string, flags: ImportFlags): Promise<Imported> {
  const { algorithm, timeout, replace, allowWrapping, wrapped } = flags;
  const pin = await tokenPin(uri, flags, true);
  try {
    const how = {
      algorithm,
      timeout,
      replace,
      allowWrapping,
      wrapped: wrapped ? ("rsa-oaep" as const) : undefined,
    };
    const { uri: reference, id, ...details } = await importPkcs11Key(secret, { uri, pin, ...how });
    return { reference, details: { ...details, id: Buffer.from(id).toString("hex") } };
  } finally {
    wipe(pin);
  }
}

async function importIntoVault(
  secret: Buffer,
  place: VaultPlace & Parameters<typeof importVaultKey>[1],
  { replace, newVersion }: ImportFlags,
): Promise<Imported> {
  const { keyVersion: _, ...where } = place;
  const { reference, ...details } = await importVaultKey(secret, { ...where, replace, newVersion });
  return { reference, details };
}

async function importIntoKeyset(
  secret: Buffer,
  { keysetFile, ...how }: TinkPlace,
  options: Parameters<typeof importTinkKey>[1],
  { replace }: ImportFlags,
): Promise<Imported> {
  const file = path.resolve(keysetFile);
  const made = await importTinkKey(secret, {
    ...{ ...options, ...how, format: "json" },
    ...(!replace && { keysetFile: file }),
  });
  if (replace) await writeWhole(file, made.keyset, { replace });
  const reference = formatTinkReference({ keysetFile: file, ...how });
  return { reference, details: { keysetFile: file, keyId: made.keyId } };
}
