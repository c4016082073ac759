import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { ListQueuesCommand, SQSClient } from "@aws-sdk/client-sqs";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import { Signer as RdsSigner } from "@aws-sdk/rds-signer";
import { createPresignedPost } from "@aws-sdk/s3-presigned-post";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { sdkIdentity } from "../../lib/index.js";
import { assumeRoleXml, credentialsXml, roleArn, sessionSecret } from "../support/aws-answers.js";
import { CapturedRequests, judgedAuthorization, judgedUrlSignature } from "../support/captured-requests.js";
import { plainSignature } from "../support/derived-keys.js";
import { expectJudged, region, sdkSuite, secret } from "../support/sdk.js";

const suite = sdkSuite();

describe("clients sign as with the plain secret", () => {
  test("S3: get, and put with awkward names", async () => {
    const requestHandler = new CapturedRequests();
    const s3 = new S3Client({ region, ...suite.identity, requestHandler });
    await s3.send(new GetObjectCommand({ Bucket: "bucket", Key: "folder/file.txt", VersionId: "a+b/c=" }));
    await s3.send(
      new PutObjectCommand({
        Bucket: "bucket",
        Key: "a b/ä+(1)'.txt",
        Body: "text",
        Metadata: { note: "one  two" },
      }),
    );
    expectJudged(requestHandler, 2);
  });

  test("STS: form POST", async () => {
    const requestHandler = new CapturedRequests({ body: assumeRoleXml() });
    const sts = new STSClient({ region, ...suite.identity, requestHandler });
    await sts.send(new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: "name with space" }));
    expectJudged(requestHandler, 1);
  });

  test("DynamoDB and SQS: JSON POST", async () => {
    const requestHandler = new CapturedRequests({ body: "{}" });
    await new DynamoDBClient({ region, ...suite.identity, requestHandler }).send(
      new ListTablesCommand({ Limit: 5 }),
    );
    await new SQSClient({ region, ...suite.identity, requestHandler }).send(new ListQueuesCommand({}));
    expectJudged(requestHandler, 2);
  });

  test("all of them together make one device call", async () => {
    const requestHandler = new CapturedRequests({ body: "{}" });
    const dynamo = new DynamoDBClient({ region, ...suite.identity, requestHandler });
    const sqs = new SQSClient({ region: "us-east-1", ...suite.identity, requestHandler });
    const other = new SQSClient({
      region,
      ...sdkIdentity({ key: suite.key, accessKeyId: secret.accessKeyId }),
      requestHandler,
    });
    await Promise.all([
      ...Array.from({ length: 20 }, () => dynamo.send(new ListTablesCommand({}))),
      ...Array.from({ length: 20 }, () => sqs.send(new ListQueuesCommand({}))),
      ...Array.from({ length: 20 }, () => other.send(new ListQueuesCommand({}))),
    ]);
    expectJudged(requestHandler, 60);
    expect(new Set(suite.key.asked).size).toBe(suite.key.asked.length);
    // A run may cross midnight UTC, or prefetch for it.
    expect(suite.key.asked.length).toBeLessThanOrEqual(2);
  });

  test("getSignedUrl", async () => {
    const s3 = new S3Client({ region, ...suite.identity });
    const url = await getSignedUrl(s3, new GetObjectCommand({ Bucket: "bucket", Key: "a b.txt" }), {
      expiresIn: 60,
    });
    expect(new URL(url).searchParams.get("X-Amz-Signature")).toBe(judgedUrlSignature(url, secret));
  });

  test("createPresignedPost", async () => {
    const s3 = new S3Client({ region, ...suite.identity });
    const { fields } = await createPresignedPost(s3, {
      Bucket: "bucket",
      Key: "uploads/file.txt",
      Expires: 60,
    });
    const scope = fields["X-Amz-Credential"]?.split("/").slice(1);
    expect(fields["X-Amz-Signature"]).toBe(
      plainSignature(secret.secretAccessKey, scope ?? [], fields.Policy ?? ""),
    );
  });

  test("RDS tokens", async () => {
    const rds = new RdsSigner({
      ...suite.identity,
      region,
      hostname: "db.example.com",
      port: 5432,
      username: "app",
    });
    const url = `https://${await rds.getAuthToken()}`;
    expect(new URL(url).searchParams.get("X-Amz-Signature")).toBe(judgedUrlSignature(url, secret));
  });

  test("S3 Express: the session is created by the key, the requests are signed with the session's secret", async () => {
    const session = `<CreateSessionResult>${credentialsXml("Credentials")}</CreateSessionResult>`;
    const requestHandler = new CapturedRequests({ body: session }, {});
    const s3 = new S3Client({ region: "us-west-2", ...suite.identity, requestHandler });
    await s3.send(new GetObjectCommand({ Bucket: "bucket--usw2-az1--x-s3", Key: "file" }));
    const [create, get] = requestHandler.sent;
    expect(create?.query).toHaveProperty("session");
    expect(create?.headers.authorization).toBe(judgedAuthorization(create as never, secret));
    expect(get?.headers["x-amz-s3session-token"]).toBe("session-token");
    expect(get?.headers.authorization).toBe(judgedAuthorization(get as never, sessionSecret));
  });
});

test("a corrected clock asks for the day that is signed", async () => {
  const serverTime = new Date(Date.now() + 3 * 86_400_000);
  const skewed = {
    statusCode: 400,
    headers: { date: serverTime.toUTCString(), "content-type": "application/x-amz-json-1.0" },
    body: JSON.stringify({ __type: "RequestTimeTooSkewed", message: "clock" }),
  };
  const requestHandler = new CapturedRequests(skewed, { body: "{}" });
  const dynamo = new DynamoDBClient({ region, ...suite.identity, requestHandler });
  await dynamo.send(new ListTablesCommand({}));
  expectJudged(requestHandler, 2);
  const dates = requestHandler.sent.map(({ headers }) => headers["x-amz-date"]?.slice(0, 8));
  expect(dates[1]).toBe(serverTime.toISOString().slice(0, 10).replaceAll("-", ""));
  expect(suite.key.asked).toEqual(expect.arrayContaining(dates));
});
