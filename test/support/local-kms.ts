import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Aead } from "../../lib/core/aead.js";
import { decodeTink } from "./tink-proto.js";

const prefix = "fake-kms://";
const ivLength = 12;
const tagLength = 16;

/** A KMS in this process: AES-GCM with a header, an iv and a tag, as Tink's AesGcmKey has it. It counts what it is asked. */
export interface LocalKms extends Aead {
  readonly calls: { encrypt: number; decrypt: number };
}

/** The KMS of a `fake-kms://` URI of Tink's for Python: an AES-GCM keyset of one key with the output prefix TINK is in it. */
export function fakeKms(uri: string): LocalKms {
  interface Keyset {
    key: { keyId: number; keyData: { value: Uint8Array } }[];
  }
  const { key } = decodeTink<Keyset>("Keyset", Buffer.from(uri.slice(prefix.length), "base64url"));
  const [only] = key;
  if (!only) throw new Error("no key in the URI");
  const { keyValue } = decodeTink<{ keyValue: Uint8Array }>("AesGcmKey", only.keyData.value);
  const header = Buffer.alloc(5);
  header[0] = 1;
  header.writeUInt32BE(only.keyId, 1);
  return aesGcm(Buffer.from(keyValue), header);
}

/** Such a KMS with a key of its own. */
export function localKms(key: Buffer = randomBytes(32), header = Buffer.alloc(0)): LocalKms {
  return aesGcm(key, header);
}

function aesGcm(key: Buffer, header: Buffer): LocalKms {
  const algorithm = key.length === 16 ? "aes-128-gcm" : "aes-256-gcm";
  const calls = { encrypt: 0, decrypt: 0 };
  return {
    calls,
    async encrypt(plaintext, associatedData) {
      calls.encrypt++;
      const iv = randomBytes(ivLength);
      const cipher = createCipheriv(algorithm, key, iv).setAAD(associatedData);
      return Buffer.concat([header, iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
    },
    async decrypt(ciphertext, associatedData) {
      calls.decrypt++;
      const bytes = Buffer.from(ciphertext);
      if (!bytes.subarray(0, header.length).equals(header)) throw new Error("of another key");
      const body = bytes.subarray(header.length);
      const decipher = createDecipheriv(algorithm, key, body.subarray(0, ivLength)).setAAD(associatedData);
      decipher.setAuthTag(body.subarray(-tagLength));
      return Buffer.concat([decipher.update(body.subarray(ivLength, -tagLength)), decipher.final()]);
    },
  };
}
