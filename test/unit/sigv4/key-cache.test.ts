import { insecureMemoryKey } from "../../../lib/keys/memory.js";
import { KeyCache, type KeyCacheMode } from "../../../lib/sigv4/key-cache.js";
import { type CountedKey, counted } from "../../support/counted.js";
import { plainSignature } from "../../support/derived-keys.js";
import { expected, expectedNow, openCache, scope, secret, sign, signNow } from "../../support/key-cache.js";
import { warningsDuring } from "../../support/warnings.js";

describe("how often the device is asked", () => {
  test.each(["day", "scope", "none"] as const)("%s gives the signature of the plain secret", async (mode) => {
    const { cache } = openCache(mode);
    expect(await sign(cache)).toBe(expected);
    expect(await sign(cache, { region: "us-east-1" })).toBe(
      plainSignature(secret, ["20261123", "us-east-1", "s3"], "string to sign"),
    );
    expect(await sign(cache)).toBe(expected);
  });

  test("a thousand concurrent first signatures ask once", async () => {
    const { cache, key } = openCache();
    const services = ["s3", "sts", "sqs"];
    const signatures = await Promise.all(
      Array.from({ length: 1000 }, (_, i) => sign(cache, { service: services[i % 3] as string })),
    );
    expect(key.asked).toEqual(["20261123"]);
    expect(new Set(signatures).size).toBe(3);
    expect(signatures[0]).toBe(expected);
  });

  test("day: once a day, for all the caches of a key", async () => {
    const { cache, key, clock } = openCache();
    const other = new KeyCache(key, "day", clock);
    await Promise.all([sign(cache), sign(other, { region: "us-east-1" })]);
    await sign(other, { service: "sts" });
    expect(key.asked).toEqual(["20261123"]);
    await sign(cache, { date: "20261122" });
    expect(key.asked).toEqual(["20261123", "20261122"]);
  });

  test("scope: once for each scope of a cache, however many wait", async () => {
    const { cache, key } = openCache("scope");
    const scopes = [{}, { region: "us-east-1" }, { service: "sts" }];
    await Promise.all([...scopes, ...scopes, ...scopes].map((change) => sign(cache, change)));
    await sign(cache);
    expect(key.asked).toHaveLength(3);
  });

  test("none: once for each signature", async () => {
    const { cache, key } = openCache("none");
    await Promise.all([sign(cache), sign(cache), sign(cache)]);
    await sign(cache);
    expect(key.asked).toHaveLength(4);
  });

  test("four days are kept", async () => {
    const { cache, key } = openCache();
    for (const date of ["20261120", "20261121", "20261122", "20261123", "20261124"])
      await sign(cache, { date });
    for (const date of ["20261121", "20261122", "20261123", "20261124"]) {
      await sign(cache, { date, region: "us-east-1" });
    }
    expect(key.asked).toHaveLength(5);
    await sign(cache, { date: "20261120", region: "us-east-1" });
    expect(key.asked).toHaveLength(6);
  });

  test("signing keys are bounded in number, and the least recently used goes", async () => {
    const { cache, key } = openCache("scope");
    for (let i = 0; i < 64; i++) await sign(cache, { region: `r${i}` });
    await sign(cache, { region: "r0" });
    await sign(cache, { region: "r64" });
    await sign(cache, { region: "r0" });
    expect(key.asked).toHaveLength(65);
    await sign(cache, { region: "r1" });
    expect(key.asked).toHaveLength(66);
  });
});

