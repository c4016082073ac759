import { randomInt, timingSafeEqual } from "node:crypto";
import { aws4Key, type KeyAlgorithm } from "../core/aws4-key.js";
import { KeysetError } from "../core/errors.js";
import { invalid } from "../core/validate.js";
import { wipe } from "../core/wipe.js";
import { formatTinkReference } from "../keys/reference/tink.js";
import { encryptKeyset } from "../keys/tink/decrypt.js";
import { formatEncryptedKeyset } from "../keys/tink/json.js";
import {
  type EncryptedKeyset,
  encodeEncryptedKeyset,
  encodeKeyset,
  hmacTypeUrl,
  type KeysetInfo,
  prefixes,
  statuses,
} from "../keys/tink/messages.js";
import { encryptionOf, type KeysetEncryption, type TinkKek } from "../keys/tink/options.js";
import { openTinkKey } from "../keys/tink.js";
import { makeProbe } from "./probe.js";
import { newFile, writeNewFile } from "./tink/new-file.js";

/** How a new keyset is encrypted and what becomes of it. */
export interface TinkImportOptions extends TinkKek {
  /** Tink's JSON form (the default), or its binary form. */
  format?: "json" | "binary" | undefined;
  /** The key's id, 1..2^32-1; a random one by default. */
  keyId?: number | undefined;
  /** Path of a file to write the keyset to, with mode 0600. It must not be there yet. */
  keysetFile?: string | undefined;
  /** What the key is for: `"sigv4"` by default; `"sigv4a"` makes the other key that `HmacSignerV4a` needs. */
  algorithm?: KeyAlgorithm | undefined;
}

/** A new keyset: `openTinkKey({ keyset, … })` opens it with the same `aead` and `associatedData`. */
export interface ImportedTinkKey<Form extends string | Uint8Array = string | Uint8Array> {
  /** The encrypted keyset: JSON text, or bytes where `format` is `"binary"`. */
  keyset: Form;
  /** The id of the key in the keyset. */
  keyId: number;
  /** What `openKey` takes, where the keyset was written to a file; without `kek` it wants the `aead` as well. */
  reference?: string;
}

/** Tink's libraries take no HMAC key that is shorter. */
const shortestKey = 16;

/**
 * Makes a Tink keyset of an AWS secret access key, which a KMS encrypts: one RAW HMAC-SHA256 key with tags of 32 bytes whose value is
 * `"AWS4" + secretAccessKey`. Tink's libraries read it. Before it is given out or written it is decrypted again and must give the
 * right MAC.
 *
 * @param secretAccessKey its bytes, at least 12, without the "AWS4" prefix; the array is not changed, and all copies are wiped
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_TIMEOUT`; and what `aead.encrypt` rejects with
 * @throws KeysetError `ERR_KEY_EXISTS` where `keysetFile` is there already, `ERR_KEYSET_CLEARTEXT` where `aead` does not encrypt,
 *   `ERR_KEYSET_DECRYPT` where it does not decrypt what it encrypted, `ERR_IMPORT_VERIFY`
 */
export async function importTinkKey(
  secretAccessKey: Uint8Array,
  options: TinkImportOptions & { format: "binary" },
): Promise<ImportedTinkKey<Uint8Array>>;
export async function importTinkKey(
  secretAccessKey: Uint8Array,
  options: TinkImportOptions & { format?: "json" | undefined },
): Promise<ImportedTinkKey<string>>;
export async function importTinkKey(
  secretAccessKey: Uint8Array,
  options: TinkImportOptions,
): Promise<ImportedTinkKey> {
  const { format = "json" } = options;
  if (format !== "json" && format !== "binary") throw invalid('format must be "json" or "binary"');
  const keyId = keyIdOf(options.keyId);
  const key = aws4Key(secretAccessKey, options.algorithm);
  let bytes: Buffer | undefined;
  try {
    const encryption = await encryptionOf(options);
    if (key.length < shortestKey) {
      throw invalid("secretAccessKey must have at least 12 bytes: Tink takes no shorter HMAC key");
    }
    const file = options.keysetFile === undefined ? undefined : await newFile(options.keysetFile);
    bytes = encodeKeyset(key, keyId);
    const made: EncryptedKeyset = { ciphertext: await encryptKeyset(bytes, encryption), info: infoOf(keyId) };
    const keyset = format === "json" ? formatEncryptedKeyset(made) : encodeEncryptedKeyset(made);
    await verify(keyset, encryption, key);
    if (file === undefined) return { keyset, keyId };
    await writeNewFile(file, keyset);
    return { keyset, keyId, reference: referenceOf(file, options.kek, encryption) };
  } finally {
    wipe(key, bytes);
  }
}

/** Some of Tink's libraries take ids for signed numbers: random ones stay below 2^31. */
function keyIdOf(keyId = randomInt(1, 2 ** 31)): number {
  if (!Number.isInteger(keyId) || keyId < 1 || keyId > 0xffffffff) {
    throw invalid("keyId must be a whole number of 1..4294967295");
  }
  return keyId;
}

function infoOf(id: number): KeysetInfo {
  const { ENABLED: status } = statuses;
  return { primaryId: id, keys: [{ typeUrl: Buffer.from(hmacTypeUrl), status, id, prefix: prefixes.RAW }] };
}

function referenceOf(
  keysetFile: string,
  kek: string | undefined,
  { associatedData }: KeysetEncryption,
): string {
  return formatTinkReference({ keysetFile, ...(kek !== undefined && { kek }), associatedData });
}

async function verify(keyset: string | Uint8Array, encryption: KeysetEncryption, key: Buffer): Promise<void> {
  const { probeMessage, probeMac } = makeProbe(key);
  const opened = await openTinkKey({ keyset, ...encryption });
  try {
    if (timingSafeEqual(await opened.mac(probeMessage), probeMac)) return;
    throw new KeysetError(
      "ERR_IMPORT_VERIFY",
      "the keyset, decrypted again, gives another MAC: it was not kept",
    );
  } finally {
    await opened.close();
  }
}
