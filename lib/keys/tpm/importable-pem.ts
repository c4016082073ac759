import type { NativeTpmParent, NativeTpmWrapped } from "../../binding/native-tpm.js";
import type { FileFields } from "./policy/file-format.js";
import type { PolicyWay } from "./policy/native.js";
import { formatTpmKey, invalidPem, readTpmKey } from "./tss2-pem.js";

/** What the file of a key holds that was wrapped for its parent, which is to import it. */
export interface ImportableKeyFile extends NativeTpmParent, NativeTpmWrapped {
  /** Whether the file says that the key has no password. */
  emptyAuth: boolean;
  /** The file's fields that have the key's policy. */
  policy?: FileFields | undefined;
  /** What is understood of it: the ways to satisfy it. */
  policies?: PolicyWay[] | undefined;
  /** A text for people. */
  description?: string | undefined;
}

/**
 * Reads the file of a key that is to be imported: a TPMKey of type id-importablekey (draft-bottomley-tpm2-keys, 3.1.1 and 3.1.4).
 *
 * @throws AwsHmacError `ERR_PEM_INVALID`
 */
export function parseImportablePem(pem: string): ImportableKeyFile {
  const { kind, seed, publicArea, privateArea, parent, primary, ...rest } = readTpmKey(pem);
  if (kind === "loadable") {
    throw invalidPem("it holds a key that is a TPM's already: openTpmKey opens it with the option pem");
  }
  if (seed === undefined) throw invalidPem("it holds sealed data, not a key");
  return { ...rest, publicArea, duplicate: privateArea, seed, parent, primary };
}

/** Writes such a file, with the fields in `policy`. */
export function formatImportablePem({ duplicate, ...file }: ImportableKeyFile): string {
  return formatTpmKey({ ...file, kind: "importable", privateArea: duplicate });
}
