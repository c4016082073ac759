import { AwsHmacError, VaultError } from "../../core/errors.js";
import { secretBuffer, wipe } from "../../core/wipe.js";
import { toBase64 } from "../../vault/base64.js";
import type { VaultClient } from "../../vault/client.js";
import type { TransitPlace } from "../../vault/transit.js";
import type { makeProbe } from "../probe.js";

/** What Transit says of a key, as far as it counts here. */
export interface TransitAttributes {
  readonly type: string;
  readonly isImported: boolean;
  /** Whether the key comes out, exported or in a backup. */
  readonly isReadable: boolean;
  readonly latestVersion: number;
}

export const keyPath = ({ mount, name }: TransitPlace): string => `${mount}/keys/${name}`;

/** The key's attributes; undefined where there is no such key. */
export async function readTransitKey(
  client: VaultClient,
  place: TransitPlace,
): Promise<TransitAttributes | undefined> {
  try {
    const data = await client.request("GET", keyPath(place));
    const { type, imported_key, exportable, allow_plaintext_backup, latest_version } = data;
    return {
      type: String(type),
      isImported: imported_key === true,
      isReadable: exportable !== false || allow_plaintext_backup !== false,
      latestVersion: Number(latest_version),
    };
  } catch (error) {
    if (error instanceof AwsHmacError && error.code === "ERR_KEY_NOT_FOUND") return undefined;
    throw error;
  }
}

/** The names of a Transit engine's keys. */
export async function listTransitKeys(client: VaultClient, mount: string): Promise<string[]> {
  try {
    const { keys } = await client.request("GET", `${mount}/keys?list=true`);
    // what ends in a slash is a folder of the server's own storage
    return Array.isArray(keys) ? keys.map(String).filter((name) => !name.endsWith("/")) : [];
  } catch (error) {
    if (error instanceof AwsHmacError && error.code === "ERR_KEY_NOT_FOUND") return []; // an engine without keys
    throw error;
  }
}

/**
 * Whether a version of the key gives the probe's MAC. The server is shown the MAC and judges (`<mount>/verify/<name>`): who
 * imports keys need not be allowed to sign with them.
 */
export async function givesMac(
  client: VaultClient,
  place: TransitPlace,
  version: number,
  { probeMessage, probeMac }: ReturnType<typeof makeProbe>,
): Promise<boolean> {
  const prefix = `vault:v${version}:`;
  const digits = toBase64(probeMac);
  const hmac = secretBuffer(prefix.length + digits.length);
  hmac.write(prefix, "latin1");
  hmac.set(digits, prefix.length);
  try {
    const path = `${place.mount}/verify/${place.name}/sha2-256`;
    const { valid } = await client.request("POST", path, { input: toBase64(probeMessage), hmac });
    return valid === true;
  } finally {
    wipe(digits, hmac);
  }
}

/** Deletes the key with all its versions. */
export async function deleteTransitKey(client: VaultClient, place: TransitPlace): Promise<void> {
  await client.request("POST", `${keyPath(place)}/config`, { deletion_allowed: true });
  await client.request("DELETE", keyPath(place));
}

/** Deletes the versions before `version`, for good. */
export async function deleteVersionsBefore(
  client: VaultClient,
  place: TransitPlace,
  version: number,
): Promise<void> {
  const least = { min_decryption_version: version, min_encryption_version: version };
  await client.request("POST", `${keyPath(place)}/config`, least);
  await client.request("POST", `${keyPath(place)}/trim`, { min_available_version: version });
}

/** A VaultError about a key rather than about one answer. */
export function aboutKey(code: AwsHmacError["code"], place: TransitPlace, reason: string): VaultError {
  const name = `${place.mount}/${place.name}`;
  return new VaultError(code, `key ${name}: ${reason}`, { status: 0, operation: "" });
}
