import crypto from "node:crypto";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { insecureMemoryKey } from "../../../lib/keys/memory.js";
import { systemClock } from "../../../lib/sigv4/clock.js";
import { KeyCache } from "../../../lib/sigv4/key-cache.js";
import { counted } from "../../support/counted.js";
import { derivedKeys } from "../../support/derived-keys.js";
import { expected, openCache, secret, sign, signNow } from "../../support/key-cache.js";
import { until } from "../../support/process.js";

/** A buffer that held a key, and the key: 64 hex digits. */
interface Seen {
  buffer: Buffer;
  value: string;
}

/** Every key that HMAC was computed with, by node:crypto or by hashing the key's padded blocks (RFC 2104). */
function watchKeys(): Seen[] {
  const seen: Seen[] = [];
  const { createHmac, createHash, hash } = crypto;
  const watchBlock = (data: unknown): void => {
    if (!Buffer.isBuffer(data)) return;
    const pad = [0x36, 0x5c].find(
      (byte) => data.length >= 64 && data.subarray(32, 64).every((b) => b === byte),
    );
    if (pad === undefined) return;
    const key = data.subarray(0, 32).map((byte) => byte ^ pad);
    seen.push({ buffer: data, value: Buffer.from(key).toString("hex") });
  };
  jest.spyOn(crypto, "createHmac").mockImplementation((algorithm, key) => {
    if (Buffer.isBuffer(key)) seen.push({ buffer: key, value: key.toString("hex") });
    const hmac = createHmac(algorithm, key);
    const digest = hmac.digest.bind(hmac) as () => Buffer;
    hmac.digest = (() => {
      const buffer = digest();
      const value = buffer.toString("hex");
      if (chain.includes(value)) seen.push({ buffer, value });
      return buffer;
    }) as typeof hmac.digest;
    return hmac;
  });
  jest.spyOn(crypto, "createHash").mockImplementation((algorithm) => {
    const hasher = createHash(algorithm);
    const update = hasher.update.bind(hasher) as (data: unknown) => typeof hasher;
    hasher.update = (data: unknown) => {
      watchBlock(data);
      return update(data);
    };
    return hasher;
  });
  jest.spyOn(crypto, "hash").mockImplementation(((algorithm: string, data: Buffer, encoding: "hex") => {
    watchBlock(data);
    return hash(algorithm, data, encoding);
  }) as typeof hash);
  return seen;
}
afterEach(() => jest.restoreAllMocks());

const chain = derivedKeys(secret, "20261123", "eu-central-1", "s3").map((key) => key.toString("hex"));
/** The keys of which bytes are left, wherever they were. */
const alive = (seen: Seen[]): string[] => [
  ...new Set(
    seen
      .filter(({ buffer }) => new Uint8Array(buffer.buffer).some((byte) => byte !== 0))
      .map(({ value }) => value),
  ),
];
/** How many of them are in Buffer's shared pool. */
const pooled = (seen: Seen[]): number =>
  seen.filter(({ buffer }) => buffer.buffer.byteLength === Buffer.poolSize).length;

test.each([
  ["day", [chain[0], chain[3]]],
  ["scope", [chain[3]]],
  ["none", []],
] as const)("%s keeps what it says, outside of Buffer's pool, until close()", async (mode, kept) => {
  const seen = watchKeys();
  const { cache, key } = openCache(mode);
  await Promise.all([sign(cache), sign(cache)]);
  signNow(cache);
  expect(new Set(seen.map(({ value }) => value))).toEqual(new Set(chain));
  expect(alive(seen).sort()).toEqual([...kept].sort());
  expect(pooled(seen)).toBe(0);
  for (const answer of key.answers) expect(answer.every((byte) => byte === 0)).toBe(true);
  cache.close();
  expect(alive(seen)).toEqual([]);
  expect(signNow(cache)).toBeUndefined();
  await expect(sign(cache)).rejects.toMatchObject({ name: "SigningError", code: "ERR_CLOSED" });
  cache.close();
});

