import { type ExplainOptions, insecureMemoryKey } from "../../../lib/index.js";
import { counted } from "../../support/counted.js";
import { openSigner, refusal, request, secret, signingDate, wrong } from "../../support/signer.js";

const s3 = {
  ...request,
  hostname: "bucket.s3.eu-central-1.amazonaws.com",
  path: "/a b",
  headers: {},
  query: { acl: "" },
};
const asXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll("\n", "&#10;");

/** The forms in which services tell what they computed (S3 API reference, "Error responses"; AWS general reference). */
const forms: [string, (canonicalRequest: string, stringToSign: string) => unknown][] = [
  [
    "S3's XML",
    (canonical, string) =>
      `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SignatureDoesNotMatch</Code><Message>The request signature we ` +
      `calculated does not match the signature you provided. Check your key and signing method.</Message>` +
      `<AWSAccessKeyId>AKIA</AWSAccessKeyId><StringToSign>${asXml(string)}</StringToSign><StringToSignBytes>41 57</StringToSignBytes>` +
      `<CanonicalRequest>${asXml(canonical)}</CanonicalRequest></Error>`,
  ],
  [
    "an SDK's S3 error",
    (CanonicalRequest, StringToSign) => Object.assign(new Error("no"), { CanonicalRequest, StringToSign }),
  ],
  [
    "a query service's XML",
    (...texts) =>
      `<ErrorResponse><Error><Message>${asXml(message(...texts))}</Message></Error></ErrorResponse>`,
  ],
  ["JSON", (...texts) => JSON.stringify({ __type: "InvalidSignatureException", message: message(...texts) })],
  ["an error's message", (...texts) => new Error(message(...texts))],
  ["the message", (...texts) => message(...texts)],
];

function message(canonicalRequest: string, stringToSign: string): string {
  return (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and " +
    "signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n" +
    `'${canonicalRequest}'\n\nThe String-to-Sign should have been\n'${stringToSign}'\n`
  );
}

test("no device is asked", async () => {
  const key = counted(insecureMemoryKey(secret));
  const { canonicalRequest, stringToSign, ...rest } = await openSigner({ key, service: "s3" }).explain(s3, {
    signingDate,
  });
  expect(key.asked).toEqual([]);
  expect(canonicalRequest.split("\n").slice(0, 3)).toEqual(["GET", "/a%20b", "acl="]);
  expect(stringToSign).toMatch(
    /^AWS4-HMAC-SHA256\n20261123T120000Z\n20261123\/eu-central-1\/s3\/aws4_request\n[0-9a-f]{64}$/,
  );
  expect(rest).toEqual({
    credentialScope: "20261123/eu-central-1/s3/aws4_request",
    signedHeaders: ["host", "x-amz-content-sha256", "x-amz-date"],
    payloadHash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  });
});

test("a URL, presigned", async () => {
  const { canonicalRequest, payloadHash } = await openSigner({ service: "s3" }).explain(
    "https://b.s3.amazonaws.com/k",
    {
      ...{ signingDate, expiresIn: 60 },
    },
  );
  expect(canonicalRequest).toMatch(
    /^GET\n\/k\nX-Amz-Algorithm=.*&X-Amz-Expires=60&X-Amz-SignedHeaders=host\nhost:/,
  );
  expect(payloadHash).toBe("UNSIGNED-PAYLOAD");
});

describe.each(forms)("%s", (_, form) => {
  const signer = openSigner({ service: "s3" });
  const compare = async (change: (text: string) => string, options: ExplainOptions = {}) => {
    const { canonicalRequest, stringToSign } = await signer.explain(s3, { signingDate });
    const awsError = form(change(canonicalRequest), change(stringToSign));
    return (await signer.explain(s3, { awsError, ...options })).differences;
  };

  test("the same: no difference, at the date that AWS saw", async () => {
    expect(await compare((text) => text)).toEqual([]);
  });

  test.each([
    ["method", "GET", "HEAD"],
    ["path", "/a%20b", "/a%2520b"],
    ["header host", "bucket.s3.eu-central-1.amazonaws.com", "proxy:8080"],
    ["payload hash", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "UNSIGNED-PAYLOAD"],
    ["region", "eu-central-1", "us-east-1"],
    ["service", "s3", "execute-api"],
  ])("another %s is told", async (part, signed, seen) => {
    const place =
      part === "region" || part === "service"
        ? (text: string) => (text.startsWith("AWS4") ? text.replace(`/${signed}/`, `/${seen}/`) : text)
        : undefined;
    const last = (text: string): string => text.slice(0, text.lastIndexOf(signed)) + seen;
    const change =
      place ??
      (part === "payload hash"
        ? (text: string) => (text.includes(signed) ? last(text) : text)
        : (text: string) => text.replace(signed, seen));
    expect(await compare(change)).toEqual([{ part, signed, seen, hint: expect.stringMatching(/\w{3}/) }]);
  });

  test("what one side lacks is told", async () => {
    expect(await compare((text) => text.replace("\nacl=\n", "\nacl=&x-id=GetObject\n"))).toEqual([
      { part: "query x-id", signed: undefined, seen: "GetObject", hint: expect.any(String) },
    ]);
    expect(await compare((text) => text.replace(/\nx-amz-date:\w+/, ""))).toEqual([
      { part: "header x-amz-date", signed: "20261123T120000Z", seen: undefined, hint: expect.any(String) },
    ]);
  });

  test("another date is told where the caller insists on one", async () => {
    const found = await compare((text) => text, { signingDate: "2026-11-24T12:00:00Z" });
    expect(found?.map(({ part }) => part)).toEqual(["header x-amz-date", "date"]);
  });
});

test("session tokens are shown nowhere", async () => {
  const sessionToken = "secret/session+token==";
  const signer = openSigner({ sessionToken });
  const plain = await openSigner({ sessionToken: "another+token" }).explain(request, { signingDate });
  for (const options of [{}, { expiresIn: 60 }]) {
    const told = await signer.explain(request, { signingDate, ...options });
    expect(JSON.stringify(told)).not.toMatch(/secret|session(?:%2B|\+)token/);
    expect(told.canonicalRequest).toContain("<redacted>");
  }
  const awsError = message(plain.canonicalRequest.replace("<redacted>", "another+token"), plain.stringToSign);
  const { differences } = await signer.explain(request, { awsError });
  expect(differences).toEqual([
    {
      part: "header x-amz-security-token",
      signed: "<redacted>",
      seen: "<redacted>",
      hint: expect.any(String),
    },
  ]);
});

test.each(["", "<Error><Code>AccessDenied</Code></Error>", "{}", 7, null, new Error("no")])(
  "%p tells nothing: ERR_SIGN_INPUT",
  async (awsError) => {
    await expect(openSigner().explain(request, { awsError })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
  },
);

test("bad input is refused as sign() refuses it", async () => {
  await expect(openSigner().explain({ ...request, path: "/?" })).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
  await expect(openSigner().explain(request, { expiresIn: 0 })).rejects.toEqual(refusal("ERR_EXPIRES_IN"));
  const body = new ReadableStream();
  for (const options of [{}, { expiresIn: 60 }])
    await expect(openSigner().explain({ ...request, body }, options)).rejects.toEqual(
      refusal("ERR_SIGN_INPUT"),
    );
  await expect(openSigner().explain(wrong(undefined))).rejects.toEqual(refusal("ERR_SIGN_INPUT"));
});
