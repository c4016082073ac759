// AWS's published SigV4a test cases: our signatures must be good for the published strings to sign and public key.
import { HmacSignerV4a, insecureMemoryKey } from "../../../lib/index.js";
import { parseRequest } from "../../support/raw-request.js";
import { publicKey, signatureOf, verifies } from "../../support/sigv4a.js";
import requests from "./aws-signing-test-suite.json";
import suite from "./aws-v4a-test-suite.json";

const judge = publicKey(suite.publicKey);
const forms = suite.cases.map((expected) => {
  const given = requests.cases.find(({ name }) => name === expected.name);
  if (!given) throw new Error(`no request for ${expected.name}`);
  return [expected.name, given, expected] as const;
});

function open({ context }: (typeof requests.cases)[number]): HmacSignerV4a {
  const { credentials, region, service, normalize, sign_body } = context;
  const token = "omit_session_token" in context && context.omit_session_token ? undefined : credentials.token;
  return new HmacSignerV4a({
    key: insecureMemoryKey(credentials.secret_access_key, { algorithm: "sigv4a" }),
    accessKeyId: credentials.access_key_id,
    ...(token === undefined ? {} : { sessionToken: token }),
    regionSet: region,
    service,
    uriEscapePath: normalize,
    applyChecksum: sign_body,
  });
}

test("the suite has its 38 cases, and the judge takes AWS's own signatures", () => {
  expect(forms).toHaveLength(38);
  for (const [, , { headerStringToSign, headerSignature, queryStringToSign, querySignature }] of forms) {
    expect(verifies(judge, headerStringToSign, headerSignature)).toBe(true);
    expect(verifies(judge, queryStringToSign, querySignature)).toBe(true);
    expect(verifies(judge, queryStringToSign, headerSignature)).toBe(false);
  }
});

test.each(forms)("%s, headers", async (_, given, { headerStringToSign }) => {
  const { timestamp } = given.context;
  const { headers } = await open(given).sign(parseRequest(given.request), { signingDate: timestamp });
  expect(headers["x-amz-region-set"]).toBe("us-east-1");
  expect(verifies(judge, headerStringToSign, signatureOf(headers))).toBe(true);
});

test.each(forms)("%s, query", async (_, given, { queryStringToSign }) => {
  const { timestamp, expiration_in_seconds } = given.context;
  const { query } = await open(given).presign(parseRequest(given.request), {
    signingDate: timestamp,
    expiresIn: expiration_in_seconds,
  });
  expect(query?.["X-Amz-Region-Set"]).toBe("us-east-1");
  expect(verifies(judge, queryStringToSign, query?.["X-Amz-Signature"])).toBe(true);
});
