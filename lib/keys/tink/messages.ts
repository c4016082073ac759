import { cleartextKeyset } from "./errors.js";
import { encodeMessage, type Field, type FieldTypes, Message, ProtobufError } from "./protobuf.js";

// The messages of Tink's proto/tink.proto, hmac.proto and common.proto, as far as a keyset for HMAC has them.

/** `google.crypto.tink.HashType` */
export const hashTypes = { SHA1: 1, SHA384: 2, SHA256: 3, SHA512: 4, SHA224: 5 } as const;
/** `google.crypto.tink.KeyStatusType` */
export const statuses = { ENABLED: 1, DISABLED: 2, DESTROYED: 3 } as const;
/** `google.crypto.tink.OutputPrefixType` */
export const prefixes = { TINK: 1, LEGACY: 2, RAW: 3, CRUNCHY: 4, WITH_ID_REQUIREMENT: 5 } as const;
const symmetric = 1;
export const hmacTypeUrl = "type.googleapis.com/google.crypto.tink.HmacKey";

/** What `KeyInfo` and `Key` both say of a key; enums as their numbers. */
export interface KeyInfo {
  /** As it is in the message; empty for a destroyed key. */
  typeUrl: Uint8Array;
  status: number;
  id: number;
  prefix: number;
}

/** `KeysetInfo`: what is known of a keyset without decrypting it. Nobody vouches for it. */
export interface KeysetInfo {
  primaryId: number;
  keys: KeyInfo[];
}

/** `EncryptedKeyset` */
export interface EncryptedKeyset {
  ciphertext: Uint8Array;
  info?: KeysetInfo;
}

/** `Keyset.Key`; `value` is the serialized key, a view into the keyset's bytes. */
export interface KeysetKey extends KeyInfo {
  value: Buffer;
  material: number;
}

export interface Keyset {
  primaryId: number;
  keys: KeysetKey[];
}

/** `HmacKey`; `keyValue` is a view into the keyset's bytes. */
export interface TinkHmacKey {
  version: number;
  hash: number;
  tagSize: number;
  keyValue: Buffer;
}

const keysetFields: FieldTypes = { 1: "number", 2: "list" };
const keyFields: FieldTypes = { 1: "bytes", 2: "number", 3: "number", 4: "number" };
const keyDataFields: FieldTypes = { 1: "bytes", 2: "bytes", 3: "number" };
const keyInfoFields = keyFields;
/** Field 1 is none of an encrypted keyset's, and so tells that it is none. */
const encryptedFields: FieldTypes = { 1: "number", 2: "list", 3: "bytes" };
const hmacKeyFields: FieldTypes = { 1: "number", 2: "bytes", 3: "bytes" };
const hmacParamsFields: FieldTypes = { 1: "number", 2: "number" };

/**
 * Reads a decrypted keyset; values are views into `bytes`.
 *
 * @throws ProtobufError
 */
export function decodeKeyset(bytes: Uint8Array): Keyset {
  const keyset = new Message(bytes, keysetFields, "the keyset");
  const keys = keyset.list(2).map((each): KeysetKey => {
    const key = new Message(each, keyFields, "a key of the keyset");
    const data = key.message(1, keyDataFields, "the data");
    const value = { typeUrl: data.bytes(1), value: data.bytes(2), material: data.number(3) };
    return { ...value, status: key.number(2), id: key.number(3), prefix: key.number(4) };
  });
  return { primaryId: keyset.number(1), keys };
}

/**
 * Reads the key in a keyset's key of type HMAC.
 *
 * @throws ProtobufError
 */
export function decodeHmacKey({ value, material }: KeysetKey): TinkHmacKey {
  if (material !== symmetric) throw new ProtobufError("the HMAC key's material is not said to be symmetric");
  const key = new Message(value, hmacKeyFields, "the HMAC key");
  const params = key.message(2, hmacParamsFields, "the parameters");
  const rest = { hash: params.number(1), tagSize: params.number(2), keyValue: key.bytes(3) };
  return { version: key.number(1), ...rest };
}

/** A keyset of one key, which is RAW HMAC-SHA256 with tags of 32 bytes; the caller wipes it. */
export function encodeKeyset(keyValue: Uint8Array, id: number): Buffer {
  const hmacKey: Field[] = [
    [
      2,
      [
        [1, hashTypes.SHA256],
        [2, 32],
      ],
    ],
    [3, keyValue],
  ];
  const data: Field[] = [
    [1, Buffer.from(hmacTypeUrl)],
    [2, hmacKey],
    [3, symmetric],
  ];
  const key: Field[] = [
    [1, data],
    [2, statuses.ENABLED],
    [3, id],
    [4, prefixes.RAW],
  ];
  return encodeMessage([
    [1, id],
    [2, key],
  ]);
}

/**
 * Reads the binary form of an encrypted keyset. A cleartext one has its keys in the same field, and would be sent to a KMS as a
 * ciphertext: it is refused.
 *
 * @throws ProtobufError
 * @throws KeysetError `ERR_KEYSET_CLEARTEXT`
 */
export function decodeEncryptedKeyset(bytes: Uint8Array): EncryptedKeyset {
  const keyset = new Message(bytes, encryptedFields, "the encrypted keyset");
  if (keyset.has(1)) throw cleartextKeyset();
  if (keyset.list(2).length > 1) throw new ProtobufError("the encrypted keyset has a field twice");
  const ciphertext = keyset.bytes(2);
  if (!keyset.has(3)) return { ciphertext };
  const info = keyset.message(3, keysetFields, "the keyset info");
  const keys = info.list(2).map((each): KeyInfo => {
    const key = new Message(each, keyInfoFields, "a key of the keyset info");
    return { typeUrl: key.bytes(1), status: key.number(2), id: key.number(3), prefix: key.number(4) };
  });
  return { ciphertext, info: { primaryId: info.number(1), keys } };
}

/** The binary form of an encrypted keyset. */
export function encodeEncryptedKeyset({ ciphertext, info }: EncryptedKeyset): Buffer {
  const keys = info?.keys.map(({ typeUrl, status, id, prefix }): Field => {
    const key: Field[] = [
      [1, typeUrl],
      [2, status],
      [3, id],
      [4, prefix],
    ];
    return [2, key];
  });
  return encodeMessage([
    [2, ciphertext],
    ...(info && keys ? [[3, [[1, info.primaryId], ...keys]] as Field] : []),
  ]);
}
