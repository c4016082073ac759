import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";
import { plainSignature } from "./derived-keys.js";

/** A message of an event stream (Amazon Transcribe guide, "Event stream encoding"), its headers as they came. */
export interface RawMessage {
  headers: Map<string, { value: Buffer; encoded: Buffer }>;
  payload: Buffer;
}

/** The first whole message in `bytes` and its length; undefined where there is none yet. Throws for a wrong checksum. */
export function takeMessage(bytes: Buffer): { message: RawMessage; length: number } | undefined {
  if (bytes.length < 16) return undefined;
  const length = bytes.readUInt32BE(0);
  if (bytes.length < length) return undefined;
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8))
    throw new Error("the prelude's checksum is wrong");
  if (crc32(bytes.subarray(0, length - 4)) !== bytes.readUInt32BE(length - 4))
    throw new Error("the message's checksum is wrong");
  const end = 12 + bytes.readUInt32BE(4);
  const headers: RawMessage["headers"] = new Map();
  for (let at = 12; at < end; ) {
    const start = at;
    const nameEnd = at + 1 + bytes.readUInt8(at);
    const name = bytes.toString("utf8", at + 1, nameEnd);
    const { from, to } = valueAt(bytes, nameEnd);
    headers.set(name, { value: bytes.subarray(from, to), encoded: bytes.subarray(start, to) });
    at = to;
  }
  return { message: { headers, payload: bytes.subarray(end, length - 4) }, length };
}

function valueAt(bytes: Buffer, at: number): { from: number; to: number } {
  const type = bytes.readUInt8(at);
  const from = at + 1;
  const timestamp = 8;
  const [binary, text] = [6, 7];
  if (type === timestamp) return { from, to: from + 8 };
  if (type === binary || type === text) return { from: from + 2, to: from + 2 + bytes.readUInt16BE(from) };
  throw new Error(`no header of type ${type} was expected`);
}

const sha256 = (data: Uint8Array): string => createHash("sha256").update(data).digest("hex");

/** What the events of one stream have in common. */
export interface EventScope {
  secretAccessKey: string;
  region: string;
  service: string;
}

/** The signature of an event that follows `prior`: 64 hex digits, from the plain secret (SigV4 guide, "event streams"). */
export function eventSignature(
  { secretAccessKey, region, service }: EventScope,
  date: Date,
  prior: string,
  headers: Uint8Array,
  payload: Uint8Array,
): string {
  const time = date.toISOString().replace(/[-:]|\.\d{3}/g, "");
  const scope = [time.slice(0, 8), region, service];
  const head = ["AWS4-HMAC-SHA256-PAYLOAD", time, `${scope.join("/")}/aws4_request`, prior];
  return plainSignature(secretAccessKey, scope, [...head, sha256(headers), sha256(payload)].join("\n"));
}

/** The date of a signed message and its signature; throws unless the signature is right. */
export function verifyMessage(
  scope: EventScope,
  prior: string,
  message: RawMessage,
): { date: Date; signature: string } {
  const named = (name: string): Buffer => {
    const header = message.headers.get(name);
    if (!header) throw new Error(`no header ${name}`);
    return header.value;
  };
  const date = new Date(Number(named(":date").readBigInt64BE()));
  const signature = named(":chunk-signature").toString("hex");
  const others = [...message.headers].filter(([name]) => name !== ":chunk-signature");
  const headers = Buffer.concat(others.map(([, { encoded }]) => encoded));
  if (signature !== eventSignature(scope, date, prior, headers, message.payload))
    throw new Error(`the event of ${date.toISOString()} is not signed as it must be`);
  return { date, signature };
}
