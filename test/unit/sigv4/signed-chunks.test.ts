import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { ReadableStream } from "node:stream/web";
import { crc32 } from "node:zlib";
import {
  type ChunkTrailer,
  HmacSigner,
  type HmacSignerOptions,
  insecureMemoryKey,
  type SignChunksOptions,
  type SignedChunks,
} from "../../../lib/index.js";
import { dechunk } from "../../support/aws-chunked.js";
import { judgedAuthorization } from "../../support/captured-requests.js";
import { Random } from "../../support/random.js";
import { accessKeyId, refusal, secret, wrong } from "../../support/signer.js";

const put = { method: "PUT", hostname: "bucket.s3.us-east-1.amazonaws.com", path: "/key", headers: {} };

function open(options: Partial<HmacSignerOptions> = {}): HmacSigner {
  return new HmacSigner({
    key: insecureMemoryKey(secret),
    ...{ accessKeyId, region: "us-east-1", service: "s3" },
    ...options,
  });
}

function upload(contentLength: number, options: SignChunksOptions = {}): Promise<SignedChunks> {
  return open().signChunks(put, { contentLength, ...options });
}

/** The encoded body, by the web stream and by Node's; fails unless both are the same. */
async function encode(signed: SignedChunks, writes: Uint8Array[]): Promise<Buffer> {
  const node = await buffer(Readable.from(writes).compose(signed.nodeTransform()));
  const web = await buffer(ReadableStream.from(writes).pipeThrough(signed.transform()));
  expect(web.equals(node)).toBe(true);
  return node;
}

