import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { KMSClient } from "@aws-sdk/client-kms";
import { openKek } from "../../../lib/kms/kek.js";

const arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const plaintext = Buffer.concat([randomBytes(90), Buffer.from("fbffbf", "hex")]); // with + and / in its base64
const base64 = plaintext.toString("base64");
const answer = `{"KeyId":"${arn}","Plaintext":"${base64}","EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}`;

/** What decrypting gives where KMS answers with these chunks; and the chunks afterwards. */
async function decrypted(body: string, size = 1 << 16): Promise<{ bytes: Uint8Array; chunks: Buffer[] }> {
  const chunks = Array.from({ length: Math.ceil(body.length / size) }, (_, n) =>
    Buffer.from(body.slice(n * size, (n + 1) * size)),
  );
  const handle = async () => ({
    response: { statusCode: 200, headers: {}, reason: "OK", body: Readable.from(chunks) },
  });
  const kmsClient = new KMSClient({
    region: "eu-central-1",
    credentials: { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "secret" },
    requestHandler: { handle } as never,
  });
  const kek = await openKek(`aws-kms://${arn}`, { kmsClient });
  return { bytes: await kek.decrypt(Buffer.from("ciphertext"), Buffer.alloc(0)), chunks };
}

test.each([1, 7, 64, 1 << 16])(
  "in chunks of %d bytes it is decoded, and the chunks are wiped",
  async (size) => {
    const { bytes, chunks } = await decrypted(answer, size);
    expect(bytes).toEqual(plaintext);
    expect(Buffer.concat(chunks)).toEqual(Buffer.alloc(answer.length));
  },
);

test("the SDK sees none of it", async () => {
  const parse = jest.spyOn(JSON, "parse");
  try {
    await decrypted(answer);
    const texts = parse.mock.calls.map(([text]) => String(text));
    expect(texts.join()).toContain(arn);
    expect(texts.join()).not.toContain(base64.slice(8, 40));
  } finally {
    parse.mockRestore();
  }
});

test.each([
  ["white space", answer.replace('"Plaintext":', '"Plaintext" :\n\t ')],
  ["nothing but the two fields, in the other order", `{"Plaintext":"${base64}","KeyId":"${arn}"}`],
  ["an empty plaintext", `{"Plaintext":"","KeyId":"${arn}"}`],
  ["escaped slashes, which are left to the SDK", answer.replaceAll("/", "\\/")],
  ["another field of that name, which is left to the SDK", answer.replace("{", '{"X":{"Plaintext":"AAAA"},')],
])("the SDK and this agree about %s", async (_, body) => {
  const { Plaintext } = JSON.parse(body) as { Plaintext: string };
  expect(Buffer.from((await decrypted(body)).bytes)).toEqual(Buffer.from(Plaintext, "base64"));
});

test.each([
  ["no plaintext", `{"KeyId":"${arn}"}`],
  ["a plaintext that is cut off", answer.slice(0, 150)],
  ["no JSON", "<html>"],
])("%s is an error", async (_, body) => {
  await expect(decrypted(body)).rejects.toMatchObject({ name: "KmsError", code: "ERR_KMS_RESPONSE" });
});
