// AWS's published SigV4 test cases, signed as headers and as presigned queries.
import { createHash, createHmac } from "node:crypto";
import { HmacSigner, insecureMemoryKey } from "../../../lib/index.js";
import { parseRequest as parse } from "../../support/raw-request.js";
import suite from "./aws-signing-test-suite.json";

type Case = (typeof suite.cases)[number];

const forms = suite.cases.map((one) => [one.name, one] as const);

/** The service wants the token added after signing. */
function isOmitted(context: Case["context"]): boolean {
  return "omit_session_token" in context && context.omit_session_token === true;
}

function open({ context }: Case): HmacSigner {
  const { credentials, region, service, normalize, sign_body } = context;
  const { token } = credentials;
  return new HmacSigner({
    key: insecureMemoryKey(credentials.secret_access_key),
    accessKeyId: credentials.access_key_id,
    ...(token === undefined ? {} : { sessionToken: token }),
    omitSessionToken: isOmitted(context),
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
  expect(signed.headers["x-amz-security-token"]).toBe(one.context.credentials.token);
});

test.each(forms)("%s, query", async (_, one) => {
  const { timestamp, expiration_in_seconds } = one.context;
  const presigned = await open(one).presign(parse(one.request), {
    signingDate: timestamp,
    expiresIn: expiration_in_seconds,
  });
  expect(presigned.query?.["X-Amz-Signature"]).toBe(one.querySignature);
  expect(presigned.query?.["X-Amz-Security-Token"]).toBe(one.context.credentials.token);
});

test.each(forms)("%s, explained: the published signatures are of these strings to sign", async (_, one) => {
  const { timestamp, expiration_in_seconds: expiresIn, credentials, region, service } = one.context;
  const signer = open(one);
  for (const [options, signature] of [
    [{}, one.headerSignature],
    [{ expiresIn }, one.querySignature],
  ] as const) {
    const texts = await signer.explain(parse(one.request), { signingDate: timestamp, ...options });
    const scope = [timestamp.slice(0, 10).replaceAll("-", ""), region, service, "aws4_request"];
    const key = scope.reduce<string | Buffer>(
      (secret, text) => createHmac("sha256", secret).update(text).digest(),
      `AWS4${credentials.secret_access_key}`,
    );
    expect(createHmac("sha256", key).update(texts.stringToSign).digest("hex")).toBe(signature);
    expect(texts.credentialScope).toBe(scope.join("/"));
    const canonical = texts.canonicalRequest
      .replace("token:<redacted>", `token:${credentials.token}`)
      .replace("Token=<redacted>", `Token=${encodeURIComponent(credentials.token ?? "")}`);
    const [, , , hash] = texts.stringToSign.split("\n");
    expect(createHash("sha256").update(canonical).digest("hex")).toBe(hash);
    if (credentials.token !== undefined)
      expect(texts.canonicalRequest).not.toContain(credentials.token.slice(0, 20));
  }
});
