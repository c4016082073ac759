import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { AwsHmacError, VaultError } from "../core/errors.js";
import { flag, invalid } from "../core/validate.js";
import { secretBuffer, wipe } from "../core/wipe.js";
import { formatVaultReference } from "../keys/reference/vault.js";
import { VaultClient } from "../vault/client.js";
import { checkVaultServer, type VaultServerOptions } from "../vault/options.js";
import { checkTransitKey, type TransitKey, type TransitPlace } from "../vault/transit.js";
import { makeProbe } from "./probe.js";
import {
  aboutKey,
  deleteTransitKey,
  deleteVersionsBefore,
  givesMac,
  keyPath,
  readTransitKey,
  type TransitAttributes,
} from "./vault/key.js";
import { wrapForTransit } from "./vault/wrap.js";
import { checkWrappingKey, readWrappingKey } from "./vault/wrapping-key.js";

/** Where a new key goes in a Transit engine. */
export interface VaultImportOptions extends VaultServerOptions, TransitKey {
  /** What the key is for: `"sigv4"` by default; `"sigv4a"` makes the other key that `HmacSignerV4a` needs. */
  algorithm?: KeyAlgorithm | undefined;
  /** Where the key is there already, makes a new version of it; the earlier ones stay, for the signers that use them. */
  newVersion?: boolean | undefined;
  /** The same, and removes the earlier versions once the new one has been proved. */
  replace?: boolean | undefined;
  /**
   * The engine's public wrapping key in PEM (`bao read transit/wrapping_key`). By default the server is asked for it, over TLS
   * or the loopback interface only.
   */
  wrappingKey?: string | undefined;
}

/** The new key: `openVaultKey({ ...imported, token })` opens it, and so does `openKey(imported.reference, { token })`. */
export interface ImportedVaultKey {
  /** E.g. `vault:https://vault.example:8200/transit/signer?version=1`; the namespace is behind it, where there is one. */
  reference: string;
  /** The server's URL. */
  address: string;
  /** Where the Transit engine is mounted. */
  mount: string;
  /** The key's name in it. */
  name: string;
  /** The version that holds this secret. */
  keyVersion: number;
  /** Not there for the root namespace. */
  namespace?: string;
}

/** Transit takes 32..512 bytes. */
const shortestKey = 32;

/**
 * Puts an AWS secret access key into the Transit engine of Vault (1.12 or later) or OpenBao, as an HMAC key for SigV4:
 * `"AWS4" + secretAccessKey`, of type `hmac`, that can neither be exported nor backed up in clear. It leaves the process
 * only wrapped for the engine's own RSA key. Keys under 32 bytes are padded with zeros, which does not change their MACs
 * (RFC 2104). Then the key's attributes are checked, and that it gives the right MAC; a key that fails is deleted again.
 *
 * @param secretAccessKey its bytes, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws VaultError `ERR_KEY_EXISTS`; `ERR_KEY_READABLE` where the key can be exported, `ERR_KEY_UNSUITABLE` where
 *   the one that is there is no imported HMAC key, so that it takes no new version; `ERR_IMPORT_VERIFY`; and what `openVaultKey` throws
 */
export async function importVaultKey(
  secretAccessKey: Uint8Array,
  options: VaultImportOptions,
): Promise<ImportedVaultKey> {
  const place = checkTransitKey(options);
  const replace = flag("replace", options.replace);
  const newVersion = flag("newVersion", options.newVersion);
  if (replace && newVersion) throw invalid("replace and newVersion exclude each other");
  const key = paddedKey(secretAccessKey, options.algorithm);
  let client: VaultClient | undefined;
  try {
    const server = checkVaultServer(options);
    client = new VaultClient(server);
    const given = checkWrappingKey(options.wrappingKey, server);
    const before = await readTransitKey(client, place);
    if (before) requireVersioned(before, place, replace || newVersion);
    const wrapped = wrapForTransit(key, given ?? (await readWrappingKey(client, place.mount)));
    const keyVersion = (before?.latestVersion ?? 0) + 1;
    const probe = makeProbe(key);
    await putKey(client, place, wrapped, keyVersion, probe);
    await prove(client, place, keyVersion, probe);
    if (replace && keyVersion > 1) await removeEarlier(client, place, keyVersion);
    const { address, namespace } = server;
    const found = {
      ...{ address: address.origin, mount: decodeURIComponent(place.mount), name: place.name, keyVersion },
      ...(namespace !== "" && { namespace }),
    };
    return { reference: formatVaultReference(found), ...found };
  } finally {
    wipe(key);
    client?.close();
  }
}

