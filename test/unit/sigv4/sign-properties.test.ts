// Signed headers judged by two other implementations with the plain secret, and the fast path by the general one.
// fast-check prints the seed of what fails: run it again with fc.assert(…, { seed, path }).

import { Readable } from "node:stream";
import { ALWAYS_UNSIGNABLE_HEADERS, SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest } from "@smithy/types";
import aws4 from "aws4";
import fc from "fast-check";
import { HmacSigner, insecureMemoryKey, type SignableRequest } from "../../../lib/index.js";
import { unsignedHeaders } from "../../../lib/sigv4/canonical-request.js";
import { place, type Signing, signing, text } from "../../support/arbitrary-requests.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { escapeUri, queryString } from "../../support/random-request.js";
import { wrong } from "../../support/signer.js";

const smithySign = jest.spyOn(SignatureV4.prototype, "sign");

test("the headers that are never signed are smithy's", () => {
  expect([...unsignedHeaders].sort()).toEqual(Object.keys(ALWAYS_UNSIGNABLE_HEADERS).sort());
});

/** A signer that has the day's key. */
async function warmSigner({ secret, options, signingDate }: Signing): Promise<HmacSigner> {
  const signer = new HmacSigner({ ...options, key: insecureMemoryKey(secret) });
  await signer.sign({ method: "GET", hostname: "a.example", path: "/", headers: {} }, { signingDate });
  smithySign.mockClear();
  return signer;
}

const credentialsOf = ({ secret, options: { accessKeyId, sessionToken } }: Signing) => ({
  ...{ accessKeyId, secretAccessKey: secret },
  ...(sessionToken === undefined ? {} : { sessionToken }),
});

const headerName = fc.constantFrom(
  ...[
    "content-type",
    "accept",
    "if-match",
    "x-amz-meta-a",
    "x-amz-target",
    "x-z",
    "a",
    "x-amz-security-token",
  ],
  ...[
    "user-agent",
    "connection",
    "expect",
    "proxy-x",
    "sec-fetch",
    "proxies",
    "secret",
    "__proto__",
    "constructor",
  ],
);
const printable = fc.string({ unit: fc.constantFrom(...' \tabcXYZ019,;=/"-_.~%') });
const headers = fc.dictionary(headerName, printable, { maxKeys: 6 });
const query = fc.dictionary(
  fc.oneof(text(), fc.constantFrom("acl", "X-Amz-Date", "x-amz-signature", "10", "9", "a", "A", "a-", "a b")),
  fc.oneof(text(), fc.array(text(), { maxLength: 3 })),
  { maxKeys: 5 },
);
const body = fc.oneof(fc.constant(undefined), text(), fc.uint8Array({ maxLength: 100 }));

test("as smithy signs, and without it", async () => {
  const property = fc.asyncProperty(
    signing(),
    place,
    headers,
    query,
    body,
    async (one, where, given, asked, content) => {
      await using signer = await warmSigner(one);
      const { options, signingDate } = one;
      const isS3 = options.service.startsWith("s3");
      const { protocol, hostname, port } = where;
      const path = `/${where.segments.map(escapeUri).join("/")}`;
      const host = port === undefined ? hostname : `${hostname}:${port}`;
      const request = { method: "PUT", protocol, hostname, path, query: asked, headers: { ...given, host } };
      const whole = {
        ...request,
        ...(port === undefined ? {} : { port }),
        ...(content === undefined ? {} : { body: content }),
      };
      const ours = await signer.sign(whole, { signingDate });
      expect(smithySign).not.toHaveBeenCalled();

      const smithy = new SignatureV4({
        ...options,
        credentials: credentialsOf(one),
        sha256: PlainSha256,
        uriEscapePath: !isS3,
        applyChecksum: isS3,
      });
      // S3 sees an encoded slash as a slash, which smithy leaves to the caller.
      const judged = await smithy.sign(
        { ...whole, path: isS3 ? path.replaceAll("%2F", "/") : path },
        { signingDate },
      );
      expect(Object.entries(ours.headers)).toEqual(Object.entries(judged.headers));
      expect({ ...ours }).toEqual({ ...judged, path });
    },
  );
  await fc.assert(property, { numRuns: 600 });
});

test("as aws4 signs", async () => {
  // Not content-type: aws4 adds one where there is a body.
  const names = fc.constantFrom("accept", "if-match", "x-amz-meta-a", "x-amz-target", "x-z");
  const given = fc.dictionary(names, printable, { maxKeys: 4 });
  const asked = fc.dictionary(
    fc.oneof(text(1), fc.constantFrom("acl", "10", "9", "a")).filter((name) => name !== "__proto__"),
    text(),
    { maxKeys: 4 },
  );
  const services = ["s3", "execute-api", "sts", "dynamodb"];
  const property = fc.asyncProperty(
    signing(services),
    place,
    given,
    asked,
    text(),
    async (one, where, ...rest) => {
      const [some, search, content] = rest;
      await using signer = await warmSigner(one);
      const { options, signingDate } = one;
      const path = `/${where.segments.map(escapeUri).join("/")}`;
      const date = signingDate.toISOString().replace(/[-:]|\.\d{3}/g, "");
      const judged = aws4.sign(
        {
          ...{ service: options.service, region: options.region, host: "a.example", method: "POST" },
          path: `${path}?${queryString(search)}`,
          headers: { ...some, "X-Amz-Date": date },
          body: content,
        },
        credentialsOf(one),
      );
      const { Authorization, ...sent } = judged.headers as Record<string, string | number>;
      const signed = await signer.sign(
        {
          ...{ method: "POST", hostname: "a.example", path, query: search, body: content },
          headers: Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, String(value)])),
        },
        { signingDate },
      );
      expect(smithySign).not.toHaveBeenCalled();
      expect(signed.headers.authorization).toBe(Authorization);
    },
  );
  await fc.assert(property, { numRuns: 400 });
});

