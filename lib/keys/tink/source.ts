import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { AwsHmacError } from "../../core/errors.js";
import { readInto } from "../../core/read-into.js";
import { invalid } from "../../core/validate.js";
import { cleartextKeyset, invalidKeyset } from "./errors.js";
import { parseEncryptedKeyset } from "./json.js";
import { decodeEncryptedKeyset, type EncryptedKeyset } from "./messages.js";
import { parsed, primaryOf } from "./rules.js";

/** Where an encrypted keyset is: exactly one of `keyset` and `keysetFile` is needed. */
export interface TinkKeysetSource {
  /** The keyset: its bytes, in Tink's binary or JSON form, or its JSON text. */
  keyset?: Uint8Array | string | undefined;
  /** Path of a file with either form. */
  keysetFile?: string | undefined;
}

/** The most bytes of an encrypted keyset. A KMS takes 64 KiB at most (AWS 4 KiB), and JSON needs a third more. */
const longest = 128 * 1024;
/** What each key in a cleartext keyset has, and no ciphertext by chance. */
const inCleartext = "type.googleapis.com/google.crypto.tink.";

/**
 * Reads an encrypted keyset, and refuses what can be seen to be unusable without decrypting it. The ciphertext is a copy.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`, `ERR_KEY_NOT_FOUND` of a file that cannot be read
 * @throws KeysetError `ERR_KEYSET_FORMAT`, `ERR_KEYSET_CLEARTEXT`; by what it says of its keys also `ERR_KEYSET_PRIMARY`,
 *   `ERR_KEYSET_ALGORITHM`, `ERR_KEYSET_PREFIX`
 */
export async function readCiphertext({ keyset, keysetFile }: TinkKeysetSource): Promise<Buffer> {
  if ((keyset === undefined) === (keysetFile === undefined)) {
    throw invalid("exactly one of keyset and keysetFile must say where the keyset is");
  }
  const { ciphertext, info } = parse(keyset ?? (await readKeysetFile(keysetFile)));
  if (ciphertext.length === 0) throw invalidKeyset("ERR_KEYSET_FORMAT", "it is empty");
  if (Buffer.from(ciphertext).includes(inCleartext)) throw cleartextKeyset();
  if (info && info.keys.length > 0) primaryOf(info);
  return Buffer.from(ciphertext);
}

/**
 * Reads an encrypted keyset's file, and what it says of its keys if it does; nobody vouches for that.
 *
 * @throws AwsHmacError `ERR_KEY_NOT_FOUND` of a file that cannot be read; KeysetError `ERR_KEYSET_FORMAT`, `ERR_KEYSET_CLEARTEXT`
 */
export async function readKeyset(keysetFile: string): Promise<EncryptedKeyset> {
  return parse(await readKeysetFile(keysetFile));
}

function parse(keyset: unknown): EncryptedKeyset {
  if (typeof keyset !== "string" && !(keyset instanceof Uint8Array)) {
    throw invalid("keyset must be a Uint8Array or a string");
  }
  if (keyset.length > longest) {
    throw invalidKeyset("ERR_KEYSET_FORMAT", `it is longer than ${longest} bytes`);
  }
  const isJson = typeof keyset === "string" ? /^\s*\{/.test(keyset) : startsWithBrace(keyset);
  if (typeof keyset === "string") {
    if (isJson) return parseEncryptedKeyset(keyset);
    throw invalidKeyset(
      "ERR_KEYSET_FORMAT",
      "the string is no JSON: give a binary keyset as bytes, decoded if it is in base64 or hexadecimal",
    );
  }
  if (isJson) return parseEncryptedKeyset(Buffer.from(keyset).toString());
  return parsed("no encrypted keyset", () => decodeEncryptedKeyset(keyset));
}

function startsWithBrace(bytes: Uint8Array): boolean {
  const first = bytes.findIndex((byte) => ![0x09, 0x0a, 0x0d, 0x20].includes(byte));
  return bytes[first] === 0x7b;
}

async function readKeysetFile(file: unknown): Promise<Buffer> {
  if (typeof file !== "string" || file === "" || file.includes("\0"))
    throw invalid("keysetFile must be a path");
  const bytes = Buffer.alloc(longest + 1);
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return bytes.subarray(0, await readInto(bytes, handle));
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new AwsHmacError("ERR_KEY_NOT_FOUND", `keysetFile ${file} cannot be read`, { cause });
  }
}
