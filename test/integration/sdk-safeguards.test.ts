import { DynamoDBClient, ListTablesCommand } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { fromTemporaryCredentials } from "@aws-sdk/credential-providers";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { assumeRoleXml, roleArn, sessionSecret } from "../support/aws-answers.js";
import { CapturedRequests, judgedAuthorization } from "../support/captured-requests.js";
import { expectJudged, region, sdkSuite, secret } from "../support/sdk.js";

const suite = sdkSuite();

const misuse = { name: "SigningError", code: "ERR_IDENTITY_MISUSE" };

test("a client without the hash class sends nothing", async () => {
  const requestHandler = new CapturedRequests({ body: "{}" });
  const { credentials } = suite.identity;
  const dynamo = new DynamoDBClient({ region, credentials, requestHandler });
  await expect(dynamo.send(new ListTablesCommand({}))).rejects.toMatchObject(misuse);
  await expect(
    getSignedUrl(new S3Client({ region, credentials }), new GetObjectCommand({ Bucket: "b", Key: "k" })),
  ).rejects.toMatchObject(misuse);
  expect(requestHandler.sent).toEqual([]);
});

test("fromTemporaryCredentials works with the hash class, and is refused without", async () => {
  const options = {
    masterCredentials: suite.identity.credentials,
    params: { RoleArn: roleArn, RoleSessionName: "s" },
  };
  const requestHandler = new CapturedRequests({ body: assumeRoleXml() });
  const clientConfig = { region, requestHandler };
  const refused = fromTemporaryCredentials({ ...options, clientConfig });
  await expect(refused()).rejects.toMatchObject(misuse);
  expect(requestHandler.sent).toEqual([]);
  const temporary = fromTemporaryCredentials({
    ...options,
    clientConfig: { ...clientConfig, sha256: suite.identity.sha256 },
  });
  expect(await temporary()).toMatchObject(sessionSecret);
  expectJudged(requestHandler, 1);
});

test("resolved credentials can be given as an object, into which the SDK writes", async () => {
  const requestHandler = new CapturedRequests({ body: "{}" });
  const credentials = await suite.identity.credentials();
  const dynamo = new DynamoDBClient({ region, credentials, sha256: suite.identity.sha256, requestHandler });
  await dynamo.send(new ListTablesCommand({}));
  expectJudged(requestHandler, 1);
  expect(credentials).toHaveProperty("$source");
});

test("one client with the handle and without the class does not poison the others", async () => {
  const requestHandler = new CapturedRequests({ body: "{}" });
  const poisoner = new DynamoDBClient({
    region,
    credentials: await suite.identity.credentials(),
    requestHandler,
  });
  await poisoner.send(new ListTablesCommand({}));
  const wrong = requestHandler.sent[0];
  expect(wrong?.headers.authorization).not.toBe(judgedAuthorization(wrong as never, secret));
  const good = new CapturedRequests({ body: "{}" });
  await new DynamoDBClient({ region, ...suite.identity, requestHandler: good }).send(
    new ListTablesCommand({}),
  );
  expectJudged(good, 1);
});

test("a failed device call is the client's error and is not remembered", async () => {
  const requestHandler = new CapturedRequests({ body: "{}" });
  const dynamo = new DynamoDBClient({ region, ...suite.identity, requestHandler, maxAttempts: 1 });
  suite.key.failures.push(new Error("device gone"));
  await expect(dynamo.send(new ListTablesCommand({}))).rejects.toThrow("device gone");
  await dynamo.send(new ListTablesCommand({}));
  expectJudged(requestHandler, 1);
});

test("a closed key ends its clients", async () => {
  const sts = new STSClient({ region, ...suite.identity, requestHandler: new CapturedRequests() });
  await suite.key.close();
  await expect(sts.send(new GetCallerIdentityCommand({}))).rejects.toMatchObject({ code: "ERR_CLOSED" });
});
