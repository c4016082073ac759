// Presigned URLs judged by three other implementations with the plain secret, and the fast path by the general one.
// fast-check prints the seed of what fails: run it again with fc.assert(…, { seed, path }).

import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { getSignedUrl } from "@aws-sdk/s3-request-presigner";
import { SignatureV4 } from "@smithy/signature-v4";
import aws4 from "aws4";
import fc from "fast-check";
import { HmacSigner, insecureMemoryKey, type PresignUrlOptions } from "../../../lib/index.js";
import {
  date,
  expiry,
  type Place,
  place,
  query,
  type Signing,
  signing,
  text,
} from "../../support/arbitrary-requests.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { escapeUri, queryString } from "../../support/random-request.js";

const smithyPresign = jest.spyOn(SignatureV4.prototype, "presign");

/** A signer that has the day's key. */
async function warmSigner({ secret, options, signingDate }: Signing): Promise<HmacSigner> {
  const signer = new HmacSigner({ ...options, key: insecureMemoryKey(secret) });
  await signer.presignUrl("https://a.example/", { signingDate });
  smithyPresign.mockClear();
  return signer;
}

const authority = ({ protocol, hostname, port }: Place): string =>
  `${protocol}//${hostname}${port === undefined ? "" : `:${port}`}`;
