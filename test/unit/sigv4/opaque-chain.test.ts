import { createHash, createHmac } from "node:crypto";
import { getSigningKey, SignatureV4 } from "@smithy/signature-v4";
import type { HttpRequest, SourceData } from "@smithy/types";
import { insecureMemoryKey } from "../../../lib/keys/memory.js";
import { KeyCache, type KeyCacheMode } from "../../../lib/sigv4/key-cache.js";
import { type OpaqueChain, opaqueChain } from "../../../lib/sigv4/opaque-chain.js";
import { counted } from "../../support/counted.js";
import { derivedKeys } from "../../support/derived-keys.js";
import { PlainSha256 } from "../../support/plain-sha256.js";

const secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const accessKeyId = "AKIAIOSFODNN7EXAMPLE";
const request: HttpRequest = {
  method: "GET",
  protocol: "https:",
  hostname: "sts.eu-central-1.amazonaws.com",
  path: "/",
  query: { Action: "GetCallerIdentity" },
  headers: { host: "sts.eu-central-1.amazonaws.com" },
};
const settings = { region: "eu-central-1", service: "sts", applyChecksum: false };
const signingDate = new Date("2026-11-23T12:00:00Z");

function open(mode?: KeyCacheMode): OpaqueChain & { keys: KeyCache } {
  const keys = new KeyCache(counted(insecureMemoryKey(secret)), mode);
  return { keys, ...opaqueChain(keys) };
}

function signWith(sha256: OpaqueChain["sha256"], secretAccessKey: string): Promise<HttpRequest> {
  const signer = new SignatureV4({ ...settings, credentials: { accessKeyId, secretAccessKey }, sha256 });
  return signer.sign(request, { signingDate });
}

