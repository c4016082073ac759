import { readFile } from "node:fs/promises";
import path from "node:path";
import { AwsHmacError } from "../core/errors.js";
import { wipe } from "../core/wipe.js";
import { parsePkcs11Uri } from "../keys/pkcs11/uri.js";
import { formatTinkReference, type TinkPlace } from "../keys/reference/tink.js";
import { formatTpmFileReference, formatTpmReference, type TpmPlace } from "../keys/reference/tpm.js";
import { formatVaultReference, type VaultPlace } from "../keys/reference/vault.js";
import type { KeyReference } from "../keys/reference.js";
import { prefixes, statuses } from "../keys/tink/messages.js";
import { readKeyset } from "../keys/tink/source.js";
import { readTpmKey } from "../keys/tpm/tss2-pem.js";
import { describeAwsKmsKey } from "../provision/aws-kms/housekeeping.js";
import { type ListedPkcs11Token, listPkcs11Keys } from "../provision/pkcs11/housekeeping.js";
import { listTpmKeys } from "../provision/tpm/housekeeping.js";
import type { TransitAttributes } from "../provision/vault/key.js";
import { type DeviceFlags, pinOf } from "./key-options.js";
import { listVaultKeys, readVaultKey } from "./vault-key.js";

/** A key as a list shows it. */
export interface ListedKey {
  /** Opens it. */
  reference: string;
  /** Whether it can sign AWS requests, as far as it can be seen. */
  usable: boolean;
  /** For people. */
  about: string;
  /** What else is known, as JSON has it. */
  details: Record<string, unknown>;
}

/** What is in a place. */
export interface Listing {
  keys: ListedKey[];
  /** PKCS#11 tokens, with keys or without. */
  tokens?: Omit<ListedPkcs11Token, "keys">[];
  /** Modules of PKCS#11 that do not work. */
  broken?: string;
}

/** Persistent keys of a TPM, or its one key at a handle. */
export async function listTpm(
  { handle: wanted, tcti }: Pick<TpmPlace, "handle" | "tcti">,
  { timeout }: DeviceFlags,
): Promise<Listing> {
  const all = await listTpmKeys({ tcti, timeout });
  const keys = all.filter(({ handle }) => wanted === undefined || handle === wanted);
  if (wanted !== undefined && keys.length === 0) {
    throw new AwsHmacError("ERR_KEY_NOT_FOUND", `no HMAC key is at handle 0x${wanted.toString(16)}`);
  }
  return {
    keys: keys.map(({ handle, usableForAws4: usable, ...details }) => ({
      ...{ reference: formatTpmReference(handle, tcti), usable, details },
      about: details.hasPolicy ? "has a policy" : "",
    })),
  };
}

/** What a TPM key's file says. */
export async function listTpmFile({ pemFile = "", tcti, parent: given }: TpmPlace): Promise<Listing> {
  const file = path.resolve(pemFile);
  const text = await readFile(file, "latin1").catch((cause: unknown) => {
    throw new AwsHmacError("ERR_KEY_NOT_FOUND", `${file} cannot be read`, { cause });
  });
  const { kind, parent, emptyAuth, policies } = readTpmKey(text);
  const about = [kind, emptyAuth ? "" : "has a password", policies ? "has a policy" : ""];
  return {
    keys: [
      {
        ...{ reference: formatTpmFileReference(file, { tcti, parent: given }), usable: kind === "loadable" },
        about: about.filter(Boolean).join(", "),
        details: {
          kind,
          parent: `0x${parent.toString(16)}`,
          hasPassword: !emptyAuth,
          hasPolicy: policies !== undefined,
        },
      },
    ],
  };
}