const pathOf = ({ segments }: Place): string => `/${segments.map(escapeUri).join("/")}`;
const credentialsOf = ({ secret, options: { accessKeyId, sessionToken } }: Signing) => ({
  ...{ accessKeyId, secretAccessKey: secret },
  ...(sessionToken === undefined ? {} : { sessionToken }),
});
const amzDate = (time: Date): string => time.toISOString().replace(/[-:]|\.\d{3}/g, "");
test("as smithy presigns, to the byte, and without it where the URL is ordinary", async () => {
  let fast = 0;
  const property = fc.asyncProperty(
    ...[signing(), place, query, expiry, fc.constantFrom("GET", "PUT", "delete")],
    async (one: Signing, where: Place, pairs: [string, string][], expiresIn: number, method: string) => {
      await using signer = await warmSigner(one);
      const { options, signingDate } = one;
      const isS3 = options.service.startsWith("s3");
      const search = pairs.length === 0 ? "" : `?${queryString(Object.fromEntries(pairs))}`;
      const url = authority(where) + pathOf(where) + search;
      const ours = await signer.presignUrl(url, { method, expiresIn, signingDate });
      const ordinary = pairs.every(([name]) => !/^\d/.test(name));
      expect(smithyPresign).toHaveBeenCalledTimes(ordinary ? 0 : 1);
      fast += Number(ordinary);

      const smithy = new SignatureV4({
        ...options,
        credentials: credentialsOf(one),
        sha256: PlainSha256,
        uriEscapePath: !isS3,
      });
      const host = authority(where).replace(/^https?:\/\//, "");
      const payload: Record<string, string> = isS3 ? { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } : {};
      const { query: signed } = await smithy.presign(
        {
          method: method.toUpperCase(),
          protocol: where.protocol,
          hostname: where.hostname,
          // S3 sees an encoded slash as a slash, which smithy leaves to the caller.
          path: isS3 ? pathOf(where).replaceAll("%2F", "/") : pathOf(where),
          query: Object.fromEntries(pairs),
          headers: { host, ...payload },
        },
        {
          ...{ signingDate, expiresIn },
          unhoistableHeaders: new Set(Object.keys(payload)),
          unsignableHeaders: new Set(Object.keys(payload)),
        },
      );
      expect(ours).toBe(`${authority(where)}${pathOf(where)}?${queryString(signed)}`);
    },
  );
  await fc.assert(property as fc.IAsyncPropertyWithHooks<unknown>, { numRuns: 400 });
  expect(fast).toBeGreaterThan(200);
});

test("S3: every %XX is signed as the server reads it: decoded, and encoded where it must be", async () => {
  const [one] = fc.sample(signing(["s3"]), 1) as [Signing];
  const { options, signingDate } = one;
  await using signer = await warmSigner(one);
  const smithy = new SignatureV4({
    ...options,
    credentials: credentialsOf(one),
    sha256: PlainSha256,
    uriEscapePath: false,
  });
  const payload = new Set(["x-amz-content-sha256"]);
  for (let byte = 0; byte < 256; byte++) {
    const hex = byte.toString(16).padStart(2, "0");
    const character = String.fromCharCode(byte);
    const path = `/a${/[A-Za-z0-9_.~/-]/.test(character) ? character : `%${hex.toUpperCase()}`}`;
    const headers = { host: "a.example", "x-amz-content-sha256": "UNSIGNED-PAYLOAD" };
    const judged = await smithy.presign(
      { method: "GET", protocol: "https:", hostname: "a.example", path, query: {}, headers },
      { signingDate, unhoistableHeaders: payload, unsignableHeaders: payload },
    );
    for (const triplet of [hex, hex.toUpperCase()]) {
      const ours = await signer.presignUrl(`https://a.example/a%${triplet}`, { signingDate });
      expect(ours).toBe(`https://a.example/a%${triplet}?${queryString(judged.query)}`);
    }
  }
});

test("as aws4 presigns for S3", async () => {
  const property = fc.asyncProperty(
    signing(["s3"]),
    place,
    query,
    expiry,
    async (one, where, pairs, expiresIn) => {
      await using signer = await warmSigner(one);
      const { options, signingDate } = one;
      const search = queryString(Object.fromEntries(pairs));
      const ours = await signer.presignUrl(`${authority(where)}${pathOf(where)}?${search}`, {
        expiresIn,
        signingDate,
      });
      const judged = aws4.sign(
        {
          ...{ service: "s3", region: options.region, method: "GET", signQuery: true },
          host: new URL(authority(where)).host,
          path: `${pathOf(where)}?${search}&X-Amz-Date=${amzDate(signingDate)}&X-Amz-Expires=${expiresIn}`,
        },
        credentialsOf(one),
      );
      const expected = new URL(authority(where) + judged.path);
      expect(Object.fromEntries(new URL(ours).searchParams)).toEqual(
        Object.fromEntries(expected.searchParams),
      );
    },
  );
  await fc.assert(property, { numRuns: 400 });
});

test("as the SDK's getSignedUrl presigns S3 objects", async () => {
  // The SDK signs dot segments that no HTTP client sends.
  const key = text(1).filter((name) => !name.split("/").some((segment) => /^\.{1,2}$/.test(segment)));
  const property = fc.asyncProperty(signing(["s3"]), key, expiry, async (one, Key, expiresIn) => {
    await using signer = await warmSigner(one);
    const { options, signingDate } = one;
    const client = new S3Client({ region: options.region, credentials: credentialsOf(one) });
    const hash = new Set(["x-amz-content-sha256"]);
    const command = new GetObjectCommand({ Bucket: "bucket", Key });
    const judged = await getSignedUrl(client, command, {
      ...{ expiresIn, signingDate },
      ...{ unhoistableHeaders: hash, unsignableHeaders: hash },
    });
    const url = new URL(judged);
    for (const name of [...url.searchParams.keys()]) {
      if (name.startsWith("X-Amz-")) url.searchParams.delete(name);
    }
    smithyPresign.mockClear();
    const ours = await signer.presignUrl(url, { expiresIn, signingDate });
    expect(smithyPresign).not.toHaveBeenCalled();
    expect(new URL(ours).searchParams.get("X-Amz-Signature")).toBe(
      new URL(judged).searchParams.get("X-Amz-Signature"),
    );
    client.destroy();
  });
  await fc.assert(property, { numRuns: 200 });
});

const doNotFake = [
  ...(["hrtime", "nextTick", "performance", "queueMicrotask", "setImmediate", "clearImmediate"] as const),
  ...(["setInterval", "clearInterval", "setTimeout", "clearTimeout"] as const),
];

describe("the fast path gives what the general path gives", () => {
  // Without a signingDate both must sign in the same second.
  beforeAll(() => jest.useFakeTimers({ doNotFake }));
  afterAll(() => jest.useRealTimers());

  const outcome = async (presigned: Promise<string>): Promise<unknown> =>
    presigned.catch(({ name, code, message }) => ({ name, code, message }));

  /** Headers, even none, are left to the general path. */
  async function compare(one: Signing, urls: (string | URL)[], options: PresignUrlOptions): Promise<void> {
    await using signer = await warmSigner(one);
    for (const url of urls) {
      const general = outcome(signer.presignUrl(url, { ...options, headers: {} }));
      expect(await outcome(signer.presignUrl(url, options))).toEqual(await general);
    }
  }

  const hosts = [
    "https://bucket.s3.amazonaws.com",
    "http://localhost:8080",
    "HTTPS://A.example:443",
    "https://[::1]",
  ];
  const oddities = [
    ...[
      "/",
      "//",
      "/./",
      "/..",
      "/.hidden",
      "/%2e%2E/",
      "/%2E",
      "/a.",
      "/%41",
      "/%7E",
      "/%7e",
      "/%2F",
      "/%zz",
      "/%",
    ],
    ...[
      "?",
      "&",
      "=",
      "+",
      "#",
      ";",
      "@",
      ":",
      "\\",
      "\t",
      "\n",
      " ",
      "\u0000",
      "\ud800",
      "\udc00",
      "é",
      "日",
    ],
    ...[
      "?a",
      "&b=1",
      "&a=2",
      "&X-Amz-Date=1",
      "&X-Amz-Signature=1",
      "&x-amz-signature=1",
      "&x-amz-meta-a=b",
      "&XX=1",
    ],
    ...[
      "&%58-Amz-Expires=1",
      "&10=1",
      "&9=2",
      "&__proto__=1",
      "&%FF=1",
      "&a=%C3",
      "&=",
      "&==",
      "&a=b=c",
      "&A%20b=c+d",
    ],
  ];
  const odd = fc.constantFrom(...oddities);
  const urls = fc.array(
    fc
      .tuple(fc.constantFrom(...hosts), fc.array(fc.oneof(odd, text(1)), { maxLength: 8 }))
      .map(([host, parts]) => host + parts.join("")),
    { minLength: 1, maxLength: 6 },
  );

  test("for URLs of every form, one after the other, errors included", async () => {
    const property = fc.asyncProperty(signing(), urls, async (one, list) => {
      await compare(one, list, { signingDate: one.signingDate });
    });
    await fc.assert(property, { numRuns: 1500 });
  });

  test.each(["s3", "sqs"])(
    "%s: for every oddity, two at once, and every %%XX, after an ordinary URL",
    async (service) => {
      const [one] = fc.sample(signing([service]), 1) as [Signing];
      const plain = "https://bucket.s3.amazonaws.com/plain";
      const bytes = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
      const triplets = bytes.flatMap((byte) => [`%${byte}`, `%${byte.toUpperCase()}`]);
      const endings = [...triplets, ...oddities.flatMap((first) => oddities.map((second) => first + second))];
      const urls = ["", "/"].flatMap((slash) => endings.flatMap((ending) => [plain, plain + slash + ending]));
      await compare(one, urls, { signingDate: one.signingDate });
    },
  );

  test("for dates, expiries, methods and regions by turns", async () => {
    const regions = fc.constantFrom("eu-central-1", "us-east-1", "", "*");
    const days = ["2026-11-23T23:59:59Z", "2026-11-24T00:00:00Z", "2026-11-24T00:00:01.999Z"];
    const terms = fc.record({
      signingDate: fc.constantFrom(...days),
      expiresIn: fc.constantFrom(1, 60),
      method: fc.constantFrom("GET", "PUT"),
    });
    const turns = fc.array(fc.tuple(regions, terms), { minLength: 2, maxLength: 8 });
    const property = fc.asyncProperty(signing(), turns, async (one, list) => {
      let region = "";
      const key = insecureMemoryKey(one.secret);
      await using signer = new HmacSigner({ ...one.options, region: async () => region, key });
      for (const [next, options] of list) {
        region = next;
        const general = await outcome(signer.presignUrl("https://a.example/b", { ...options, headers: {} }));
        expect(await outcome(signer.presignUrl("https://a.example/b", options))).toEqual(general);
      }
    });
    await fc.assert(property, { numRuns: 300 });
  });

  test("for strings that are no URLs, for URL objects and for what is neither", async () => {
    const any = fc.oneof(fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.string(), text());
    const objects = fc.webUrl({ withQueryParameters: true }).map((url) => new URL(url));
    const property = fc.asyncProperty(signing(), fc.oneof(any, objects), async (one, url) => {
      await compare(one, [url], { signingDate: one.signingDate });
    });
    await fc.assert(property, { numRuns: 1000 });
    const [one] = fc.sample(signing(), 1) as [Signing];
    const neither = [
      undefined,
      null,
      5,
      {},
      { toString: () => "https://a.example/b" },
      ["https://a.example/b"],
    ];
    await compare(one, neither as string[], { signingDate: one.signingDate });
  });

  test("for every option, the wrong ones included", async () => {
    const options = fc.record(
      {
        method: fc.oneof(fc.constantFrom("GET", "put", "Head", "", "M-SEARCH", "G T", 5, null), fc.string()),
        expiresIn: fc.oneof(
          expiry,
          fc.constantFrom(0, -1, 1.5, 604_801, Number.NaN, "60", null),
          fc.integer(),
        ),
        signingDate: fc.oneof(
          date,
          date.map((one) => one.toISOString()),
          date.map((one) => one.getTime() / 1000 + 0.25),
          fc.constantFrom(
            "today",
            "",
            Number.NaN,
            Number.POSITIVE_INFINITY,
            null,
            new Date(Number.NaN),
            8.64e12,
          ),
        ),
        signingRegion: fc.constantFrom("us-west-2", "*", ""),
        unknown: fc.constant(1),
      },
      { requiredKeys: ["signingDate"] },
    );
    const property = fc.asyncProperty(signing(), options, async (one, given) => {
      const usable = given as PresignUrlOptions;
      const signingDate = new Date(usable.signingDate as Date);
      const day = Number.isNaN(signingDate.getTime()) ? one.signingDate : signingDate;
      await compare({ ...one, signingDate: day }, ["https://bucket.s3.amazonaws.com/key"], usable);
    });
    await fc.assert(property, { numRuns: 1000 });
  });

  test("for regions, from a function too", async () => {
    for (const region of ["eu-central-1", "*", "", "a b", "a/b", 5, undefined]) {
      for (const given of [region, async () => region] as string[]) {
        const [one] = fc.sample(signing(), 1) as [Signing];
        const signer = new HmacSigner({ ...one.options, region: given, key: insecureMemoryKey(one.secret) });
        const { signingDate } = one;
        await outcome(signer.presignUrl("https://a.example/", { signingDate }));
        smithyPresign.mockClear();
        const presigned = await outcome(signer.presignUrl("https://a.example/b", { signingDate }));
        expect(smithyPresign).toHaveBeenCalledTimes(
          region === "eu-central-1" || typeof given === "function" ? 0 : 1,
        );
        expect(presigned).toEqual(
          await outcome(signer.presignUrl("https://a.example/b", { signingDate, headers: {} })),
        );
      }
    }
  });
});
