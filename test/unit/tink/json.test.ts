import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import fc from "fast-check";
import { formatEncryptedKeyset, parseEncryptedKeyset } from "../../../lib/keys/tink/json.js";
import { decodeTink, encodeTink } from "../../support/tink-proto.js";

const typeUrl = "type.googleapis.com/google.crypto.tink.HmacKey";
const ciphertext = Buffer.from("fbff", "hex"); // "+/8=": each alphabet has its own letters for it
const info = { primaryId: 1, keys: [{ typeUrl: Buffer.from(typeUrl), status: 1, id: 1, prefix: 3 }] };
const keyInfo = { typeUrl, status: "ENABLED", keyId: 1, outputPrefixType: "RAW" };
const keysetInfo = { primaryKeyId: 1, keyInfo: [keyInfo] };

describe("reads what Tink's libraries write:", () => {
  test.each([
    ["camelCase", { encryptedKeyset: "+/8=", keysetInfo }],
    [
      "snake_case",
      {
        encrypted_keyset: "+/8=",
        keyset_info: {
          primary_key_id: 1,
          key_info: [{ type_url: typeUrl, status: "ENABLED", key_id: 1, output_prefix_type: "RAW" }],
        },
      },
    ],
    ["URL-safe base64", { encryptedKeyset: "-_8=", keysetInfo }],
    ["base64 without padding", { encryptedKeyset: "+/8", keysetInfo }],
    [
      "enums by number",
      {
        encryptedKeyset: "+/8=",
        keysetInfo: { ...keysetInfo, keyInfo: [{ ...keyInfo, status: 1, outputPrefixType: 3 }] },
      },
    ],
    [
      "ids as strings",
      {
        encryptedKeyset: "+/8=",
        keysetInfo: { primaryKeyId: "1", keyInfo: [{ ...keyInfo, keyId: "1" }] },
      },
    ],
  ])("%s", (_, value) => {
    for (const space of [undefined, 2, "\t"]) {
      expect(parseEncryptedKeyset(JSON.stringify(value, undefined, space))).toEqual({ ciphertext, info });
    }
  });

  test("no keysetInfo, and the other order", () => {
    expect(parseEncryptedKeyset('{"encryptedKeyset":"+/8="}')).toEqual({ ciphertext });
    const reversed = JSON.stringify({ keysetInfo, encryptedKeyset: "+/8=" });
    expect(parseEncryptedKeyset(reversed)).toEqual({ ciphertext, info });
  });

  test.each([
    [-1, 2 ** 32 - 1],
    [-(2 ** 31), 2 ** 31],
    [2 ** 32 - 1, 2 ** 32 - 1],
    ["-2", 2 ** 32 - 2],
  ])("the id %p, which tink-java takes for 32 bits with or without a sign", (id, meant) => {
    const text = JSON.stringify({ encryptedKeyset: "AA", keysetInfo: { primaryKeyId: id } });
    expect(parseEncryptedKeyset(text).info?.primaryId).toBe(meant);
  });
});