describe("at once", () => {
  test.each(["day", "scope"] as const)(
    "%s: once the signing key is there, and no other one",
    async (mode) => {
      const { cache, key } = openCache(mode);
      expect(signNow(cache)).toBeUndefined();
      await sign(cache);
      expect(signNow(cache)).toBe(expectedNow);
      expect(signNow(cache)).toBe(expectedNow);
      for (const change of [{ date: "20261124" }, { region: "us-east-1" }, { service: "sts" }]) {
        expect(signNow(cache, change)).toBeUndefined();
      }
      expect(key.asked).toHaveLength(1);
      await key.close();
      expect(signNow(cache)).toBeUndefined();
    },
  );

  test("none: never", async () => {
    const { cache } = openCache("none");
    await sign(cache);
    expect(signNow(cache)).toBeUndefined();
  });

  test("not from a listener that hears of the key's end before the cache does", async () => {
    const key = counted(insecureMemoryKey(secret));
    const heard: unknown[] = [];
    key.closed?.addEventListener("abort", () => heard.push(signNow(cache)));
    const { cache } = openCache("day", key);
    await sign(cache);
    expect(signNow(cache)).toBe(expectedNow);
    await key.close();
    expect(heard).toEqual([undefined]);
  });

  test("by turns under several keys and heads, long ones too", async () => {
    const { cache } = openCache();
    const hash = "f".repeat(64);
    const scopes = ["eu-central-1", "us-east-1"].map((region) => ({ ...scope, region }));
    for (const one of scopes) await cache.sign(one, Buffer.from("x"));
    for (const head of [
      "one\n",
      "another\n",
      "one\n",
      "",
      "long".repeat(200),
      "x".repeat(448),
      "x".repeat(449),
    ]) {
      for (const one of scopes) {
        expect(cache.signNow(one, head, hash)).toBe(plainSignature(secret, Object.values(one), head + hash));
      }
    }
  });

  test("it counts as use: the key that signs is not evicted, nor wiped after midnight", async () => {
    const { cache, key, clock } = openCache("scope");
    await sign(cache);
    for (let i = 0; i < 63; i++) await sign(cache, { region: `r${i}` });
    signNow(cache);
    await sign(cache, { region: "r63" });
    expect(signNow(cache)).toBe(expectedNow);
    await clock.moveTo("2026-11-23T23:59:00Z");
    signNow(cache);
    await clock.moveTo("2026-11-24T00:13:59Z");
    expect(signNow(cache)).toBe(expectedNow);
    expect(key.asked).toHaveLength(65);
    await clock.moveTo("2026-11-24T00:29:00Z");
    expect(signNow(cache)).toBeUndefined();
  });
});

describe("failures", () => {
  test.each(["day", "scope", "none"] as const)("%s: shared by who waits and not remembered", async (mode) => {
    const { cache, key } = openCache(mode);
    const failure = new Error("device gone");
    key.failures.push(failure, failure, failure);
    const results = await Promise.allSettled([sign(cache), sign(cache), sign(cache)]);
    for (const result of results) expect(result).toEqual({ status: "rejected", reason: failure });
    key.failures.length = 0;
    expect(await sign(cache)).toBe(expected);
  });

  test.each([
    ["31 bytes", new Uint8Array(31)],
    ["33 bytes", new Uint8Array(33)],
    ["a string", "0".repeat(32)],
    ["an array", Array(32).fill(0)],
    ["nothing", undefined],
  ])("a MAC of %s is refused", async (_, answer) => {
    const cache = new KeyCache({ mac: async () => answer as Uint8Array });
    await expect(sign(cache)).rejects.toMatchObject({ name: "SigningError", code: "ERR_MAC_LENGTH" });
    cache.close();
  });

  test("a key without mac() and an unknown mode are refused", () => {
    const key = counted(insecureMemoryKey(secret));
    const refused = expect.objectContaining({ code: "ERR_INVALID_ARGUMENT" });
    expect(() => new KeyCache({} as CountedKey)).toThrow(refused);
    expect(() => new KeyCache(undefined as unknown as CountedKey)).toThrow(refused);
    expect(() => new KeyCache(key, "week" as KeyCacheMode)).toThrow(refused);
  });
});

test("many caches of one key raise no leak warning", async () => {
  const key = counted(insecureMemoryKey(secret));
  const caches: KeyCache[] = [];
  const open = (): void => {
    for (let i = 0; i < 50; i++) caches.push(new KeyCache(key, "scope"));
  };
  expect(await warningsDuring(open)).toEqual([]);
  for (const cache of caches) cache.close();
});
