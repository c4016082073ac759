import { AwsHmacError } from "../../core/errors.js";
import { readPrivateFile } from "../../core/private-file.js";

/**
 * The PIN in the file of a URI's pin-source (RFC 7512, 2.4), as `readPrivateFile` reads it. The caller wipes it.
 *
 * @param source `file:/path`, `file:///path` or an absolute path; `|command` is not run
 * @throws AwsHmacError `ERR_PIN_SOURCE`
 */
export async function readPinFile(source: string): Promise<Buffer> {
  return readPrivateFile(pathOf(source), refused);
}

function pathOf(source: string): string {
  if (source.startsWith("|")) throw refused("a command is not run: write the PIN to a file");
  const file = /^(?:file:(?:\/\/(?=\/))?)?(\/(?!\/).*)$/s.exec(source)?.[1];
  if (file === undefined) throw refused("it must be file:/path or an absolute path");
  return file;
}

function refused(reason: string, cause?: unknown): AwsHmacError {
  return new AwsHmacError("ERR_PIN_SOURCE", `the URI's pin-source is not usable: ${reason}`, { cause });
}
