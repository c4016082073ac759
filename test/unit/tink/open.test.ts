import { createHmac } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { inspect } from "node:util";
import { AwsHmacError } from "../../../lib/core/errors.js";
import { openTinkKey, type TinkKeyOptions } from "../../../lib/keys/tink.js";
import { type LocalKms, localKms } from "../../support/local-kms.js";
import { temporaryFolder } from "../../support/process.js";
import { cleartextKeyset, hmacType, type KeyChanges } from "../../support/tink-keyset.js";
import { encodeTink } from "../../support/tink-proto.js";

const none = new Uint8Array(0);
const message = Buffer.from("20261129");
const value = `AWS4${"s3cr3t/+".repeat(5)}`;
const macOf = (key: string): Buffer => createHmac("sha256", key).update(message).digest();

let kms: LocalKms;
beforeEach(() => {
  kms = localKms();
});

/** These bytes as an encrypted keyset in the binary form. */
async function sealed(keyset: Uint8Array, associatedData = none, keysetInfo?: object): Promise<Buffer> {
  const encryptedKeyset = await kms.encrypt(keyset, associatedData);
  return encodeTink("EncryptedKeyset", { encryptedKeyset, keysetInfo });
}

/** The error of opening, and how often the KMS was asked to decrypt. */
async function refusal(options: Partial<TinkKeyOptions>): Promise<{ error: AwsHmacError; calls: number }> {
  const before = kms.calls.decrypt;
  const error = await openTinkKey({ aead: kms, ...options }).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(AwsHmacError);
  return { error: error as AwsHmacError, calls: kms.calls.decrypt - before };
}

async function expectSigns(options: Partial<TinkKeyOptions>, key = value): Promise<void> {
  await using opened = await openTinkKey({ aead: kms, ...options });
  expect(opened.backend).toBe("tink");
  expect(await opened.mac(message)).toEqual(macOf(key));
}

describe("opens", () => {
  test("bytes, and asks the KMS once for all MACs", async () => {
    const keyset = await sealed(cleartextKeyset([{ keyValue: value }]));
    await using opened = await openTinkKey({ keyset, aead: kms });
    for (let time = 0; time < 3; time++) expect(await opened.mac(message)).toEqual(macOf(value));
    expect(kms.calls.decrypt).toBe(1);
  });

  test("JSON, as text, as bytes and with white space before it; and files of either form", async () => {
    const { folder, remove } = temporaryFolder("tink");
    try {
      const binary = await sealed(cleartextKeyset([{ keyValue: value }]));
      const encryptedKeyset = (await kms.encrypt(cleartextKeyset([{ keyValue: value }]), none)) as Buffer;
      const text = JSON.stringify({ encryptedKeyset: encryptedKeyset.toString("base64") });
      await expectSigns({ keyset: text });
      await expectSigns({ keyset: `\r\n\t ${text}\n` });
      await expectSigns({ keyset: Buffer.from(` ${text}`) });
      const files = [binary, text].map((content, n) => {
        const file = path.join(folder, `keyset ${n}`);
        writeFileSync(file, content);
        return file;
      });
      for (const keysetFile of files) await expectSigns({ keysetFile });
    } finally {
      remove();
    }
  });

  test("a keyset that is bound to associated data, with that alone", async () => {
    const associatedData = Buffer.from("production");
    const keyset = await sealed(cleartextKeyset([{ keyValue: value }]), associatedData);
    await expectSigns({ keyset, associatedData });
    for (const wrong of [undefined, none, Buffer.from("staging")]) {
      const { error } = await refusal({ keyset, associatedData: wrong });
      expect(error).toMatchObject({ name: "KeysetError", code: "ERR_KEYSET_DECRYPT", retryable: false });
      expect(error.cause).toMatchObject({ message: expect.stringContaining("authenticate data") });
    }
  });

  test("the primary key among others of any kind, enabled or not", async () => {
    const others: KeyChanges[] = [
      { id: 1, prefix: "TINK", hash: "SHA512", tagSize: 16 },
      { id: 2, typeUrl: "type.googleapis.com/google.crypto.tink.AesGcmKey", value: Buffer.alloc(3) },
      { id: 4, status: "DISABLED" },
      { id: 5, status: "DESTROYED", typeUrl: "", value: none, material: "UNKNOWN_KEYMATERIAL" },
    ];
    const keys = [...others.slice(0, 2), { id: 3, keyValue: value }, ...others.slice(2)];
    await expectSigns({ keyset: await sealed(cleartextKeyset(keys, 3)) });
  });

  test("a keyset whose info says something else: nobody vouches for that", async () => {
    const info = {
      primaryKeyId: 9,
      keyInfo: [{ typeUrl: hmacType, status: 1, keyId: 9, outputPrefixType: 3 }],
    };
    await expectSigns({ keyset: await sealed(cleartextKeyset([{ keyValue: value }]), none, info) });
  });

  test("a key for SigV4a", async () => {
    const keyValue = `AWS4A${"s3cr3t/+".repeat(5)}`;
    await expectSigns({ keyset: await sealed(cleartextKeyset([{ keyValue }])) }, keyValue);
  });

  test("the keyset and the associated data as they were when it was called", async () => {
    const associatedData = Buffer.from("production");
    const keyset = await sealed(cleartextKeyset([{ keyValue: value }]), associatedData);
    const opening = openTinkKey({ keyset, aead: kms, associatedData });
    keyset.fill(0);
    associatedData.fill(0);
    await using opened = await opening;
    expect(await opened.mac(message)).toEqual(macOf(value));
  });
});

