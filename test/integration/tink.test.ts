import { createHmac, randomBytes } from "node:crypto";
import { openTinkKey } from "../../lib/keys/tink.js";
import { importTinkKey } from "../../lib/provision/tink.js";
import { fakeKms } from "../support/local-kms.js";
import { describeWith } from "../support/requirements.js";
import { askTink, type TinkAnswer, type TinkKeySpec } from "../support/tink.js";

const message = Buffer.from("20261129");
const associatedData = Buffer.from("eu-central-1/signer\0\xff", "latin1");
const macOf = (secret: string): Buffer => createHmac("sha256", `AWS4${secret}`).update(message).digest();
const secrets = [
  "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  "twelve-bytes",
  randomBytes(30).toString("base64"),
  randomBytes(48).toString("base64url"), // longer than a block of SHA-256
];
const signer = (secret: string, more: Partial<TinkKeySpec> = {}): TinkKeySpec => ({
  ...{ id: 7, value: `AWS4${secret}` },
  ...more,
});

describeWith(["tink"], "Tink for Python, with its fake KMS", () => {
  let keks: string[];
  beforeAll(async () => {
    const made = await askTink(
      { do: "newKek", template: "AES128_GCM" },
      { do: "newKek", template: "AES256_GCM" },
    );
    keks = made.map(({ kek }) => kek);
  });

  /** Has Tink encrypt a keyset of these keys. */
  async function sealed(
    keys: TinkKeySpec[],
    primary = keys[0]?.id ?? 0,
  ): Promise<TinkAnswer & { kek: string }> {
    const kek = keks[0] as string;
    const [answer] = await askTink({ do: "seal", kek, keys, primary });
    return { ...(answer as TinkAnswer), kek };
  }

  test("keysets that are made there are opened here, in both forms, with and without associated data", async () => {
    const cases = secrets.flatMap((secret) =>
      keks.flatMap((kek) =>
        [Buffer.alloc(0), associatedData].map((data) => ({ secret, kek, associatedData: data })),
      ),
    );
    const answers = await askTink(
      ...cases.map(
        ({ secret, ...one }) => ({ do: "seal", ...one, keys: [signer(secret)], primary: 7 }) as const,
      ),
    );
    for (const [n, { secret, kek, associatedData }] of cases.entries()) {
      const { json, binary, refused } = answers[n] as TinkAnswer;
      expect(refused).toBeUndefined();
      for (const keyset of [json, binary]) {
        await using key = await openTinkKey({ keyset, aead: fakeKms(kek), associatedData });
        expect(await key.mac(message)).toEqual(macOf(secret));
      }
    }
    expect(cases).toHaveLength(16);
  });

  test("keysets that are made here are opened there, in both forms, with and without associated data", async () => {
    const made = [];
    for (const secret of secrets) {
      for (const kek of keks) {
        for (const data of [Buffer.alloc(0), associatedData]) {
          const options = { aead: fakeKms(kek), associatedData: data };
          const one = { secret, kek, associatedData: data };
          const json = await importTinkKey(Buffer.from(secret), { ...options, keyId: 2 ** 32 - 1 });
          const binary = await importTinkKey(Buffer.from(secret), { ...options, format: "binary" });
          for (const { keyset, keyId } of [json, binary]) made.push({ ...one, keyset, keyId });
        }
      }
    }
    const answers = await askTink(
      ...made.map(
        ({ kek, keyset, associatedData }) => ({ do: "mac", kek, keyset, associatedData, message }) as const,
      ),
    );
    expect(answers).toEqual(
      made.map(({ secret, keyId }) => ({ mac: macOf(secret), primary: keyId, keys: 1 })),
    );
    expect(made).toHaveLength(32);
  });

  test("a keyset that is made here is, decrypted, the same bytes as one that is made there", async () => {
    const [secret = ""] = secrets;
    const { kek, keyset } = await sealed([signer(secret, { id: 0xdeadbeef })]);
    const options = { aead: fakeKms(kek), keyId: 0xdeadbeef, format: "binary" } as const;
    const ours = await importTinkKey(Buffer.from(secret), options);
    const [answer] = await askTink({ do: "decrypt", kek, keyset: ours.keyset });
    expect(answer?.keyset).toEqual(keyset);
  });

  test("the primary key signs, there and here, whatever else is in the keyset", async () => {
    const [secret = "", other = ""] = secrets;
    const keys = [
      signer(other, { id: 1 }),
      signer(secret, { id: 2 }),
      signer(other, { id: 3, status: "DISABLED" }),
      signer(other, { id: 4, status: "DESTROYED" }),
      signer(other, { id: 5, prefix: "TINK", tag: 16 }),
    ];
    const { kek, json, binary } = await sealed(keys, 2);
    const [theirs] = await askTink({ do: "mac", kek, keyset: json, message });
    for (const keyset of [json, binary]) {
      await using key = await openTinkKey({ keyset, aead: fakeKms(kek) });
      expect(await key.mac(message)).toEqual(macOf(secret));
    }
    expect(theirs).toMatchObject({ mac: macOf(secret), primary: 2, keys: 5 });
  });

  test("a keyset after its rotation: the new primary key signs", async () => {
    const keys = [signer(secrets[0] as string, { id: 1 }), signer(secrets[2] as string, { id: 2 })];
    for (const [primary, secret] of [
      [1, secrets[0]],
      [2, secrets[2]],
    ] as const) {
      const { kek, json } = await sealed(keys, primary);
      await using key = await openTinkKey({ keyset: json, aead: fakeKms(kek) });
      expect(await key.mac(message)).toEqual(macOf(secret as string));
    }
  });

  describe("what would sign wrongly is refused, and where Tink writes JSON before the KMS is asked:", () => {
    const [secret = ""] = secrets;
    test.each<[string, TinkKeySpec, string, number]>([
      ["the prefix TINK", signer(secret, { prefix: "TINK" }), "ERR_KEYSET_PREFIX", 0],
      ["the prefix LEGACY", signer(secret, { prefix: "LEGACY" }), "ERR_KEYSET_PREFIX", 0],
      ["the prefix CRUNCHY", signer(secret, { prefix: "CRUNCHY" }), "ERR_KEYSET_PREFIX", 0],
      ["SHA1", signer(secret, { hash: "SHA1", tag: 20 }), "ERR_KEYSET_ALGORITHM", 1],
      ["SHA224", signer(secret, { hash: "SHA224", tag: 28 }), "ERR_KEYSET_ALGORITHM", 1],
      ["SHA384", signer(secret, { hash: "SHA384" }), "ERR_KEYSET_ALGORITHM", 1],
      ["SHA512", signer(secret, { hash: "SHA512" }), "ERR_KEYSET_ALGORITHM", 1],
      ["tags of 16 bytes", signer(secret, { tag: 16 }), "ERR_KEYSET_ALGORITHM", 1],
      ["a key of Tink's own", { id: 1, template: "HMAC_SHA256_256BITTAG" }, "ERR_KEYSET_PREFIX", 0],
      ["a key for encryption", { id: 1, template: "AES128_GCM" }, "ERR_KEYSET_ALGORITHM", 0],
      ["a secret without AWS4", { id: 1, value: secret }, "ERR_KEY_UNSUITABLE", 1],
    ])("%s", async (_, spec, code, calls) => {
      const { kek, json, binary, refused } = await sealed([spec]);
      expect(refused).toBeUndefined();
      for (const keyset of [json, binary]) {
        const aead = fakeKms(kek);
        await expect(openTinkKey({ keyset, aead })).rejects.toMatchObject({ name: "KeysetError", code });
        expect(aead.calls.decrypt).toBe(keyset === json ? calls : 1); // its binary form says nothing beside the ciphertext
      }
    });

    test.each<[string, TinkKeySpec[], number, string]>([
      ["a disabled primary key", [signer(secret, { id: 1, status: "DISABLED" })], 1, "ERR_KEYSET_PRIMARY"],
      ["a destroyed one", [signer(secret, { id: 1, status: "DESTROYED" })], 1, "ERR_KEYSET_PRIMARY"],
      ["no primary key", [signer(secret, { id: 1 })], 2, "ERR_KEYSET_PRIMARY"],
      [
        "two with its id",
        [signer(secret, { id: 1 }), signer("x".repeat(40), { id: 1 })],
        1,
        "ERR_KEYSET_PRIMARY",
      ],
    ])("which Tink makes no MAC with either: %s", async (_, keys, primary, code) => {
      const { kek, binary, refused } = await sealed(keys, primary);
      const aead = fakeKms(kek);
      await expect(openTinkKey({ keyset: binary, aead })).rejects.toMatchObject({
        name: "KeysetError",
        code,
      });
      const [theirs] = await askTink({ do: "mac", kek, keyset: binary, message });
      expect([refused, theirs?.refused].filter((reason) => reason !== undefined)).not.toEqual([]);
    });
  });

  test("a cleartext keyset of Tink's is not sent to the KMS", async () => {
    const { kek, keyset } = await sealed([signer(secrets[0] as string)]);
    const aead = fakeKms(kek);
    await expect(openTinkKey({ keyset, aead })).rejects.toMatchObject({ code: "ERR_KEYSET_CLEARTEXT" });
    expect(aead.calls.decrypt).toBe(0);
  });

  test("other associated data, another key and a changed ciphertext are refused, there and here", async () => {
    const [kek = "", otherKek = ""] = keks;
    const options = { aead: fakeKms(kek), associatedData, format: "binary" } as const;
    const { keyset } = await importTinkKey(Buffer.from(secrets[0] as string), options);
    const changed = Buffer.from(keyset);
    changed[20] = (changed[20] ?? 0) ^ 1;
    const cases = [
      { keyset, kek, associatedData: Buffer.from("other") },
      { keyset, kek, associatedData: Buffer.alloc(0) },
      { keyset, kek: otherKek, associatedData },
      { keyset: changed, kek, associatedData },
    ];
    const theirs = await askTink(...cases.map((one) => ({ do: "mac", ...one, message }) as const));
    for (const [n, { kek: used, ...one }] of cases.entries()) {
      const opening = openTinkKey({ ...one, aead: fakeKms(used) });
      await expect(opening).rejects.toMatchObject({ code: "ERR_KEYSET_DECRYPT", retryable: false });
      expect(theirs[n]?.refused).toMatch(/.+/);
    }
  });
});
