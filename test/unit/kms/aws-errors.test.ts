// What AWS KMS answers where moto does not: its wire format, read by the SDK itself.
import { fromEnv } from "@aws-sdk/credential-providers";
import { openKek } from "../../../lib/kms/kek.js";
import { type Answer, startHttp } from "../../support/http.js";
import { freePorts } from "../../support/ports.js";
import { runTool } from "../../support/process.js";

const arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const none = Buffer.alloc(0);
const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "a secret" };

async function decrypting(
  answer: Answer,
  { timeout = 30_000, signal }: { timeout?: number; signal?: AbortSignal } = {},
) {
  const server = await startHttp(() => answer);
  try {
    const clientConfig = { endpoint: server.endpoint, credentials, maxAttempts: 1 };
    const kek = await openKek(`aws-kms://${arn}`, { clientConfig, timeout });
    return await kek.decrypt(Buffer.from("ciphertext"), none, { signal }).then(
      () => undefined,
      (error: unknown) => error,
    );
  } finally {
    await server.stop();
  }
}

test.each([
  ["AccessDeniedException", 400, "ERR_KMS_DENIED", false],
  ["NotFoundException", 400, "ERR_KEY_NOT_FOUND", false],
  ["DisabledException", 400, "ERR_KMS_KEY_STATE", false],
  ["KMSInvalidStateException", 400, "ERR_KMS_KEY_STATE", false],
  ["InvalidCiphertextException", 400, "ERR_KMS_DECRYPT", false],
  ["IncorrectKeyException", 400, "ERR_KMS_DECRYPT", false],
  ["InvalidKeyUsageException", 400, "ERR_KEY_UNSUITABLE", false],
  ["ExpiredTokenException", 400, "ERR_KMS_CREDENTIALS", false],
  ["InvalidSignatureException", 400, "ERR_KMS_CREDENTIALS", false],
  ["UnrecognizedClientException", 400, "ERR_KMS_CREDENTIALS", false],
  ["ThrottlingException", 400, "ERR_KMS_UNAVAILABLE", true],
  ["KeyUnavailableException", 500, "ERR_KMS_UNAVAILABLE", true],
  ["KMSInternalException", 500, "ERR_KMS_UNAVAILABLE", true],
  ["DependencyTimeoutException", 503, "ERR_KMS_UNAVAILABLE", true],
  ["SomethingNewException", 503, "ERR_KMS_UNAVAILABLE", true],
  ["SomethingNewException", 403, "ERR_KMS_DENIED", false],
  ["ValidationException", 400, "ERR_KMS", false],
])("%s (HTTP %d) is %s, retryable: %s", async (reason, status, code, retryable) => {
  const body = JSON.stringify({ __type: reason, message: "what the server wrote" });
  expect(await decrypting({ status, body })).toMatchObject({
    ...{ name: "KmsError", code, reason, retryable, operation: "Decrypt" },
    message: expect.not.stringContaining("what the server wrote"),
    cause: { message: "what the server wrote" },
  });
});

test.each([
  ["no JSON", "<html>"],
  ["no key", JSON.stringify({ Plaintext: "cGxhaW50ZXh0" })],
  ["no plaintext", JSON.stringify({ KeyId: arn })],
])("an answer with %s is refused, and nothing of it is kept", async (_, body) => {
  const error = await decrypting({ status: 200, body });
  expect(error).toMatchObject({ code: "ERR_KMS_RESPONSE", retryable: false });
  expect(error).not.toHaveProperty("cause");
});

test("no answer in time, and none wanted any more", async () => {
  expect(await decrypting(undefined, { timeout: 100 })).toMatchObject({
    ...{ code: "ERR_TIMEOUT", name: "KmsError", operation: "Decrypt", retryable: true },
  });
  const reason = new Error("changed my mind");
  const controller = new AbortController();
  const server = await startHttp(() => {
    controller.abort(reason);
    return undefined;
  });
  const clientConfig = { endpoint: server.endpoint, credentials };
  const kek = await openKek(`aws-kms://${arn}`, { clientConfig });
  try {
    await expect(kek.encrypt(none, none, { signal: controller.signal })).rejects.toBe(reason);
    await expect(kek.encrypt(none, none, { signal: controller.signal })).rejects.toBe(reason);
    expect(server.requests).toHaveLength(1);
  } finally {
    await server.stop();
  }
});

// In a process of its own: under jest the SDK does not know the network's errors for errors.
test("nobody listens", async () => {
  const endpoint = `http://127.0.0.1:${await freePorts(1)}`;
  const clientConfig = { endpoint, credentials, maxAttempts: 1 };
  const script = `
    const { openKek } = require("./lib/kms/kek.ts");
    openKek("aws-kms://${arn}", { clientConfig: ${JSON.stringify(clientConfig)} })
      .then((kek) => kek.encrypt(Buffer.from("x"), Buffer.alloc(0)))
      .catch(({ code, retryable, message }) => console.log(JSON.stringify({ code, retryable, message })));
  `;
  expect(JSON.parse(await runTool(process.execPath, ["--import", "tsx", "-e", script]))).toEqual({
    code: "ERR_KMS_UNAVAILABLE",
    retryable: true,
    message: "AWS KMS Encrypt: no answer (ECONNREFUSED): check the client's endpoint and the network",
  });
});

test("no credentials", async () => {
  const kek = await openKek(`aws-kms://${arn}`, { clientConfig: { credentials: fromEnv() } });
  await expect(kek.encrypt(none, none)).rejects.toMatchObject({ code: "ERR_KMS_CREDENTIALS" });
});
