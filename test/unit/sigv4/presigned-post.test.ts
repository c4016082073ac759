import { S3Client } from "@aws-sdk/client-s3";
import { createPresignedPost as sdkPost } from "@aws-sdk/s3-presigned-post";
import { createPresignedPost, type PresignedPostOptions } from "../../../lib/index.js";
import { accessKeyId, openSigner, refusal, secret, signingDate, wrong } from "../../support/signer.js";

const bucket = "my-bucket";
const region = "eu-central-1";
const url = `https://${bucket}.s3.${region}.amazonaws.com/`;
const filename = `\${filename}`;

function post(
  options: Partial<PresignedPostOptions> = {},
  sessionToken?: string,
): ReturnType<typeof createPresignedPost> {
  const signer = openSigner({ service: "s3", sessionToken });
  return createPresignedPost({ signer, bucket, url, key: "a key", signingDate, ...options });
}

describe.each([undefined, "a/session+token="])(
  "what the SDK gives, with session token %s",
  (sessionToken) => {
    beforeEach(() => jest.useFakeTimers({ now: signingDate.getTime() }));
    afterEach(() => jest.useRealTimers());

    test.each<[string, Partial<PresignedPostOptions>]>([
      ["a key", {}],
      ["a file's name", { key: `posted/${filename}`, expiresIn: 1 }],
      [
        "odd characters",
        { key: "ä/日本 + %41\"'", fields: { "x-amz-meta-a": '日本 \\ "' }, expiresIn: 604_800 },
      ],
      [
        "conditions and fields",
        {
          fields: { acl: "public-read", "Content-Type": "image/png" },
          conditions: [
            { acl: "public-read" },
            ["starts-with", "$Content-Type", "image/"],
            ["eq", "$x-amz-meta-a", ""],
            ["content-length-range", 0, 1_000_000],
          ],
        },
      ],
    ])("%s", async (_, options) => {
      const credentials = { accessKeyId, secretAccessKey: secret, ...(sessionToken && { sessionToken }) };
      const client = new S3Client({ region, credentials });
      const { key = "a key", fields, conditions, expiresIn } = options;
      const theirs = await sdkPost(client, {
        ...{ Bucket: bucket, Key: key, Fields: { ...fields } },
        ...{ Conditions: wrong([...(conditions ?? [])]), Expires: expiresIn ?? 3600 },
      });
      expect(await post(options, sessionToken)).toEqual({ url, fields: theirs.fields });
    });
  },
);

test("a signer for another service is refused", async () => {
  await expect(post({ signer: openSigner() })).rejects.toMatchObject({
    code: "ERR_SIGN_INPUT",
    message: expect.stringContaining("service s3"),
  });
});

test.each<[string, object]>([
  ["bucket", { bucket: "" }],
  ["key", { key: undefined }],
  ["acl", { fields: { acl: 7 } }],
  ["key", { key: "\ud800" }],
  ["url", { url: "bucket" }],
  ["content-length-range", { conditions: [["content-length-range", 5, 1]] }],
  ["condition", { conditions: [["starts-with", "key", "a"]] }],
  ["condition", { conditions: [["ends-with", "$key", "a"]] }],
  ["condition", { conditions: ["acl"] }],
  ["condition", { conditions: [{ acl: 1 }] }],
  ["signingDate", { signingDate: "today" }],
])("ERR_SIGN_INPUT names a wrong %s: %j", async (what, options) => {
  await expect(post(options)).rejects.toMatchObject({
    code: "ERR_SIGN_INPUT",
    message: expect.stringContaining(what),
  });
});

test("an expiry that is no whole number of seconds up to a week", async () => {
  for (const expiresIn of [0, 1.5, 604_801]) {
    await expect(post({ expiresIn })).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
  }
});