async function digest(
  sha256: OpaqueChain["sha256"],
  key: SourceData | undefined,
  message: string,
): Promise<Uint8Array> {
  const hash = new sha256(key);
  hash.update(Buffer.from(message));
  return hash.digest();
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

describe("with the handle in place of the secret", () => {
  test.each(["day", "scope", "none"] as const)("%s: smithy signs as with the plain secret", async (mode) => {
    const { sha256, secretAccessKey } = open(mode);
    const expected = await signWith(PlainSha256, secret);
    for (let i = 0; i < 2; i++) {
      const signed = await signWith(sha256, secretAccessKey);
      expect(signed.headers.authorization).toBe(expected.headers.authorization);
    }
  });

  test("smithy sees no key: what it derives and keeps are handles", async () => {
    const { sha256, secretAccessKey } = open();
    const seen: Uint8Array[] = [];
    class Watched extends sha256 {
      override async digest(): Promise<Uint8Array> {
        const answer = await super.digest();
        seen.push(answer);
        return answer;
      }
    }
    const signed = await signWith(Watched, secretAccessKey);
    // The payload's hash comes from a constant: cache key, four derived keys, the canonical request's hash, the signature.
    expect(seen).toHaveLength(7);
    const signature = seen.find((answer) => signed.headers.authorization?.endsWith(hex(answer)));
    expect(signature).toBeDefined();
    const keptBySmithy = await getSigningKey(
      Watched,
      { accessKeyId, secretAccessKey },
      "20261123",
      settings.region,
      settings.service,
    );
    expect(seen).toContain(keptBySmithy);
    const keys = derivedKeys(secret, "20261123", settings.region, settings.service).map(hex);
    for (const answer of seen) expect(keys).not.toContain(hex(answer));
  });

  test("after close() a handle that smithy kept signs nothing", async () => {
    const { sha256, secretAccessKey, keys } = open();
    await signWith(sha256, secretAccessKey);
    keys.close();
    await expect(signWith(sha256, secretAccessKey)).rejects.toMatchObject({ code: "ERR_CLOSED" });
  });

  test("a client that has the handle without the class does not poison the others", async () => {
    const { sha256, secretAccessKey } = open();
    const wrong = await signWith(PlainSha256, secretAccessKey);
    const expected = await signWith(PlainSha256, secret);
    const signed = await signWith(sha256, secretAccessKey);
    expect(signed.headers.authorization).toBe(expected.headers.authorization);
    expect(wrong.headers.authorization).not.toBe(expected.headers.authorization);
  });

  test("smithy's cache name is salted, its own for each identity, and new each time with none", async () => {
    const { sha256, secretAccessKey } = open();
    const name = await digest(sha256, secretAccessKey, accessKeyId);
    expect(name).toEqual(await digest(sha256, secretAccessKey, accessKeyId));
    expect(hex(name)).not.toBe(createHmac("sha256", secretAccessKey).update(accessKeyId).digest("hex"));
    const none = open("none");
    const names = await Promise.all([1, 2].map(() => digest(none.sha256, none.secretAccessKey, accessKeyId)));
    expect(names[0]).not.toEqual(names[1]);
  });
});

describe("what is refused", () => {
  const misuse = expect.objectContaining({ name: "SigningError", code: "ERR_IDENTITY_MISUSE" });
  const input = { name: "SigningError", code: "ERR_SIGN_INPUT" };

  async function handle(chain: OpaqueChain): Promise<Uint8Array> {
    return digest(chain.sha256, `AWS4${chain.secretAccessKey}`, "20261123");
  }

  test("a copied key handle, here or in another identity", async () => {
    const chain = open();
    const original = await handle(chain);
    expect(() => new chain.sha256(original)).not.toThrow();
    expect(() => new chain.sha256(Uint8Array.from(original))).toThrow(misuse);
    expect(() => new chain.sha256(Buffer.from(original))).toThrow(misuse);
    expect(() => new (open().sha256)(original)).toThrow(misuse);
  });

  test("another identity's handle in place of a secret", () => {
    const { sha256 } = open();
    const { secretAccessKey } = open();
    for (const prefix of ["", "AWS4", "AWS4A"]) {
      expect(() => new sha256(prefix + secretAccessKey)).toThrow(misuse);
    }
  });

  test("SigV4a, with the reason", () => {
    const { sha256, secretAccessKey } = open();
    const key = `AWS4A${secretAccessKey}`;
    for (const form of [key, Buffer.from(key), new Uint8Array(Buffer.from(key))]) {
      expect(() => new sha256(form)).toThrow(
        expect.objectContaining({
          code: "ERR_SIGV4A_UNSUPPORTED",
          message: expect.stringContaining("multi-region"),
        }),
      );
    }
  });

  test("the device as an oracle: only days are asked, only whole scopes are signed", async () => {
    const { sha256, secretAccessKey } = open();
    for (const date of ["", "2026-11-23", "us-east-1", "202611231"]) {
      await expect(digest(sha256, `AWS4${secretAccessKey}`, date)).rejects.toMatchObject(input);
    }
    const kDate = await digest(sha256, `AWS4${secretAccessKey}`, "20261123");
    const kRegion = await digest(sha256, kDate, "eu-central-1");
    const kService = await digest(sha256, kRegion, "sts");
    await expect(digest(sha256, kService, "other_request")).rejects.toMatchObject(input);
  });
});

describe("as a client's general hash class", () => {
  const { sha256 } = open();

  test("SHA-256, in chunks and from strings, digested twice, and again after reset()", async () => {
    const hash = new sha256();
    hash.update(Buffer.from("hello "));
    (hash as unknown as { update(text: string): void }).update("wörld");
    const expected = createHash("sha256").update("hello wörld").digest("hex");
    expect(hex(await hash.digest())).toBe(expected);
    expect(hex(await hash.digest())).toBe(expected);
    hash.reset();
    hash.update(Buffer.from("abc"));
    expect(hex(await hash.digest())).toBe(createHash("sha256").update("abc").digest("hex"));
    expect(hash.digestLength).toBe(32);
  });

  test("HMAC under other keys, of every form", async () => {
    const key = Buffer.from("AWS4another client's secret");
    const expected = createHmac("sha256", key).update("20261123").digest("hex");
    const copy = new Uint8Array(key).buffer;
    for (const form of [key.toString(), key, new Uint8Array(key), copy, new DataView(copy)]) {
      expect(hex(await digest(sha256, form, "20261123"))).toBe(expected);
    }
    const hash = new sha256(key);
    hash.update(Buffer.from("forgotten"));
    hash.reset();
    hash.update(Buffer.from("20261123"));
    expect(hex(await hash.digest())).toBe(expected);
  });

  test("other credentials are signed with their own secret", async () => {
    const expected = await signWith(PlainSha256, "session secret of S3 Express");
    const signed = await signWith(sha256, "session secret of S3 Express");
    expect(signed.headers.authorization).toBe(expected.headers.authorization);
  });

  test("chunks are taken when they are given", async () => {
    const chain = open();
    const hash = new chain.sha256(`AWS4${chain.secretAccessKey}`);
    const chunk = Buffer.from("20261123");
    hash.update(chunk);
    chunk.fill(0);
    await expect(hash.digest()).resolves.toHaveLength(32);
    hash.reset();
    await expect(hash.digest()).rejects.toMatchObject({ code: "ERR_SIGN_INPUT" });
  });
});
