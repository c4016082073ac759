import type { FileHandle } from "node:fs/promises";

/** Reads an open file, or a pipe, until it ends or the buffer is full; gives how many bytes that were. */
export async function readInto(bytes: Buffer, handle: FileHandle): Promise<number> {
  let length = 0;
  for (let read = -1; read !== 0 && length < bytes.length; length += read) {
    read = (await handle.read(bytes, length, bytes.length - length)).bytesRead;
  }
  return length;
}
