import { createHash } from "node:crypto";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { EventStreamCodec } from "@smithy/eventstream-codec";
import { plainSignature } from "./derived-keys.js";
import { type EventScope, takeMessage, verifyMessage } from "./event-stream.js";
import type { Server } from "./process.js";

/** A message from the client, whose signature was verified. */
export interface VerifiedEvent {
  date: Date;
  /** The message inside of the signed one: its headers' names and its payload. */
  names: string[];
  payload: Buffer;
}

export interface Transcribe extends Server {
  endpoint: string;
  /** Of each stream the `x-amz-date` of its request. */
  started: string[];
  events: VerifiedEvent[];
  /** What was not signed as it must be. */
  refused: string[];
}

const codec = new EventStreamCodec(
  (bytes) => (typeof bytes === "string" ? bytes : Buffer.from(bytes).toString()),
  (text) => Buffer.from(text),
);

/** An answer: an event for each signed one, or the exception for a bad signature. */
function answer(type: "event" | "exception", name: string, body: object): Uint8Array {
  const text = (value: string) => ({ type: "string" as const, value });
  return codec.encode({
    headers: {
      ":message-type": text(type),
      [`:${type}-type`]: text(name),
      ":content-type": text("application/json"),
    },
    body: Buffer.from(JSON.stringify(body)),
  });
}

/**
 * Amazon Transcribe's streaming on 127.0.0.1, as far as signatures go: verifies the request's and each event's, and
 * answers each good event with a transcript that has its number, a bad one with BadRequestException.
 */
export async function startTranscribe(scope: EventScope, accessKeyId: string): Promise<Transcribe> {
  const started: string[] = [];
  const events: VerifiedEvent[] = [];
  const refused: string[] = [];
  const server = http2.createServer();
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    let prior = "";
    try {
      prior = verifyRequest(scope, accessKeyId, headers);
      started.push(String(headers["x-amz-date"]));
    } catch (error) {
      refused.push(String(error));
      stream.respond({ ":status": 403 });
      stream.end();
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/vnd.amazon.eventstream" });
    let bytes = Buffer.alloc(0);
    stream.on("data", (part: Buffer) => {
      if (stream.writableEnded) return;
      try {
        bytes = Buffer.concat([bytes, part]);
        for (let taken = takeMessage(bytes); taken; taken = takeMessage(bytes)) {
          bytes = bytes.subarray(taken.length);
          const { date, signature } = verifyMessage(scope, prior, taken.message);
          prior = signature;
          const inner = takeMessage(taken.message.payload)?.message;
          events.push({
            date,
            names: [...(inner?.headers.keys() ?? [])],
            payload: Buffer.from(inner?.payload ?? Buffer.alloc(0)),
          });
          const results = [{ ResultId: String(events.length) }];
          stream.write(answer("event", "TranscriptEvent", { Transcript: { Results: results } }));
        }
      } catch (error) {
        refused.push(String(error));
        stream.end(answer("exception", "BadRequestException", { Message: "not signed as it must be" }));
      }
    });
    stream.on("end", () => stream.end());
    stream.on("error", (error) => refused.push(String(error)));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ...{ started, events, refused },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const session of sessions) session.destroy();
      }),
  };
}

/** The signature of the request, once it was computed again from what came in. */
function verifyRequest(
  { secretAccessKey, region, service }: EventScope,
  accessKeyId: string,
  headers: http2.IncomingHttpHeaders,
): string {
  const pattern = /^AWS4-HMAC-SHA256 Credential=([^,]+), SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/;
  const [, credential, names = "", signature = ""] = pattern.exec(headers.authorization ?? "") ?? [];
  const date = String(headers["x-amz-date"]);
  const scope = [date.slice(0, 8), region, service];
  if (credential !== `${accessKeyId}/${scope.join("/")}/aws4_request`)
    throw new Error(`credential ${credential}`);
  const value = (name: string) => (name === "host" ? headers[":authority"] : headers[name]);
  const lines = names.split(";").map((name) => `${name}:${value(name)}\n`);
  const canonical = [
    ...[headers[":method"], headers[":path"], "", lines.join(""), names],
    headers["x-amz-content-sha256"],
  ].join("\n");
  const hashed = createHash("sha256").update(canonical).digest("hex");
  const text = ["AWS4-HMAC-SHA256", date, `${scope.join("/")}/aws4_request`, hashed].join("\n");
  if (headers["x-amz-content-sha256"] !== "STREAMING-AWS4-HMAC-SHA256-EVENTS")
    throw new Error(`payload ${headers["x-amz-content-sha256"]}`);
  if (signature !== plainSignature(secretAccessKey, scope, text)) throw new Error("the request's signature");
  return signature;
}
