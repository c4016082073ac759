import { DsqlSigner } from "@aws-sdk/dsql-signer";
import { Signer as RdsSigner } from "@aws-sdk/rds-signer";
import { SignatureV4 } from "@smithy/signature-v4";
import { generateAuthTokenFromCredentialsProvider } from "aws-msk-iam-sasl-signer-js";
import { IamAuthTokens, type IamAuthTokensOptions, insecureMemoryKey } from "../../../lib/index.js";
import { counted } from "../../support/counted.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { accessKeyId, refusal, secret, signingDate, wrong } from "../../support/signer.js";

const region = "eu-central-1";
const credentials = { accessKeyId, secretAccessKey: secret };
const sessionToken = "session/token+with=odd characters";

function open(options: Partial<IamAuthTokensOptions> = {}): IamAuthTokens {
  return new IamAuthTokens({ key: insecureMemoryKey(secret), accessKeyId, region, ...options });
}

const cases: [string, string | undefined][] = [
  ["long-term credentials", undefined],
  ["a session token", sessionToken],
];

describe.each(cases)("with %s", (_, token) => {
  const withToken = { ...credentials, ...(token === undefined ? {} : { sessionToken: token }) };
  const now = { now: signingDate.getTime() };
  beforeEach(() => jest.useFakeTimers(now));
  afterEach(() => jest.useRealTimers());

  test.each(["app", "user@example.com", "a b+c"])(
    "RDS: what the SDK's signer gives for %s",
    async (username) => {
      const hostname = "db.cluster-abc.eu-central-1.rds.amazonaws.com";
      const rds = new RdsSigner({ hostname, port: 5432, username, region, credentials: withToken });
      expect(parts(await open({ sessionToken: token }).rds({ hostname, port: 5432, username }))).toEqual(
        parts(await rds.getAuthToken()),
      );
    },
  );

  test.each([false, true])("Aurora DSQL: what the SDK's signer gives (admin: %s)", async (admin) => {
    const hostname = "abc.dsql.eu-central-1.on.aws";
    const dsql = new DsqlSigner({ hostname, region, credentials: withToken });
    const theirs = await (admin ? dsql.getDbConnectAdminAuthToken() : dsql.getDbConnectAuthToken());
    expect(parts(await open({ sessionToken: token }).dsql({ hostname, admin }))).toEqual(parts(theirs));
  });

  test("MSK: what Amazon's signer gives, but for the user agent", async () => {
    const theirs = await generateAuthTokenFromCredentialsProvider({
      region,
      awsCredentialsProvider: async () => withToken,
    });
    const ours = await open({ sessionToken: token }).msk();
    expect(ours.token).toMatch(/^[\w-]+$/);
    const [mine, other] = [ours.token, theirs.token].map(
      (one) => new URL(Buffer.from(one, "base64url").toString()),
    );
    expect(mine?.searchParams.get("User-Agent")).toBe("aws-hmac");
    for (const url of [mine, other]) url?.searchParams.delete("User-Agent");
    expect(parts(String(mine).slice(8))).toEqual(parts(String(other).slice(8)));
    expect(ours.expiration.getTime()).toBe(theirs.expiryTime);
  });

  // Nobody ships a signer for these two: the request of their guides, signed by smithy.
  test.each([
    ["elasticache", false],
    ["elasticache", true],
    ["memorydb", false],
  ])("%s (serverless: %s): the presigned request of the user guide", async (service, serverless) => {
    const smithy = new SignatureV4({ service, region, credentials: withToken, sha256: PlainSha256 });
    const { query = {} } = await smithy.presign(
      {
        ...{
          method: "GET",
          protocol: "http:",
          hostname: "my-group",
          path: "/",
          headers: { host: "my-group" },
        },
        query: {
          Action: "connect",
          User: "iam-user",
          ...(serverless && { ResourceType: "ServerlessCache" }),
        },
      },
      { expiresIn: 900, signingDate },
    );
    const tokens = open({ sessionToken: token });
    const target = { name: "my-group", user: "iam-user", serverless };
    const ours = await (service === "memorydb" ? tokens.memoryDb(target) : tokens.elastiCache(target));
    expect(parts(ours)).toEqual({ place: "my-group/", query });
  });
});

/** Of a token: what it is for, and its parameters in any order. */
function parts(token: string): { place: string; query: Record<string, string> } {
  const [place = "", search] = token.split("?");
  return { place, query: Object.fromEntries(new URLSearchParams(search)) };
}

test("all services and tokens of a day share one device call", async () => {
  const key = counted(insecureMemoryKey(secret));
  await using tokens = open({ key });
  const terms = { signingDate };
  for (let round = 0; round < 3; round++) {
    await tokens.rds({ hostname: "db", port: 3306, username: "app", ...terms });
    await tokens.elastiCache({ name: "cache", user: "app", ...terms });
    await tokens.memoryDb({ name: "cluster", user: "app", ...terms });
    await tokens.dsql({ hostname: "dsql", ...terms });
    await tokens.msk(terms);
  }
  expect(key.asked).toEqual(["20261123"]);
});

test("a region from a function", async () => {
  const { token } = await open({ region: async () => "eu-west-1" }).msk();
  expect(Buffer.from(token, "base64url").toString()).toMatch(/^https:\/\/kafka\.eu-west-1\.amazonaws\.com\//);
});

test.each([0, 901, 1.5, Number.NaN])("expiresIn %p is refused", async (expiresIn) => {
  const target = { hostname: "db", port: 5432, username: "app", expiresIn };
  await expect(open().rds(target)).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
  await expect(open().msk({ expiresIn })).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
});

test.each([
  ["hostname", { hostname: "https://db" }],
  ["hostname", { hostname: "db:5432" }],
  ["hostname", { hostname: undefined }],
  ["port", { port: 0 }],
  ["port", { port: "5432" }],
  ["username", { username: "" }],
  ["username", { username: 7 }],
])("a wrong %s is named", async (option, given) => {
  const target = { hostname: "db", port: 5432, username: "app", ...wrong<object>(given) };
  await expect(open().rds(target)).rejects.toMatchObject({
    code: "ERR_SIGN_INPUT",
    message: expect.stringMatching(new RegExp(`^${option} `)),
  });
});

test("after close(): ERR_CLOSED", async () => {
  const tokens = open();
  await tokens.close();
  await expect(tokens.msk()).rejects.toEqual(refusal("ERR_CLOSED"));
});
