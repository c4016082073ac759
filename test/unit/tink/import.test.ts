import { createHmac } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { openTinkKey } from "../../../lib/keys/tink.js";
import { importTinkKey, type TinkImportOptions } from "../../../lib/provision/tink.js";
import { type LocalKms, localKms } from "../../support/local-kms.js";
import { temporaryFolder } from "../../support/process.js";
import { watchSecretBuffers } from "../../support/secret-buffers.js";
import { hmacType } from "../../support/tink-keyset.js";
import { decodeTink } from "../../support/tink-proto.js";

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const none = new Uint8Array(0);
const { folder, remove } = temporaryFolder("tink-import");
let kms: LocalKms;
beforeEach(() => {
  kms = localKms();
});
afterAll(remove);

interface Encrypted {
  encryptedKeyset: string | Uint8Array;
  keysetInfo: { primaryKeyId: number; keyInfo: object[] };
}

/** What protobuf.js finds in a keyset. */
async function contentOf(
  keyset: string | Uint8Array,
  associatedData = none,
): Promise<{ key: object; info: object }> {
  const { encryptedKeyset, keysetInfo } =
    typeof keyset === "string"
      ? (JSON.parse(keyset) as Encrypted)
      : decodeTink<Encrypted>("EncryptedKeyset", keyset);
  const ciphertext = Buffer.from(encryptedKeyset as string, "base64");
  const { primaryKeyId, key } = decodeTink<{
    primaryKeyId: number;
    key: { keyData: { value: Uint8Array } }[];
  }>("Keyset", await kms.decrypt(ciphertext, associatedData));
  expect(key).toHaveLength(1);
  const value = decodeTink("HmacKey", key[0]?.keyData.value ?? none);
  return { key: { primaryKeyId, ...key[0], keyData: { ...key[0]?.keyData, value } }, info: keysetInfo };
}

const content = (keyId: number, keyValue = `AWS4${secret}`): object => ({
  primaryKeyId: keyId,
  keyData: {
    typeUrl: hmacType,
    value: { version: 0, params: { hash: 3, tagSize: 32 }, keyValue: Buffer.from(keyValue) },
    keyMaterialType: 1,
  },
  ...{ status: 1, keyId, outputPrefixType: 3 },
});

test("JSON: one RAW HMAC-SHA256 key, which is said beside the ciphertext", async () => {
  const { keyset, keyId, ...rest } = await importTinkKey(Buffer.from(secret), { aead: kms });
  const { key, info } = await contentOf(keyset);
  expect(key).toEqual(content(keyId));
  const keyInfo = { typeUrl: hmacType, status: "ENABLED", keyId, outputPrefixType: "RAW" };
  expect(info).toEqual({ primaryKeyId: keyId, keyInfo: [keyInfo] });
  expect(rest).toEqual({});
  expect(keyId).toBeGreaterThan(0);
  expect(keyId).toBeLessThan(2 ** 31);
});

test("binary, with an id and associated data of the caller's, for SigV4a", async () => {
  const associatedData = Buffer.from("production");
  const options = { aead: kms, associatedData, algorithm: "sigv4a", keyId: 0xffffffff } as const;
  const { keyset, keyId } = await importTinkKey(Buffer.from(secret), { ...options, format: "binary" });
  const { key, info } = await contentOf(keyset, associatedData);
  expect(keyId).toBe(0xffffffff);
  expect(key).toEqual(content(keyId, `AWS4A${secret}`));
  const keyInfo = { typeUrl: hmacType, status: 1, keyId, outputPrefixType: 3 };
  expect(info).toEqual({ primaryKeyId: keyId, keyInfo: [keyInfo] });
});

test("ids differ, so that keysets can be joined", async () => {
  const made = await Promise.all([1, 2, 3].map(() => importTinkKey(Buffer.from(secret), { aead: kms })));
  expect(new Set(made.map(({ keyId }) => keyId)).size).toBe(3);
});

test("the secret stays the caller's, and every copy of it is wiped", async () => {
  const bytes = Buffer.from(secret);
  const made = watchSecretBuffers();
  try {
    await importTinkKey(bytes, { aead: kms });
  } finally {
    // the key, and the keyset with it
    expect(made().filter(({ length }) => length === 44 || length > 100)).toHaveLength(2);
  }
  expect(bytes.toString()).toBe(secret);
  const left: Buffer[] = [];
  const encrypt: LocalKms["encrypt"] = async (plaintext, ...rest) => {
    left.push(plaintext as Buffer);
    return kms.encrypt(plaintext, ...rest);
  };
  await importTinkKey(bytes, { aead: { ...kms, encrypt } });
  expect(left.map((each) => each.every((byte) => byte === 0))).toEqual([true]);
});

