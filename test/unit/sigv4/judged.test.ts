// Signatures judged by code that is not ours, with the plain secret.

import { SignatureV4 } from "@smithy/signature-v4";
import type { FormattedEvent, HttpRequest, Message } from "@smithy/types";
import aws4 from "aws4";
import { HmacSigner, type HmacSignerOptions, insecureMemoryKey } from "../../../lib/index.js";
import { PlainSha256 } from "../../support/plain-sha256.js";
import { Random } from "../../support/random.js";
import { queryString, randomDate, randomRequest } from "../../support/random-request.js";

const cases = 400;
const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const services = ["execute-api", "sts", "dynamodb", "s3", "s3-outposts"] as const;
const letters = "ABCDEFGHIJabcdefghij0123456789+/";

interface Case {
  random: Random;
  request: HttpRequest;
  signingDate: Date;
  ours: HmacSigner;
  smithy: SignatureV4;
  secret: string;
  options: Omit<HmacSignerOptions, "key">;
}

/** Each case has its own secret, region, service, token, date and request. */
async function eachCase(seed: number, judge: (one: Case) => Promise<void>): Promise<void> {
  for (let i = 0; i < cases; i++) {
    const random = new Random(seed * cases + i);
    const secret = random.text(letters, 40, 40);
    const service = random.pick(services);
    const isS3 = service.startsWith("s3");
    const sessionToken = random.below(3) === 0 ? random.text(`${letters}=`, 20, 300) : undefined;
    const options = {
      accessKeyId,
      region: random.pick(["eu-central-1", "us-east-1", "cn-north-1"]),
      service,
      ...(sessionToken === undefined ? {} : { sessionToken }),
    };
    const ours = new HmacSigner({
      ...options,
      key: insecureMemoryKey(secret),
      keyCache: random.pick(["day", "scope", "none"] as const),
    });
    const smithy = new SignatureV4({
      ...options,
      credentials: {
        accessKeyId,
        secretAccessKey: secret,
        ...(sessionToken === undefined ? {} : { sessionToken }),
      },
      sha256: PlainSha256,
      uriEscapePath: !isS3,
      applyChecksum: isS3,
    });
    const request = randomRequest(random);
    await judge({ random, request, signingDate: randomDate(random), ours, smithy, secret, options });
    await ours.close();
  }
}

const dateTime = (date: Date): string => date.toISOString().replace(/[-:]|\.\d{3}/g, "");

describe("requests", () => {
  test("as smithy signs them", async () => {
    expect.assertions(cases);
    await eachCase(1, async ({ request, signingDate, ours, smithy, options }) => {
      const lowerCase = Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]);
      const plain = { ...request, headers: Object.fromEntries(lowerCase) };
      expect((await ours.sign(request, { signingDate })).headers).toEqual(
        (await smithy.sign(asS3Sees(plain, options), { signingDate })).headers,
      );
    });
  });

  test("as aws4 signs them", async () => {
    let compared = 0;
    await eachCase(2, async ({ request, signingDate, ours, secret, options }) => {
      const { service, region, sessionToken } = options;
      if (service === "s3-outposts") return; // unknown to aws4
      compared += 1;
      const judged = aws4.sign(
        {
          service,
          region: region as string,
          host: request.hostname,
          method: request.method,
          path: `${request.path}?${queryString(request.query)}`,
          headers: { ...request.headers, "X-Amz-Date": dateTime(signingDate) },
          body: request.body,
        },
        { accessKeyId, secretAccessKey: secret, ...(sessionToken === undefined ? {} : { sessionToken }) },
      );
      const { Authorization, ...sent } = judged.headers as Record<string, string | number>;
      const headers = Object.fromEntries(Object.entries(sent).map(([name, value]) => [name, String(value)]));
      const signed = await ours.sign({ ...request, headers }, { signingDate });
      expect(signed.headers.authorization).toBe(Authorization);
    });
    expect(compared).toBeGreaterThan(cases / 2);
  });
});

describe("presigned requests", () => {
  test("as smithy presigns them", async () => {
    expect.assertions(cases);
    await eachCase(3, async ({ random, request, signingDate, ours, smithy, options }) => {
      const hash: Record<string, string> = options.service.startsWith("s3")
        ? { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" }
        : {};
      const input = { ...request, headers: { host: request.hostname, "x-amz-meta-a": "b", ...hash } };
      const times = { signingDate, expiresIn: 1 + random.below(604800) };
      const presigned = await ours.presign(input, times);
      const judged = await smithy.presign(asS3Sees(input, options), times);
      expect([presigned.query, presigned.headers]).toEqual([judged.query, judged.headers]);
    });
  });

  test("S3 URLs as aws4 presigns them", async () => {
    let compared = 0;
    await eachCase(4, async ({ random, request, signingDate, ours, secret, options }) => {
      if (options.service !== "s3") return;
      compared += 1;
      const expiresIn = 1 + random.below(604800);
      const url = `https://${request.hostname}${request.path}?${queryString(request.query)}`;
      const presigned = new URL(
        await ours.presignUrl(url, { signingDate, expiresIn, method: request.method }),
      );
      const search = `${queryString(request.query)}&X-Amz-Date=${dateTime(signingDate)}&X-Amz-Expires=${expiresIn}`;
      const { sessionToken } = options;
      const judged = aws4.sign(
        {
          service: "s3",
          region: options.region as string,
          host: request.hostname,
          method: request.method,
          path: `${request.path}?${search}`,
          signQuery: true,
        },
        { accessKeyId, secretAccessKey: secret, ...(sessionToken === undefined ? {} : { sessionToken }) },
      );
      const expected = new URL(`https://${request.hostname}${judged.path}`);
      expect(Object.fromEntries(presigned.searchParams)).toEqual(Object.fromEntries(expected.searchParams));
    });
    expect(compared).toBeGreaterThan(cases / 10);
  });
});

test("strings, events and messages as smithy signs them", async () => {
  expect.assertions(3 * cases);
  await eachCase(5, async ({ random, signingDate, ours, smithy }) => {
    const text = random.text("abc\n €😀", 0, 100);
    expect(await ours.sign(text, { signingDate })).toBe(await smithy.sign(text, { signingDate }));
    const event: FormattedEvent = {
      headers: Buffer.from(random.text(letters, 0, 30)),
      payload: Buffer.from(random.text(letters, 0, 300)),
    };
    const priorSignature = random.text("0123456789abcdef", 64, 64);
    expect(await ours.sign(event, { signingDate, priorSignature })).toBe(
      await smithy.sign(event, { signingDate, priorSignature }),
    );
    const message: Message = {
      headers: { ":date": { type: "timestamp", value: signingDate }, name: { type: "string", value: text } },
      body: event.payload,
    };
    expect(await ours.signMessage({ message, priorSignature }, { signingDate })).toEqual(
      await smithy.sign({ message, priorSignature }, { signingDate }),
    );
  });
});

/** S3 sees an encoded slash as a slash, which smithy leaves to the caller and aws4 knows. */
function asS3Sees(request: HttpRequest, { service }: Case["options"]): HttpRequest {
  return service.startsWith("s3") ? { ...request, path: request.path.replaceAll("%2F", "/") } : request;
}
