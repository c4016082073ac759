import { Readable } from "node:stream";
import type { DecryptCommand } from "@aws-sdk/client-kms";
import { secretBuffer, wipe } from "../core/wipe.js";
import { fromBase64 } from "../vault/base64.js";

/** The plaintext of one answer; the caller wipes it. */
export interface TakenPlaintext {
  bytes?: Buffer | undefined;
}

/**
 * Takes the plaintext out of the answer to a command before the SDK reads that, and leaves an empty one there: the SDK
 * makes strings of an answer, in V8's heap, where copies of the secret outlived many rounds of garbage collection. An answer
 * of another form than `"Plaintext": "<base64>"` is left to the SDK.
 */
export function takePlaintext(command: DecryptCommand): TakenPlaintext {
  const taken: TakenPlaintext = {};
  command.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { statusCode?: number; body?: unknown } | undefined;
      if (response?.statusCode !== 200 || !isStream(response.body)) return result;
      const body = await read(response.body);
      try {
        const place = placeOf(body);
        wipe(taken.bytes); // of an earlier answer
        taken.bytes = place && fromBase64(body.subarray(...place));
        const [start, end] = taken.bytes && place ? place : [0, 0];
        response.body = Readable.from([Buffer.concat([body.subarray(0, start), body.subarray(end)])]);
      } finally {
        wipe(body);
      }
      return result;
    },
    { step: "deserialize", priority: "low", name: "awsHmacTakePlaintext" },
  );
  return taken;
}

type Stream = AsyncIterable<Uint8Array>;

function isStream(body: unknown): body is Stream {
  return typeof (body as Partial<Stream> | undefined)?.[Symbol.asyncIterator] === "function";
}

/** All of a stream, whose chunks are wiped. */
async function read(stream: Stream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const body = secretBuffer(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  wipe(...chunks);
  return body;
}

/** Where the base64 of a plaintext begins and ends in JSON; undefined where it is not there or is escaped. */
function placeOf(json: Buffer): [start: number, end: number] | undefined {
  const name = Buffer.from('"Plaintext"');
  const found = json.indexOf(name);
  if (found < 0 || json.indexOf(name, found + 1) >= 0) return undefined;
  let start = found + name.length;
  for (const expected of [":", '"']) {
    while (isSpace(json[start])) start++;
    if (json[start++] !== expected.charCodeAt(0)) return undefined;
  }
  const end = json.indexOf('"', start);
  return end < 0 ? undefined : [start, end];
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
