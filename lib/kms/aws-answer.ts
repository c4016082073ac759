import { Readable } from "node:stream";
import type { DecryptCommand, GenerateMacCommand } from "@aws-sdk/client-kms";
import { secretBuffer, wipe } from "../core/wipe.js";
import { fromBase64 } from "../vault/base64.js";

/** The secret bytes of one answer; the caller wipes them. */
export interface TakenBytes {
  bytes?: Buffer | undefined;
}

/**
 * Takes the secret bytes out of the answer to a command before the SDK reads that, and leaves none there: the SDK makes
 * strings of an answer, in V8's heap, where copies of the secret outlived many rounds of garbage collection, and a MAC would
 * go to the client's logger. An answer of another form than `"<field>": "<base64>"` is left to the SDK.
 */
export function takeBytes(command: DecryptCommand, field: "Plaintext"): TakenBytes;
export function takeBytes(command: GenerateMacCommand, field: "Mac"): TakenBytes;
export function takeBytes(
  { middlewareStack }: DecryptCommand | GenerateMacCommand,
  field: string,
): TakenBytes {
  const taken: TakenBytes = {};
  (middlewareStack as DecryptCommand["middlewareStack"]).add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { statusCode?: number; body?: unknown } | undefined;
      if (response?.statusCode !== 200 || !isStream(response.body)) return result;
      const body = await read(response.body);
      try {
        const place = placeOf(body, field);
        wipe(taken.bytes); // of an earlier answer
        taken.bytes = place && fromBase64(body.subarray(...place));
        const [start, end] = taken.bytes && place ? place : [0, 0];
        response.body = Readable.from([Buffer.concat([body.subarray(0, start), body.subarray(end)])]);
      } finally {
        wipe(body);
      }
      return result;
    },
    { step: "deserialize", priority: "low", name: "awsHmacTakeBytes" },
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

/** Where the base64 of a field begins and ends in JSON; undefined where it is not there or is escaped. */
function placeOf(json: Buffer, field: string): [start: number, end: number] | undefined {
  const name = Buffer.from(`"${field}"`);
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
