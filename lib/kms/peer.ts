import { AwsHmacError } from "../core/errors.js";

/**
 * Why an optional package could not be loaded: an error that says how to install it where it is not there, else the
 * package's own.
 *
 * @param name the package, as npm names it
 * @param purpose what it is for, e.g. `aws-kms://`
 */
export function peerError(name: string, purpose: string, cause: unknown): unknown {
  const { code, message = "" } = cause as NodeJS.ErrnoException;
  const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  // something that the package itself needs may be missing instead
  if (!missing || !message.includes(`'${name}'`)) return cause;
  return new AwsHmacError(
    "ERR_PEER_MISSING",
    `${purpose} needs the package ${name}, which is not installed: npm install ${name}`,
    { cause },
  );
}
