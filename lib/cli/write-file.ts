import { AwsHmacError } from "../core/errors.js";
import { type WholeFileOptions, writeWholeFile } from "../core/whole-file.js";

/**
 * `writeWholeFile` with errors that name the file.
 *
 * @throws AwsHmacError `ERR_KEY_EXISTS` where there is one that is not to be replaced, `ERR_INVALID_ARGUMENT` where it cannot be written
 */
export async function writeWhole(
  file: string,
  content: string | Uint8Array,
  options: WholeFileOptions = {},
): Promise<void> {
  try {
    await writeWholeFile(file, content, options);
  } catch (cause) {
    if (cause instanceof AwsHmacError) throw cause;
    const { code = "" } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST") {
      throw new AwsHmacError("ERR_KEY_EXISTS", `${file} is there already: nothing was changed`);
    }
    throw new AwsHmacError(
      "ERR_INVALID_ARGUMENT",
      `${file} cannot be written (${code}): nothing was changed`,
      { cause },
    );
  }
}
