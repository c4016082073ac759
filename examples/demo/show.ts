import assert from "node:assert/strict";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
  type S3ClientConfig,
} from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { fromAssumeRole, fromSessionToken, type HmacKey, HmacSigner, sdkIdentity } from "aws-hmac";
import { counted } from "../../test/support/counted.js";
import type { Gateway } from "../../test/support/rgw.js";
import type { Device } from "./devices.js";
import { Report } from "./report.js";

export const Bucket = "demo";
export const region = "us-east-1";

/** An S3 client as anyone makes it; who signs is all that differs. */
export function s3Client(gateway: Gateway, identity: S3ClientConfig): S3Client {
  return new S3Client({ region, endpoint: gateway.endpoint, forcePathStyle: true, ...identity });
}

/**
 * Shows all that one device can do for the gateway's user, and that another secret is refused.
 *
 * @returns how often each key was asked to sign
 */
export async function show(device: Device, gateway: Gateway): Promise<number[]> {
  Report.heading(device.name);
  return [await showRight(device, gateway), await showWrong(device, gateway)];
}

async function showRight(device: Device, gateway: Gateway): Promise<number> {
  await new Report().step("import the user's secret; the device checks it once", () =>
    device.importKey("right", Buffer.from(gateway.secretAccessKey)),
  );
  const key = counted(await device.openKey("right"));
  const report = new Report(() => key.asked.length);
  const identity = sdkIdentity({ key, accessKeyId: gateway.accessKeyId });
  try {
    await report.step("S3 put, get, list, delete: an unmodified S3Client", () =>
      useS3(s3Client(gateway, identity)),
    );
    await report.step("URLs presigned by the SDK and by HmacSigner, plain fetch", () =>
      fetchPresigned(key, s3Client(gateway, identity), gateway),
    );
    for (const [action, credentials] of Object.entries(providers(key, gateway))) {
      await report.step(`${action}, and S3 with its temporary credentials`, () =>
        useS3(s3Client(gateway, { credentials })),
      );
    }
    return onceADay(key.asked);
  } finally {
    await key.close();
  }
}

async function showWrong(device: Device, gateway: Gateway): Promise<number> {
  await new Report().step("import another secret", () =>
    device.importKey("wrong", Buffer.from("not/The/Secret+That+The/Gateway+Knows/00")),
  );
  const key = counted(await device.openKey("wrong"));
  const client = s3Client(gateway, sdkIdentity({ key, accessKeyId: gateway.accessKeyId }));
  try {
    await new Report(() => key.asked.length).step(
      "the gateway refuses it: S3, presigned URL, both STS calls",
      async () => {
        await assert.rejects(client.send(new ListObjectsV2Command({ Bucket })), {
          name: "SignatureDoesNotMatch",
        });
        const url = await getSignedUrl(client, new GetObjectCommand({ Bucket, Key: "anything" }));
        assert.equal((await fetch(url)).status, 403);
        for (const provide of Object.values(providers(key, gateway))) {
          await assert.rejects(provide(), { code: "ERR_STS_KEY_REJECTED" });
        }
      },
    );
    return onceADay(key.asked);
  } finally {
    await key.close();
  }
}

function providers(key: HmacKey, { accessKeyId, roleArn, endpoint }: Gateway) {
  const options = { key, accessKeyId, clientConfig: { region, endpoint } };
  return {
    AssumeRole: fromAssumeRole({ ...options, params: { RoleArn: roleArn } }),
    GetSessionToken: fromSessionToken(options),
  };
}

async function useS3(client: S3Client): Promise<void> {
  const object = { Bucket, Key: "a folder/hello.txt" };
  await client.send(new PutObjectCommand({ ...object, Body: "hello" }));
  const { Body } = await client.send(new GetObjectCommand(object));
  assert.equal(await Body?.transformToString(), "hello");
  const { Contents } = await client.send(new ListObjectsV2Command({ Bucket }));
  assert.deepEqual(
    Contents?.map(({ Key }) => Key),
    [object.Key],
  );
  await client.send(new DeleteObjectCommand(object));
}

async function fetchPresigned(key: HmacKey, client: S3Client, gateway: Gateway): Promise<void> {
  const object = { Bucket, Key: "presigned.txt" };
  await client.send(new PutObjectCommand({ ...object, Body: "presigned hello" }));
  const signer = new HmacSigner({ key, accessKeyId: gateway.accessKeyId, region, service: "s3" });
  const urls = [
    await getSignedUrl(client, new GetObjectCommand(object), { expiresIn: 60 }),
    await signer.presignUrl(`${gateway.endpoint}/${Bucket}/${object.Key}`, { expiresIn: 60 }),
  ];
  for (const url of urls) {
    const answer = await fetch(url);
    assert.equal(answer.status, 200);
    assert.equal(await answer.text(), "presigned hello");
  }
  await client.send(new DeleteObjectCommand(object));
}

/** The number of calls, of which there may be one for each UTC day. */
function onceADay(asked: string[]): number {
  assert.deepEqual(asked, [...new Set(asked)], "the device was asked twice for the same day");
  assert.ok(asked.length > 0, "the device was not asked at all");
  return asked.length;
}