describe("wipes what was decrypted", () => {
  test.each([
    ["of a key that is opened", cleartextKeyset([{ keyValue: value }])],
    ["of one that is refused", cleartextKeyset([{ keyValue: value, prefix: "TINK" }])],
    ["of something else", Buffer.from(`no keyset: ${value}`)],
  ])("%s", async (_, plaintext) => {
    const given: Uint8Array[] = [];
    const aead = {
      ...kms,
      async decrypt(...args: Parameters<LocalKms["decrypt"]>) {
        const bytes = await kms.decrypt(...args);
        given.push(bytes);
        return bytes;
      },
    };
    await openTinkKey({ keyset: await sealed(plaintext), aead }).catch(() => undefined);
    expect(given.map((bytes) => bytes.every((byte) => byte === 0))).toEqual([true]);
  });

  test("that comes when nobody waits any more", async () => {
    let late: (bytes: Uint8Array) => void = () => undefined;
    let signal: AbortSignal | undefined;
    const aead = {
      ...kms,
      decrypt: (_: Uint8Array, __: Uint8Array, options?: { signal?: AbortSignal }) => {
        signal = options?.signal;
        return new Promise<Uint8Array>((resolve) => {
          late = resolve;
        });
      },
    };
    const opening = openTinkKey({ keyset: await sealed(Buffer.from("x")), aead, timeout: 20 });
    await expect(opening).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
    expect(signal?.aborted).toBe(true);
    const bytes = Buffer.from(value);
    late(bytes);
    await new Promise(setImmediate);
    expect(bytes).toEqual(Buffer.alloc(value.length));
  });
});

describe("refuses before the KMS is asked:", () => {
  const cleartext = cleartextKeyset([{ keyValue: value }]);
  const keyInfo = { typeUrl: hmacType, status: 1, keyId: 1, outputPrefixType: 3 };
  const info = (...keys: object[]): Buffer =>
    encodeTink("EncryptedKeyset", {
      encryptedKeyset: Buffer.from("x"),
      keysetInfo: { primaryKeyId: 1, keyInfo: keys.map((key) => ({ ...keyInfo, ...key })) },
    });
  const asJson = (keyset: Uint8Array): string =>
    JSON.stringify({ encryptedKeyset: Buffer.from(keyset).toString("base64") });
  test.each<[string, Uint8Array | string, string]>([
    ["a cleartext keyset", cleartext, "ERR_KEYSET_CLEARTEXT"],
    [
      "one whose primary id comes last",
      Buffer.concat([cleartext.subarray(2), cleartext.subarray(0, 2)]),
      "ERR_KEYSET_CLEARTEXT",
    ],
    ["one without a primary id", cleartext.subarray(2), "ERR_KEYSET_CLEARTEXT"],
    ["one as the ciphertext in JSON", asJson(cleartext), "ERR_KEYSET_CLEARTEXT"],
    ["one of two keys", cleartextKeyset([{}, { id: 2 }]), "ERR_KEYSET_CLEARTEXT"],
    ["one of two keys without a primary id", cleartextKeyset([{}, { id: 2 }], 0), "ERR_KEYSET_FORMAT"],
    ["nothing", Buffer.alloc(0), "ERR_KEYSET_FORMAT"],
    ["an empty string", "", "ERR_KEYSET_FORMAT"],
    ["base64 of a keyset", info({}).toString("base64"), "ERR_KEYSET_FORMAT"],
    ["an empty ciphertext", Buffer.from([0x12, 0]), "ERR_KEYSET_FORMAT"],
    ["an empty ciphertext in JSON", '{"encryptedKeyset":""}', "ERR_KEYSET_FORMAT"],
    [
      "a binary keyset that goes on behind its end",
      Buffer.concat([info({}), Buffer.from([0])]),
      "ERR_KEYSET_FORMAT",
    ],
    ["more than 128 KiB", Buffer.alloc(128 * 1024 + 1, " "), "ERR_KEYSET_FORMAT"],
    ["more than 128 KiB of text", " ".repeat(128 * 1024 + 1), "ERR_KEYSET_FORMAT"],
    ["keysetInfo without the primary key", info({ keyId: 2 }), "ERR_KEYSET_PRIMARY"],
    ["keysetInfo with a disabled one", info({ status: 2 }), "ERR_KEYSET_PRIMARY"],
    ["keysetInfo with an id twice", info({}, {}), "ERR_KEYSET_PRIMARY"],
    [
      "keysetInfo of another type",
      info({ typeUrl: hmacType.replace("Hmac", "AesGcm") }),
      "ERR_KEYSET_ALGORITHM",
    ],
    ["keysetInfo with a prefix", info({ outputPrefixType: 1 }), "ERR_KEYSET_PREFIX"],
    ["keysetInfo with an unknown status", info({ status: 7 }), "ERR_KEYSET_FORMAT"],
  ])("%s", async (_, keyset, code) => {
    const { error, calls } = await refusal({ keyset });
    expect([error.name, error.code, error.retryable, calls]).toEqual(["KeysetError", code, false, 0]);
    expect(inspect(error, { depth: null })).not.toContain("s3cr3t");
  });
});

