import {
  HmacSigner,
  insecureMemoryKey,
  type KeyCacheMode,
  type SignEvent,
  type SigningKeySource,
  type SigningScope,
} from "../../../lib/index.js";
import { counted } from "../../support/counted.js";
import { derivedKeys } from "../../support/derived-keys.js";
import { eventsDuring } from "../../support/events.js";
import { watchSecretBuffers } from "../../support/secret-buffers.js";
import {
  accessKeyId,
  judge,
  openSigner,
  refusal,
  request,
  secret,
  signingDate,
  wrong,
} from "../../support/signer.js";

const scope = { date: "20261123", region: "eu-central-1", service: "sqs" };
const expected = derivedKeys(secret, ...(Object.values(scope) as [string, string, string]))[3];

/** A source that asks an owner's signer, as a worker does: what it gives is gone where it was. */
function sourceOf(owner: HmacSigner): SigningKeySource & { asked: SigningScope[]; given: ArrayBuffer[] } {
  const asked: SigningScope[] = [];
  const given: ArrayBuffer[] = [];
  return {
    ...{ asked, given },
    async signingKey(wanted) {
      asked.push(wanted);
      const key = await owner.exportSigningKey(wanted);
      const transferred = structuredClone(key, { transfer: [key] });
      given.push(transferred);
      return transferred;
    },
  };
}

describe("exportSigningKey", () => {
  test.each(["day", "scope", "none"] as const)(
    "%s: gives the signing key of the plain secret",
    async (keyCache) => {
      const key = counted(insecureMemoryKey(secret));
      const signer = openSigner({ key, keyCache });
      const events = await eventsDuring<SignEvent>("aws-hmac:export", async () => {
        expect(Buffer.from(await signer.exportSigningKey({ date: "20261123" }))).toEqual(expected);
        const other = await signer.exportSigningKey({ ...scope, region: "us-east-1", service: "s3" });
        expect(Buffer.from(other)).toEqual(derivedKeys(secret, "20261123", "us-east-1", "s3")[3]);
      });
      expect(events).toHaveLength(2);
      expect(events[0]).toMatchObject({ backend: "memory", scope, cache: "miss" });
      expect(key.asked).toHaveLength(keyCache === "day" ? 1 : 2);
    },
  );

  test("what it gives is the caller's: wiping it harms no signature", async () => {
    const signer = openSigner();
    new Uint8Array(await signer.exportSigningKey(scope)).fill(0);
    const { headers } = await signer.sign(request, { signingDate });
    expect(headers.authorization).toBe(await judge({}));
  });

  test.each(["", "2026-11-23", "20261131", "20260229", "today", 20261123, undefined])(
    "date %p is refused",
    async (date) => {
      await expect(openSigner().exportSigningKey({ date: wrong(date) })).rejects.toEqual(
        refusal("ERR_SIGN_INPUT"),
      );
    },
  );

  test("other scopes than names, and a closed signer, are refused", async () => {
    const signer = openSigner();
    for (const change of [{ region: "a/b" }, { service: "" }]) {
      await expect(signer.exportSigningKey({ ...scope, ...change })).rejects.toEqual(
        refusal("ERR_SIGN_INPUT"),
      );
    }
    await signer.close();
    await expect(signer.exportSigningKey(scope)).rejects.toEqual(refusal("ERR_CLOSED"));
  });
});

describe("a signer with a source of signing keys", () => {
  test.each([undefined, "scope", "none"] as (KeyCacheMode | undefined)[])(
    "%s: signs as the owner does, who asks the device once",
    async (keyCache) => {
      const key = counted(insecureMemoryKey(secret));
      const source = sourceOf(openSigner({ key }));
      const signer = openSigner({ key: source, keyCache });
      await Promise.all([signer.sign(request, { signingDate }), signer.sign(request, { signingDate })]);
      const { headers } = await signer.sign(request, { signingDate });
      expect(headers.authorization).toBe(await judge({}));
      expect(source.asked).toEqual(Array(keyCache === "none" ? 3 : 1).fill(scope));
      expect(signer.keyCacheMetrics().deviceCalls).toBe(source.asked.length);
      expect(key.asked).toHaveLength(1);
      for (const given of source.given) expect(new Uint8Array(given).every((byte) => byte === 0)).toBe(true);
      await signer.close();
      await expect(signer.sign(request)).rejects.toEqual(refusal("ERR_CLOSED"));
    },
  );

  test("its own copies are wiped by close()", async () => {
    const secretBuffers = watchSecretBuffers();
    const signer = openSigner({ key: { signingKey: async () => new Uint8Array(expected as Buffer) } });
    await signer.sign(request, { signingDate });
    const held = secretBuffers();
    const used = held.filter((buffer) => buffer.some((byte) => byte !== 0));
    expect(used).not.toEqual([]);
    await signer.close();
    for (const buffer of held) expect(buffer.every((byte) => byte === 0)).toBe(true);
  });

  test.each<[string, () => unknown]>([
    ["31 bytes", () => new ArrayBuffer(31)],
    ["33 bytes", () => new Uint8Array(33)],
    ["hex", () => "ab".repeat(32)],
    ["nothing", () => undefined],
    ["zeros", () => new ArrayBuffer(32)],
    [
      "what was transferred",
      () => {
        const key = new ArrayBuffer(32);
        structuredClone(key, { transfer: [key] });
        return key;
      },
    ],
  ])("%s is refused", async (_, give) => {
    const signer = openSigner({ key: { signingKey: async () => wrong<ArrayBuffer>(give()) } });
    await expect(signer.sign(request)).rejects.toEqual(refusal("ERR_SIGNING_KEY"));
  });

  test("the same bytes twice are an error, no wrong signature", async () => {
    const bytes = new Uint8Array(expected as Buffer);
    const signer = openSigner({ key: { signingKey: async () => bytes }, keyCache: "none" });
    const { headers } = await signer.sign(request, { signingDate });
    expect(headers.authorization).toBe(await judge({}));
    await expect(signer.sign(request, { signingDate })).rejects.toEqual(refusal("ERR_SIGNING_KEY"));
  });

  test("it has no day keys", () => {
    const options = { accessKeyId, region: "eu-central-1", service: "sqs" };
    const key = { signingKey: async () => new ArrayBuffer(32) };
    expect(() => new HmacSigner({ ...options, key, keyCache: "day" })).toThrow(
      refusal("ERR_INVALID_ARGUMENT"),
    );
  });
});
