import { CreateBucketCommand, S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import type { HmacKey } from "../../lib/index.js";
import { backends, type Device } from "./backends.js";
import { describeWith } from "./requirements.js";
import { type Gateway, startGateway } from "./rgw.js";
import { send, tampered, type Wire, type WireAnswer } from "./wire.js";

/** Names of objects that need care on their way into a path, a query and a signature. */
export const oddKeys = [
  "a b/ä+(1)'.txt",
  "100%/~*!",
  "%41 is not A",
  "dots/../and/./dots",
  "double//slash/",
  "?query&a=b#fragment",
  "plus+and %2B",
  'quotes "<>& and \\',
  "日本語/😀",
  "=;:@,$",
];
/** Ceph's, as S3's, smallest part of an upload in parts but the last, in bytes. */
export const partSize = 5 * 1024 * 1024;
export const region = "eu-central-1";

/** A Ceph gateway and a device that holds its user's secret. */
export interface GatewaySuite {
  readonly gateway: Gateway;
  readonly key: HmacKey;
  /** What opens the key in another process. */
  readonly child: Device["child"];
  /** A bucket of its own for each device. */
  readonly bucket: string;
  s3(identity: S3ClientConfig): S3Client;
  /** The request is refused with each change, and accepted as it is. `place`: the byte of the body that is changed. */
  prove(wire: Wire, status: number, place?: number): Promise<WireAnswer>;
  expectRefused(changes: [what: string, changed: Wire][]): Promise<void>;
}

/** What is not simply another signature. */
const refusals: Record<string, RegExp> = {
  "access key": /^InvalidAccessKeyId$/,
  body: /^(XAmzContentSHA256Mismatch|SignatureDoesNotMatch)$/,
  chunk: /^(XAmzContentSHA256Mismatch|SignatureDoesNotMatch)$/,
  // A GET with a body, or one that is said to be in chunks, gets no further.
  method: /^(SignatureDoesNotMatch|NotImplemented)$/,
  // `POST /bucket?delete` is known, `POST /bucket/key?delete` is not.
  path: /^(SignatureDoesNotMatch|NotImplemented)$/,
};

/** The tests of `define`, with a key in each kind of device. */
export function gatewaySuite(name: string, define: (suite: GatewaySuite) => void): void {
  describeWith(["ceph"], `the Ceph gateway, ${name}`, () => {
    let gateway: Gateway;
    beforeAll(async () => {
      gateway = await startGateway();
    }, 120_000);
    afterAll(() => gateway?.stop());

    for (const backend of backends.filter((one) => one.name !== "memory")) {
      describeWith(backend.needs, `with a key in ${backend.name}:`, () => {
        const bucket = `kinds-of-${backend.name}`;
        let device: Device;
        let key: HmacKey;
        const s3 = (identity: S3ClientConfig): S3Client =>
          new S3Client({ region, endpoint: gateway.endpoint, forcePathStyle: true, ...identity });

        beforeAll(async () => {
          // Ceph knows no other region for a bucket, but lets every region sign
          const plain = s3({ credentials: gateway, region: "us-east-1" });
          await plain.send(new CreateBucketCommand({ Bucket: bucket }));
          device = await backend.start(gateway.secretAccessKey);
          key = await device.open();
        }, 60_000);
        afterAll(async () => {
          await key?.close();
          await device?.stop();
        });

        async function expectRefused(changes: [string, Wire][]): Promise<void> {
          expect(changes.length).toBeGreaterThan(0);
          for (const [what, changed] of changes) {
            const { status, body } = await send(gateway.endpoint, changed);
            const code = /<Code>(\w+)/.exec(body)?.[1] ?? `a bare ${status}`;
            const usual = changed.method === "HEAD" ? /^a bare 403$/ : /^SignatureDoesNotMatch$/;
            const expected = changed.method === "HEAD" ? usual : (refusals[what] ?? usual);
            const { method, target } = changed;
            if (!expected.test(code)) throw new Error(`${method} ${target}, ${what} changed: ${code}`);
          }
        }

        async function prove(wire: Wire, status: number, place?: number): Promise<WireAnswer> {
          await expectRefused(tampered(wire, place));
          const answer = await send(gateway.endpoint, wire);
          if (answer.status !== status) throw new Error(`${wire.target}: ${answer.status} ${answer.body}`);
          return answer;
        }

        define({
          bucket,
          s3,
          prove,
          expectRefused,
          get gateway() {
            return gateway;
          },
          get child() {
            return device.child;
          },
          get key() {
            return key;
          },
        });
      });
    }
  });
}

/**
 * A form for a file called `a + b.txt` of 1 to 100 bytes: refused with each change, and accepted as it is. `status`: what the
 * gateway says of the object.
 */
export async function provePost(
  { url, fields }: { url: string; fields: Record<string, string> },
  { content, otherKey, status }: { content: string; otherKey: string; status(): Promise<number> },
): Promise<void> {
  const post = async (changes: Record<string, string> = {}, sent = content): Promise<number> => {
    const form = new FormData();
    for (const [name, value] of Object.entries({ ...fields, ...changes })) form.append(name, value);
    form.append("file", new Blob([sent]), "a + b.txt");
    return (await fetch(url, { method: "POST", body: form })).status;
  };
  const policy = JSON.parse(Buffer.from(fields.Policy ?? "", "base64").toString());
  policy.conditions = policy.conditions.slice(1);
  const signature = fields["X-Amz-Signature"] ?? "";
  for (const changes of <Record<string, string>[]>[
    { "X-Amz-Signature": signature.slice(0, -1) + (signature.endsWith("0") ? "1" : "0") },
    { Policy: Buffer.from(JSON.stringify(policy)).toString("base64") },
    { "X-Amz-Credential": `X${fields["X-Amz-Credential"]}` },
    { key: otherKey },
  ]) {
    expect([changes, await post(changes)]).toEqual([changes, 403]);
  }
  expect(await post({}, "x".repeat(101))).toBe(400);
  expect(await status()).toBe(404);
  expect(await post()).toBe(204);
  expect(await status()).toBe(200);
}
