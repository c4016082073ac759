import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { readInto } from "./read-into.js";
import { secretBuffer, wipe } from "./wipe.js";

/** The most bytes that such a file may have. */
const longest = 4096;

/** Makes the error of a file that cannot be used. */
export type Refuse = (reason: string, cause?: unknown) => Error;

/**
 * The secret in a file: its bytes but for one newline at the end. The caller wipes them.
 *
 * The file must belong to this process's user or to root, be of no use to others (mode `o=`), and not be writable by its
 * group. The group may read it: that is how systemd and Kubernetes hand secrets out.
 *
 * @throws what `refuse` makes
 */
export async function readPrivateFile(file: string, refuse: Refuse): Promise<Buffer> {
  let handle: FileHandle;
  try {
    handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    throw refuse(`cannot open ${file}`, cause);
  }
  try {
    await check(handle, file, refuse);
    return await readSecret(handle, file, refuse);
  } finally {
    await handle.close();
  }
}

/** The same of an open file, a pipe too, whoever may read it. */
export async function readSecret(handle: FileHandle, name: string, refuse: Refuse): Promise<Buffer> {
  const bytes = secretBuffer(longest + 1);
  try {
    const length = await readInto(bytes, handle);
    if (length > longest) throw refuse(`${name} has more than ${longest} bytes`);
    const secret = withoutNewline(bytes.subarray(0, length));
    if (secret.length === 0) throw refuse(`${name} is empty`);
    return secret;
  } finally {
    wipe(bytes);
  }
}

async function check(handle: FileHandle, file: string, refuse: Refuse): Promise<void> {
  const status = await handle.stat();
  if (!status.isFile()) throw refuse(`${file} is no regular file`);
  if (status.uid !== 0 && status.uid !== process.geteuid?.()) {
    throw refuse(`${file} belongs to another user: have it belong to this one or to root`);
  }
  if ((status.mode & 0o027) !== 0) {
    throw refuse(`others may get at ${file}, or its group write to it: chmod o=,g-w it`);
  }
}

function withoutNewline(bytes: Buffer): Buffer {
  let end = bytes.length;
  if (bytes[end - 1] === 0x0a) end -= bytes[end - 2] === 0x0d ? 2 : 1;
  const secret = secretBuffer(end);
  bytes.copy(secret, 0, 0, end);
  return secret;
}