describe("into a file:", () => {
  const file = (name: string): string => path.join(folder, name);
  const importTo = (keysetFile: string, options: Partial<TinkImportOptions> = {}) =>
    importTinkKey(Buffer.from(secret), { aead: kms, ...options, keysetFile } as TinkImportOptions & {
      format?: "json";
    });

  test.each(["json", "binary"] as const)(
    "%s, readable by its owner alone, which openTinkKey opens",
    async (format) => {
      const keysetFile = file(`keyset.${format}`);
      const { keyset, reference } = await importTo(keysetFile, { format });
      expect(reference).toBe(`tink:${keysetFile}`);
      expect(readFileSync(keysetFile)).toEqual(Buffer.from(keyset));
      expect(statSync(keysetFile).mode & 0o777).toBe(0o600);
      await using key = await openTinkKey({ keysetFile, aead: kms });
      const mac = createHmac("sha256", `AWS4${secret}`).update("20261129").digest();
      expect(await key.mac(Buffer.from("20261129"))).toEqual(mac);
    },
  );

  test("one that is there is not changed, and the KMS not asked", async () => {
    writeFileSync(file("there"), "mine");
    symlinkSync("/nowhere", file("link"));
    for (const name of ["there", "link"]) {
      await expect(importTo(file(name))).rejects.toMatchObject({
        name: "KeysetError",
        code: "ERR_KEY_EXISTS",
      });
    }
    expect(readFileSync(file("there"), "utf8")).toBe("mine");
    expect(kms.calls.encrypt).toBe(0);
  });

  test("of several imports at once one writes it, whole", async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => importTo(file("race"))));
    const [made, ...others] = results.sort(({ status: a }, { status: b }) => a.localeCompare(b));
    expect(made).toMatchObject({
      status: "fulfilled",
      value: { keyset: readFileSync(file("race"), "utf8") },
    });
    for (const other of others) {
      expect(other).toMatchObject({ status: "rejected", reason: { code: "ERR_KEY_EXISTS" } });
    }
  });

  test.each([
    ["no such folder", "none/keyset", "cannot be written"],
    ["a file for a folder", "there/keyset", "no folder"],
  ])("%s", async (_, name, reason) => {
    const refused = { code: "ERR_INVALID_ARGUMENT", message: expect.stringContaining(reason) };
    await expect(importTo(file(name))).rejects.toMatchObject(refused);
    expect(kms.calls.encrypt).toBe(0);
  });

  test("nothing is left where the KMS fails, or the file cannot be written in the end", async () => {
    mkdirSync(file("empty"));
    const encrypt = () => Promise.reject(new Error("no KMS"));
    await expect(importTo(file("empty/keyset"), { aead: { ...kms, encrypt } })).rejects.toThrow("no KMS");
    const late: LocalKms["decrypt"] = async (...args) => {
      writeFileSync(file("empty/keyset"), "another's");
      return kms.decrypt(...args);
    };
    const importing = importTo(file("empty/keyset"), { aead: { ...kms, decrypt: late } });
    await expect(importing).rejects.toMatchObject({ code: "ERR_KEY_EXISTS" });
    expect(readdirSync(file("empty"))).toEqual(["keyset"]);
    expect(readFileSync(file("empty/keyset"), "utf8")).toBe("another's");
  });

  test("the path of a long name, as long as the system takes", async () => {
    await importTo(file("k".repeat(255)));
    expect(statSync(file("k".repeat(255))).size).toBeGreaterThan(0);
  });
});

describe("keeps nothing that it cannot vouch for:", () => {
  const keysetFile = path.join(folder, "kept");
  const importWith = (change: Partial<LocalKms>) =>
    importTinkKey(Buffer.from(secret), { aead: { ...kms, ...change }, keysetFile });

  test("a KMS that does not encrypt", async () => {
    const encrypt: LocalKms["encrypt"] = async (plaintext) => Uint8Array.from(plaintext);
    await expect(importWith({ encrypt })).rejects.toMatchObject({ code: "ERR_KEYSET_CLEARTEXT" });
  });

  test("a KMS that does not decrypt what it encrypted", async () => {
    const encrypt: LocalKms["encrypt"] = (plaintext) => localKms().encrypt(plaintext, none);
    await expect(importWith({ encrypt })).rejects.toMatchObject({ code: "ERR_KEYSET_DECRYPT" });
  });

  test("a KMS that decrypts another key", async () => {
    const other = JSON.parse(
      (await importTinkKey(Buffer.from(`${secret}x`), { aead: kms })).keyset,
    ) as Encrypted;
    const decrypt: LocalKms["decrypt"] = () =>
      kms.decrypt(Buffer.from(other.encryptedKeyset as string, "base64"), none);
    await expect(importWith({ decrypt })).rejects.toMatchObject({
      name: "KeysetError",
      code: "ERR_IMPORT_VERIFY",
    });
  });

  test("a KMS that gives no bytes, or none in time", async () => {
    const text = async () => "text" as unknown as Uint8Array;
    await expect(importWith({ encrypt: text })).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
    const hung = { ...kms, encrypt: () => new Promise<Uint8Array>(() => undefined) };
    const importing = importTinkKey(Buffer.from(secret), { aead: hung, timeout: 20 });
    await expect(importing).rejects.toMatchObject({ code: "ERR_TIMEOUT", retryable: true });
  });

  afterAll(() => expect(readdirSync(folder)).not.toContain("kept"));
});

test.each<[string, object, string]>([
  ["no key encryption key", { aead: undefined }, "kek and aead"],
  ["a format that is none", { format: "pem" }, "format"],
  ["the id 0, which Tink does not take", { keyId: 0 }, "keyId"],
  ["an id of 33 bits", { keyId: 2 ** 32 }, "keyId"],
  ["an algorithm that is none", { algorithm: "sigv5" }, "algorithm"],
  ["a path that is none", { keysetFile: "" }, "keysetFile"],
])("names the option that cannot be used: %s", async (_, options, name) => {
  const importing = importTinkKey(Buffer.from(secret), { aead: kms, ...options });
  await expect(importing).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining(name),
  });
  expect(kms.calls.encrypt).toBe(0);
});

test.each(["with space in it", "short-11-by", `${secret}\n`])("refuses the secret %j", async (wrong) => {
  const importing = importTinkKey(Buffer.from(wrong), { aead: kms });
  await expect(importing).rejects.toMatchObject({ code: "ERR_INVALID_ARGUMENT" });
});
