import { createSecretKey } from "node:crypto";
import type { HmacKey } from "../core/hmac-key.js";
import { wipe } from "../core/wipe.js";
import { SoftwareKey } from "./software-key.js";
import { decryptKeyset } from "./tink/decrypt.js";
import { encryptionOf, type TinkKek } from "./tink/options.js";
import { signingKeyIn } from "./tink/rules.js";
import { readCiphertext, type TinkKeysetSource } from "./tink/source.js";

/** Which keyset, and how it is decrypted. */
export interface TinkKeyOptions extends TinkKeysetSource, TinkKek {}

/**
 * Opens the primary key of a Tink keyset that a KMS encrypted: JSON or binary, as Tink's libraries for Go, Python and Java write it
 * (Tink's proto/tink.proto). It must be a RAW HMAC-SHA256 key with tags of 32 bytes, whose value is "AWS4" and the secret
 * access key; other keys in the keyset are not used.
 *
 * The KMS is called once. From then on the key is in this process's memory, in OpenSSL's and not in V8's; what was decrypted
 * is wiped before this resolves. What shows that a keyset cannot be used is checked before the KMS is called, as far as it
 * can be seen: a cleartext keyset is never sent.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_KEY_NOT_FOUND` of a file that cannot be read, `ERR_TIMEOUT`
 * @throws KeysetError `ERR_KEYSET_FORMAT`, `ERR_KEYSET_CLEARTEXT`, `ERR_KEYSET_PRIMARY`, `ERR_KEYSET_ALGORITHM`,
 *   `ERR_KEYSET_PREFIX`, `ERR_KEY_UNSUITABLE` of a key without "AWS4", `ERR_KEYSET_DECRYPT` of another key encryption key,
 *   other associated data or a corrupt keyset, `ERR_KMS_UNAVAILABLE` where `aead` rejects with an error whose `retryable` is true
 * @example
 * const key = await openTinkKey({ keysetFile: "/etc/aws/keyset.json", aead });
 */
export async function openTinkKey(options: TinkKeyOptions): Promise<HmacKey> {
  // both begin now, and so read the caller's arrays now
  const [encryption, ciphertext] = await Promise.all([encryptionOf(options), readCiphertext(options)]);
  const bytes = await decryptKeyset(ciphertext, encryption);
  try {
    return new SoftwareKey("tink", createSecretKey(signingKeyIn(bytes)));
  } finally {
    wipe(bytes);
  }
}
