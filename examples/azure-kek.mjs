// A key of Azure Key Vault, or of a Managed HSM, as the key that encrypts a Tink keyset: `aead` of openTinkKey and importTinkKey.
//
//   import { CryptographyClient } from "@azure/keyvault-keys";
//   import { DefaultAzureCredential } from "@azure/identity";
//
//   const url = "https://my-vault.vault.azure.net/keys/kek/0123456789abcdef0123456789abcdef";
//   const aead = azureAead(new CryptographyClient(url, new DefaultAzureCredential()));
//   const key = await openTinkKey({ keysetFile: "keyset.json", aead, associatedData });
//
// Key Vault's RSA keys encrypt no more than a few hundred bytes, and bind nothing to them. So a data key of its own encrypts each
// keyset here (AES-256-GCM, with the associated data), and Key Vault wraps that (RSA-OAEP-256). The right to unwrap is
// "Key Vault Crypto Service Encryption User". The URL names the version that wraps; an older one unwraps what it wrapped.
//
// The local half is tested with an RSA key of Node's; it was not run against Azure.
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";

const algorithm = "RSA-OAEP-256";
// of a ciphertext: 2 bytes the wrapped key's length, the wrapped key, and these
const ivLength = 12;
const tagLength = 16;

/** An Aead of a `CryptographyClient` of @azure/keyvault-keys, whose key is an RSA key with the operations wrapKey and unwrapKey. */
export function azureAead(client) {
  return {
    async encrypt(plaintext, associatedData, { signal: abortSignal } = {}) {
      const dataKey = secretBytes(randomBytes(32));
      try {
        const { result: wrapped } = await asked(client.wrapKey(algorithm, dataKey, { abortSignal }));
        const iv = randomBytes(ivLength);
        const cipher = createCipheriv("aes-256-gcm", dataKey, iv).setAAD(associatedData);
        const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(wrapped.length);
        return Buffer.concat([length, wrapped, iv, cipher.getAuthTag(), body]);
      } finally {
        dataKey.fill(0);
      }
    },

    async decrypt(ciphertext, associatedData, { signal: abortSignal } = {}) {
      const bytes = Buffer.from(ciphertext);
      const at = bytes.length < 2 ? bytes.length : 2 + bytes.readUInt16BE();
      if (bytes.length < at + ivLength + tagLength) throw new Error("the ciphertext is cut off");
      const { result } = await asked(client.unwrapKey(algorithm, bytes.subarray(2, at), { abortSignal }));
      const dataKey = secretBytes(result);
      try {
        const [iv, tag, body] = [at, at + ivLength, at + ivLength + tagLength].map((from, part) =>
          bytes.subarray(from, [from + ivLength, from + tagLength, undefined][part]),
        );
        const decipher = createDecipheriv("aes-256-gcm", dataKey, iv, { authTagLength: tagLength });
        decipher.setAAD(associatedData).setAuthTag(tag);
        const plaintext = secretBytes(decipher.update(body));
        try {
          decipher.final(); // throws where something was changed
          return plaintext;
        } catch (error) {
          plaintext.fill(0);
          throw error;
        }
      } finally {
        dataKey.fill(0);
      }
    },
  };
}

/** The bytes in memory outside of V8's heap; where they were is wiped. */
function secretBytes(bytes) {
  const own = Buffer.from(new ArrayBuffer(bytes.length));
  own.set(bytes);
  bytes.fill(0);
  return own;
}

/** Tells by `retryable` whether Key Vault could not answer now, as openTinkKey and fallbackKey want to know. */
async function asked(answer) {
  try {
    return await answer;
  } catch (error) {
    const { statusCode } = error; // a RestError has none where no answer came
    const passes =
      error.name === "RestError" && (statusCode === undefined || statusCode === 429 || statusCode >= 500);
    throw Object.assign(error, { retryable: passes });
  }
}
