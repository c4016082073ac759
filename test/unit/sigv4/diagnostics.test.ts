import { AsyncLocalStorage } from "node:async_hooks";
import { inspect } from "node:util";
import {
  fromAssumeRole,
  HmacSigner,
  insecureMemoryKey,
  type KeyCacheMode,
  type MacEvent,
  type SignEvent,
  sdkIdentity,
} from "../../../lib/index.js";
import { counted } from "../../support/counted.js";
import { derivedKeys } from "../../support/derived-keys.js";
import { eventsDuring } from "../../support/events.js";
import { openCache, scope, sign, signNow } from "../../support/key-cache.js";
import { accessKeyId, openSigner, request, secret, signingDate } from "../../support/signer.js";

const time = { startTime: expect.any(Number), duration: expect.any(Number) };
const told = { ...time, backend: "memory", algorithm: "sigv4" };

/** What all channels say, in order. */
async function allDuring(work: () => unknown): Promise<object[]> {
  const all: object[] = [];
  let listening = work;
  for (const name of ["sign", "mac", "export", "credentials"]) {
    const inner = listening;
    listening = () => eventsDuring(`aws-hmac:${name}`, inner, (event) => all.push(event));
  }
  await listening();
  return all;
}

describe("aws-hmac:sign", () => {
  test("says where each key came from, also of signatures that are made at once", async () => {
    const { cache } = openCache();
    const events = await eventsDuring<SignEvent>("aws-hmac:sign", async () => {
      await Promise.all([sign(cache), sign(cache, { service: "sts" })]);
      await sign(cache, { region: "us-east-1" });
      signNow(cache);
      signNow(cache, { region: "nowhere" });
    });
    expect(events).toEqual([
      { ...told, scope, cache: "miss" },
      { ...told, scope: { ...scope, service: "sts" }, cache: "wait" },
      { ...told, scope: { ...scope, region: "us-east-1" }, cache: "hit" },
      { ...told, scope, cache: "hit" },
    ]);
    expect(cache.metrics).toMatchObject({ hits: 2, misses: 2, deviceCalls: 1 });
  });

  test("when and how long, with the time that the device took", async () => {
    const { cache, key } = openCache();
    const before = Date.now();
    key.gate = new Promise((resolve) => setTimeout(resolve, 200));
    const [slow, fast] = await eventsDuring<SignEvent>("aws-hmac:sign", async () => {
      await sign(cache);
      await sign(cache);
    });
    expect(slow?.startTime).toBeGreaterThan(before - 1000);
    expect(slow?.startTime).toBeLessThan(Date.now() + 1000);
    expect(slow?.duration).toBeGreaterThanOrEqual(199);
    expect(fast?.duration).toBeLessThan(slow?.duration ?? 0);
  });

  test.each([
    [Object.assign(new Error("gone"), { code: "ERR_TPM_CONNECTION" }), "ERR_TPM_CONNECTION"],
    [new RangeError("odd"), "RangeError"],
  ])("a failure has the error's code, or its name", async (failure, name) => {
    const { cache, key } = openCache();
    key.failures.push(failure);
    const fail = (): Promise<unknown> => expect(sign(cache)).rejects.toBe(failure);
    expect(await allDuring(fail)).toEqual([
      { ...time, backend: "memory", reason: "signature", error: name },
      { ...told, scope, cache: "miss", error: name },
    ]);
  });

  test.each(["day", "scope", "none"] as const)(
    "%s: every signature is told, whatever made it",
    async (keyCache) => {
      const key = counted(insecureMemoryKey(secret));
      const signer = openSigner({ key, keyCache, service: "s3" });
      const identity = sdkIdentity({ key, accessKeyId, keyCache });
      const events = await eventsDuring<SignEvent>("aws-hmac:sign", async () => {
        for (let i = 0; i < 2; i++) {
          await signer.sign(request, { signingDate });
          await signer.sign("string", { signingDate });
          await signer.presign(request, { signingDate });
          await signer.presignUrl("https://b.s3.amazonaws.com/k", { signingDate });
          await signer.sign(
            { headers: new Uint8Array(), payload: new Uint8Array(3) },
            { signingDate, priorSignature: "" },
          );
        }
      });
      expect(events).toHaveLength(10);
      const { hits, misses } = signer.keyCacheMetrics();
      expect(hits + misses).toBe(10);
      expect(misses).toBe(keyCache === "none" ? 10 : 1);
      expect(signer.keyCacheMetrics().deviceCalls).toBe(misses);
      expect(Object.keys({ ...identity })).toEqual(["credentials", "sha256"]);
      expect(identity.keyCacheMetrics()).toMatchObject({ hits: 0, misses: 0, waiting: 0 });
    },
  );

  test("in the async context of whoever signs", async () => {
    const context = new AsyncLocalStorage<string>();
    const { cache } = openCache();
    const heard: unknown[] = [];
    await eventsDuring(
      "aws-hmac:sign",
      () => Promise.all(["a", "b", "c"].map((name) => context.run(name, () => sign(cache)))),
      () => heard.push(context.getStore()),
    );
    expect(heard.sort()).toEqual(["a", "b", "c"]);
  });

  test("the scope is a copy: no listener changes what is signed", async () => {
    const { cache } = openCache();
    const own = { ...scope };
    await eventsDuring<SignEvent>(
      "aws-hmac:sign",
      () => cache.sign(own, Buffer.from("x")),
      (event) => Object.assign(event.scope, { region: "elsewhere" }),
    );
    expect(own).toEqual(scope);
  });
});