function paddedKey(secretAccessKey: Uint8Array, algorithm: KeyAlgorithm | undefined): Buffer {
  const key = aws4Key(secretAccessKey, algorithm);
  if (key.length >= shortestKey) return key;
  const padded = secretBuffer(shortestKey);
  padded.set(key);
  wipe(key);
  return padded;
}

function requireVersioned(key: TransitAttributes, place: TransitPlace, isWanted: boolean): void {
  if (!isWanted) {
    const remedy = "choose another name, or set newVersion or replace";
    throw aboutKey("ERR_KEY_EXISTS", place, `it is there already: ${remedy}`);
  }
  if (key.type !== "hmac" || !key.isImported) {
    const what = key.type === "hmac" ? "was made by the server" : `is of type ${key.type}`;
    throw aboutKey(
      "ERR_KEY_UNSUITABLE",
      place,
      `it ${what}, and takes no version of yours: choose another name`,
    );
  }
  if (key.isReadable) throw aboutKey("ERR_KEY_READABLE", place, "it can be exported: choose another name");
}

/** Where the answer was lost the key may be there: then its MAC tells. */
async function putKey(
  client: VaultClient,
  place: TransitPlace,
  wrapped: Buffer,
  version: number,
  probe: ReturnType<typeof makeProbe>,
): Promise<void> {
  const key = { ciphertext: wrapped.toString("base64"), hash_function: "SHA256" };
  const own = { type: "hmac", exportable: false, allow_plaintext_backup: false, allow_rotation: false };
  const [path, body] = version === 1 ? ["import", { ...key, ...own }] : ["import_version", key];
  try {
    await client.request("POST", `${keyPath(place)}/${path}`, body as typeof key, { repeatable: false });
  } catch (error) {
    if (!(error instanceof AwsHmacError && error.retryable)) throw error;
    const after = await readTransitKey(client, place).catch(() => undefined);
    if (after?.latestVersion !== version || !(await givesMac(client, place, version, probe))) throw error;
  }
}

/** A key that is not as it must be is deleted; a version of one cannot be, by itself. */
async function prove(
  client: VaultClient,
  place: TransitPlace,
  version: number,
  probe: ReturnType<typeof makeProbe>,
): Promise<void> {
  try {
    const key = await readTransitKey(client, place);
    if (!key) throw aboutKey("ERR_IMPORT_VERIFY", place, "it is not there after its import");
    if (key.isReadable) throw aboutKey("ERR_KEY_READABLE", place, "the server would give it out");
    if (key.type !== "hmac" || !(await givesMac(client, place, version, probe))) {
      throw aboutKey("ERR_IMPORT_VERIFY", place, `version ${version} gives another MAC than the secret`);
    }
  } catch (error) {
    if (version > 1) throw withNote(error, `version ${version} of the key is left there, unused`);
    try {
      await deleteTransitKey(client, place);
    } catch (refusal) {
      throw withNote(error, `the key could not be deleted (${(refusal as Error).message})`);
    }
    throw withNote(error, "the key was deleted again");
  }
}

async function removeEarlier(client: VaultClient, place: TransitPlace, version: number): Promise<void> {
  try {
    await deleteVersionsBefore(client, place, version);
  } catch (error) {
    throw withNote(
      error,
      `version ${version} is there and has been proved, and earlier ones are still there too`,
    );
  }
}

function withNote(error: unknown, note: string): unknown {
  if (!(error instanceof VaultError)) return error;
  const { code, message, status, operation, retryable, cause } = error;
  return new VaultError(code, `${message}; ${note}`, { status, operation, retryable, cause });
}
