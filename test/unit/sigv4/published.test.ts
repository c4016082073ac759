// AWS's published examples: "Create a signed AWS API request" (IAM User Guide) and "Authenticating Requests" (S3 API reference).
import { HmacSigner, type HmacSignerOptions, insecureMemoryKey } from "../../../lib/index.js";
import { derivedKeys } from "../../support/derived-keys.js";

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const signingDate = "2013-05-24T00:00:00Z";
const host = "examplebucket.s3.amazonaws.com";

function open(options: Partial<HmacSignerOptions> = {}, secretAccessKey = secret): HmacSigner {
  return new HmacSigner({
    key: insecureMemoryKey(secretAccessKey),
    accessKeyId: "AKIAIOSFODNN7EXAMPLE",
    region: "us-east-1",
    service: "s3",
    ...options,
  });
}

async function signature(method: string, path: string, more: object = {}): Promise<string | undefined> {
  const [pathname = "/", search = ""] = path.split("?");
  const query = Object.fromEntries(new URLSearchParams(search));
  const request = {
    method,
    protocol: "https:",
    hostname: host,
    path: pathname,
    query,
    headers: { host },
    ...more,
  };
  const signed = await open().sign(request, { signingDate });
  return /Signature=(\w+)$/.exec(signed.headers.authorization ?? "")?.[1];
}

test("the derived key of the IAM guide, by the tests' own derivation", () => {
  const [, , , key] = derivedKeys("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
  expect(key?.toString("hex")).toBe("c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
});

test("IAM ListUsers", async () => {
  const signer = open(
    { accessKeyId: "AKIDEXAMPLE", service: "iam" },
    "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  );
  const signed = await signer.sign(
    {
      method: "GET",
      protocol: "https:",
      hostname: "iam.amazonaws.com",
      path: "/",
      query: { Action: "ListUsers", Version: "2010-05-08" },
      headers: { "Content-Type": "application/x-www-form-urlencoded; charset=utf-8" },
    },
    { signingDate: "2015-08-30T12:36:00Z" },
  );
  expect(signed.headers.authorization).toBe(
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, " +
      "SignedHeaders=content-type;host;x-amz-date, " +
      "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
  );
});

test("S3 GET object", async () => {
  expect(await signature("GET", "/test.txt", { headers: { host, Range: "bytes=0-9" } })).toBe(
    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
});

test("S3 PUT object, as a string to sign", async () => {
  const stringToSign = [
    "AWS4-HMAC-SHA256",
    "20130524T000000Z",
    "20130524/us-east-1/s3/aws4_request",
    "9e0e90d9c76de8fa5b200d8c849cd5b8dc7a3be3951ddb7f6a76b4158342019d",
  ].join("\n");
  expect(await open().sign(stringToSign, { signingDate })).toBe(
    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
  );
});

test("S3 GET bucket lifecycle and list", async () => {
  expect(await signature("GET", "/?lifecycle")).toBe(
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  );
  expect(await signature("GET", "/", { query: { lifecycle: null } })).toBe(
    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
  );
  expect(await signature("GET", "/?max-keys=2&prefix=J")).toBe(
    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
  );
});

test("S3 presigned GET", async () => {
  expect(await open().presignUrl(`https://${host}/test.txt`, { expiresIn: 86400, signingDate })).toBe(
    `https://${host}/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256` +
      "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request" +
      "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
      "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
  );
});

test("S3 chunked upload: the seed and the chunks", async () => {
  const signer = open();
  const seed = await signer.sign(
    {
      method: "PUT",
      protocol: "https:",
      hostname: "s3.amazonaws.com",
      path: "/examplebucket/chunkObject.txt",
      headers: {
        "x-amz-storage-class": "REDUCED_REDUNDANCY",
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "Content-Encoding": "aws-chunked",
        "x-amz-decoded-content-length": "66560",
        "Content-Length": "66824",
      },
    },
    { signingDate },
  );
  let priorSignature = seed.headers.authorization?.slice(-64) ?? "";
  const signatures = [priorSignature];
  for (const length of [65536, 1024, 0]) {
    const chunk = { headers: new Uint8Array(), payload: Buffer.alloc(length, "a") };
    priorSignature = await signer.sign(chunk, { signingDate, priorSignature });
    signatures.push(priorSignature);
  }
  expect(signatures).toEqual([
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
  ]);
});
