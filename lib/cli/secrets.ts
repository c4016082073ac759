import process from "node:process";
import { AwsHmacError } from "../core/errors.js";
import { readPrivateFile } from "../core/private-file.js";
import { invalid, secretBytes } from "../core/validate.js";

/** Where a PIN or a password may come from: never from the command line itself. */
export interface SecretPlaces {
  /** For messages: "PIN", "password". */
  what: string;
  file?: string | undefined;
  /** The name of an environment variable. */
  variable?: string | undefined;
}

/**
 * The secret in the file (as `readPrivateFile` wants it) or in the variable; undefined where neither is given. The caller
 * wipes it.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` of a file or a variable that cannot be used
 */
export async function secretFrom({ what, file, variable }: SecretPlaces): Promise<Buffer | undefined> {
  if (file !== undefined && variable !== undefined) {
    throw invalid(`the ${what} comes from a file or from a variable: leave one of them out`);
  }
  if (file !== undefined) {
    return readPrivateFile(
      file,
      (reason, cause) => new AwsHmacError("ERR_INVALID_ARGUMENT", `no ${what}: ${reason}`, { cause }),
    );
  }
  if (variable === undefined) return undefined;
  const value = process.env[variable];
  if (!value) throw invalid(`the environment variable ${variable} for the ${what} is not set`);
  return secretBytes(what, value);
}
