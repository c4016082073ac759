// AWS's published SigV4 test cases, signed as headers and as presigned queries.
import { HmacSigner, insecureMemoryKey } from "../../../lib/index.js";
import { parseRequest as parse } from "../../support/raw-request.js";
import suite from "./aws-signing-test-suite.json";

type Case = (typeof suite.cases)[number];

const forms = suite.cases.map((one) => [one.name, one] as const);

function open({ context }: Case): HmacSigner {
  const { credentials, region, service, normalize, sign_body } = context;
  // `omit_session_token`: the service wants the token added after signing, so the signer does not know it.
  const token = "omit_session_token" in context && context.omit_session_token ? undefined : credentials.token;
  return new HmacSigner({
    key: insecureMemoryKey(credentials.secret_access_key),
    accessKeyId: credentials.access_key_id,
    ...(token === undefined ? {} : { sessionToken: token }),
    region,
    service,
    uriEscapePath: normalize,
    applyChecksum: sign_body,
  });
}

test("the suite has its 38 cases", () => {
  expect(forms).toHaveLength(38);
});

test.each(forms)("%s, headers", async (_, one) => {
  const signed = await open(one).sign(parse(one.request), { signingDate: one.context.timestamp });
  expect(signed.headers.authorization).toMatch(new RegExp(`Signature=${one.headerSignature}$`));
});

test.each(forms)("%s, query", async (_, one) => {
  const { timestamp, expiration_in_seconds } = one.context;
  const presigned = await open(one).presign(parse(one.request), {
    signingDate: timestamp,
    expiresIn: expiration_in_seconds,
  });
  expect(presigned.query?.["X-Amz-Signature"]).toBe(one.querySignature);
});