test("the day key lives as long as one of its caches", async () => {
  const seen = watchKeys();
  const { cache, key, clock } = openCache();
  const other = new KeyCache(key, "day", clock);
  await sign(cache);
  cache.close();
  expect(alive(seen)).toEqual([chain[0]]);
  await sign(other);
  expect(key.asked).toHaveLength(1);
  other.close();
  expect(alive(seen)).toEqual([]);
  const later = new KeyCache(key, "day", clock);
  expect(await sign(later)).toBe(expected);
  expect(key.asked).toHaveLength(2);
});

test.each(["day", "scope", "none"] as const)(
  "%s: closing the key wipes and ends everything",
  async (mode) => {
    const seen = watchKeys();
    const { cache, key, clock } = openCache(mode);
    await sign(cache);
    await key.close();
    expect(alive(seen)).toEqual([]);
    expect(clock.pending).toBe(0);
    await expect(sign(cache)).rejects.toMatchObject({ name: "SigningError", code: "ERR_CLOSED" });
    await expect(sign(new KeyCache(key, mode, clock))).rejects.toMatchObject({ code: "ERR_CLOSED" });
  },
);

test("what arrives after close() is not kept", async () => {
  const seen = watchKeys();
  const { cache, key } = openCache();
  let openGate: () => void = () => undefined;
  key.gate = new Promise((resolve) => {
    openGate = resolve;
  });
  const pending = sign(cache);
  cache.close();
  openGate();
  expect(await pending).toBe(expected);
  expect(seen).not.toEqual([]);
  await new Promise((next) => setImmediate(next));
  expect(alive(seen)).toEqual([]);
});

test("an evicted key is wiped", async () => {
  const seen = watchKeys();
  const { cache } = openCache("scope");
  await sign(cache);
  for (let i = 0; i < 64; i++) await sign(cache, { region: `r${i}` });
  expect(alive(seen)).toHaveLength(64);
  expect(alive(seen)).not.toContain(chain[3]);
});

test("the fifth day's key wipes the first's", async () => {
  const seen = watchKeys();
  const { cache } = openCache();
  await sign(cache);
  for (const date of ["20261124", "20261125", "20261126"]) await sign(cache, { date });
  expect(alive(seen)).toContain(chain[0]);
  await sign(cache, { date: "20261127" });
  expect(alive(seen)).not.toContain(chain[0]);
});

test("a signing key that is derived twice at a time is wiped twice", async () => {
  const seen = watchKeys();
  const { cache } = openCache();
  const signatures = [sign(cache)];
  // One of these comes when the day key is there already, and the signing key of the first one is on its way.
  for (let i = 0; i < 30; i++) {
    await undefined;
    signatures.push(sign(cache));
  }
  expect(new Set(await Promise.all(signatures))).toEqual(new Set([expected]));
  cache.close();
  expect(alive(seen)).toEqual([]);
});

test("a past day's keys are wiped when idle for 15 minutes, not before", async () => {
  const seen = watchKeys();
  const { cache, clock } = openCache();
  await sign(cache);
  await clock.moveTo("2026-11-23T23:59:59Z");
  expect(alive(seen)).toHaveLength(2);
  await clock.moveTo("2026-11-24T00:00:00Z");
  expect(alive(seen)).toEqual([]);

  await sign(cache);
  await clock.moveTo("2026-11-24T00:10:00Z");
  await sign(cache);
  await clock.moveTo("2026-11-24T00:24:59Z");
  expect(alive(seen)).toHaveLength(2);
  await clock.moveTo("2026-11-24T00:25:00Z");
  expect(alive(seen)).toEqual([]);
});

test("a cache that is dropped without close() lets its keys go", async () => {
  setFlagsFromString("--expose_gc");
  const collect = runInNewContext("gc") as () => void;
  const seen = watchKeys();
  const key = counted(insecureMemoryKey(secret));
  await (async () => {
    await sign(new KeyCache(key, "day", systemClock));
  })();
  expect(alive(seen)).toHaveLength(2);
  await until("the dropped cache's release", () => {
    collect();
    return alive(seen).length === 0;
  });
  expect(key.closed?.aborted).toBe(false);
});
