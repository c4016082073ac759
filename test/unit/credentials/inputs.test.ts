import {
  fromAssumeRole,
  fromFederationToken,
  fromSessionToken,
  type TemporaryCredentialsProvider,
} from "../../../lib/index.js";
import { credentialsXml, end, parameters, RoleArn, stopAllSts, stsThat } from "../../support/sts.js";

afterEach(stopAllSts);

const Policy = '{"Version":"2012-10-17","Statement":[]}';
const PolicyArns = [
  { arn: "arn:aws:iam::aws:policy/ReadOnlyAccess" },
  { arn: "arn:aws:iam::1:policy/a b+c" },
];
const Tags = [
  { Key: "team", Value: "ä & b" },
  { Key: "cost", Value: "1=2" },
];
/** How AWS's query protocol writes these, by its documentation. */
const written = {
  Policy,
  "PolicyArns.member.1.arn": "arn:aws:iam::aws:policy/ReadOnlyAccess",
  "PolicyArns.member.2.arn": "arn:aws:iam::1:policy/a b+c",
  "Tags.member.1.Key": "team",
  "Tags.member.1.Value": "ä & b",
  "Tags.member.2.Key": "cost",
  "Tags.member.2.Value": "1=2",
};

const role = {
  ...{ RoleArn, RoleSessionName: "me", ExternalId: "them", DurationSeconds: 900, SourceIdentity: "somebody" },
  ...{ Policy, PolicyArns, Tags, TransitiveTagKeys: ["team", "cost"], SerialNumber: "arn:aws:iam::1:mfa/me" },
  ProvidedContexts: [
    { ProviderArn: "arn:aws:iam::aws:contextProvider/IdentityCenter", ContextAssertion: "a.b.c" },
  ],
};
const writtenRole = {
  ...{ Action: "AssumeRole", Version: "2011-06-15", ...written },
  ...{
    RoleArn,
    RoleSessionName: "me",
    ExternalId: "them",
    DurationSeconds: "900",
    SourceIdentity: "somebody",
  },
  "TransitiveTagKeys.member.1": "team",
  "TransitiveTagKeys.member.2": "cost",
  SerialNumber: "arn:aws:iam::1:mfa/me",
  TokenCode: "123456",
  "ProvidedContexts.member.1.ProviderArn": "arn:aws:iam::aws:contextProvider/IdentityCenter",
  "ProvidedContexts.member.1.ContextAssertion": "a.b.c",
};

type Sts = Awaited<ReturnType<typeof stsThat>>;
const mfaCodeProvider = async (): Promise<string> => "123456";

test.each<[string, (sts: Sts) => TemporaryCredentialsProvider, Record<string, string>]>([
  ["AssumeRole", (sts) => fromAssumeRole(sts.options({ params: role, mfaCodeProvider })), writtenRole],
  [
    "AssumeRole with a code of its own",
    (sts) => fromAssumeRole(sts.options({ params: { ...role, TokenCode: "123456" } })),
    writtenRole,
  ],
  [
    "GetSessionToken",
    (sts) =>
      fromSessionToken({
        ...{ ...sts.options(), mfaCodeProvider },
        params: { DurationSeconds: 1800, SerialNumber: "arn:mfa" },
      }),
    {
      ...{ Action: "GetSessionToken", Version: "2011-06-15", DurationSeconds: "1800" },
      ...{ SerialNumber: "arn:mfa", TokenCode: "123456" },
    },
  ],
  [
    "GetFederationToken",
    (sts) =>
      fromFederationToken({
        ...sts.options(),
        params: { Name: "somebody", DurationSeconds: 7200, Policy, PolicyArns, Tags },
      }),
    {
      ...{ Action: "GetFederationToken", Version: "2011-06-15", ...written },
      ...{ Name: "somebody", DurationSeconds: "7200" },
    },
  ],
])("every input of %s goes out as it was given, and nothing else", async (name, provider, expected) => {
  const sts = await stsThat(() => credentialsXml(name.split(" ")[0] ?? ""));
  await provider(sts)();
  expect(sts.requests.map(parameters)).toEqual([expected]);
});

test("what is changed in params later goes nowhere", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const params = { RoleArn, ExternalId: "them" };
  const provide = fromAssumeRole(sts.options({ params }));
  params.ExternalId = "others";
  await provide();
  expect(parameters(sts.requests[0]).ExternalId).toBe("them");
});

test("a made-up RoleSessionName stays the same for each refresh", async () => {
  const sts = await stsThat(() => credentialsXml("AssumeRole"));
  const provide = fromAssumeRole(sts.options());
  await provide();
  await provide({ forceRefresh: true });
  const names = sts.requests.map((request) => parameters(request).RoleSessionName);
  expect(new Set(names).size).toBe(1);
  expect(names[0]).toMatch(/^[\w+=,.@-]{2,64}$/);
});

test.each<[string, (sts: Sts) => TemporaryCredentialsProvider, string | undefined]>([
  ["AssumeRole", (sts) => fromAssumeRole(sts.options()), "123456789012"],
  ["GetSessionToken", (sts) => fromSessionToken({ ...sts.options(), params: {} }), undefined],
  [
    "GetFederationToken",
    (sts) => fromFederationToken({ ...sts.options(), params: { Name: "somebody" } }),
    "123456789012",
  ],
])("%s: whole credentials, with the account where STS tells it", async (action, provider, accountId) => {
  const sts = await stsThat(() => credentialsXml(action));
  expect(await provider(sts)()).toEqual({
    ...{ accessKeyId: "ASIATEMPORARY", secretAccessKey: "temporary", sessionToken: "token", expiration: end },
    ...(accountId && { accountId }),
  });
});

test("fromFederationToken refuses to give credentials to nobody", async () => {
  const sts = await stsThat(() => undefined);
  expect(() => fromFederationToken({ ...sts.options(), params: { Name: "" } })).toThrow(
    expect.objectContaining({
      code: "ERR_INVALID_ARGUMENT",
      message: expect.stringContaining("params.Name"),
    }),
  );
});

test.each(["logger", "clientConfig.logger"])(
  "%s hears of the calls, and of no secret, token or MFA code",
  async (place) => {
    const heard: unknown[] = [];
    const hear = (...words: unknown[]): void => void heard.push(...words);
    const logger = { trace: hear, debug: hear, info: hear, warn: hear, error: hear };
    const answers = [credentialsXml("AssumeRole"), credentialsXml("AssumeRole"), { status: 403, body: "no" }];
    const sts = await stsThat(() => answers.shift());
    const { clientConfig } = sts.options();
    const params = [{ RoleArn, SerialNumber: "arn:mfa" }, { RoleArn }];
    const provide = fromAssumeRole(
      sts.options({
        ...{ params, mfaCodeProvider: async () => "987654" },
        ...(place === "logger" ? { logger } : { clientConfig: { ...clientConfig, logger } }),
      }),
    );
    await provide();
    await expect(provide({ forceRefresh: true })).rejects.toThrow();
    expect(heard).toContain("aws-hmac: STS AssumeRole (role 1 of 2): done");
    expect(heard).toContain("aws-hmac: STS AssumeRole (role 2 of 2): done");
    const all = JSON.stringify(heard);
    for (const secret of ["987654", "temporary", '"token"', "wJalr"]) expect(all).not.toContain(secret);
  },
);
