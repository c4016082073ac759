import { readAwsKmsReference } from "./reference/aws-kms.js";
import { unusable } from "./reference/text.js";
import { readTinkReference, type TinkPlace } from "./reference/tink.js";
import { readTpmReference, type TpmPlace } from "./reference/tpm.js";
import { readVaultReference, type VaultPlace } from "./reference/vault.js";

/** A key's place, as its backend's `open…` call takes it. */
export type KeyReference =
  | { backend: "pkcs11"; place: { uri: string } }
  | { backend: "tpm"; place: TpmPlace }
  | { backend: "vault"; place: VaultPlace }
  | { backend: "tink"; place: TinkPlace }
  | { backend: "aws-kms"; place: { keyId: string } };

/**
 * Reads a key's reference, as `openKey` describes it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, which shows the right form. No part of the reference is in its message: it
 *   could be a secret
 */
export function parseKeyReference(reference: string): KeyReference {
  if (typeof reference !== "string" || reference === "" || reference.includes("\0")) {
    throw unusable("it must be a string such as pkcs11:token=aws;object=signer or tpm:0x81008001");
  }
  const [, scheme, rest = ""] = /^([a-z][a-z\d+.-]*):(.*)$/is.exec(reference) ?? [];
  switch (scheme?.toLowerCase()) {
    case undefined:
      return { backend: "tpm", place: { pemFile: plainPath(reference) } };
    case "pkcs11":
      return { backend: "pkcs11", place: { uri: reference } };
    case "tpm":
      return { backend: "tpm", place: readTpmReference(rest, true) };
    case "handle":
      return { backend: "tpm", place: readTpmReference(rest, false) };
    case "vault":
      return { backend: "vault", place: readVaultReference(rest) };
    case "tink":
      return { backend: "tink", place: readTinkReference(rest) };
    case "aws-kms":
      return { backend: "aws-kms", place: readAwsKmsReference(rest) };
    default:
      throw unusable(
        "it must begin with pkcs11:, tpm:, handle:, vault:, tink: or aws-kms:, or be the path of a TSS2 PEM, which goes as ./… where it has a colon",
      );
  }
}

function plainPath(text: string): string {
  if (/^(0x)?[\da-f]{8}$/i.test(text)) throw unusable("a TPM's handle is written tpm:0x81008001");
  if (/^[A-Za-z\d+][A-Za-z\d+/]{39}$/.test(text)) {
    throw unusable("this looks like a secret access key, not like its place; a path may begin with ./");
  }
  return text;
}
