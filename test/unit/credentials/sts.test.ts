import { execFile } from "node:child_process";
import { inspect, promisify } from "node:util";
import { type FromAssumeRoleOptions, fromAssumeRole } from "../../../lib/credentials/from-assume-role.js";
import { fromSessionToken } from "../../../lib/credentials/from-session-token.js";
import type { CredentialsEvent } from "../../../lib/index.js";
import { day, minute } from "../../../lib/sigv4/clock.js";
import { eventsDuring } from "../../support/events.js";
import { freePorts } from "../../support/ports.js";
import {
  accessKeyId,
  credentialsXml,
  end,
  errorXml,
  parameters,
  RoleArn,
  secret,
  stopAllSts,
  stsThat,
} from "../../support/sts.js";

const run = promisify(execFile);

afterEach(stopAllSts);
afterEach(() => jest.restoreAllMocks());

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

test("no code is sent or asked for while nobody wants credentials; one for a single use is not sent again in the background", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const noon = Math.floor(Date.now() / day) * day + day / 2;
  jest.spyOn(Date, "now").mockReturnValue(noon); // the day's keys have timers for midnight
  const timers = jest.spyOn(globalThis, "setTimeout");
  const mfa = { RoleArn, SerialNumber: "arn:mfa" };
  const mfaCodeProvider = jest.fn(async () => "123456");
  for (const more of [{ params: mfa, mfaCodeProvider }, { params: { ...mfa, TokenCode: "123456" } }]) {
    await fromAssumeRole(sts.options(more))();
  }
  const ahead = (): number[] =>
    timers.mock.calls.map(([, ms = 0]) => ms).filter((ms) => ms > 45 * minute && ms <= 60 * minute);
  expect(ahead()).toEqual([]);
  await fromAssumeRole(sts.options())();
  expect(ahead()).toHaveLength(1);
  expect(sts.requests).toHaveLength(3);
});

test.each<[string, () => unknown]>([
  ["none", async () => undefined],
  ["empty", async () => "\n"],
  ["something else", async () => "secret12"],
  ["an error", () => Promise.reject(new Error("no terminal"))],
])("an MFA code that is %s is not sent, nor told, and is no STS call", async (_, give) => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const params = { RoleArn, SerialNumber: "arn:mfa" };
  const mfaCodeProvider = give as () => Promise<string>;
  const events = await eventsDuring("aws-hmac:credentials", async () => {
    const error = await fromAssumeRole(sts.options({ params, mfaCodeProvider }))().catch((reason) => reason);
    expect(error).toMatchObject({
      ...{ name: "CredentialsError", code: "ERR_MFA_CODE" },
      message: expect.stringContaining("mfaCodeProvider gave no MFA code"),
    });
    expect(inspect(error, { depth: 9 })).not.toContain("secret12");
  });
  expect(sts.requests).toEqual([]);
  expect(events).toEqual([]);
});

test("a person may take longer for the MFA code than STS for its answer, and a prompt is told when it is too late", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const params = { RoleArn, SerialNumber: "arn:mfa" };
  let told: AbortSignal | undefined;
  const slow = fromAssumeRole(
    sts.options({
      ...{ params, timeout: 5_000, mfaTimeout: 50 },
      mfaCodeProvider: (_, { signal }) => {
        told = signal;
        return new Promise(() => undefined);
      },
    }),
  );
  await expect(slow()).rejects.toMatchObject({
    ...{ code: "ERR_MFA_CODE", message: expect.stringContaining("within 50 ms (option mfaTimeout)") },
  });
  expect(told?.aborted).toBe(true);
  let later = 0;
  const real = performance.now.bind(performance);
  const clock = jest.spyOn(performance, "now").mockImplementation(() => real() + later);
  const quick = fromAssumeRole(
    sts.options({
      ...{ params, timeout: 10_000 },
      mfaCodeProvider: async () => {
        later = 60_000;
        return " 123456\n";
      },
    }),
  );
  try {
    await quick();
  } finally {
    clock.mockRestore();
  }
  expect(parameters(sts.requests[0]).TokenCode).toBe("123456");
});