describe("refuses, though JSON.parse and Buffer would not:", () => {
  const one = (change: object): string => JSON.stringify({ encryptedKeyset: "+/8=", keysetInfo, ...change });
  const withKey = (change: object): string =>
    one({ keysetInfo: { ...keysetInfo, keyInfo: [{ ...keyInfo, ...change }] } });
  const base64 = (text: unknown): string => one({ encryptedKeyset: text });
  test.each([
    ["what is no JSON", "{", "not valid JSON"],
    ["what is no object", "[]", "no JSON object"],
    ["null", "null", "no JSON object"],
    ["something behind the end", `${one({})}}`, "not valid JSON"],
    ["an unknown field", one({ colour: 1 }), "does not belong"],
    ["an unknown field deeper", withKey({ colour: 1 }), "does not belong"],
    ["__proto__", '{"__proto__":{},"encryptedKeyset":"AA"}', "does not belong"],
    ["a field twice", '{"encryptedKeyset":"AA","encryptedKeyset":"AQ"}', "twice"],
    ["a field twice, once escaped", '{"encryptedKeyset":"AA","encrypted\\u004beyset" : "AQ"}', "twice"],
    ["a field twice deeper", one({}).replace('"keyId":1', '"keyId":1,"keyId":2'), "twice"],
    ["a field by both its names", '{"encryptedKeyset":"AA","encrypted_keyset":"AA"}', "twice"],
    ["null for a field", one({ keysetInfo: null }), "null"],
    ["no ciphertext", "{}", "missing"],
    ["a number for the ciphertext", base64(5), "no string"],
    ["no base64", base64("+/8 "), "base64"],
    ["a character that is none", base64("+/8!"), "base64"],
    ["both alphabets", base64("+_8="), "base64"],
    ["a character too many", base64("AAAAA"), "base64"],
    ["bits behind the end", base64("+/9="), "base64"],
    ["padding that is too short", base64("AA="), "base64"],
    ["padding that is too long", base64("AAA=="), "base64"],
    ["padding alone", base64("=="), "base64"],
    ["padding in the middle", base64("AA==AA=="), "base64"],
    ["a newline", base64("AAAA\n"), "base64"],
    ["a status that is none", withKey({ status: "enabled" }), "status has an unknown value"],
    ["a name of every object", withKey({ status: "constructor" }), "status has an unknown value"],
    ["a number that is no status", withKey({ status: 7 }), "status has an unknown value"],
    ["a prefix that is none", withKey({ outputPrefixType: 9 }), "outputPrefixType has an unknown value"],
    ["an id with a fraction", withKey({ keyId: 1.5 }), "keyId"],
    ["an id of 33 bits", withKey({ keyId: 2 ** 32 }), "keyId"],
    ["an id below", withKey({ keyId: -(2 ** 31) - 1 }), "keyId"],
    ["an id in words", withKey({ keyId: "one" }), "keyId"],
    ["an id in hexadecimal", withKey({ keyId: "0x1" }), "keyId"],
    ["a type that is no string", withKey({ typeUrl: 1 }), "typeUrl"],
    ["keyInfo that is no list", one({ keysetInfo: { ...keysetInfo, keyInfo: {} } }), "no list"],
    ["a key that is no object", one({ keysetInfo: { ...keysetInfo, keyInfo: [1] } }), "no JSON object"],
  ])("%s", (_, text, reason) => {
    const refused = expect.objectContaining({
      name: "KeysetError",
      code: "ERR_KEYSET_FORMAT",
      message: expect.stringContaining(reason),
    });
    expect(() => parseEncryptedKeyset(text)).toThrow(refused);
  });

  test.each(["key", "primaryKeyId", "primary_key_id"])("a cleartext keyset, by its field %s", (name) => {
    const refused = expect.objectContaining({ code: "ERR_KEYSET_CLEARTEXT" });
    expect(() => parseEncryptedKeyset(JSON.stringify({ [name]: 1, encryptedKeyset: "AA" }))).toThrow(refused);
  });
});

test("no error quotes the text, as JSON.parse's own does", () => {
  const secret = randomBytes(9).toString("base64url");
  const texts = [
    `{${secret}`,
    `{"encryptedKeyset":"${secret}"} ${secret}`,
    JSON.stringify({ key: secret }),
    JSON.stringify({ encryptedKeyset: `${secret}!`, keysetInfo }),
    JSON.stringify({ encryptedKeyset: "AA", [secret]: 1 }),
    JSON.stringify({ encryptedKeyset: "AA", keysetInfo: { primaryKeyId: secret } }),
  ];
  const shown = texts.map((text) => {
    try {
      return parseEncryptedKeyset(text);
    } catch (error) {
      return inspect(error, { depth: null });
    }
  });
  expect(shown.join("\n").match(/KeysetError/g)).toHaveLength(texts.length);
  expect(shown.join("\n")).not.toContain(secret);
});

test("what is written is what protobuf.js makes of the binary form, and is read again", () => {
  const key = fc.record({
    typeUrl: fc.string().map((text) => Buffer.from(text)),
    status: fc.integer({ min: 1, max: 3 }),
    id: fc.nat(2 ** 32 - 1),
    prefix: fc.integer({ min: 1, max: 5 }),
  });
  const keyset = fc.record({
    ciphertext: fc.uint8Array({ minLength: 1, maxLength: 200 }).map((array) => Buffer.from(array)),
    info: fc.record({ primaryId: fc.nat(2 ** 32 - 1), keys: fc.array(key, { minLength: 1, maxLength: 4 }) }),
  });
  fc.assert(
    fc.property(keyset, (one) => {
      const text = formatEncryptedKeyset(one);
      expect(parseEncryptedKeyset(text)).toEqual(one);
      const theirs = decodeTink<{
        encryptedKeyset: Uint8Array;
        keysetInfo: { primaryKeyId: number; keyInfo: object[] };
      }>("EncryptedKeyset", encodeTink("EncryptedKeyset", JSON.parse(text) as object));
      expect(theirs.encryptedKeyset).toEqual(one.ciphertext);
      expect(theirs.keysetInfo).toEqual({
        primaryKeyId: one.info.primaryId,
        keyInfo: one.info.keys.map(({ typeUrl, status, id, prefix }) => ({
          ...{ typeUrl: typeUrl.toString(), status, keyId: id, outputPrefixType: prefix },
        })),
      });
    }),
  );
});
