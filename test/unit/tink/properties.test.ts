// Random and mutated keysets: what is not a keyset that signs gets an error of ours, every time and soon, never a key that
// differs. fast-check prints the seed of what fails: run it again with fc.assert(…, { seed, path }).

import { createHmac } from "node:crypto";
import fc from "fast-check";
import type { Aead } from "../../../lib/core/aead.js";
import { errorCodes, KeysetError } from "../../../lib/core/errors.js";
import { openTinkKey } from "../../../lib/keys/tink.js";
import { cleartextKeyset } from "../../support/tink-keyset.js";
import { encodeTink } from "../../support/tink-proto.js";

const secret = "AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const message = Buffer.from("20261129");
const macOf = (key: string): string => createHmac("sha256", key).update(message).digest("hex");
const right = macOf(secret);
const keyset = cleartextKeyset(
  [
    { id: 5, prefix: "TINK", status: "DISABLED" },
    { id: 0x12345678, keyValue: secret },
  ],
  0x12345678,
);
const keyInfo = [
  { typeUrl: "", status: 2, keyId: 5, outputPrefixType: 1 },
  {
    typeUrl: "type.googleapis.com/google.crypto.tink.HmacKey",
    ...{ status: 1, keyId: 0x12345678, outputPrefixType: 3 },
  },
];
const encrypted = {
  encryptedKeyset: Buffer.from("sealed with care: the ciphertext of a keyset"),
  keysetInfo: { primaryKeyId: 0x12345678, keyInfo },
};
const binary = encodeTink("EncryptedKeyset", encrypted);
const json = JSON.stringify({
  encryptedKeyset: encrypted.encryptedKeyset.toString("base64"),
  keysetInfo: { ...encrypted.keysetInfo, keyInfo: keyInfo.map((key) => ({ ...key, status: "ENABLED" })) },
});

/** A KMS that gives this for the one ciphertext that it knows, and refuses every other. */
const kms = (plaintext: Uint8Array): Aead => ({
  encrypt: () => Promise.reject(new Error("not asked")),
  decrypt: async (ciphertext) => {
    if (!encrypted.encryptedKeyset.equals(ciphertext)) throw new Error("another ciphertext");
    return Buffer.from(plaintext);
  },
});

/** What opening comes to: `right`, the MAC of another key, or an error's code. Whatever else is thrown, is thrown. */
async function outcome(given: Uint8Array | string, plaintext: Uint8Array = keyset): Promise<string> {
  try {
    const key = await openTinkKey({ keyset: given, aead: kms(plaintext) });
    const mac = Buffer.from(await key.mac(message)).toString("hex");
    return mac === right ? "right" : mac;
  } catch (error) {
    if (!(error instanceof KeysetError) || !errorCodes.includes(error.code)) throw error;
    return error.code;
  }
}

const isError = (result: string): boolean => result.startsWith("ERR_");

/** One change of some bytes. */
const change = (of: Uint8Array): fc.Arbitrary<(bytes: Buffer) => Buffer> => {
  const at = fc.nat(of.length - 1);
  const some = fc.uint8Array({ maxLength: 20 });
  return fc.oneof(
    fc.tuple(at, fc.nat(7)).map(([place, bit]) => (bytes: Buffer) => {
      const changed = Buffer.from(bytes);
      changed[place % bytes.length] = (changed[place % bytes.length] ?? 0) ^ (1 << bit);
      return changed;
    }),
    at.map((length) => (bytes: Buffer) => bytes.subarray(0, length)),
    at.map((start) => (bytes: Buffer) => bytes.subarray(start)),
    fc.tuple(at, at, some).map(
      ([start, length, into]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, start), into, bytes.subarray(start + (length % 30))]),
    ),
    fc.tuple(at, at, at).map(
      ([start, length, place]) =>
        (bytes: Buffer) =>
          Buffer.concat([
            bytes.subarray(0, place),
            bytes.subarray(start, start + length),
            bytes.subarray(place),
          ]),
    ),
    fc.tuple(at, fc.constantFrom("ff", "ffffffff0f", "8080808010", "ffffffffffffffffff01", "00", "8000")).map(
      ([place, number]) =>
        (bytes: Buffer) =>
          Buffer.concat([bytes.subarray(0, place), Buffer.from(number, "hex"), bytes.subarray(place + 1)]),
    ),
    fc.constant((bytes: Buffer) => Buffer.concat([bytes, bytes])),
  );
};

/** These bytes after one to three changes, which may undo each other. */
const mutated = (of: Buffer): fc.Arbitrary<Buffer> =>
  fc
    .array(change(of), { minLength: 1, maxLength: 3 })
    .map((changes) => changes.reduce((bytes, each) => (bytes.length === 0 ? bytes : each(bytes)), of));

test("unchanged, each form is opened", async () => {
  expect(await Promise.all([outcome(binary), outcome(json), outcome(Buffer.from(json))])).toEqual([
    ...["right", "right", "right"],
  ]);
});

test("random bytes and texts are refused", async () => {
  const any = fc.oneof(fc.uint8Array({ maxLength: 400 }), fc.string({ unit: "binary", maxLength: 400 }));
  const property = fc.asyncProperty(any, async (given) => expect(isError(await outcome(given))).toBe(true));
  await fc.assert(property, { numRuns: 3000 });
});

