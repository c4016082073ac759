import { inspect } from "node:util";
import { fromAssumeRole } from "../../../lib/credentials/from-assume-role.js";
import type { CredentialsEvent } from "../../../lib/index.js";
import { counted } from "../../support/counted.js";
import { eventsDuring } from "../../support/events.js";
import { startStrictSts } from "../../support/strict-sts.js";
import { accessKeyId, errorXml, parameters, stopAllSts } from "../../support/sts.js";

afterEach(async () => {
  jest.restoreAllMocks();
  await stopAllSts();
});

const arn = (name: string): string => `arn:aws:iam::123456789012:role/${name}`;
const roles = [
  { RoleArn: arn("first"), ExternalId: "them" },
  { RoleArn: arn("second"), DurationSeconds: 900 },
  { RoleArn: arn("third"), RoleSessionName: "me", DurationSeconds: 1800 },
];

test("each role is assumed with the credentials of the one before, with its own params; the last one's are given", async () => {
  const sts = await startStrictSts();
  const key = counted(sts.key);
  const provide = fromAssumeRole(sts.options({ key, params: roles }));
  const asked = await Promise.all(Array.from({ length: 500 }, () => provide()));
  expect(new Set(asked.map((one) => one.accessKeyId))).toEqual(new Set([sts.issued[2]?.accessKeyId]));
  expect(asked[0]).toMatchObject({
    accountId: "123456789012",
    expiration: new Date(sts.issued[2]?.end ?? 0),
  });

  expect(sts.accepted).toEqual(["AssumeRole", "AssumeRole", "AssumeRole"]);
  const signers = sts.requests.map(
    ({ headers }) => /Credential=(\w+)/.exec(headers.authorization ?? "")?.[1],
  );
  expect(signers).toEqual([accessKeyId, sts.issued[0]?.accessKeyId, sts.issued[1]?.accessKeyId]);
  expect(sts.requests.map(({ headers }) => headers["x-amz-security-token"])).toEqual([
    ...[undefined, sts.issued[0]?.sessionToken, sts.issued[1]?.sessionToken],
  ]);
  const sent = sts.requests.map(parameters);
  expect(sent).toEqual(roles.map((role) => expect.objectContaining({ RoleArn: role.RoleArn })));
  expect(sent.map((one) => one.ExternalId)).toEqual(["them", undefined, undefined]);
  expect(sent.map((one) => one.DurationSeconds)).toEqual([undefined, "900", "1800"]);
  expect(sent[2]?.RoleSessionName).toBe("me");
  expect(key.asked).toHaveLength(1);
});

test("only the first call has the MFA code", async () => {
  const sts = await startStrictSts();
  const params = roles.map((role, number) => (number === 0 ? { ...role, SerialNumber: "arn:mfa" } : role));
  await fromAssumeRole(sts.options({ params, mfaCodeProvider: async () => "123456" }))();
  expect(sts.requests.map((request) => parameters(request).TokenCode)).toEqual([
    ...["123456", undefined, undefined],
  ]);
});

test("aws-hmac:credentials tells of each call; an error says which role it was, and nothing secret", async () => {
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options({ params: roles }));
  sts.instead = (judged) => (sts.issued.length === 1 ? errorXml(403, "AccessDenied") : judged());
  let error: unknown;
  const events = await eventsDuring<CredentialsEvent>("aws-hmac:credentials", async () => {
    error = await provide().catch((reason: unknown) => reason);
  });
  expect(error).toMatchObject({
    ...{ code: "ERR_STS_DENIED", reason: "AccessDenied", operation: "AssumeRole" },
    message: expect.stringMatching(/^STS AssumeRole \(role 2 of 3\): AccessDenied \(HTTP 403\): /),
  });
  const shown = inspect(error, { depth: 20, showHidden: true });
  expect(shown).toContain("AccessDenied");
  for (const { secretAccessKey, sessionToken } of sts.issued) {
    expect(shown).not.toContain(secretAccessKey);
    expect(shown).not.toContain(sessionToken);
  }
  expect(events).toEqual([
    expect.objectContaining({ action: "AssumeRole", expiration: new Date(sts.issued[0]?.end ?? 0) }),
    expect.objectContaining({ action: "AssumeRole", error: "ERR_STS_DENIED" }),
  ]);
  sts.instead = undefined;
  expect((await provide()).accessKeyId).toBe(sts.issued.at(-1)?.accessKeyId);
});

test("a role before whose credentials are not accepted is not taken for a wrong key", async () => {
  const sts = await startStrictSts();
  const provide = fromAssumeRole(sts.options({ params: roles }));
  sts.instead = (judged) => (sts.issued.length === 1 ? errorXml(403, "InvalidClientTokenId") : judged());
  await expect(provide()).rejects.toMatchObject({
    code: "ERR_STS_KEY_REJECTED",
    message: expect.stringContaining("the credentials of the role before are not accepted"),
  });
});

test("all calls share one deadline", async () => {
  const sts = await startStrictSts();
  const real = performance.now.bind(performance);
  let later = 0;
  jest.spyOn(performance, "now").mockImplementation(() => real() + later);
  const provide = fromAssumeRole(sts.options({ params: roles, timeout: 20_000 }));
  sts.instead = (judged) => {
    if (sts.issued.length === 2) return undefined;
    later += 9_900; // so long each call takes
    return judged();
  };
  const start = real();
  await expect(provide()).rejects.toMatchObject({
    code: "ERR_STS_TIMEOUT",
    message: expect.stringContaining("(role 3 of 3): not done within 20000 ms"),
  });
  expect(real() - start).toBeLessThan(10_000);
});

test("a clock that is hours off is known for the later calls too", async () => {
  const truth = Date.now.bind(Date);
  jest.spyOn(Date, "now").mockImplementation(() => truth() - 2 * 3_600_000);
  const sts = await startStrictSts();
  sts.now = () => truth();
  const { clientConfig } = sts.options();
  const provide = fromAssumeRole(
    sts.options({ params: roles, clientConfig: { ...clientConfig, maxAttempts: 2 } }),
  );
  expect((await provide()).accessKeyId).toBe(sts.issued[2]?.accessKeyId);
  expect(sts.requests).toHaveLength(4); // only the first had to be corrected
});
