// Every kind of request that HmacSigner signs and Ceph's gateway knows: accepted, and refused with anything in it changed.
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { createPresignedPost, HmacSigner, type SignableRequest } from "../../lib/index.js";
import { gatewaySuite, oddKeys, partSize, provePost, region } from "../support/gateway-suite.js";
import { send, type Wire, wireOf, wireOfUrl } from "../support/wire.js";

const encodePath = (key: string): string => key.split("/").map(encodeURIComponent).join("/");

gatewaySuite("asked by HmacSigner", (suite) => {
  let signer: HmacSigner;
  beforeAll(() => {
    signer = new HmacSigner({
      key: suite.key,
      accessKeyId: suite.gateway.accessKeyId,
      region,
      service: "s3",
    });
  });

  const at = (method: string, path: string, more: Partial<SignableRequest> = {}): SignableRequest => {
    const { hostname, port } = new URL(suite.gateway.endpoint);
    return { method, protocol: "http:", hostname, port: Number(port), path, headers: {}, ...more };
  };
  const signed = async (...request: Parameters<typeof at>): Promise<Wire> =>
    wireOf(await signer.sign(at(...request)));

  test.each(oddKeys)("an object called %s", async (name) => {
    const path = `/${suite.bucket}/${encodePath(name)}`;
    const headers = { "x-amz-meta-of": "a  b", "content-type": "text/plain" };
    await suite.prove(await signed("PUT", path, { headers, body: `content of ${name}` }), 200);
    const got = await suite.prove(await signed("GET", path), 200);
    expect([got.body, got.headers["x-amz-meta-of"]]).toEqual([`content of ${name}`, "a  b"]);
    await suite.prove(await signed("HEAD", path), 200);
    const part = await suite.prove(await signed("GET", path, { headers: { range: "bytes=0-6" } }), 206);
    expect(part.body).toBe("content");
    const query = { "list-type": "2", prefix: name, "encoding-type": "url" };
    const list = await suite.prove(await signed("GET", `/${suite.bucket}`, { query }), 200);
    expect(list.body).toContain("<KeyCount>1</KeyCount>");
    await suite.prove(await signed("DELETE", path), 204);
    expect((await send(suite.gateway.endpoint, await signed("GET", path))).status).toBe(404);
  });

  test("a form that posts an object", async () => {
    const filename = `\${filename}`; // the server puts the name in
    const url = `${suite.gateway.endpoint}/${suite.bucket}`;
    const form = await createPresignedPost({
      ...{ signer, url, bucket: suite.bucket, key: `form/${filename}`, expiresIn: 600 },
      conditions: [
        ["starts-with", "$key", "form/"],
        ["content-length-range", 1, 100],
      ],
    });
    const path = `/${suite.bucket}/${encodePath("form/a + b.txt")}`;
    const status = async (): Promise<number> =>
      (await send(suite.gateway.endpoint, await signed("HEAD", path))).status;
    await provePost(form, { content: "of our own form", otherKey: `elsewhere/${filename}`, status });
    expect((await send(suite.gateway.endpoint, await signed("GET", path))).body).toBe("of our own form");
  });

  test.each(oddKeys)("URLs of an object called %s", async (name) => {
    const url = `${suite.gateway.endpoint}/${suite.bucket}/${encodePath(name)}`;
    const wire = async (method: string, to = url, body = ""): Promise<Wire> =>
      wireOfUrl(await signer.presignUrl(to, { method, expiresIn: 900 }), method, body);
    await suite.prove(await wire("PUT", url, "by URL"), 200);
    expect((await suite.prove(await wire("GET"), 200)).body).toBe("by URL");
    const disposition = 'attachment; filename="a+b c.txt"';
    const search = `?response-content-disposition=${encodeURIComponent(disposition)}`;
    const named = await suite.prove(await wire("GET", url + search), 200);
    expect(named.headers["content-disposition"]).toBe(disposition);
    await suite.prove(await wire("HEAD"), 200);
    await suite.prove(await wire("DELETE"), 204);
  });

  test("a URL that is over, and one with a signed header", async () => {
    const url = `${suite.gateway.endpoint}/${suite.bucket}`;
    const signingDate = new Date(Date.now() - 120_000);
    const over = wireOfUrl(await signer.presignUrl(url, { expiresIn: 60, signingDate }));
    expect((await send(suite.gateway.endpoint, over)).status).toBe(403);
    await suite.prove(wireOfUrl(await signer.presignUrl(url, { expiresIn: 600, signingDate })), 200);
    const headers = { "content-type": "text/x" };
    const put = await signer.presignUrl(`${url}/typed`, { method: "PUT", headers });
    const wire = wireOfUrl(put, "PUT", "x");
    expect((await send(suite.gateway.endpoint, wire)).status).toBe(403);
    await suite.prove({ ...wire, headers: { ...wire.headers, ...headers } }, 200);
  });

  test.each([
    [1, {}],
    [65_536, {}],
    [200_000, { chunkSize: 8192 }],
    [1_000_000, {}],
    [3_000_000, { chunkSize: 1024 * 1024 }],
  ])("%i bytes in chunks, %p", async (length, options) => {
    const body = randomBytes(length);
    const path = `/${suite.bucket}/chunked ${length}`;
    const upload = await signer.signChunks(at("PUT", path, { headers: { "x-amz-meta-of": "a" } }), {
      ...options,
      contentLength: length,
    });
    const encoded = await buffer(Readable.from([body]).compose(upload.nodeTransform()));
    const wire = wireOf(upload.request, encoded);
    const firstSignature = encoded.indexOf("chunk-signature=") + "chunk-signature=".length;
    const changed = Buffer.from(encoded);
    changed.write(changed[firstSignature] === 0x30 ? "1" : "0", firstSignature);
    await suite.expectRefused([["chunk", { ...wire, body: changed }]]);
    await suite.prove(wire, 200, encoded.indexOf("\r\n") + "\r\n".length);
    const got = await fetch(await signer.presignUrl(`${suite.gateway.endpoint}${encodeURI(path)}`));
    expect(Buffer.from(await got.arrayBuffer()).equals(body)).toBe(true);
  });

  test("a large body in chunks by fetch and a web stream, and one byte changed on its way", async () => {
    const url = `${suite.gateway.endpoint}/${suite.bucket}/large`;
    const block = randomBytes(100_000);
    const blocks = 300;
    const put = async (change?: number): Promise<Response> => {
      const upload = await signer.signChunks(at("PUT", `/${suite.bucket}/large`), {
        contentLength: blocks * block.length,
      });
      let sent = 0;
      const onTheWay = new TransformStream<Uint8Array, Uint8Array>({
        transform(bytes, controller) {
          const place = (change ?? -1) - sent;
          sent += bytes.length;
          const hit = place >= 0 && place < bytes.length;
          const copy = Buffer.from(bytes);
          if (hit) copy[place] = (copy[place] ?? 0) ^ 1;
          controller.enqueue(copy);
        },
      });
      const body = ReadableStream.from(Array(blocks).fill(block) as Uint8Array[])
        .pipeThrough(upload.transform())
        .pipeThrough(onTheWay);
      const { headers } = upload.request;
      return fetch(url, { method: "PUT", headers, body, duplex: "half" } as RequestInit);
    };
    expect((await put(20_000_000)).status).toBe(403);
    expect((await fetch(await signer.presignUrl(url))).status).toBe(404);
    expect((await put()).status).toBe(200);
    const got = Buffer.from(await (await fetch(await signer.presignUrl(url))).arrayBuffer());
    expect(got.equals(Buffer.concat(Array(blocks).fill(block)))).toBe(true);
  });

  test("an upload in parts: with signed headers, in chunks, and by a URL", async () => {
    const path = `/${suite.bucket}/${encodePath("in parts (1)")}`;
    const created = await suite.prove(await signed("POST", path, { query: { uploads: "" } }), 200);
    const uploadId = /<UploadId>([^<]+)/.exec(created.body)?.[1] ?? "";
    const parts = [randomBytes(partSize), randomBytes(partSize), randomBytes(1000)];
    const query = (partNumber: number) => ({ partNumber: String(partNumber), uploadId });
    const chunks = await signer.signChunks(at("PUT", path, { query: query(2) }), {
      contentLength: partSize,
    });
    const encoded = await buffer(Readable.from([parts[1]]).compose(chunks.nodeTransform()));
    const search = new URLSearchParams(query(3));
    const url = await signer.presignUrl(`${suite.gateway.endpoint}${path}?${search}`, { method: "PUT" });
    const answers = [
      await suite.prove(await signed("PUT", path, { query: query(1), body: parts[0] }), 200),
      await suite.prove(wireOf(chunks.request, encoded), 200),
      await suite.prove(wireOfUrl(url, "PUT", parts[2]), 200),
    ];
    const body = answers.map(
      ({ headers }, index) =>
        `<Part><PartNumber>${index + 1}</PartNumber><ETag>${headers.etag}</ETag></Part>`,
    );
    const complete = `<CompleteMultipartUpload>${body.join("")}</CompleteMultipartUpload>`;
    await suite.prove(await signed("POST", path, { query: { uploadId }, body: complete }), 200);
    const got = await fetch(await signer.presignUrl(`${suite.gateway.endpoint}${path}`));
    expect(Buffer.from(await got.arrayBuffer()).equals(Buffer.concat(parts))).toBe(true);
  });
});
