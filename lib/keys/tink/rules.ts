import { aws4KeyFault } from "../../core/aws4-key.js";
import { invalidKeyset } from "./errors.js";
import {
  decodeHmacKey,
  decodeKeyset,
  hashTypes,
  hmacTypeUrl,
  type KeyInfo,
  prefixes,
  statuses,
} from "./messages.js";
import { ProtobufError } from "./protobuf.js";

/** The bytes of a tag that HMAC-SHA256 gives whole. */
const tagSize = 32;

/**
 * The one key of a keyset that signs: its primary, which must be enabled and of a kind whose MACs are those that SigV4 wants.
 *
 * @throws KeysetError `ERR_KEYSET_PRIMARY`, `ERR_KEYSET_ALGORITHM`, `ERR_KEYSET_PREFIX`
 */
export function primaryOf<Key extends KeyInfo>({ primaryId, keys }: { primaryId: number; keys: Key[] }): Key {
  const known: number[] = Object.values(statuses);
  if (keys.some(({ status }) => !known.includes(status))) {
    throw invalidKeyset("ERR_KEYSET_FORMAT", "a key in it has an unknown status");
  }
  if (new Set(keys.map(({ id }) => id)).size !== keys.length) {
    throw invalidKeyset("ERR_KEYSET_PRIMARY", "two keys in it have the same id");
  }
  const primary = keys.find(({ id }) => id === primaryId);
  if (primary?.status !== statuses.ENABLED) {
    const what = primary ? "is not enabled" : "is not in it";
    throw invalidKeyset("ERR_KEYSET_PRIMARY", `its primary key (id ${primaryId}) ${what}`);
  }
  if (!Buffer.from(hmacTypeUrl).equals(primary.typeUrl)) {
    const type = typeName(primary.typeUrl);
    throw invalidKeyset("ERR_KEYSET_ALGORITHM", `its primary key is ${type}, not one for HMAC`);
  }
  if (primary.prefix !== prefixes.RAW) {
    const [name = "unknown"] = Object.entries(prefixes).find(([, value]) => value === primary.prefix) ?? [];
    const why = "whose MACs AWS would not take: make the key RAW, e.g. HMAC_SHA256_256BITTAG_RAW";
    throw invalidKeyset("ERR_KEYSET_PREFIX", `its primary key has the output prefix ${name}, ${why}`);
  }
  return primary;
}

/**
 * The HMAC key of a decrypted keyset, as a view into `bytes`.
 *
 * @throws KeysetError `ERR_KEYSET_FORMAT`, `ERR_KEYSET_PRIMARY`, `ERR_KEYSET_ALGORITHM`, `ERR_KEYSET_PREFIX`,
 *   `ERR_KEY_UNSUITABLE` of a key that is not "AWS4" and a secret access key
 */
export function signingKeyIn(bytes: Uint8Array): Uint8Array {
  const {
    version,
    hash,
    tagSize: size,
    keyValue,
  } = parsed("what the KMS decrypted is no keyset", () => decodeHmacKey(primaryOf(decodeKeyset(bytes))));
  if (version !== 0) throw invalidKeyset("ERR_KEYSET_ALGORITHM", "its primary key has an unknown version");
  if (hash !== hashTypes.SHA256) {
    const [name = "an unknown hash"] = Object.entries(hashTypes).find(([, value]) => value === hash) ?? [];
    throw invalidKeyset("ERR_KEYSET_ALGORITHM", `its primary key is for HMAC with ${name}, not SHA256`);
  }
  if (size !== tagSize) {
    const cut = `its primary key is for tags of ${size} bytes, not ${tagSize}`;
    throw invalidKeyset("ERR_KEYSET_ALGORITHM", cut);
  }
  const fault = aws4KeyFault(keyValue);
  if (fault !== undefined) throw invalidKeyset("ERR_KEY_UNSUITABLE", `its primary key ${fault}`);
  return keyValue;
}

/** What `read` gives; what is wrong with the bytes as an error of the keyset. */
export function parsed<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ProtobufError) throw invalidKeyset("ERR_KEYSET_FORMAT", `${what}: ${error.message}`);
    throw error;
  }
}

/** Only what can be a type's name: these bytes come out of a keyset. */
function typeName(typeUrl: Uint8Array): string {
  const text = Buffer.from(typeUrl.subarray(0, 100)).toString("latin1");
  return /^type\.googleapis\.com\/google\.crypto\.tink\.(\w{1,40})$/.exec(text)?.[1] ?? "of an unknown type";
}
