import { encodeTink } from "./tink-proto.js";

export const hmacType = "type.googleapis.com/google.crypto.tink.HmacKey";

/** A key in a keyset, by protobuf.js: by default one that signs, with id 1. */
export interface KeyChanges {
  id?: number;
  typeUrl?: string;
  status?: string | number;
  prefix?: string | number;
  material?: string;
  version?: number;
  hash?: string | number;
  tagSize?: number;
  keyValue?: string;
  /** The serialized HmacKey, instead of the four above. */
  value?: Uint8Array;
}

/** A cleartext keyset with one key for each of these. */
export function cleartextKeyset(keys: KeyChanges[], primaryKeyId = 1): Buffer {
  return encodeTink("Keyset", { primaryKeyId, key: keys.map(keyOf) });
}

function keyOf(changes: KeyChanges): object {
  const {
    hash = "SHA256",
    tagSize = 32,
    version = 0,
    keyValue = "AWS4of the test, 16+".replaceAll(" ", "-"),
  } = changes;
  const params = { hash, tagSize };
  const hmac = encodeTink("HmacKey", {
    ...(version && { version }),
    params,
    keyValue: Buffer.from(keyValue),
  });
  const { typeUrl = hmacType, value = hmac, material = "SYMMETRIC" } = changes;
  return {
    keyData: { typeUrl, value, keyMaterialType: material },
    status: changes.status ?? "ENABLED",
    keyId: changes.id ?? 1,
    outputPrefixType: changes.prefix ?? "RAW",
  };
}