describe("refuses what was decrypted:", () => {
  const algorithm = "ERR_KEYSET_ALGORITHM";
  const aesGcm = { typeUrl: hmacType.replace("Hmac", "AesGcm") };
  test.each<[string, Uint8Array, string, string]>([
    ["no keyset", Buffer.from(value), "ERR_KEYSET_FORMAT", "decrypted is no keyset"],
    ["nothing", none, "ERR_KEYSET_PRIMARY", "is not in it"],
    ["a keyset without keys", cleartextKeyset([]), "ERR_KEYSET_PRIMARY", "id 1) is not in it"],
    ["one without its primary key", cleartextKeyset([{}], 2), "ERR_KEYSET_PRIMARY", "id 2) is not in it"],
    [
      "a disabled primary key",
      cleartextKeyset([{ status: "DISABLED" }]),
      "ERR_KEYSET_PRIMARY",
      "not enabled",
    ],
    ["a destroyed one", cleartextKeyset([{ status: "DESTROYED" }]), "ERR_KEYSET_PRIMARY", "not enabled"],
    ["two keys of one id", cleartextKeyset([{}, { status: 2 }]), "ERR_KEYSET_PRIMARY", "same id"],
    ["two others of one id", cleartextKeyset([{}, { id: 2 }, { id: 2 }]), "ERR_KEYSET_PRIMARY", "same id"],
    ["an unknown status", cleartextKeyset([{}, { id: 2, status: 9 }]), "ERR_KEYSET_FORMAT", "status"],
    ["no status", cleartextKeyset([{ status: 0 }]), "ERR_KEYSET_FORMAT", "status"],
    ["the prefix TINK", cleartextKeyset([{ prefix: "TINK" }]), "ERR_KEYSET_PREFIX", "TINK"],
    ["the prefix LEGACY", cleartextKeyset([{ prefix: "LEGACY" }]), "ERR_KEYSET_PREFIX", "LEGACY"],
    ["the prefix CRUNCHY", cleartextKeyset([{ prefix: "CRUNCHY" }]), "ERR_KEYSET_PREFIX", "CRUNCHY"],
    ["an unknown prefix", cleartextKeyset([{ prefix: 77 }]), "ERR_KEYSET_PREFIX", "unknown"],
    ["another type", cleartextKeyset([aesGcm]), algorithm, "AesGcmKey"],
    ["a type that is no name", cleartextKeyset([{ typeUrl: value }]), algorithm, "of an unknown type"],
    ["SHA1", cleartextKeyset([{ hash: "SHA1" }]), algorithm, "SHA1"],
    ["SHA512", cleartextKeyset([{ hash: "SHA512" }]), algorithm, "SHA512"],
    ["no hash", cleartextKeyset([{ hash: 0 }]), algorithm, "unknown hash"],
    ["tags of 16 bytes", cleartextKeyset([{ tagSize: 16 }]), algorithm, "16 bytes"],
    ["tags of 33 bytes", cleartextKeyset([{ tagSize: 33 }]), algorithm, "33 bytes"],
    ["another version", cleartextKeyset([{ version: 1 }]), algorithm, "version"],
    [
      "material that is not symmetric",
      cleartextKeyset([{ material: "REMOTE" }]),
      "ERR_KEYSET_FORMAT",
      "material",
    ],
    ["no HMAC key", cleartextKeyset([{ value: Buffer.from("30", "hex") }]), "ERR_KEYSET_FORMAT", "HMAC key"],
    [
      "a secret without AWS4",
      cleartextKeyset([{ keyValue: "s3cr3t".repeat(6) }]),
      "ERR_KEY_UNSUITABLE",
      '"AWS4"',
    ],
    ["AWS4 alone", cleartextKeyset([{ keyValue: "AWS4" }]), "ERR_KEY_UNSUITABLE", '"AWS4"'],
    ["a newline at its end", cleartextKeyset([{ keyValue: `${value}\n` }]), "ERR_KEY_UNSUITABLE", "newline"],
    [
      "a key of 513 bytes",
      cleartextKeyset([{ keyValue: "AWS4".padEnd(513, "s") }]),
      "ERR_KEY_UNSUITABLE",
      "512",
    ],
  ])("%s", async (_, plaintext, code, words) => {
    const { error, calls } = await refusal({ keyset: await sealed(plaintext) });
    expect([error.name, error.code, error.retryable, calls]).toEqual(["KeysetError", code, false, 1]);
    expect(error.message).toContain(words);
    expect(inspect(error, { depth: null })).not.toContain("s3cr3t");
  });
});

