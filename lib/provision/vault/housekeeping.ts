import { flag } from "../../core/validate.js";
import { VaultClient } from "../../vault/client.js";
import { checkVaultServer, type VaultServerOptions } from "../../vault/options.js";
import { checkKeyVersion, checkTransitKey, type TransitKey } from "../../vault/transit.js";
import { aboutKey, deleteTransitKey, deleteVersionsBefore, readTransitKey } from "./key.js";

/** Which key of a Transit engine goes. */
export interface VaultRemoveOptions extends VaultServerOptions, TransitKey {
  /** Removes the versions before this one only, and keeps the key: for the end of a rotation. */
  versionsBefore?: number | undefined;
  /** Removes a key of another type than `hmac` too. */
  force?: boolean | undefined;
}

/**
 * Removes a key from Transit, with all its versions, or its earlier versions. It allows the deletion first (`deletion_allowed`,
 * or `min_decryption_version` and `min_encryption_version`). It cannot be undone.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws VaultError `ERR_KEY_NOT_FOUND`; `ERR_KEY_UNSUITABLE` of a key of another type, unless `force` is set;
 *   `ERR_VAULT_VERSION` where the key has no version `versionsBefore`; and what `openVaultKey` throws
 */
export async function removeVaultKey(options: VaultRemoveOptions): Promise<void> {
  const place = checkTransitKey(options);
  const force = flag("force", options.force);
  const { versionsBefore } = options;
  if (versionsBefore !== undefined) checkKeyVersion(versionsBefore);
  const client = new VaultClient(checkVaultServer(options));
  try {
    const key = await readTransitKey(client, place);
    if (!key) throw aboutKey("ERR_KEY_NOT_FOUND", place, "there is none: check name and mount");
    if (key.type !== "hmac" && !force) {
      throw aboutKey("ERR_KEY_UNSUITABLE", place, `it is of type ${key.type}, not hmac: force removes it`);
    }
    if (versionsBefore === undefined) return await deleteTransitKey(client, place);
    if (versionsBefore > key.latestVersion) {
      throw aboutKey(
        "ERR_VAULT_VERSION",
        place,
        `its latest version is ${key.latestVersion}: nothing was removed`,
      );
    }
    await deleteVersionsBefore(client, place, versionsBefore);
  } finally {
    client.close();
  }
}
