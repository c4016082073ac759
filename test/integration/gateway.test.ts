import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { fromAssumeRole, fromSessionToken, HmacSigner, type MacEvent, sdkIdentity } from "../../lib/index.js";
import { backends, type Device } from "../support/backends.js";
import { capture, judgedAuthorization } from "../support/captured-requests.js";
import { counted } from "../support/counted.js";
import { eventsDuring } from "../support/events.js";
import { describeWith } from "../support/requirements.js";
import { type Gateway, startGateway } from "../support/rgw.js";

const region = "eu-central-1";
const Bucket = "things";
const wrongSecret = "wrongTest/Secret+Key0001wrongTest/Secret";

describeWith(["ceph"], "the Ceph gateway accepts", () => {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await startGateway();
    // Ceph knows no other region for a bucket, but lets every region sign
    await s3({ credentials: gateway, region: "us-east-1" }).send(new CreateBucketCommand({ Bucket }));
  }, 120_000);
  afterAll(() => gateway?.stop());

  const s3 = (identity: S3ClientConfig): S3Client =>
    new S3Client({ region, endpoint: gateway.endpoint, forcePathStyle: true, ...identity });
  const sts = () => ({
    accessKeyId: gateway.accessKeyId,
    clientConfig: { region, endpoint: gateway.endpoint },
  });
  const params = () => ({ RoleArn: gateway.roleArn });

  describe.each(backends.map((backend) => [backend.name, backend] as const))("a key in %s", (_, backend) => {
    describeWith(backend.needs, "that holds the user's secret", () => {
      let device: Device;
      let key: ReturnType<typeof counted>;

      beforeAll(async () => {
        device = await backend.start(gateway.secretAccessKey);
        key = counted(await device.open());
      }, 60_000);
      afterAll(async () => {
        await key?.close();
        await device?.stop();
      });

      const identity = () => sdkIdentity({ key, accessKeyId: gateway.accessKeyId });

      /** Puts, gets, lists and deletes an object whose name and content need care. */
      async function useS3(client: S3Client): Promise<void> {
        const Key = `a folder/${backend.name} + ünïcode (1)~.txt`;
        await client.send(
          new PutObjectCommand({ Bucket, Key, Body: "signed by the device", Metadata: { of: "a  b" } }),
        );
        const { Body, Metadata } = await client.send(new GetObjectCommand({ Bucket, Key }));
        expect(await Body?.transformToString()).toBe("signed by the device");
        expect(Metadata).toEqual({ of: "a  b" });
        const list = new ListObjectsV2Command({ Bucket, Prefix: "a folder/", Delimiter: "/" });
        expect((await client.send(list)).Contents?.map((one) => one.Key)).toEqual([Key]);
        await client.send(new DeleteObjectCommand({ Bucket, Key }));
        expect((await client.send(list)).Contents ?? []).toEqual([]);
      }

      test("S3 through an unmodified client, each request judged by aws4 too", async () => {
        const client = s3(identity());
        const requests = capture(client);
        await useS3(client);
        expect(requests.map((request) => request.method)).toEqual(["PUT", "GET", "GET", "DELETE", "GET"]);
        for (const request of requests) {
          const { authorization = "", ...headers } = request.headers;
          expect(authorization).toBe(judgedAuthorization(request, gateway));
          const day = headers["x-amz-date"]?.slice(0, 8);
          expect(authorization).toContain(`${gateway.accessKeyId}/${day}/${region}/s3/aws4_request`);
          const signed = /SignedHeaders=([^,]+)/.exec(authorization)?.[1]?.split(";");
          expect(signed).toEqual(
            expect.arrayContaining(Object.keys(headers).filter((name) => name.startsWith("x-amz-"))),
          );
        }
      });

      test("URLs presigned by the SDK and by the signer, fetched by plain fetch", async () => {
        const object = { Bucket, Key: "presigned + by the device" };
        const client = s3(identity());
        const put = await getSignedUrl(client, new PutObjectCommand(object));
        expect((await fetch(put, { method: "PUT", body: "hello" })).status).toBe(200);
        const signer = new HmacSigner({ key, accessKeyId: gateway.accessKeyId, region, service: "s3" });
        const url = `${gateway.endpoint}/${Bucket}/${encodeURIComponent(object.Key)}`;
        for (const get of [
          await getSignedUrl(client, new GetObjectCommand(object)),
          await signer.presignUrl(url),
        ]) {
          const answer = await fetch(get);
          expect([answer.status, await answer.text()]).toEqual([200, "hello"]);
          expect((await fetch(get.replace(/Signature=./, "Signature=x"))).status).toBe(403);
        }
        expect(
          (await fetch(await signer.presignUrl(url, { method: "DELETE" }), { method: "DELETE" })).status,
        ).toBe(204);
      });

      test.each([
        ["AssumeRole", () => fromAssumeRole({ key, ...sts(), params: params() })],
        [
          "AssumeRole of a role by a role",
          () => fromAssumeRole({ key, ...sts(), params: [params(), { RoleArn: gateway.chainedRoleArn }] }),
        ],
        ["GetSessionToken", () => fromSessionToken({ key, ...sts() })],
      ])("%s: its credentials work on S3", async (_action, provider) => {
        const credentials = provider();
        await useS3(s3({ credentials }));
        const { expiration } = await credentials();
        expect(expiration).toBeInstanceOf(Date);
        expect(expiration.getTime()).toBeGreaterThan(Date.now());
      });

      test("a client with the plain secret works beside them", async () => {
        await useS3(s3({ credentials: gateway }));
        await useS3(s3(identity()));
        await useS3(s3({ credentials: gateway }));
      });

      test("all of these together ask the device once a day", async () => {
        const fresh = counted(await device.open());
        try {
          const { accessKeyId } = gateway;
          const signer = new HmacSigner({ key: fresh, accessKeyId, region: "us-west-2", service: "sqs" });
          const events = await eventsDuring<MacEvent>("aws-hmac:mac", () =>
            Promise.all([
              s3(sdkIdentity({ key: fresh, accessKeyId })).send(new ListObjectsV2Command({ Bucket })),
              s3(sdkIdentity({ key: fresh, accessKeyId })).send(new ListObjectsV2Command({ Bucket })),
              fromAssumeRole({ key: fresh, ...sts(), params: params() })(),
              fromSessionToken({ key: fresh, ...sts() })(),
              signer.sign("a string to sign"),
            ]),
          );
          expect(events.map((event) => event.backend)).toEqual(fresh.asked.map(() => backend.name));
          for (const { asked } of [fresh, key]) expectOncePerDay(asked);
        } finally {
          await fresh.close();
        }
      });
    });

    describeWith(backend.needs, "but not one that holds another secret:", () => {
      test("S3, a presigned URL and STS refuse it", async () => {
        const device = await backend.start(wrongSecret);
        const key = await device.open();
        try {
          const client = s3(sdkIdentity({ key, accessKeyId: gateway.accessKeyId }));
          await expect(client.send(new ListObjectsV2Command({ Bucket }))).rejects.toMatchObject({
            ...{ name: "SignatureDoesNotMatch", $metadata: { httpStatusCode: 403 } },
          });
          const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "anything" }));
          expect((await fetch(url)).status).toBe(403);
          const providers = [
            fromAssumeRole({ key, ...sts(), params: params() }),
            fromSessionToken({ key, ...sts() }),
          ];
          for (const provide of providers)
            await expect(provide()).rejects.toMatchObject({
              ...{ code: "ERR_STS_KEY_REJECTED", reason: "SignatureDoesNotMatch" },
            });
        } finally {
          await key.close();
          await device.stop();
        }
      });
    });
  });
});

/** Today was asked for once; around midnight the next day, once too. */
function expectOncePerDay(asked: string[]): void {
  expect(asked).toEqual([...new Set(asked)]);
  const dayOf = (time: number): string => new Date(time).toISOString().slice(0, 10).replaceAll("-", "");
  const near = [-3_600_000, 0, 3_600_000].map((offset) => dayOf(Date.now() + offset));
  expect(near).toEqual(expect.arrayContaining(asked));
  expect(asked.length).toBeGreaterThan(0);
}
