// Signed chunks over time: back-pressure, ends before the end, midnight, and what the device is asked.
import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { ReadableStream, WritableStream } from "node:stream/web";
import {
  HmacSigner,
  type HmacSignerOptions,
  insecureMemoryKey,
  type SignedChunks,
} from "../../../lib/index.js";
import { dechunk } from "../../support/aws-chunked.js";
import { type CountedKey, counted } from "../../support/counted.js";
import { ManualClock } from "../../support/manual-clock.js";
import { accessKeyId, refusal, secret } from "../../support/signer.js";

const chunkSize = 8192;
const put = { method: "PUT", hostname: "bucket.s3.us-east-1.amazonaws.com", path: "/key", headers: {} };

function open(
  key: CountedKey,
  options: Partial<HmacSignerOptions> = {},
  clock = new ManualClock("2026-11-23T12:00:00Z"),
): HmacSigner {
  return new HmacSigner({ key, accessKeyId, region: "us-east-1", service: "s3", ...options }, clock);
}

function upload(chunks: number, signer = open(counted(insecureMemoryKey(secret)))): Promise<SignedChunks> {
  return signer.signChunks(put, { contentLength: chunks * chunkSize, chunkSize });
}

const turn = (): Promise<void> => new Promise((resume) => setImmediate(resume));
const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await turn();
};

/** `count` chunks, each made when it is asked for; `made` says how many were. */
function source(count: number): { made: number; read(): Generator<Buffer> } {
  const counter = {
    made: 0,
    *read() {
      for (; counter.made < count; ) {
        counter.made += 1;
        yield Buffer.alloc(chunkSize, counter.made);
      }
    },
  };
  return counter;
}

describe("back-pressure", () => {
  test("a web stream reads on only while somebody takes what comes out", async () => {
    const { transform } = await upload(1000);
    const from = source(1000);
    const reader = ReadableStream.from(from.read()).pipeThrough(transform()).getReader();
    await reader.read();
    await turns();
    expect(from.made).toBeLessThan(5);
    for (let i = 0; i < 20; i++) await reader.read();
    await turns();
    expect(from.made).toBeGreaterThan(9);
    expect(from.made).toBeLessThan(20);
    await reader.cancel();
  });

  test("a Node stream too", async () => {
    const { nodeTransform } = await upload(1000);
    const from = source(1000);
    const stream = Readable.from(from.read()).pipe(nodeTransform());
    await once(stream, "readable");
    await turns();
    // Node's buffers, of 16 KiB in and out and of 16 objects in the source, and no more
    expect(from.made).toBeLessThan(25);
    stream.destroy();
  });

  test("other work has its turn in the middle of one big write", async () => {
    const { nodeTransform } = await upload(2000);
    const stream = nodeTransform();
    stream.resume();
    let taken = false;
    let seen = 0;
    setImmediate(() => {
      seen = stream.writableLength;
      taken = true;
    });
    stream.end(Buffer.alloc(2000 * chunkSize));
    await once(stream, "end");
    expect(taken).toBe(true);
    expect(seen).toBe(2000 * chunkSize); // still being written
  });

  test("a chunk that was written as a whole is not copied", async () => {
    const { nodeTransform } = await upload(3);
    const body = Buffer.alloc(3 * chunkSize);
    const stream = nodeTransform();
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part)).end(body);
    await once(stream, "end");
    expect(parts.filter((part) => part.buffer === body.buffer)).toHaveLength(3);
  });
});

