import { lstat, stat } from "node:fs/promises";
import path from "node:path";
import { AwsHmacError, KeysetError } from "../../core/errors.js";
import { invalid } from "../../core/validate.js";
import { writeWholeFile } from "../../core/whole-file.js";

/**
 * The absolute path of a file that is to be made, which must not be there yet, in a folder that is.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws KeysetError `ERR_KEY_EXISTS`
 */
export async function newFile(file: string): Promise<string> {
  if (typeof file !== "string" || file === "" || file.includes("\0"))
    throw invalid("keysetFile must be a path");
  const absolute = path.resolve(file);
  const folder = await stat(path.dirname(absolute)).catch((cause: unknown) => {
    throw notWritable(absolute, cause);
  });
  if (!folder.isDirectory()) throw invalid(`keysetFile: ${path.dirname(absolute)} is no folder`);
  if (await lstat(absolute).catch(() => undefined)) throw exists(absolute);
  return absolute;
}

/**
 * Makes a file of mode 0600, which appears under its name when it is complete and on the disk. Nothing is overwritten.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT`
 * @throws KeysetError `ERR_KEY_EXISTS`
 */
export async function writeNewFile(file: string, content: Uint8Array | string): Promise<void> {
  try {
    await writeWholeFile(file, content);
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === "EEXIST" ? exists(file) : notWritable(file, error);
  }
}

function exists(file: string): KeysetError {
  return new KeysetError("ERR_KEY_EXISTS", `keysetFile ${file} is there already: nothing was changed`);
}

function notWritable(file: string, cause: unknown): AwsHmacError {
  return new AwsHmacError("ERR_INVALID_ARGUMENT", `keysetFile ${file} cannot be written`, { cause });
}
