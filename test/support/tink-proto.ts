import protobuf from "protobufjs";

/** Tink's messages as far as these tests need them, for a protobuf library that is not ours. */
const { root } = protobuf.parse(`
  syntax = "proto3";
  package google.crypto.tink;
  enum KeyStatusType { UNKNOWN_STATUS = 0; ENABLED = 1; DISABLED = 2; DESTROYED = 3; }
  enum OutputPrefixType { UNKNOWN_PREFIX = 0; TINK = 1; LEGACY = 2; RAW = 3; CRUNCHY = 4; WITH_ID_REQUIREMENT = 5; }
  enum HashType { UNKNOWN_HASH = 0; SHA1 = 1; SHA384 = 2; SHA256 = 3; SHA512 = 4; SHA224 = 5; }
  message KeyData {
    enum KeyMaterialType { UNKNOWN_KEYMATERIAL = 0; SYMMETRIC = 1; ASYMMETRIC_PRIVATE = 2; ASYMMETRIC_PUBLIC = 3; REMOTE = 4; }
    string type_url = 1; bytes value = 2; KeyMaterialType key_material_type = 3;
  }
  message Keyset {
    message Key { KeyData key_data = 1; KeyStatusType status = 2; uint32 key_id = 3; OutputPrefixType output_prefix_type = 4; }
    uint32 primary_key_id = 1; repeated Key key = 2;
  }
  message KeysetInfo {
    message KeyInfo { string type_url = 1; KeyStatusType status = 2; uint32 key_id = 3; OutputPrefixType output_prefix_type = 4; }
    uint32 primary_key_id = 1; repeated KeyInfo key_info = 2;
  }
  message EncryptedKeyset { bytes encrypted_keyset = 2; KeysetInfo keyset_info = 3; }
  message HmacParams { HashType hash = 1; uint32 tag_size = 2; }
  message HmacKey { uint32 version = 1; HmacParams params = 2; bytes key_value = 3; }
  message AesGcmKey { uint32 version = 1; bytes key_value = 3; }
`);

export type TinkMessage = "Keyset" | "EncryptedKeyset" | "HmacKey" | "AesGcmKey";

/** The bytes of a message; names in camelCase, enums by name or number. */
export function encodeTink(message: TinkMessage, value: object): Buffer {
  const type = root.lookupType(message);
  return Buffer.from(type.encode(type.fromObject(value)).finish());
}

/** The message as an object: enums by number, what is not there as its default. */
export function decodeTink<T>(message: TinkMessage, bytes: Uint8Array): T {
  const type = root.lookupType(message);
  return type.toObject(type.decode(bytes), { defaults: true, longs: Number }) as T;
}