test("aws-hmac:mac tells of each device call, and which one nobody waited for", async () => {
  const { cache, clock } = openCache();
  const events = await eventsDuring<MacEvent>("aws-hmac:mac", async () => {
    await clock.moveTo("2026-11-23T23:54:00Z");
    await Promise.all([sign(cache), sign(cache)]);
    await clock.moveTo("2026-11-23T23:56:00Z");
  });
  expect(events.map(({ reason }) => reason)).toEqual(["signature", "prefetch"]);
});

test("a key that does not say what it is counts as custom", async () => {
  const { mac } = insecureMemoryKey(secret);
  const key = { mac: mac.bind(insecureMemoryKey(secret)) };
  const signer = openSigner({ key });
  const [event] = await eventsDuring("aws-hmac:mac", () => signer.sign(request));
  expect(event).toMatchObject({ backend: "custom" });
});

test("aws-hmac:credentials tells of STS calls that fail", async () => {
  const provider = fromAssumeRole({
    ...{ key: insecureMemoryKey(secret), accessKeyId },
    params: { RoleArn: "arn:aws:iam::123456789012:role/r", RoleSessionName: "s" },
    clientConfig: { region: "eu-central-1", endpoint: "http://127.0.0.1:1", maxAttempts: 1 },
  });
  const events = await eventsDuring("aws-hmac:credentials", () =>
    expect(provider()).rejects.toMatchObject({ code: "ERR_STS" }),
  );
  expect(events).toEqual([{ ...time, backend: "memory", action: "AssumeRole", error: "ERR_STS" }]);
});

test.each(["day", "scope", "none"] as KeyCacheMode[])(
  "%s: no event holds a secret, a token or a message",
  async (keyCache) => {
    const sessionToken = "very/secret/token";
    const signer = openSigner({ keyCache, sessionToken });
    const events = await allDuring(async () => {
      await signer.sign({ ...request, path: "/private" }, { signingDate });
      await signer.sign({ ...request, path: "/private" }, { signingDate });
    });
    const text = inspect(events, { depth: 9, showHidden: true, maxArrayLength: null, maxStringLength: null });
    const keys = derivedKeys(secret, "20261123", "eu-central-1", "sqs").map((key) => key.toString("hex"));
    expect(events.length).toBeGreaterThanOrEqual(3);
    for (const hidden of [secret, sessionToken, "private", "20261123T120000Z", ...keys]) {
      expect(text).not.toContain(hidden);
    }
    expect(text).not.toMatch(/Buffer|Uint8Array|[0-9a-f]{64}/);
  },
);

test("where nobody listens no clock is read", async () => {
  const { cache } = openCache();
  const watch = jest.spyOn(performance, "now");
  await sign(cache);
  signNow(cache);
  expect(watch).not.toHaveBeenCalled();
  await eventsDuring("aws-hmac:sign", () => void signNow(cache));
  expect(watch).toHaveBeenCalled();
  watch.mockRestore();
});

test("close() ends the numbers' growth and leaves them readable", async () => {
  const signer = new HmacSigner({
    ...{ key: insecureMemoryKey(secret), accessKeyId, region: "eu-central-1", service: "s3" },
  });
  await signer.presignUrl("https://b.s3.amazonaws.com/k");
  await signer.close();
  await expect(signer.presignUrl("https://b.s3.amazonaws.com/k")).rejects.toMatchObject({
    code: "ERR_CLOSED",
  });
  expect(signer.keyCacheMetrics()).toEqual({
    ...{ hits: 0, misses: 1, deviceCalls: 1, deviceFailures: 0, waiting: 0 },
  });
});