test("any JSON is refused", async () => {
  const name = fc.constantFrom(
    "encryptedKeyset",
    "encrypted_keyset",
    "keysetInfo",
    "key",
    "__proto__",
    "keyInfo",
    "primaryKeyId",
  );
  const inner = fc.dictionary(name, fc.jsonValue({ maxDepth: 1 }), { maxKeys: 4 });
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), inner, fc.array(inner, { maxLength: 3 }));
  const property = fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 4 }), async (given) => {
    expect(isError(await outcome(JSON.stringify(given)))).toBe(true);
  });
  await fc.assert(property, { numRuns: 2000 });
});

test.each([
  ["binary", binary],
  ["JSON", Buffer.from(json)],
])("a changed encrypted keyset (%s) is the same keyset still, or refused", async (_, of) => {
  const results = new Map<string, number>();
  const property = fc.asyncProperty(mutated(of), async (given) => {
    const result = await outcome(given);
    results.set(result, (results.get(result) ?? 0) + 1);
    expect(result === "right" || isError(result)).toBe(true);
  });
  await fc.assert(property, { numRuns: 5000 });
  expect([...results.keys()]).toEqual(expect.arrayContaining(["ERR_KEYSET_FORMAT", "ERR_KEYSET_DECRYPT"]));
});

/** A keyset of which nobody vouches for a bit: what follows "AWS4" may be changed, and is then another secret. */
test("a changed decrypted keyset is refused, or gives what it says", async () => {
  const results = new Map<string, number>();
  const property = fc.asyncProperty(mutated(keyset), async (plaintext) => {
    const result = await outcome(binary, plaintext);
    const kind = result === "right" || isError(result) ? result : "another";
    results.set(kind, (results.get(kind) ?? 0) + 1);
    if (kind !== "another") return;
    const found = [...plaintext.toString("latin1").matchAll(/AWS4[!-~]+/g)].flatMap(([text]) =>
      Array.from(text, (_, end) => text.slice(0, end + 1)),
    );
    expect(found.map(macOf)).toContain(result);
  });
  await fc.assert(property, { numRuns: 5000 });
  expect([...results.keys()]).toEqual(expect.arrayContaining(["right", "another", "ERR_KEYSET_FORMAT"]));
});

test("every single bit of a decrypted keyset counts, and no cut one is opened", async () => {
  const at = keyset.indexOf(secret);
  const results = new Set<string>();
  for (let bit = 0; bit < keyset.length * 8; bit++) {
    const changed = Buffer.from(keyset);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const result = await outcome(binary, changed);
    results.add(result);
    const inSecret = bit >> 3 >= at + 4 && bit >> 3 < at + secret.length;
    const inOther = bit >> 3 < at; // the disabled key is there too
    if (inSecret) expect(result).not.toBe("right");
    else expect(inOther || isError(result) ? result : "").toMatch(/^(right|ERR_\w+)$/);
  }
  const refused = ["FORMAT", "PRIMARY", "ALGORITHM", "PREFIX"].map((reason) => `ERR_KEYSET_${reason}`);
  expect([...results]).toEqual(expect.arrayContaining([...refused, "ERR_KEY_UNSUITABLE"]));
  for (let length = 0; length < keyset.length; length++) {
    expect(isError(await outcome(binary, keyset.subarray(0, length)))).toBe(true);
  }
});

test.each([
  ["brackets", `{"keysetInfo":${"[".repeat(65_000)}${"]".repeat(65_000)}}`],
  ["objects", `${'{"keysetInfo":'.repeat(8_000)}1${"}".repeat(8_000)}`],
  ["names", `{${'"a":1,'.repeat(20_000)}"b":1}`],
  ["one name", `{"encryptedKeyset":"AA",${'"encryptedKeyset":"AA",'.repeat(5_000)}"keysetInfo":{}}`],
  ["quotes", `{"encryptedKeyset":"${'\\"'.repeat(60_000)}"}`],
  ["a long string", `{"encryptedKeyset":"${"A".repeat(131_000)}"}`],
  ["padding", `{"encryptedKeyset":"${"=".repeat(131_000)}"}`],
  ["white space", `${" ".repeat(131_000)}{`],
  ["keys", `{"encryptedKeyset":"AA","keysetInfo":{"keyInfo":[${Array(40_000).fill("{}").join()}]}}`],
  ["empty keys", Buffer.from("1200".repeat(65_000), "hex")],
  [
    "empty keys in the info",
    Buffer.concat([Buffer.from("1201001ae0d403", "hex"), Buffer.from("1200".repeat(30_000), "hex")]),
  ],
])("the longest keyset of %s is refused within two seconds of processor time", async (_, given) => {
  const begin = process.cpuUsage();
  expect(await outcome(given)).toMatch(/^ERR_KEYSET_(FORMAT|DECRYPT|PRIMARY|CLEARTEXT)$/);
  const { user, system } = process.cpuUsage(begin);
  expect(user + system).toBeLessThan(2_000_000); // microseconds
});