test.each([
  [403, "AccessDenied", "ERR_STS_DENIED", false],
  [400, "ExpiredToken", "ERR_STS_KEY_REJECTED", false],
  [403, "SignatureDoesNotMatch", "ERR_STS_KEY_REJECTED", false],
  [403, "InvalidClientTokenId", "ERR_STS_KEY_REJECTED", false],
  [400, "ValidationError", "ERR_STS", false],
  [400, "Throttling", "ERR_STS", true],
  [400, "MalformedPolicyDocument", "ERR_STS", false],
  [400, "PackedPolicyTooLarge", "ERR_STS", false],
  [403, "RegionDisabledException", "ERR_STS_DENIED", false],
  [403, "constructor", "ERR_STS_DENIED", false],
  [403, "SomethingNew", "ERR_STS_DENIED", false],
  [503, "ServiceUnavailable", "ERR_STS", true],
] as const)("HTTP %i %s becomes %s", async (status, name, code, retryable) => {
  const sts = await stsThat(() => errorXml(status, name));
  const error = await fromAssumeRole(sts.options())().catch((reason: unknown) => reason);
  expect(error).toMatchObject({ name: "CredentialsError", code, retryable, operation: "AssumeRole" });
  expect(error).toMatchObject({ reason: name });
  expect(error).toMatchObject({
    message: expect.stringContaining(`STS AssumeRole: ${name} (HTTP ${status})`),
  });
  expect(inspect(error, { depth: 9 })).not.toContain(secret);
});

test("the remedy tells a wrong key from a wrong clock", async () => {
  const answers = [
    "The request signature we calculated does not match",
    "Signature expired: 20261124T000000Z is now earlier",
  ];
  const sts = await stsThat(() => errorXml(403, "SignatureDoesNotMatch", answers.shift()));
  const provide = fromAssumeRole(sts.options());
  await expect(provide()).rejects.toThrow(
    /the device does not hold the secret of this access key id, or this machine's clock/,
  );
  await expect(provide()).rejects.toThrow(/\(HTTP 403\): set this machine's clock$/);
});

test("a refusal in Ceph's form, without the element around it, says its code too", async () => {
  const bare =
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>AccessDenied</Code><Message></Message></Error>';
  const sts = await stsThat(() => ({ status: 403, body: bare }));
  await expect(fromAssumeRole(sts.options())()).rejects.toMatchObject({
    ...{ code: "ERR_STS_DENIED", reason: "AccessDenied" },
    message: expect.stringMatching(/^STS AssumeRole: AccessDenied \(HTTP 403\): allow the call/),
  });
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

test("a server that never answers and a device that hangs end at the deadline, with an event", async () => {
  const never = new Promise<never>(() => undefined);
  const sts = await stsThat(() => undefined);
  const stalls: FromAssumeRoleOptions[] = [sts.options(), sts.options({ key: { mac: () => never } })];
  for (const stall of stalls) {
    const start = performance.now();
    const events = await eventsDuring("aws-hmac:credentials", () =>
      expect(fromAssumeRole({ ...stall, timeout: 200 })()).rejects.toMatchObject({
        code: "ERR_STS_TIMEOUT",
      }),
    );
    expect(events).toEqual([expect.objectContaining({ action: "AssumeRole", error: "ERR_STS_TIMEOUT" })]);
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

test.each<[string, Partial<FromAssumeRoleOptions>]>([
  ["no role", { params: { RoleArn: "" } }],
  ["an MFA device without a code", { params: { RoleArn, SerialNumber: "arn:mfa" } }],
  [
    "an MFA device of a later role",
    { params: [{ RoleArn }, { RoleArn, SerialNumber: "arn:mfa", TokenCode: "123456" }] },
  ],
  ["no roles", { params: [] }],
  ["a chain with a gap", { params: [{ RoleArn }, { RoleArn: "" }] }],
  ["no time for the MFA code", { mfaTimeout: 0 }],
  ["an MFA code without a device", { mfaCodeProvider: async () => "123456" }],
  ["other credentials", { clientConfig: { credentials: {} } as object }],
  ["no time", { timeout: 0 }],
])("refuses %s", async (_, wrong) => {
  const { options } = await stsThat(() => undefined);
  expect(() => fromAssumeRole(options(wrong))).toThrow(
    expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" }),
  );
});
