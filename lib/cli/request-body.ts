import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import process from "node:process";
import { buffer } from "node:stream/consumers";
import { invalid } from "../core/validate.js";

/** Data as curl's options give it: where it comes from, and what becomes of it. */
export interface DataPart {
  /** curl's own name of the option. */
  flag: "--data" | "--data-raw" | "--data-binary" | "--json";
  /** The data, or `@` and the file that it is in; `@-` is stdin. */
  text: string;
}

/** A file that is sent as it is, never as a whole in memory. */
export interface BodyFile {
  path: string;
  /** Bytes. */
  size: number;
  /** SHA-256 in hex digits. */
  hash: string;
}

/** The body that curl makes of these: what follows is joined with `&`, JSON with nothing. */
export async function bodyOf(parts: readonly DataPart[]): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (const { flag, text } of parts) {
    if (pieces.length > 0 && flag !== "--json") pieces.push(Buffer.from("&"));
    const isFile = text.startsWith("@") && flag !== "--data-raw";
    const bytes = isFile ? await contentOf(text.slice(1)) : Buffer.from(text);
    pieces.push(isFile && flag === "--data" ? withoutLineEnds(bytes) : bytes);
  }
  return Buffer.concat(pieces);
}

/**
 * Reads a file for its length and hash.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` for what cannot be read twice
 */
export async function measured(path: string): Promise<BodyFile> {
  if (path === "-")
    throw invalid("--upload-file needs a file: it is read twice, to be hashed and to be sent");
  const handle = await open(path).catch((cause: NodeJS.ErrnoException) => {
    throw invalid(`--upload-file: cannot open ${path} (${cause.code})`);
  });
  try {
    if (!(await handle.stat()).isFile()) throw invalid(`--upload-file: ${path} is no regular file`);
    const hash = createHash("sha256");
    let size = 0;
    for await (const chunk of handle.createReadStream({ autoClose: false })) {
      hash.update(chunk);
      size += chunk.length;
    }
    return { path, size, hash: hash.digest("hex") };
  } finally {
    await handle.close();
  }
}

/**
 * The bytes that were hashed: where the file has become longer, no more than that.
 *
 * @throws AwsHmacError `ERR_INVALID_ARGUMENT` where it has become shorter
 */
export async function* chunksOf({ path, size }: BodyFile): AsyncGenerator<Buffer, void, undefined> {
  let sent = 0;
  for await (const chunk of createReadStream(path, { end: size - 1 })) {
    sent += chunk.length;
    yield chunk;
  }
  if (sent < size) throw invalid(`--upload-file: ${path} was changed while it was sent`);
}

async function contentOf(path: string): Promise<Buffer> {
  if (path === "-") return buffer(process.stdin);
  try {
    return await readFile(path);
  } catch (cause) {
    throw invalid(`the data's file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code})`);
  }
}

/** As curl does with `--data @file`. */
function withoutLineEnds(bytes: Buffer): Buffer {
  return bytes.filter((byte) => byte !== 0x0a && byte !== 0x0d && byte !== 0) as Buffer;
}
