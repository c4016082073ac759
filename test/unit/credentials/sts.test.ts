import { execFile } from "node:child_process";
import { inspect, promisify } from "node:util";
import { type FromAssumeRoleOptions, fromAssumeRole } from "../../../lib/credentials/from-assume-role.js";
import { fromSessionToken } from "../../../lib/credentials/from-session-token.js";
import type { CredentialsEvent } from "../../../lib/index.js";
import { eventsDuring } from "../../support/events.js";
import type { Received } from "../../support/http.js";
import { freePorts } from "../../support/ports.js";
import {
  accessKeyId,
  credentialsXml,
  end,
  errorXml,
  RoleArn,
  secret,
  stopAllSts,
  stsThat,
} from "../../support/sts.js";

const run = promisify(execFile);

afterEach(stopAllSts);

const parameters = (request: Received | undefined) => Object.fromEntries(new URLSearchParams(request?.body));

test("fromAssumeRole: one call for all callers, whole credentials", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const provide = fromAssumeRole(
    sts.options({ params: { RoleArn, ExternalId: "them", DurationSeconds: 900 } }),
  );
  const all = await Promise.all(Array.from({ length: 50 }, () => provide()));
  expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1);
  expect(all[0]).toEqual({
    accessKeyId: "ASIATEMPORARY",
    secretAccessKey: "temporary",
    sessionToken: "token",
    expiration: end,
    accountId: "123456789012",
  });
  expect(sts.requests).toHaveLength(1);
  const sent = { Action: "AssumeRole", RoleArn, ExternalId: "them", DurationSeconds: "900" };
  expect(parameters(sts.requests[0])).toMatchObject({
    ...sent,
    RoleSessionName: expect.stringMatching(/^aws-hmac-[\w-]{1,55}$/),
  });
  expect(sts.requests[0]?.headers.authorization).toContain("/eu-west-1/sts/aws4_request");
});

test("aws-hmac:credentials tells of each STS call: which, how long, until when the credentials are good", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const provide = fromAssumeRole(sts.options({ params: { RoleArn } }));
  const events = await eventsDuring<CredentialsEvent>("aws-hmac:credentials", async () => {
    await Promise.all([provide(), provide()]);
    await provide();
    await provide({ forceRefresh: true });
  });
  const event = {
    ...{ backend: expect.any(String), action: "AssumeRole", expiration: end },
    ...{ startTime: expect.any(Number), duration: expect.any(Number) },
  };
  expect(events).toEqual([event, event]);
});

test("fromSessionToken asks for the MFA code of each call", async () => {
  const sts = await stsThat(() => credentialsXml("GetSessionToken"));
  const codes = ["111111", "222222"];
  const asked: string[] = [];
  const { key, clientConfig } = sts.options();
  const provide = fromSessionToken({
    ...{ key, accessKeyId, clientConfig },
    params: { SerialNumber: "arn:mfa" },
    mfaCodeProvider: async (serialNumber) => {
      asked.push(serialNumber);
      return codes.shift() ?? "";
    },
  });
  await provide();
  await provide({ forceRefresh: true });
  expect(asked).toEqual(["arn:mfa", "arn:mfa"]);
  expect(sts.requests.map((request) => parameters(request).TokenCode)).toEqual(["111111", "222222"]);
});

test("an MFA code that is none is not sent", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const params = { RoleArn, SerialNumber: "arn:mfa" };
  const mfaCodeProvider = async (): Promise<string> => undefined as unknown as string;
  await expect(fromAssumeRole(sts.options({ params, mfaCodeProvider }))()).rejects.toMatchObject({
    code: "ERR_STS",
    message: "mfaCodeProvider gave no MFA code",
  });
  expect(sts.requests).toEqual([]);
});

test.each([
  [403, "AccessDenied", "ERR_STS_DENIED", false],
  [403, "SignatureDoesNotMatch", "ERR_STS_KEY_REJECTED", false],
  [403, "InvalidClientTokenId", "ERR_STS_KEY_REJECTED", false],
  [400, "ValidationError", "ERR_STS", false],
  [400, "Throttling", "ERR_STS", true],
  [403, "SomethingNew", "ERR_STS_DENIED", false],
  [503, "ServiceUnavailable", "ERR_STS", true],
] as const)("HTTP %i %s becomes %s", async (status, name, code, retryable) => {
  const sts = await stsThat(() => errorXml(status, name));
  const error = await fromAssumeRole(sts.options())().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "CredentialsError", code, retryable });
  expect(error).toMatchObject({
    message: expect.stringContaining(`STS AssumeRole: ${name} (HTTP ${status})`),
  });
  expect(inspect(error, { depth: 9 })).not.toContain(secret);
});

