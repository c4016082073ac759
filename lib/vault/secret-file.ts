import { open } from "node:fs/promises";
import { VaultError } from "../core/errors.js";
import { readInto } from "../core/read-into.js";
import { secretBuffer, wipe } from "../core/wipe.js";

/** The most characters of a token, a secret ID or a JSON Web Token here. */
export const longestText = 16_384;

/** Whether it is the text of a token or the like: printable ASCII without white space, and nothing that JSON would escape. */
export function isTokenText(text: Uint8Array): boolean {
  if (text.length === 0 || text.length > longestText) return false;
  return text.every((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c);
}

/**
 * The text of a file without the white space around it; the caller wipes it.
 *
 * @param option the option that names the file, for the error
 * @param remedy what to do where it cannot be read
 * @throws VaultError `ERR_VAULT_TOKEN`
 */
export async function readSecretFile(option: string, file: string, remedy: string): Promise<Buffer> {
  const bytes = secretBuffer(longestText + 2);
  try {
    const length = await readFileInto(bytes, file).catch((cause) => {
      throw unusable(`cannot read ${file} (option ${option}): ${remedy}`, cause);
    });
    const isSpace = (at: number): boolean => (bytes[at] as number) <= 0x20;
    let [from, to] = [0, length];
    while (from < to && isSpace(from)) from++;
    while (to > from && isSpace(to - 1)) to--;
    if (from === to) throw unusable(`${file} (option ${option}) is empty`);
    if (bytes[from] === 0x7b) {
      throw unusable(
        `${file} (option ${option}) holds JSON: a sink with wrap_ttl or dh_type writes no plain token`,
      );
    }
    const text = secretBuffer(to - from);
    bytes.copy(text, 0, from, to);
    if (isTokenText(text)) return text;
    wipe(text);
    throw unusable(`${file} (option ${option}) holds something else`);
  } finally {
    wipe(bytes);
  }
}

async function readFileInto(bytes: Buffer, file: string): Promise<number> {
  const handle = await open(file);
  try {
    return await readInto(bytes, handle);
  } finally {
    await handle.close();
  }
}

/** An error of a token that cannot be had. */
export function unusable(reason: string, cause?: unknown): VaultError {
  return new VaultError("ERR_VAULT_TOKEN", `no usable token: ${reason}`, { status: 0, operation: "", cause });
}
