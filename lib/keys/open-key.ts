import type { HmacKey } from "../core/hmac-key.js";
import { invalid } from "../core/validate.js";
import { type AwsKmsKeyOptions, openAwsKmsKey } from "./aws-kms.js";
import type { Pkcs11KeyName, Pkcs11Token } from "./pkcs11/options.js";
import { openPkcs11Key, type Pkcs11KeyOptions } from "./pkcs11.js";
import type { TinkPlace } from "./reference/tink.js";
import type { TpmPlace } from "./reference/tpm.js";
import type { VaultPlace } from "./reference/vault.js";
import { parseKeyReference } from "./reference.js";
import { openTinkKey, type TinkKeyOptions } from "./tink.js";
import { openTpmKey, type TpmKeyOptions } from "./tpm.js";
import { openVaultKey, type VaultKeyOptions } from "./vault.js";

/**
 * What a reference does not say: PINs, passwords, tokens, bounds. Each is as in the backend's `open…` call, and only those of
 * the reference's backend count: a program may give them for all.
 */
export interface OpenKeyOptions
  extends Omit<TpmKeyOptions, "handle" | "pem" | "pemFile" | "contextFile" | "blobs">,
    Omit<Pkcs11KeyOptions, keyof Pkcs11Token | keyof Pkcs11KeyName>,
    Pick<Pkcs11Token, "initArgs">,
    Omit<VaultKeyOptions, keyof VaultPlace>,
    Omit<TinkKeyOptions, keyof TinkPlace | "keyset">,
    Pick<AwsKmsKeyOptions, "client"> {}

/**
 * Opens a key by one string, which a configuration can hold:
 * - `pkcs11:token=aws;object=signer?module-path=…`: an RFC 7512 URI, the one kind that may hold a secret (`pin-value`);
 * - `tpm:0x81008001?tcti=…`, or `handle:0x81008001`: a persistent handle;
 * - `tpm:/path.pem?tcti=…&parent=…`, or a plain path: a `TSS2 PRIVATE KEY` file;
 * - `vault:https://vault.example:8200/transit/signer?version=1`, with `&namespace=…` as needed: a key in Vault or OpenBao;
 * - `tink:/path?kek=…&associated-data=…`, both percent-encoded: a Tink keyset; without `kek` it needs `aead`;
 * - `aws-kms:arn:aws:kms:…`: the ARN of an HMAC key in AWS KMS, or of an alias.
 *
 * A reference is as trusted as the program: it names libraries that are loaded (`module-path`, `tcti`), and servers that
 * tokens are sent to or that are asked to decrypt.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` of a reference that is malformed, or that an option contradicts; and what
 *   `openPkcs11Key`, `openTpmKey`, `openVaultKey`, `openTinkKey` and `openAwsKmsKey` throw
 * @example
 * const key = await openKey(process.env.SIGNING_KEY, { pinEnv: "TOKEN_PIN", auth: { password } });
 */
export async function openKey(reference: string, options: OpenKeyOptions = {}): Promise<HmacKey> {
  const parsed = parseKeyReference(reference);
  switch (parsed.backend) {
    case "pkcs11":
      return openPkcs11Key({ ...options, ...parsed.place });
    case "tpm":
      return openTpm(parsed.place, options);
    case "vault":
      return openVaultKey({ ...options, ...parsed.place });
    case "tink":
      return openTinkKey({ ...options, ...parsed.place });
    case "aws-kms":
      // the settings may be of Google's client too, where they are for a keyset's key
      return openAwsKmsKey({ ...(options as Omit<AwsKmsKeyOptions, "keyId">), ...parsed.place });
  }
}

async function openTpm(place: TpmPlace, options: OpenKeyOptions): Promise<HmacKey> {
  for (const name of ["tcti", "parent"] as const) {
    const said = place[name];
    if (said !== undefined && options[name] !== undefined && options[name] !== said) {
      throw invalid(`${name} is not what the key's reference says: leave one of them out`);
    }
  }
  return openTpmKey({ ...options, ...place });
}