describe("the fast path gives what the general path gives", () => {
  const outcome = async (signed: Promise<HttpRequest>): Promise<unknown> =>
    signed.then(
      (request) => ({ ...request, headers: Object.entries(request.headers) }),
      ({ name, code, message }) => ({ name, code, message }),
    );

  /** Sets of headers, even empty ones, are left to the general path. */
  async function compare(signer: HmacSigner, input: SignableRequest, options: object): Promise<void> {
    const general = await outcome(signer.sign(input, { ...options, unsignableHeaders: new Set() }));
    expect(await outcome(signer.sign(input, options))).toEqual(general);
  }

  const mostly = <T>(usual: fc.Arbitrary<T>, ...odd: unknown[]): fc.Arbitrary<T> =>
    fc.oneof(
      { weight: 19, arbitrary: usual as fc.Arbitrary<unknown> },
      fc.constantFrom(...odd),
    ) as fc.Arbitrary<T>;
  const own = [
    "Authorization",
    "DATE",
    "x-amz-date",
    "X-Amz-Content-Sha256",
    "X-Amz-Security-Token",
    "Host",
    "HOST",
  ];
  const oddHeaders = fc.dictionary(
    fc.oneof(headerName, fc.constantFrom(...own, "X-Z", ""), fc.string()),
    mostly(
      fc.oneof(printable, fc.array(printable, { maxLength: 3 })),
      "é",
      undefined,
      null,
      5,
      "a\r\n b",
      "",
    ),
  );
  const oddQuery = fc.dictionary(
    text(),
    mostly(fc.oneof(text(), fc.array(mostly(text(), null))), null, undefined, 5, "\ud800"),
  );
  const oddBody = fc.oneof(
    body,
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      null,
      "\ud800",
      5,
      {},
      new ArrayBuffer(3),
      new SharedArrayBuffer(3),
      new Uint16Array([1, 2]),
    ),
    fc.constantFrom(
      new DataView(new ArrayBuffer(9), 2, 3),
      Buffer.from("pooled"),
      Readable.from([]),
      new Blob(["a"]),
    ),
  );
  const segment = mostly(
    fc.oneof(text(), fc.constantFrom("", ".", "..", "%2e", "%7E", "%", "%zz")),
    "?",
    "#",
    "\ud800",
  );
  const oddPath = fc.array(segment, { maxLength: 5 }).map((parts) => `/${parts.join("/")}`);
  const oddRequest = fc.record(
    {
      method: mostly(fc.constantFrom("GET", "put"), "", "G T", null),
      protocol: fc.constantFrom("https:", "http:", "https", "http", "", undefined),
      hostname: mostly(fc.constantFrom("a.example", "[::1]"), "", undefined),
      port: fc.constantFrom(80, 443, 8080, undefined, 0),
      path: mostly(oddPath, "", "a/b", undefined, 5),
      query: oddQuery,
      headers: oddHeaders,
      body: oddBody,
      username: fc.constant("user"),
      fragment: fc.constant("top"),
    },
    { requiredKeys: ["method", "hostname", "path", "headers"] },
  );
  const flags = fc.record({ uriEscapePath: fc.boolean(), applyChecksum: fc.boolean() }, { requiredKeys: [] });

  test("for requests of every form, errors included", async () => {
    let signed = 0;
    const property = fc.asyncProperty(signing(), flags, oddRequest, async (one, settings, request) => {
      await using signer = await warmSigner({ ...one, options: { ...one.options, ...settings } });
      await compare(signer, wrong(request), { signingDate: one.signingDate });
      if (smithySign.mock.calls.length === 1) signed += 1;
    });
    await fc.assert(property, { numRuns: 3000 });
    expect(signed).toBeGreaterThan(500);
  });

  test("for options by turns, regions from a function too", async () => {
    const options = fc.record({
      signingDate: fc.constantFrom(
        "2026-11-23T23:59:59Z",
        "2026-11-24T00:00:00Z",
        "2026-11-24T00:00:01.9Z",
        "x",
      ),
      signingRegion: mostly(fc.constant(undefined), "us-west-2", "*", "", "a/b"),
      signingService: mostly(fc.constant(undefined), "sts", "sts", "sts", "", "a/b"),
      signableHeaders: mostly(fc.constant(undefined), new Set(["a"])),
    });
    const region = fc.oneof(
      fc.constantFrom("eu-central-1", "us-east-1"),
      mostly(fc.constant("us-east-1"), "*", "", undefined),
    );
    const turns = fc.array(fc.tuple(region, options), { minLength: 2, maxLength: 8 });
    const property = fc.asyncProperty(signing(), turns, async (one, list) => {
      let now: string | undefined;
      const key = insecureMemoryKey(one.secret);
      await using signer = new HmacSigner({ ...one.options, region: async () => wrong<string>(now), key });
      for (const [next, given] of list) {
        now = next;
        const request = { method: "GET", hostname: "a.example", path: "/b", headers: { a: "b" } };
        await compare(signer, request, given);
      }
    });
    await fc.assert(property, { numRuns: 300 });
  });
});
