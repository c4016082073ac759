import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AwsHmacError } from "../../core/errors.js";
import { secretBuffer, wipe } from "../../core/wipe.js";

/** The most bytes that a file with a PIN may have. */
const longest = 4096;

/**
 * The PIN in the file of a URI's pin-source (RFC 7512, 2.4): its bytes but for one newline at the end. The caller wipes them.
 *
 * The file must belong to this process's user or to root, be of no use to others (mode `o=`), and not be writable by its
 * group. The group may read it: that is how systemd and Kubernetes hand secrets out.
 *
 * @param source `file:/path`, `file:///path` or an absolute path; `|command` is not run
 * @throws AwsHmacError `ERR_PIN_SOURCE`
 */
export async function readPinFile(source: string): Promise<Buffer> {
  const file = pathOf(source);
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw refused(`cannot open ${file}`, cause);
  }
  const bytes = secretBuffer(longest + 1);
  try {
    await check(handle, file);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = (await handle.read(bytes, length, bytes.length - length)).bytesRead;
    }
    if (length > longest) throw refused(`${file} has more than ${longest} bytes`);
    const pin = withoutNewline(bytes.subarray(0, length));
    if (pin.length === 0) throw refused(`${file} is empty`);
    return pin;
  } finally {
    wipe(bytes);
    await handle.close();
  }
}

function pathOf(source: string): string {
  if (source.startsWith("|")) throw refused("a command is not run: write the PIN to a file");
  const file = /^(?:file:(?:\/\/(?=\/))?)?(\/(?!\/).*)$/s.exec(source)?.[1];
  if (file === undefined) throw refused("it must be file:/path or an absolute path");
  return file;
}

async function check(handle: FileHandle, file: string): Promise<void> {
  const status = await handle.stat();
  if (!status.isFile()) throw refused(`${file} is no regular file`);
  if (status.uid !== 0 && status.uid !== process.geteuid?.()) {
    throw refused(`${file} belongs to another user: have it belong to this one or to root`);
  }
  if ((status.mode & 0o027) !== 0) {
    throw refused(`others may get at ${file}, or its group write to it: chmod o=,g-w it`);
  }
}

function withoutNewline(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  const pin = secretBuffer(end);
  bytes.copy(pin, 0, 0, end);
  return pin;
}

function refused(reason: string, cause?: unknown): AwsHmacError {
  return new AwsHmacError("ERR_PIN_SOURCE", `the URI's pin-source is not usable: ${reason}`, { cause });
}