describe("tells apart why the KMS did not decrypt:", () => {
  const failing = (error: unknown) => ({ ...localKms(), decrypt: () => Promise.reject(error) });
  const keyset = encodeTink("EncryptedKeyset", { encryptedKeyset: Buffer.from("x") });

  test("an error that says nothing more: the keyset is not for this key", async () => {
    const cause = new Error("bad tag");
    const { error } = await refusal({ keyset, aead: failing(cause) });
    expect(error).toMatchObject({ code: "ERR_KEYSET_DECRYPT", retryable: false, cause });
  });

  test("one that may pass: the KMS was not reached", async () => {
    const cause = Object.assign(new Error("no answer"), { retryable: true });
    const { error } = await refusal({ keyset, aead: failing(cause) });
    expect(error).toMatchObject({ code: "ERR_KMS_UNAVAILABLE", retryable: true, cause });
  });

  test("ours: as it is, but for one that says that it cannot be decrypted", async () => {
    const denied = new AwsHmacError("ERR_KMS_DENIED", "no");
    expect((await refusal({ keyset, aead: failing(denied) })).error).toBe(denied);
    const cause = new AwsHmacError("ERR_KMS_DECRYPT", "not this key's");
    const { error } = await refusal({ keyset, aead: failing(cause) });
    expect(error).toMatchObject({ name: "KeysetError", code: "ERR_KEYSET_DECRYPT", cause });
  });

  test("an adapter that throws rather than rejects, or gives no bytes", async () => {
    const thrower = {
      ...kms,
      decrypt: () => {
        throw new Error("at once");
      },
    };
    expect((await refusal({ keyset, aead: thrower })).error).toMatchObject({ code: "ERR_KEYSET_DECRYPT" });
    const giver = { ...kms, decrypt: async () => "text" as unknown as Uint8Array };
    expect((await refusal({ keyset, aead: giver })).error).toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
  });
});

describe("names the option that cannot be used:", () => {
  const { folder, remove } = temporaryFolder("tink-options");
  afterAll(remove);
  const keyset = "{}";
  const aead = localKms();
  test.each<[string, object, string]>([
    ["no keyset", { aead }, "keyset and keysetFile"],
    ["two", { keyset, keysetFile: "x", aead }, "keyset and keysetFile"],
    ["a keyset that is none", { keyset: 5, aead }, "keyset must be"],
    ["no key encryption key", { keyset }, "kek and aead"],
    ["two", { keyset, aead, kek: "aws-kms://x" }, "kek and aead"],
    ["an aead without encrypt", { keyset, aead: { decrypt: aead.decrypt } }, "aead must be"],
    ["a client beside an aead", { keyset, aead, clientConfig: {} }, "clientConfig"],
    ["a server of Vault beside an aead", { keyset, aead, vault: {} }, "vault"],
    ["associated data as text", { keyset, aead, associatedData: "x" }, "associatedData must be"],
    ["no time", { keyset, aead, timeout: 0 }, "timeout"],
    ["a path that is none", { keysetFile: "", aead }, "keysetFile must be"],
  ])("%s", async (_, options, name) => {
    await expect(openTinkKey(options as TinkKeyOptions)).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_INVALID_ARGUMENT/),
      message: expect.stringContaining(name),
    });
  });

  test("a file that cannot be read, or is too long", async () => {
    mkdirSync(path.join(folder, "folder"));
    for (const name of ["none.json", "folder"]) {
      const opening = openTinkKey({ keysetFile: path.join(folder, name), aead });
      await expect(opening).rejects.toMatchObject({ code: "ERR_KEY_NOT_FOUND" });
    }
    const endless = openTinkKey({ keysetFile: "/dev/zero", aead });
    await expect(endless).rejects.toMatchObject({ code: "ERR_KEYSET_FORMAT" });
  });
});