test("an answer without credentials, or that never ends, is an error of its own", async () => {
  const empty = await stsThat(() => ({
    status: 200,
    body: "<AssumeRoleResponse><AssumeRoleResult/></AssumeRoleResponse>",
  }));
  await expect(fromAssumeRole(empty.options())()).rejects.toMatchObject({ code: "ERR_STS_RESPONSE" });
  const endless = await stsThat(() => credentialsXml("AssumeRole", ""));
  await expect(fromAssumeRole(endless.options())()).rejects.toMatchObject({ code: "ERR_STS_RESPONSE" });
});

test("a server that never answers, a device that hangs and an MFA code that never comes all end at the deadline", async () => {
  const never = new Promise<never>(() => undefined);
  const sts = await stsThat(() => undefined);
  const stalls: FromAssumeRoleOptions[] = [
    sts.options(),
    sts.options({ key: { mac: () => never } }),
    sts.options({ params: { RoleArn, SerialNumber: "arn:mfa" }, mfaCodeProvider: () => never }),
  ];
  for (const stall of stalls) {
    const start = performance.now();
    await expect(fromAssumeRole({ ...stall, timeout: 200 })()).rejects.toMatchObject({
      code: "ERR_STS_TIMEOUT",
    });
    expect(performance.now() - start).toBeLessThan(5_000);
  }
});

// In a process of its own: under jest the SDK does not know the network's errors for errors.
test("nobody there", async () => {
  const endpoint = `http://127.0.0.1:${await freePorts(1)}`;
  const script = `
    const { fromAssumeRole } = require("./lib/credentials/from-assume-role.ts");
    const { insecureMemoryKey } = require("./lib/keys/memory.ts");
    fromAssumeRole({
      key: insecureMemoryKey("${secret}"),
      accessKeyId: "${accessKeyId}",
      params: { RoleArn: "${RoleArn}" },
      clientConfig: { region: "eu-west-1", endpoint: "${endpoint}" },
    })().catch(({ code, retryable, message }) => console.log(JSON.stringify({ code, retryable, message })));
  `;
  const { stdout } = await run(process.execPath, ["--import", "tsx", "-e", script], { timeout: 30_000 });
  expect(JSON.parse(stdout)).toEqual({
    code: "ERR_STS",
    retryable: true,
    message: "STS AssumeRole: no answer (ECONNREFUSED): check the endpoint and the network",
  });
});

test("the key's errors come through as they are, a closed key's too", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const provide = fromAssumeRole(sts.options());
  await provide();
  await sts.key.close();
  expect(await provide()).toMatchObject({ accessKeyId: "ASIATEMPORARY" });
  await expect(provide({ forceRefresh: true })).rejects.toMatchObject({ code: "ERR_CLOSED" });
  await expect(fromAssumeRole(sts.options())()).rejects.toMatchObject({ code: "ERR_CLOSED" });
  expect(sts.requests).toHaveLength(1);
});

describe("the region", () => {
  const environment = { ...process.env };
  beforeEach(() => {
    delete process.env.AWS_REGION;
    process.env.AWS_EC2_METADATA_DISABLED = "true";
    process.env.AWS_CONFIG_FILE = process.env.AWS_SHARED_CREDENTIALS_FILE = "/nonexistent";
  });
  afterEach(() => {
    process.env = { ...environment };
  });

  test("comes from AWS_REGION, and is never made up", async () => {
    const sts = await stsThat(() => credentialsXml("AssumeRole"));
    const clientConfig = { endpoint: sts.endpoint };
    await expect(fromAssumeRole(sts.options({ clientConfig }))()).rejects.toMatchObject({
      code: "ERR_REGION_MISSING",
    });
    process.env.AWS_REGION = "ap-south-1";
    await fromAssumeRole(sts.options({ clientConfig }))();
    expect(sts.requests.map((request) => request.headers.authorization)).toEqual([
      expect.stringContaining("/ap-south-1/sts/aws4_request"),
    ]);
  });
});

test.each<[string, Partial<FromAssumeRoleOptions>]>([
  ["no role", { params: { RoleArn: "" } }],
  ["an MFA device without a code", { params: { RoleArn, SerialNumber: "arn:mfa" } }],
  ["an MFA code without a device", { mfaCodeProvider: async () => "123456" }],
  ["other credentials", { clientConfig: { credentials: {} } as object }],
  ["no time", { timeout: 0 }],
])("refuses %s", async (_, wrong) => {
  const { options } = await stsThat(() => undefined);
  expect(() => fromAssumeRole(options(wrong))).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});