describe("an upload that ends early", () => {
  test("a web pipe that is aborted cancels the source and fails what it leads to", async () => {
    const { transform } = await upload(1000);
    const abort = new AbortController();
    const cancelled: unknown[] = [];
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(Buffer.alloc(chunkSize)),
      cancel: (reason) => void cancelled.push(reason),
    });
    let taken = 0;
    const sink = new WritableStream<Uint8Array>({
      write() {
        taken += 1;
        if (taken === 5) abort.abort(new Error("enough"));
      },
    });
    const { signal } = abort;
    await expect(body.pipeThrough(transform(), { signal }).pipeTo(sink)).rejects.toThrow("enough");
    expect(cancelled).toEqual([new Error("enough")]);
    expect(taken).toBeLessThan(10);
  });

  test("one whose reader goes away, while the device is waited for", async () => {
    const key = counted(insecureMemoryKey(secret));
    const signer = open(key, { keyCache: "none" });
    const { transform } = await upload(3, signer);
    let answer: () => void = () => undefined;
    key.gate = new Promise((resume) => {
      answer = resume;
    });
    const from = source(3);
    const reader = ReadableStream.from(from.read()).pipeThrough(transform()).getReader();
    const reading = reader.read();
    await turns();
    await reader.cancel();
    answer();
    expect(await reading).toEqual({ done: true, value: undefined });
    await turns();
    expect(from.made).toBeLessThan(3);
  });

  test("a Node pipeline that is aborted, while the device is waited for", async () => {
    const key = counted(insecureMemoryKey(secret));
    const { nodeTransform } = await upload(3, open(key, { keyCache: "none" }));
    let answer: () => void = () => undefined;
    key.gate = new Promise((resume) => {
      answer = resume;
    });
    const abort = new AbortController();
    const out = new PassThrough();
    const piped = pipeline(Readable.from(source(3).read()), nodeTransform(), out, { signal: abort.signal });
    await turns();
    abort.abort();
    await expect(piped).rejects.toMatchObject({ name: "AbortError" });
    answer();
    await turns();
    expect(out.readableLength).toBe(0);
  });

  test("one whose signer is closed sends nothing more", async () => {
    const signer = open(counted(insecureMemoryKey(secret)));
    const { transform, nodeTransform } = await upload(3, signer);
    await signer.close();
    await expect(buffer(ReadableStream.from(source(3).read()).pipeThrough(transform()))).rejects.toEqual(
      refusal("ERR_CLOSED"),
    );
    await expect(pipeline(Readable.from(source(3).read()), nodeTransform(), ignore())).rejects.toEqual(
      refusal("ERR_CLOSED"),
    );
  });

  test("one whose device fails says why", async () => {
    const key = counted(insecureMemoryKey(secret));
    const { nodeTransform } = await upload(3, open(key, { keyCache: "none" }));
    key.failures.push(new Error("device gone"));
    await expect(pipeline(Readable.from(source(3).read()), nodeTransform(), ignore())).rejects.toThrow(
      "device gone",
    );
  });
});

describe("the key", () => {
  const body = (chunks: number): Buffer[] => [...source(chunks).read()];

  test.each([
    // the second is for others: the next day's key is fetched ahead
    ["goes on", "10 minutes", ["20261123", "20261124"]],
    // a past day's key that nobody uses is wiped, and had again each time that the upload goes on
    ["stands still twice", "2 hours", ["20261123", "20261124", "20261123", "20261123"]],
  ])("an upload over midnight that %s is signed on its first day to the end", async (_, pause, asked) => {
    const clock = new ManualClock("2026-11-23T23:50:00Z");
    const key = counted(insecureMemoryKey(secret));
    const step = pause === "2 hours" ? 7_200_000 : 600_000;
    const chunks = pause === "2 hours" ? 2 : 20;
    const signed = await upload(chunks, open(key, {}, clock));
    expect(signed.request.headers["x-amz-date"]).toBe("20261123T235000Z");
    const stream = signed.nodeTransform();
    const sent = buffer(stream);
    for (const part of body(chunks)) {
      await new Promise((written) => stream.write(part, written));
      await clock.moveTo(new Date(clock.now() + step).toISOString());
    }
    stream.end();
    expect(dechunk(signed.request, await sent, secret).body).toEqual(Buffer.concat(body(chunks)));
    expect(key.asked).toEqual(asked);
  });

  test.each([
    ["day", 1],
    ["scope", 1],
    // the request, three chunks and the empty one
    ["none", 5],
  ] as const)("keyCache %s: the device is asked %i times for three chunks", async (keyCache, times) => {
    const key = counted(insecureMemoryKey(secret));
    const signed = await upload(3, open(key, { keyCache }));
    const sent = await buffer(Readable.from(body(3)).compose(signed.nodeTransform()));
    expect(dechunk(signed.request, sent, secret).body).toEqual(Buffer.concat(body(3)));
    expect(key.asked).toEqual(Array(times).fill("20261123"));
  });
});

function ignore(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}
