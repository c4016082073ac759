import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import { status } from "@grpc/grpc-js";
import type { Aead } from "../../lib/core/aead.js";
import { openKek } from "../../lib/kms/kek.js";
import { crc32c, type GcpKms, startGcpKms } from "../support/gcp-kms.js";
import { until } from "../support/process.js";
import { watchSecretBuffers } from "../support/secret-buffers.js";

const run = promisify(execFile);
const key = "projects/signing-1/locations/europe-west3/keyRings/ring_1/cryptoKeys/kek-1";
const none = Buffer.alloc(0);
const keyset = Buffer.from("a keyset's bytes");
const associatedData = Buffer.from([0, 255, 10, 47]);

describe("gcp-kms:// key encryption keys", () => {
  let kms: GcpKms;
  let client: KeyManagementServiceClient;
  let kek: Aead;

  beforeAll(async () => {
    kms = await startGcpKms(key);
    client = new KeyManagementServiceClient(kms.clientConfig as Record<string, never>);
    kek = await openKek(`gcp-kms://${key}`, { kmsClient: client });
  });
  afterAll(async () => {
    await client?.close();
    await kms?.stop();
  });

  test.each([
    ["no associated data", none],
    ["associated data", associatedData],
  ])("decrypts what it encrypted, with %s, which is sent as it is", async (_, data) => {
    const first = kms.calls.length;
    expect(await kek.decrypt(await kek.encrypt(keyset, data), data)).toEqual(keyset);
    const calls = kms.calls.slice(first);
    expect(calls.map(({ method }) => method)).toEqual(["Encrypt", "Decrypt"]);
    for (const { request, routing } of calls) {
      expect(request).toMatchObject({ name: key, additionalAuthenticatedData: data });
      expect(routing).toBe(`name=${encodeURIComponent(key)}`);
    }
  });

  test("Google's own client decrypts what was encrypted here, and the reverse", async () => {
    const ciphertext = await kek.encrypt(keyset, associatedData);
    const [{ plaintext }] = await client.decrypt({
      ...{ name: key, ciphertext, additionalAuthenticatedData: associatedData },
      ciphertextCrc32c: { value: crc32c(ciphertext) },
      additionalAuthenticatedDataCrc32c: { value: crc32c(associatedData) },
    });
    expect(plaintext).toEqual(keyset);
    const [answer] = await client.encrypt({
      ...{ name: key, plaintext: keyset, plaintextCrc32c: { value: crc32c(keyset) } },
    });
    expect(await kek.decrypt(answer.ciphertext as Buffer, none)).toEqual(keyset);
  });

  // In a process of its own, whose environment has the logging on.
  test("no plaintext gets into the log of Google's packages", async () => {
    const program = (use: string): string => `
      const { credentials } = require("@grpc/grpc-js");
      const { KeyManagementServiceClient } = require("@google-cloud/kms");
      const { openKek } = require("./lib/kms/kek.ts");
      const client = new KeyManagementServiceClient({
        ...${JSON.stringify({ ...kms.clientConfig, sslCreds: undefined })},
        sslCreds: credentials.createInsecure(),
      });
      const keyset = Buffer.from(${JSON.stringify([...keyset])});
      (async () => {
        const kek = await openKek("gcp-kms://${key}", { kmsClient: client });
        ${use}
        await client.close();
      })();`;
    const env = { ...process.env, GOOGLE_SDK_NODE_LOGGING: "*" };
    const log = async (use: string): Promise<string> => {
      const args = ["--import", "tsx", "-e", program(use)];
      const { stdout, stderr } = await run(process.execPath, args, { env, timeout: 30_000 });
      return stdout + stderr;
    };
    const logged = [...keyset.subarray(0, 8)].join();
    expect(
      await log(`await client.encrypt({ name: "${key}", plaintext: keyset }).catch(() => 0);`),
    ).toContain(logged);
    const use = "const none = Buffer.alloc(0); await kek.decrypt(await kek.encrypt(keyset, none), none);";
    expect(await log(use)).not.toContain(logged);
  });

  test("older versions still decrypt after a rotation, and a version named in the URI encrypts", async () => {
    const before = await kek.encrypt(keyset, none);
    kms.rotate();
    const versioned = await openKek(`gcp-kms://${key}/cryptoKeyVersions/1`, { kmsClient: client });
    const byFirst = await versioned.encrypt(keyset, none);
    expect([before[0], byFirst[0], (await kek.encrypt(keyset, none))[0]]).toEqual([1, 1, 2]);
    for (const ciphertext of [before, byFirst]) {
      expect(await kek.decrypt(ciphertext, none)).toEqual(keyset);
      expect(await versioned.decrypt(ciphertext, none)).toEqual(keyset);
    }
  });

  test("a client made from settings is closed; one of the caller's goes on", async () => {
    const close = jest.spyOn(KeyManagementServiceClient.prototype, "close");
    try {
      const own = await openKek(`gcp-kms://${key}`, { clientConfig: kms.clientConfig });
      const ciphertext = await own.encrypt(keyset, none);
      expect(await own.decrypt(ciphertext, none)).toEqual(keyset);
      expect(close).toHaveBeenCalledTimes(2);
      expect(await kek.decrypt(ciphertext, none)).toEqual(keyset);
      expect(close).toHaveBeenCalledTimes(2);
    } finally {
      close.mockRestore();
    }
  });

  test("other associated data, a changed ciphertext and a missing key are refused", async () => {
    const ciphertext = await kek.encrypt(keyset, associatedData);
    const changed = Buffer.from(ciphertext);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    for (const [bytes, data] of [
      [ciphertext, none],
      [changed, associatedData],
    ] as const) {
      await expect(kek.decrypt(bytes, data)).rejects.toMatchObject({
        ...{ code: "ERR_KMS_DECRYPT", name: "KmsError", operation: "Decrypt", reason: "INVALID_ARGUMENT" },
      });
    }
    const missing = await openKek(`gcp-kms://${key}-2`, { kmsClient: client });
    await expect(missing.encrypt(keyset, none)).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
  });

  const changeLast = (bytes: unknown): Buffer => {
    const changed = Buffer.from(bytes as Buffer);
    changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
    return changed;
  };

  test.each([
    ["ciphertext changed", (answer) => ({ ...answer, ciphertext: changeLast(answer.ciphertext) })],
    ["no checksum", (answer) => ({ ...answer, ciphertextCrc32c: null })],
    ["plaintext not verified", (answer) => ({ ...answer, verifiedPlaintextCrc32c: false })],
    ["data not verified", (answer) => ({ ...answer, verifiedAdditionalAuthenticatedDataCrc32c: false })],
    ["another key", (answer) => ({ ...answer, name: `${key}-2/cryptoKeyVersions/1` })],
  ] as [string, (answer: Record<string, unknown>) => Record<string, unknown>][])(
    "an answer of Encrypt with %s is refused",
    async (_, change) => {
      kms.tamper(change);
      try {
        await expect(kek.encrypt(keyset, associatedData)).rejects.toMatchObject({ code: "ERR_KMS_RESPONSE" });
      } finally {
        kms.tamper(undefined);
      }
    },
  );

  test("an answer of another version than the one named is refused", async () => {
    const versioned = await openKek(`gcp-kms://${key}/cryptoKeyVersions/1`, { kmsClient: client });
    kms.tamper((answer) => ({ ...answer, name: `${key}/cryptoKeyVersions/2` }));
    try {
      await expect(versioned.encrypt(keyset, none)).rejects.toMatchObject({ code: "ERR_KMS_RESPONSE" });
    } finally {
      kms.tamper(undefined);
    }
  });

  test("a corrupted plaintext is refused and wiped", async () => {
    const ciphertext = await kek.encrypt(keyset, none);
    for (const change of [
      (answer: Record<string, unknown>) => ({ ...answer, plaintext: changeLast(answer.plaintext) }),
      (answer: Record<string, unknown>) => ({ ...answer, plaintextCrc32c: null }),
    ]) {
      kms.tamper(change);
      const made = watchSecretBuffers();
      try {
        await expect(kek.decrypt(ciphertext, none)).rejects.toMatchObject({
          code: "ERR_KMS_RESPONSE",
          retryable: true,
        });
      } finally {
        kms.tamper(undefined);
        const buffers = made().filter(({ length }) => length === keyset.length);
        expect(buffers).toEqual([Buffer.alloc(keyset.length)]);
      }
    }
  });

  test("the plaintext lies in memory of its own, and the client's copy is wiped", async () => {
    const ciphertext = await kek.encrypt(keyset, none);
    await client.initialize();
    const theirs: Buffer[] = [];
    const decrypt = client.innerApiCalls.decrypt as (...args: unknown[]) => Promise<[{ plaintext: Buffer }]>;
    client.innerApiCalls.decrypt = (...args: unknown[]) => {
      const call = decrypt(...args);
      void call.then(([{ plaintext }]) => theirs.push(plaintext));
      return call;
    };
    try {
      const plaintext = await kek.decrypt(ciphertext, none);
      expect(plaintext).toEqual(keyset);
      expect(plaintext.buffer.byteLength).toBe(keyset.length);
      expect(theirs).toEqual([Buffer.alloc(keyset.length)]);
    } finally {
      client.innerApiCalls.decrypt = decrypt;
    }
  });

  test.each([
    [status.PERMISSION_DENIED, "PERMISSION_DENIED", "ERR_KMS_DENIED", false],
    [status.UNAUTHENTICATED, "UNAUTHENTICATED", "ERR_KMS_CREDENTIALS", false],
    [status.FAILED_PRECONDITION, "FAILED_PRECONDITION", "ERR_KMS_KEY_STATE", false],
    [status.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", "ERR_KMS_UNAVAILABLE", true],
    [status.INTERNAL, "INTERNAL", "ERR_KMS_UNAVAILABLE", true],
    [status.UNIMPLEMENTED, "12", "ERR_KMS", false],
  ])("gRPC status %d (%s) is %s, retryable: %s", async (code, reason, expected, retryable) => {
    kms.fail(code);
    await expect(kek.decrypt(keyset, none)).rejects.toMatchObject({
      ...{ code: expected, reason, retryable, operation: "Decrypt" },
      message: expect.not.stringContaining("as told"),
    });
  });

  test("an unavailable service is asked again within the time", async () => {
    kms.fail(status.UNAVAILABLE, status.UNAVAILABLE);
    const first = kms.calls.length;
    await kek.encrypt(keyset, none);
    expect(kms.calls).toHaveLength(first + 3);
  });

  test("no answer in time, and none wanted any more", async () => {
    kms.fail(undefined, undefined);
    const hurried = await openKek(`gcp-kms://${key}`, { kmsClient: client, timeout: 200 });
    await expect(hurried.encrypt(keyset, none)).rejects.toMatchObject({
      code: "ERR_TIMEOUT",
      retryable: true,
    });
    const reason = new Error("changed my mind");
    const controller = new AbortController();
    const { signal } = controller;
    const arrived = kms.calls.length + 1;
    const call = kek.encrypt(keyset, none, { signal });
    void until("the call", () => kms.calls.length === arrived).then(() => controller.abort(reason));
    await expect(call).rejects.toBe(reason);
    await expect(kek.encrypt(keyset, none, { signal })).rejects.toBe(reason);
    expect(kms.calls).toHaveLength(arrived);
    await kek.encrypt(keyset, none);
  });

  test("a client of another location's endpoint is refused before a call", async () => {
    const clientConfig = { ...kms.clientConfig, apiEndpoint: "cloudkms.us-east1.rep.googleapis.com" };
    await expect(openKek(`gcp-kms://${key}`, { clientConfig })).rejects.toMatchObject({
      code: "ERR_KMS_MISMATCH",
      message: expect.stringContaining("us-east1"),
    });
    const right = { ...clientConfig, apiEndpoint: "cloudkms.europe-west3.rep.googleapis.com" };
    await expect(openKek(`gcp-kms://${key}`, { clientConfig: right })).resolves.toHaveProperty("decrypt");
  });

  test("no credentials", async () => {
    const { GOOGLE_APPLICATION_CREDENTIALS, METADATA_SERVER_DETECTION, HOME } = process.env;
    delete process.env.GOOGLE_APPLICATION_CREDENTIALS;
    Object.assign(process.env, { METADATA_SERVER_DETECTION: "none", HOME: "/nowhere" });
    try {
      const anonymous = await openKek(`gcp-kms://${key}`, { clientConfig: { apiEndpoint: "127.0.0.1" } });
      await expect(anonymous.encrypt(keyset, none)).rejects.toMatchObject({ code: "ERR_KMS_CREDENTIALS" });
    } finally {
      for (const [name, value] of Object.entries({
        ...{ GOOGLE_APPLICATION_CREDENTIALS, METADATA_SERVER_DETECTION, HOME },
      })) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    }
  });
});