describe("AWS's published examples, byte for byte", () => {
  // S3 API reference: 64 KiB and 1 KiB of "a"
  const body = [Buffer.alloc(66560, "a")];
  const headers = { "x-amz-storage-class": "REDUCED_REDUNDANCY" };
  const example = {
    ...{ method: "PUT", hostname: "s3.amazonaws.com", path: "/examplebucket/chunkObject.txt" },
    headers,
  };
  const options = { contentLength: 66560, signingDate: "2013-05-24T00:00:00Z" };

  const encoded = (signatures: string[], end: string): string =>
    [65536, 1024, 0]
      .map((size, index) => {
        const line = `${size.toString(16)};chunk-signature=${signatures[index]}\r\n`;
        return line + "a".repeat(size) + (size > 0 ? "\r\n" : "");
      })
      .join("") + end;

  test("a chunked upload", async () => {
    const signed = await open().signChunks(example, options);
    expect(signed.request.headers.authorization).toBe(
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20130524/us-east-1/s3/aws4_request, ` +
        "SignedHeaders=content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;" +
        "x-amz-decoded-content-length;x-amz-storage-class, " +
        "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    );
    expect(signed.request.headers["content-length"]).toBe("66824");
    expect(signed.encodedLength).toBe(66824);
    expect((await encode(signed, body)).toString()).toBe(
      encoded(
        [
          "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
          "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
          "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
        ],
        "\r\n",
      ),
    );
  });

  test("with a trailing checksum", async () => {
    const chunked = { ...example, headers: { ...headers, "Transfer-Encoding": "chunked" } };
    const signed = await open().signChunks(chunked, { ...options, trailer: "crc32c" });
    expect(signed.request.headers.authorization).toBe(
      `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20130524/us-east-1/s3/aws4_request, ` +
        "SignedHeaders=content-encoding;host;x-amz-content-sha256;x-amz-date;" +
        "x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer, " +
        "Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    );
    expect(signed.request.headers).not.toHaveProperty("content-length");
    const sent = await encode(signed, body);
    expect(sent.toString()).toBe(
      encoded(
        [
          "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
          "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
          "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
        ],
        "x-amz-checksum-crc32c:sOO8/Q==\r\n" +
          "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
      ),
    );
    expect(sent).toHaveLength(signed.encodedLength);
  });
});

describe("judged by code that knows the plain secret", () => {
  const trailers = [undefined, "crc32", "crc32c", "crc64nvme", "sha1", "sha256"] as const;

  test("bodies of every length, however they are written", async () => {
    for (let seed = 0; seed < 120; seed++) {
      const random = new Random(seed);
      const chunkSize = random.pick([8192, 10_000, 65_536]);
      const edge = chunkSize * random.below(5);
      const length = Math.max(0, edge + random.pick([-1, 0, 1, random.below(chunkSize)]));
      const trailer = trailers[seed % trailers.length];
      const body = randomBytes(length);
      const writes: Buffer[] = [];
      const longest = random.pick([700, chunkSize, 4 * chunkSize]);
      for (let at = 0; at < length; at += writes.at(-1)?.length ?? 0) {
        writes.push(body.subarray(at, at + 1 + random.below(longest)));
      }
      if (random.below(4) === 0) writes.push(Buffer.alloc(0));
      const signed = await upload(length, { chunkSize, trailer });
      const sent = await encode(signed, writes);
      expect(sent).toHaveLength(signed.encodedLength);
      const { body: received, sizes } = dechunk(signed.request, sent, secret);
      expect(received.equals(body)).toBe(true);
      const whole = Math.floor(length / chunkSize);
      const rest = length % chunkSize > 0 ? [length % chunkSize] : [];
      expect(sizes).toEqual([...Array(whole).fill(chunkSize), ...rest, 0]);
      const { authorization, ...headers } = signed.request.headers;
      const judged = judgedAuthorization(signed.request, { accessKeyId, secretAccessKey: secret });
      expect(authorization).toBe(judged);
      expect(headers).toMatchObject({
        "content-encoding": "aws-chunked",
        "content-length": String(sent.length),
        "x-amz-decoded-content-length": String(length),
      });
    }
  });

  test("the checksums of the trailers", async () => {
    const digits = Buffer.from("123456789");
    const number = Buffer.alloc(4);
    number.writeUInt32BE(crc32(digits));
    // the CRCs' own check values (CRC RevEng's catalogue: CRC-32/ISCSI, CRC-64/NVME)
    const expected: Record<ChunkTrailer, string> = {
      crc32: number.toString("base64"),
      crc32c: Buffer.from("e3069283", "hex").toString("base64"),
      crc64nvme: Buffer.from("ae8b14860a799888", "hex").toString("base64"),
      sha1: createHash("sha1").update(digits).digest("base64"),
      sha256: createHash("sha256").update(digits).digest("base64"),
    };
    for (const [trailer, value] of Object.entries(expected)) {
      const signed = await upload(digits.length, { trailer: trailer as ChunkTrailer });
      const sent = await encode(signed, [digits.subarray(0, 4), digits.subarray(4)]);
      const name = `x-amz-checksum-${trailer}`;
      expect(dechunk(signed.request, sent, secret).trailers).toEqual({ [name]: value });
      expect(signed.request.headers["x-amz-trailer"]).toBe(name);
    }
  });

  test("a byte changed anywhere is found", async () => {
    const body = randomBytes(20_000);
    const signed = await upload(body.length, { chunkSize: 8192, trailer: "crc32" });
    const sent = await encode(signed, [body]);
    for (let at = 0; at < sent.length; at += at < 200 || at > sent.length - 400 ? 1 : 97) {
      const changed = Buffer.from(sent);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => dechunk(signed.request, changed, secret)).toThrow();
    }
    expect(() => dechunk(signed.request, sent, `${secret}x`)).toThrow("SignatureDoesNotMatch");
  });

  test("the same request sent once more has the same body", async () => {
    const signed = await upload(9, { trailer: "sha256" });
    const sent = await encode(signed, [Buffer.from("123456789")]);
    expect(await encode(signed, [Buffer.from("12345"), Buffer.from("6789")])).toEqual(sent);
  });

  test("a session token and another region and service of the family", async () => {
    const signer = open({ sessionToken: "token", service: "s3express" });
    const signed = await signer.signChunks(put, { contentLength: 3, signingRegion: "eu-west-1" });
    expect(signed.request.headers["x-amz-security-token"]).toBe("token");
    expect(signed.request.headers.authorization).toContain("/eu-west-1/s3express/aws4_request");
    const sent = await encode(signed, [Buffer.from("abc")]);
    expect(dechunk(signed.request, sent, secret).body.toString()).toBe("abc");
  });
});

describe("the headers", () => {
  test("content-length gives the body's length and then says the encoded one", async () => {
    const request = { ...put, headers: { "Content-Length": "5", "X-Amz-Decoded-Content-Length": "5" } };
    const { request: signed, encodedLength } = await open().signChunks(request);
    expect(signed.headers).toMatchObject({
      "content-length": String(encodedLength),
      "x-amz-decoded-content-length": "5",
      "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
    });
  });

  test.each([
    ["gzip", "aws-chunked,gzip"],
    ["aws-chunked, gzip", "aws-chunked,gzip"],
    ["br,gzip", "aws-chunked,br,gzip"],
    ["aws-chunked", "aws-chunked"],
  ])("content-encoding %s becomes %s", async (given, expected) => {
    const request = { ...put, headers: { "Content-Encoding": given } };
    const { request: signed } = await open().signChunks(request, { contentLength: 1 });
    expect(signed.headers["content-encoding"]).toBe(expected);
  });
});

describe("a body of another length", () => {
  const tooLong = [Buffer.alloc(60_000), Buffer.alloc(40_001)];
  const tooShort = [Buffer.alloc(60_000), Buffer.alloc(39_999)];

  test.each([
    ["more", tooLong],
    ["fewer", tooShort],
  ])("%s bytes than announced end both streams with an error", async (word, writes) => {
    const signed = await upload(100_000);
    const expected = expect.objectContaining({
      ...{ code: "ERR_BODY_LENGTH", message: expect.stringContaining(`${word} bytes than the 100000`) },
    });
    const received: Buffer[] = [];
    const sink = async (source: AsyncIterable<Buffer>): Promise<void> => {
      for await (const part of source) received.push(part);
    };
    await expect(pipeline(Readable.from(writes), signed.nodeTransform(), sink)).rejects.toEqual(expected);
    // Nothing that a server could take for the whole.
    expect(() => dechunk(signed.request, Buffer.concat(received), secret)).toThrow();
    const web = ReadableStream.from(writes).pipeThrough(signed.transform());
    await expect(buffer(web)).rejects.toEqual(expected);
  });
});

describe("what is refused", () => {
  test.each<[string, SignChunksOptions, object?]>([
    ["no length", {}],
    ["a negative length", { contentLength: -1 }],
    ["half a byte", { contentLength: 0.5 }],
    ["a length that numbers cannot say", { contentLength: 2 ** 53 }],
    ["lengths that differ", { contentLength: 5 }, { headers: { "content-length": "6" } }],
    ["headers that differ", {}, { headers: { "content-length": "6", "x-amz-decoded-content-length": "7" } }],
    ["a length that is no number", {}, { headers: { "content-length": "0x10" } }],
    [
      "a hash of the whole body",
      { contentLength: 1 },
      { headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } },
    ],
    ["a body in the request", { contentLength: 1 }, { body: "x" }],
    ["no request", { contentLength: 1 }, { method: undefined }],
  ])("%s", async (_, options, request = {}) => {
    await expect(open().signChunks({ ...put, ...request }, options)).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  });

  test.each<[string, SignChunksOptions]>([
    ["chunkSize", { chunkSize: 8191 }],
    ["chunkSize", { chunkSize: 16 * 1024 * 1024 + 1 }],
    ["chunkSize", { chunkSize: 10_000.5 }],
    ["trailer", { trailer: wrong("md4") }],
    ["trailer", { trailer: wrong("toString") }],
  ])("option %s: %p", async (name, options) => {
    await expect(upload(1, options)).rejects.toMatchObject({
      ...{ code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(name) },
    });
  });

  test("another service than S3", async () => {
    await expect(open({ service: "sqs" }).signChunks(put, { contentLength: 1 })).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  });

  test("text in a web stream", async () => {
    const text = ReadableStream.from([wrong<Uint8Array>("x")]);
    const stream = text.pipeThrough((await upload(1)).transform());
    await expect(buffer(stream)).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
  });
});