/** The tokens that a URI matches, or all, and those keys on them that match it too. */
export async function listTokens(uri: string | undefined, flags: DeviceFlags): Promise<Listing> {
  const { label, id } = uri === undefined ? {} : parsePkcs11Uri(uri);
  const pin = await pinOf(flags);
  try {
    const { tokens, broken } = await listPkcs11Keys({ uri, pin, timeout: flags.timeout });
    const keys = tokens
      .flatMap((token) => token.keys)
      .filter((key) => label === undefined || key.label === label)
      .filter((key) => id === undefined || Buffer.compare(key.id, id) === 0);
    return {
      keys: keys.map(({ uri: reference, usableForAws4: usable, id: bytes, ...details }) => ({
        ...{ reference, usable, about: details.keyType },
        details: { ...details, id: Buffer.from(bytes).toString("hex") },
      })),
      tokens: tokens.map(({ keys: _, ...token }) => token),
      broken,
    };
  } finally {
    wipe(pin);
  }
}

/** The keys of a Transit engine that Vault's variables name. */
export async function listVault(mount: string, flags: DeviceFlags): Promise<Listing> {
  const found = await listVaultKeys(mount, flags);
  return { keys: found.map(({ place, key }) => vaultKey(place, key)) };
}

/** A key in Vault. */
export async function listVaultOne(place: VaultPlace, flags: DeviceFlags): Promise<Listing> {
  const key = await readVaultKey(place, flags);
  if (!key) throw new AwsHmacError("ERR_KEY_NOT_FOUND", `there is no key ${place.mount}/${place.name}`);
  return { keys: [vaultKey(place, key)] };
}

function vaultKey(place: VaultPlace, key: TransitAttributes): ListedKey {
  const { keyVersion = key.latestVersion, ...rest } = place;
  const about = [key.type, `latest version ${key.latestVersion}`, key.isReadable ? "can be exported" : ""];
  return {
    reference: formatVaultReference({ ...rest, keyVersion }),
    usable: key.type === "hmac" && key.isImported && keyVersion <= key.latestVersion,
    about: about.filter(Boolean).join(", "),
    details: { ...key },
  };
}

/** What a keyset says of its keys, which its KMS need not be asked for. */
export async function listKeyset(place: TinkPlace): Promise<Listing> {
  const file = path.resolve(place.keysetFile);
  const { info } = await readKeyset(file);
  const nameOf = (names: Record<string, number>, value: number): string =>
    Object.entries(names).find(([, one]) => one === value)?.[0] ?? String(value);
  const keys = (info?.keys ?? []).map(({ id, status, prefix, typeUrl }) => ({
    ...{
      keyId: id,
      primary: id === info?.primaryId,
      status: nameOf(statuses, status),
      prefix: nameOf(prefixes, prefix),
    },
    type: Buffer.from(typeUrl)
      .toString("latin1")
      .replace(/^.*[./]/, ""),
  }));
  const primary = keys.find((key) => key.primary);
  const isHmac = primary?.type === "HmacKey" && primary.prefix === "RAW" && primary.status === "ENABLED";
  const about = primary
    ? `${primary.type}, ${primary.prefix}, ${primary.status}`
    : "says nothing of its keys";
  const reference = formatTinkReference({ ...place, keysetFile: file });
  return { keys: [{ reference, usable: isHmac || !info, about, details: { keys } }] };
}

/** A key of AWS KMS. */
export async function listAwsKms({ keyId }: { keyId: string }, { timeout }: DeviceFlags): Promise<Listing> {
  const key = await describeAwsKmsKey({ keyId, timeout });
  const isMade = key.usage === "GENERATE_VERIFY_MAC" && key.spec === "HMAC_256" && key.origin === "EXTERNAL";
  const about = `${key.spec}, ${key.origin}, ${key.state}`;
  return {
    keys: [
      {
        reference: `aws-kms:${keyId}`,
        usable: isMade && key.state === "Enabled",
        about,
        details: { ...key },
      },
    ],
  };
}

/** What is at a key's reference. */
export function listReference(parsed: KeyReference, flags: DeviceFlags): Promise<Listing> {
  switch (parsed.backend) {
    case "tpm":
      return parsed.place.handle === undefined ? listTpmFile(parsed.place) : listTpm(parsed.place, flags);
    case "pkcs11":
      return listTokens(parsed.place.uri, flags);
    case "vault":
      return listVaultOne(parsed.place, flags);
    case "tink":
      return listKeyset(parsed.place);
    case "aws-kms":
      return listAwsKms(parsed.place, flags);
  }
}
