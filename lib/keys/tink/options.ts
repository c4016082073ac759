import type { Aead } from "../../core/aead.js";
import { checkTimeout, invalid } from "../../core/validate.js";
import { type KekOptions, openKek } from "../../kms/kek.js";

/** The key that a keyset is encrypted with, which a KMS holds: exactly one of `kek` and `aead` is needed. */
export interface TinkKek extends KekOptions {
  /** Its URI, as Tink writes it: `aws-kms://…`, `gcp-kms://…` or `hcvault://…`. */
  kek?: string | undefined;
  /** Any object with `encrypt` and `decrypt`: an adapter of your own for another KMS. */
  aead?: Aead | undefined;
  /** The bytes that the keyset is bound to, and cannot be decrypted without; none by default. */
  associatedData?: Uint8Array | undefined;
}

/** What encrypts a keyset, and what it is bound to. */
export interface KeysetEncryption {
  aead: Aead;
  associatedData: Uint8Array;
  /** Milliseconds for one call. */
  timeout: number;
}

/**
 * The options that say how a keyset is encrypted; nothing is called.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_KEK_URI`
 */
export async function encryptionOf(options: TinkKek): Promise<KeysetEncryption> {
  const { kek, associatedData = new Uint8Array(0) } = options;
  if (!(associatedData instanceof Uint8Array)) throw invalid("associatedData must be a Uint8Array");
  const rest = {
    associatedData: Uint8Array.from(associatedData),
    timeout: checkTimeout(options.timeout),
  };
  if ((kek === undefined) === (options.aead === undefined)) {
    throw invalid("exactly one of kek and aead must say what the keyset is encrypted with");
  }
  return { aead: kek === undefined ? aeadOf(options) : await openKek(kek, options), ...rest };
}

function aeadOf({ aead, kmsClient, clientConfig, vault }: TinkKek): Aead {
  if (kmsClient !== undefined || clientConfig !== undefined || vault !== undefined) {
    throw invalid("kmsClient, clientConfig and vault are for kek: an aead has a client of its own");
  }
  if (typeof aead?.decrypt !== "function" || typeof aead.encrypt !== "function") {
    throw invalid("aead must be an object with encrypt and decrypt");
  }
  return aead;
}
