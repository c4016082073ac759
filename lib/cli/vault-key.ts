import { formatVaultReference, type VaultPlace } from "../keys/reference/vault.js";
import { parseKeyReference } from "../keys/reference.js";
import { listTransitKeys, readTransitKey, type TransitAttributes } from "../provision/vault/key.js";
import { VaultClient } from "../vault/client.js";
import { checkVaultServer } from "../vault/options.js";
import { checkTransitKey } from "../vault/transit.js";
import type { DeviceFlags } from "./key-options.js";

/**
 * What Vault says of a key; undefined where there is none.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`; VaultError
 */
export async function readVaultKey(
  place: VaultPlace,
  { vaultTokenFile: tokenFile, timeout }: DeviceFlags,
): Promise<TransitAttributes | undefined> {
  const { address, namespace, mount, name } = place;
  const client = new VaultClient(checkVaultServer({ address, namespace, tokenFile, timeout }));
  try {
    return await readTransitKey(client, checkTransitKey({ mount, name }));
  } finally {
    client.close();
  }
}

/** The keys of a server's Transit engine, as `readVaultKey` says them; the server is the environment's where none is given. */
export async function listVaultKeys(
  mount: string,
  { vaultTokenFile: tokenFile, timeout }: DeviceFlags,
): Promise<{ place: VaultPlace; key: TransitAttributes }[]> {
  const server = checkVaultServer({ tokenFile, timeout });
  const client = new VaultClient(server);
  try {
    const { mount: path } = checkTransitKey({ mount, name: "any" });
    const found = [];
    const where = {
      address: server.address.origin,
      ...(server.namespace && { namespace: server.namespace }),
    };
    for (const name of await listTransitKeys(client, path)) {
      const key = await readTransitKey(client, checkTransitKey({ mount, name }));
      if (key) found.push({ place: { ...where, mount: decodeURIComponent(path), name }, key });
    }
    return found;
  } finally {
    client.close();
  }
}

/** The reference of a key's latest version, where it is one in Vault whose reference says none; any other reference as it is. */
export async function latestVersion(reference: string, flags: DeviceFlags): Promise<string> {
  const parsed = parseKeyReference(reference);
  if (parsed.backend !== "vault" || parsed.place.keyVersion !== undefined) return reference;
  const key = await readVaultKey(parsed.place, flags);
  return key ? formatVaultReference({ ...parsed.place, keyVersion: key.latestVersion }) : reference;
}
