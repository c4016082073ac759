// The batch path through the addon, judged by @smithy/signature-v4 with the plain secret, and the way without an addon.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { SignatureV4 } from "@smithy/signature-v4";
import * as addon from "../../../lib/binding/addon.js";
import { HmacSigner, type HmacSignerOptions, insecureMemoryKey } from "../../../lib/index.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { queryString } from "../../support/random-request.js";

jest.mock("../../../lib/binding/addon.js", () => ({
  ...jest.requireActual<typeof addon>("../../../lib/binding/addon.js"),
  signLines: jest.fn(),
}));

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const signingDate = new Date("2026-11-29T12:00:00Z");
const region = "eu-central-1";
const native = jest.requireActual<typeof addon>("../../../lib/binding/addon.js").signLines();
const signLines = jest.mocked(addon.signLines);
const made = jest.fn(native);

beforeEach(() => {
  made.mockClear();
  signLines.mockReset().mockReturnValue(made);
});

function openSigner(options: Partial<HmacSignerOptions> = {}): HmacSigner {
  const key = insecureMemoryKey(secret);
  return new HmacSigner({ key, accessKeyId, region, service: "s3", ...options });
}

async function all(texts: AsyncIterable<string>): Promise<string[]> {
  const list: string[] = [];
  for await (const text of texts) list.push(text);
  return list;
}

/** What smithy presigns of a URL without a query. */
async function judged(url: string, service: string, sessionToken?: string, method = "GET"): Promise<string> {
  const isS3 = service === "s3";
  const smithy = new SignatureV4({
    ...{ service, region, sha256: PlainSha256, uriEscapePath: !isS3 },
    credentials: { accessKeyId, secretAccessKey: secret, ...(sessionToken && { sessionToken }) },
  });
  const { host, hostname, pathname, protocol, origin } = new URL(url);
  const payload: Record<string, string> = isS3 ? { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } : {};
  const { query } = await smithy.presign(
    { method, protocol, hostname, path: pathname, query: {}, headers: { host, ...payload } },
    {
      ...{ signingDate, expiresIn: 900 },
      unhoistableHeaders: new Set(Object.keys(payload)),
      unsignableHeaders: new Set(Object.keys(payload)),
    },
  );
  return `${origin}${pathname}?${queryString(query)}`;
}

const names = Array.from({ length: 400 }, (_, index) => `/folder.${index % 7}/key%20${index}~-_`);
const linesSigned = (): number =>
  made.mock.calls.reduce((sum, [, , , , lines]) => sum + lines.split("\n").length - 1, 0);

test.each([
  ["s3", undefined],
  ["s3", "session/token=="],
  ["execute-api", undefined],
  ["execute-api", "session/token=="],
])("%s, session token %s: as smithy presigns, most by the addon", async (service, sessionToken) => {
  await using signer = openSigner({ service, sessionToken });
  const urls = names.map((name) => `https://a.example${name}`);
  const options = { signingDate, expiresIn: 900, method: "put" };
  expect(await all(signer.presignUrls(urls, options))).toEqual(
    await Promise.all(urls.map((url) => judged(url, service, sessionToken, "PUT"))),
  );
  expect(linesSigned()).toBeGreaterThan(300);
});

test("servers that change, queries and odd paths in between", async () => {
  await using signer = openSigner();
  const odd = ["/a/../b", "/%41", "/é", "/a?acl", "/.b", "/%2f", "//c", "/a#b"];
  const urls = names.flatMap((name, index) => [
    `https://${index % 50 < 25 ? "a" : "b"}.example${name}`,
    ...(index % 11 === 0 ? [`https://a.example${odd[index % odd.length]}`] : []),
  ]);
  const options = { signingDate, expiresIn: 900 };
  const presigned = await all(signer.presignUrls(urls, options));
  expect(linesSigned()).toBeGreaterThan(200);
  // One by one they go another way, which others judge.
  expect(presigned).toEqual(await Promise.all(urls.map((url) => signer.presignUrl(url, options))));
  const plain = presigned.filter((url) => /folder/.test(url));
  expect(plain).toEqual(await Promise.all(plain.map((url) => judged(url.slice(0, url.indexOf("?")), "s3"))));
});

test("a session token that is not signed comes last", async () => {
  await using signer = openSigner({ sessionToken: "to/ken", omitSessionToken: true, service: "execute-api" });
  const urls = names.map((name) => `https://a.example${name}`);
  expect(await all(signer.presignUrls(urls, { signingDate, expiresIn: 900 }))).toEqual(
    await Promise.all(
      urls.map(async (url) => `${await judged(url, "execute-api")}&X-Amz-Security-Token=to%2Fken`),
    ),
  );
  expect(linesSigned()).toBeGreaterThan(300);
});

test("without an addon, and while somebody is told of each signature, the same URLs come one by one", async () => {
  await using signer = openSigner();
  const urls = names.map((name) => `https://a.example${name}`);
  const expected = await Promise.all(urls.map((url) => judged(url, "s3")));
  const options = { signingDate, expiresIn: 900 };
  signLines.mockReturnValue(undefined);
  expect(await all(signer.presignUrls(urls, options))).toEqual(expected);
  signLines.mockReturnValue(made);
  let told = 0;
  const tell = (): void => {
    told += 1;
  };
  subscribe("aws-hmac:sign", tell);
  try {
    expect(await all(signer.presignUrls(urls, options))).toEqual(expected);
  } finally {
    unsubscribe("aws-hmac:sign", tell);
  }
  expect(told).toBe(urls.length);
  expect(made).not.toHaveBeenCalled();
});

test("every signature is counted, and the device is asked once", async () => {
  await using signer = openSigner();
  const urls = names.map((name) => `https://a.example${name}`);
  await all(signer.presignUrls(urls, { signingDate }));
  expect(linesSigned()).toBeGreaterThan(300);
  const { hits, misses, deviceCalls } = signer.keyCacheMetrics();
  expect([hits + misses, deviceCalls]).toEqual([urls.length, 1]);
  expect(misses).toBeLessThan(10); // what was read while the device was asked
});

test("the addon refuses what is not its kind of argument", () => {
  const block = new Uint8Array(64);
  const call = (...args: unknown[]) => (native as (...args: unknown[]) => string)(...args);
  expect(call(block, block, "", "", "", "")).toBe("");
  for (const [args, message] of [
    [[new Uint8Array(63), block, "", "", "", ""], "innerBlock must have 64 bytes"],
    [[block, "block", "", "", "", ""], "outerBlock must be a Uint8Array"],
    [[block, block, 1, "", "", ""], "head must be a string"],
    [[block, block, "", "", null, ""], "lines must be a string"],
    [[block, block, "", "", ""], "after must be a string"],
  ] as const) {
    expect(() => call(...args)).toThrow(message);
  }
});
