// Every kind of request that an SDK client signs with `sdkIdentity` and Ceph's gateway knows: accepted, and refused with
// anything in it changed.
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { sdkIdentity } from "../../lib/index.js";
import { capture } from "../support/captured-requests.js";
import { gatewaySuite, oddKeys, partSize, provePost } from "../support/gateway-suite.js";
import { tampered, wireOf, wireOfUrl } from "../support/wire.js";

gatewaySuite("asked by an SDK client", (suite) => {
  const open = (): { client: S3Client; refused(body?: Uint8Array): Promise<void> } => {
    const client = suite.s3({
      ...sdkIdentity({ key: suite.key, accessKeyId: suite.gateway.accessKeyId }),
      requestChecksumCalculation: "WHEN_REQUIRED",
    });
    const requests = capture(client);
    return {
      client,
      // What was sent and accepted is refused with each change.
      async refused(body) {
        const request = requests.at(-1);
        if (!request) throw new Error("nothing was sent");
        await suite.expectRefused(tampered(wireOf(request, body)));
      },
    };
  };

  test.each(oddKeys)("an object called %s", async (Key) => {
    const { client, refused } = open();
    const object = { Bucket: suite.bucket, Key };
    await client.send(new PutObjectCommand({ ...object, Body: `of ${Key}`, Metadata: { of: "a" } }));
    await refused();
    const { Body } = await client.send(new GetObjectCommand(object));
    expect(await Body?.transformToString()).toBe(`of ${Key}`);
    await refused();
    expect((await client.send(new HeadObjectCommand(object))).Metadata).toEqual({ of: "a" });
    await refused();
    const { KeyCount } = await client.send(new ListObjectsV2Command({ Bucket: suite.bucket, Prefix: Key }));
    expect(KeyCount).toBe(1);
    await refused();
    const CopySource = `${suite.bucket}/${encodeURIComponent(Key)}`;
    await client.send(new CopyObjectCommand({ Bucket: suite.bucket, Key: `copy of ${Key}`, CopySource }));
    await refused();
    const Objects = [{ Key }, { Key: `copy of ${Key}` }];
    await client.send(new DeleteObjectsCommand({ Bucket: suite.bucket, Delete: { Objects } }));
    await refused();
  });

  test.each(oddKeys)("URLs of an object called %s", async (Key) => {
    const { client } = open();
    const object = { Bucket: suite.bucket, Key };
    const put = await getSignedUrl(client, new PutObjectCommand(object), { expiresIn: 900 });
    await suite.prove(wireOfUrl(put, "PUT", "by URL"), 200);
    const get = await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: 900 });
    expect((await suite.prove(wireOfUrl(get), 200)).body).toBe("by URL");
    const remove = await getSignedUrl(client, new DeleteObjectCommand(object), { expiresIn: 900 });
    await suite.prove(wireOfUrl(remove, "DELETE"), 204);
  });

  test("a stream, and an upload in parts", async () => {
    const { client, refused } = open();
    const object = { Bucket: suite.bucket, Key: "of the SDK" };
    const content = randomBytes(300_000);
    const Body = Readable.from([content]);
    await client.send(new PutObjectCommand({ ...object, Body, ContentLength: content.length }));
    await refused(content);
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(object));
    await refused();
    const parts = [randomBytes(partSize), randomBytes(10)];
    const Parts = [];
    for (const [index, part] of parts.entries()) {
      const named = { ...object, UploadId, PartNumber: index + 1 };
      const { ETag } = await client.send(new UploadPartCommand({ ...named, Body: part }));
      await refused(part);
      Parts.push({ ETag, PartNumber: index + 1 });
    }
    const whole = { ...object, UploadId, MultipartUpload: { Parts } };
    await client.send(new CompleteMultipartUploadCommand(whole));
    await refused();
    const got = await client.send(new GetObjectCommand(object));
    const bytes = Buffer.from((await got.Body?.transformToByteArray()) ?? []);
    expect(bytes.equals(Buffer.concat(parts))).toBe(true);
    const other = await client.send(new CreateMultipartUploadCommand(object));
    await client.send(new AbortMultipartUploadCommand({ ...object, UploadId: other.UploadId }));
    await refused();
  });

  test("a form that posts an object", async () => {
    const { client } = open();
    const filename = `\${filename}`; // the server puts the name in
    const { url, fields } = await createPresignedPost(client, {
      ...{ Bucket: suite.bucket, Key: `posted/${filename}`, Expires: 600 },
      Conditions: [
        ["starts-with", "$key", "posted/"],
        ["content-length-range", 1, 100],
      ],
    });
    const object = { Bucket: suite.bucket, Key: "posted/a + b.txt" };
    const status = (): Promise<number> =>
      client.send(new HeadObjectCommand(object)).then(
        ({ $metadata }) => $metadata.httpStatusCode ?? 0,
        ({ $metadata }) => $metadata.httpStatusCode,
      );
    await provePost({ url, fields }, { content: "in a form", otherKey: `elsewhere/${filename}`, status });
    const { Body } = await client.send(new GetObjectCommand(object));
    expect(await Body?.transformToString()).toBe("in a form");
  });
});
