import fc from "fast-check";
import { formatTinkReference } from "../../lib/keys/reference/tink.js";
import { formatTpmReference } from "../../lib/keys/reference/tpm.js";
import { formatVaultReference } from "../../lib/keys/reference/vault.js";
import { parseKeyReference } from "../../lib/keys/reference.js";

const handle = 0x81008001;
const arn = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const alias = "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/team/signer";
const kek = `aws-kms://${arn}`;
const encodedKek = encodeURIComponent(kek);

describe("key references", () => {
  test.each<[string, object]>([
    ["pkcs11:token=a;object=b?pin-value=1", { uri: "pkcs11:token=a;object=b?pin-value=1" }],
    ["tpm:0x81008001", { handle }],
    ["TPM:0X81008001", { handle }],
    ["handle:0x81008001", { handle }],
    ["tpm:0x81008001?tcti=swtpm:host=::1,port=2321", { handle, tcti: "swtpm:host=::1,port=2321" }],
    ["tpm:0x81008001?tcti=cmd%3Assh%20a%26b%3F", { handle, tcti: "cmd:ssh a&b?" }],
    ["handle:0x81008001?tcti=device:/dev/tpm0", { handle, tcti: "device:/dev/tpm0" }],
    ["tpm:/etc/key.pem", { pemFile: "/etc/key.pem" }],
    ["tpm:./key.pem", { pemFile: "./key.pem" }],
    ["tpm:../my%20keys%3F/key.pem?parent=ek-rsa", { pemFile: "../my keys?/key.pem", parent: "ek-rsa" }],
    [
      "tpm:/key.pem?parent=0x81000001&tcti=swtpm:",
      { pemFile: "/key.pem", parent: 0x81000001, tcti: "swtpm:" },
    ],
    ["/etc/key.pem", { pemFile: "/etc/key.pem" }],
    ["key.pem", { pemFile: "key.pem" }],
    ["./100%?tcti=x", { pemFile: "./100%?tcti=x" }],
  ])("%s", (reference, place) => {
    const backend = reference.startsWith("pkcs11") ? "pkcs11" : "tpm";
    expect(parseKeyReference(reference)).toEqual({ backend, place });
  });

  const signer = { address: "https://vault.example:8200", mount: "transit", name: "signer" };
  test.each<[string, string, object]>([
    ["vault", "vault:https://vault.example:8200/transit/signer", signer],
    ["vault", "VAULT:HTTPS://Vault.Example:8200/transit/signer?version=12", { ...signer, keyVersion: 12 }],
    [
      "vault",
      "vault:http://[::1]/team%2Ba/transit/my%2Bkey?namespace=a%2Fb&version=1",
      { address: "http://[::1]", mount: "team+a/transit", name: "my+key", namespace: "a/b", keyVersion: 1 },
    ],
    [
      "vault",
      "vault:https://vault.example:443/t/s",
      { address: "https://vault.example", mount: "t", name: "s" },
    ],
    ["tink", `tink:/etc/keyset.json?kek=${encodedKek}`, { keysetFile: "/etc/keyset.json", kek }],
    ["tink", `tink:./a%3F?kek=${kek}`, { keysetFile: "./a?", kek }],
    ["tink", "tink:../keyset", { keysetFile: "../keyset" }],
    [
      "tink",
      "tink:/k?associated-data=a%20ä%ff%00",
      { keysetFile: "/k", associatedData: Buffer.from("6120c3a4ff00", "hex") },
    ],
    ["aws-kms", `aws-kms:${arn}`, { keyId: arn }],
    ["aws-kms", `AWS-KMS:${alias}`, { keyId: alias }],
  ])("%s: %s", (backend, reference, place) => {
    expect(parseKeyReference(reference)).toEqual({ backend, place });
  });

  test.each<[unknown, RegExp]>([
    ["", /must be a string/],
    [undefined, /must be a string/],
    ["a\0b", /must be a string/],
    ["0x81008001", /tpm:0x81008001/],
    ["81008001", /tpm:0x81008001/],
    ["tpm:", /a handle \(0x81008001\) or a path/],
    ["tpm:81008001", /a handle/],
    ["tpm:0x8100800", /a handle/],
    ["tpm:key.pem", /a path with a slash/],
    ["tpm://host/key.pem", /a path with a slash/],
    ["handle:/key.pem", /comes 0x81008001/],
    ["tpm:/key%.pem", /the path is not percent-encoded/],
    ["tpm:0x81008001?", /may be tcti/],
    ["tpm:0x81008001?tcti=", /may be tcti/],
    ["tpm:0x81008001?tcti=%", /tcti is not percent-encoded/],
    ["tpm:0x81008001?tcti=a&", /may be tcti/],
    ["tpm:0x81008001?tcti=a&tcti=b", /tcti is there twice/],
    ["tpm:0x81008001?password=hunter2", /passwords go into options/],
    ["tink:", /must be tink:\/path\?kek=/],
    [`tink://host/path?kek=${encodedKek}`, /must be tink:\/path/],
    ["tink:keyset.json", /must be tink:\/path/],
    ["tink:/folder/", /must be tink:\/path/],
    ["tink:/path?kek=", /must be tink:\/path/],
    ["tink:/path?kek=%", /kek is not percent-encoded/],
    ["tink:/path?associated-data=%f", /associated-data is not percent-encoded: "%" itself is %25/],
    ["tink:/path?key=hunter2", /must be tink:\/path/],
    ["tink:/a%00b?kek=x", /must be tink:\/path/],
    ["vault:", /must be vault:https:\/\/host:8200\/<mount>\/<name>\?version=1/],
    ["vault:transit/signer", /must be vault:https/],
    ["vault:https://vault.example/signer", /must be vault:https/],
    ["vault:https://vault.example/transit/", /must be vault:https/],
    ["vault:https://vault.example//signer", /must be vault:https/],
    ["vault:https://vault.example/transit/../signer", /must be vault:https/],
    ["vault:https://vault.example/transit/%2E%2E", /must be vault:https/],
    ["vault:https://vault.example/a%2fb/signer", /must be vault:https/],
    ["vault:https://vault.example/transit/signer#1", /must be vault:https/],
    ["vault:https:///transit/signer", /must be vault:https/],
    ["vault:https://vault.example:82000/transit/signer", /must be vault:https/],
    ["vault:ftp://vault.example/transit/signer", /must be vault:https/],
    ["vault:https://root:hunter2@vault.example/transit/signer", /no user and password.*VAULT_TOKEN/],
    ["vault:https://hunter2@vault.example/transit/signer?version=1", /no user and password/],
    ["vault:https://vault.example/transit/signer?version=0", /version must be 1/],
    ["vault:https://vault.example/transit/signer?version=latest", /version must be 1/],
    ["vault:https://vault.example/transit/signer?version=1&version=2", /version is there twice/],
    ["vault:https://vault.example/transit/signer?token=hunter2", /must be vault:https/],
    ["aws-kms:", /must be aws-kms:arn:aws:kms:/],
    ["aws-kms:alias/signer", /must be aws-kms:arn:aws:kms:/],
    [`aws-kms:${arn}?region=eu-central-1`, /must be aws-kms:arn:aws:kms:/],
    [`aws-kms://${arn}`, /must be aws-kms:arn:aws:kms:/],
    ["gpg:hunter2", /must begin with pkcs11:, tpm:, .*\.\//],
    ["hunter2:key", /must begin with pkcs11:/],
    ["wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", /looks like a secret access key/],
  ])("%j is refused", (reference, message) => {
    expect(() => parseKeyReference(reference as string)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringMatching(message) }),
    );
    expect(() => parseKeyReference(reference as string)).not.toThrow(/hunter2/);
  });

  test("a path of 40 characters may begin with a slash or a dot", () => {
    for (const pemFile of [`/${"a".repeat(39)}`, `./${"a".repeat(40)}`]) {
      expect(parseKeyReference(pemFile)).toEqual({ backend: "tpm", place: { pemFile } });
    }
  });
});

describe("what is written is read again:", () => {
  const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
  const file = text.filter((one) => !one.includes("\0") && !one.endsWith("/"));
  const segment = text.filter((one) => !/[/\\?#\0-\x20\x7f]/.test(one) && one !== "." && one !== "..");
  const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
    fc.option(one, { nil: undefined });
  const given = (place: object): object =>
    Object.fromEntries(Object.entries(place).filter(([, value]) => value !== undefined));

  test("a TPM's handle", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0x81000000, max: 0x81ffffff }), optional(text), (number, tcti) => {
        const place = given({ handle: number, tcti });
        expect(parseKeyReference(formatTpmReference(number, tcti))).toEqual({ backend: "tpm", place });
      }),
    );
  });

  test("a key of Vault", () => {
    const place = fc.record({
      address: fc.webUrl({ validSchemes: ["http", "https"] }).map((url) => new URL(url).origin),
      mount: fc.array(segment, { minLength: 1, maxLength: 3 }).map((segments) => segments.join("/")),
      name: segment,
      namespace: optional(text),
      keyVersion: optional(fc.integer({ min: 1, max: 999_999_999 })),
    });
    fc.assert(
      fc.property(place, (one) => {
        const reference = formatVaultReference(one as Parameters<typeof formatVaultReference>[0]);
        expect(parseKeyReference(reference)).toEqual({ backend: "vault", place: given(one) });
      }),
    );
  });

  test("a Tink keyset", () => {
    const place = fc.record({
      keysetFile: file,
      kek: optional(text),
      associatedData: optional(fc.uint8Array({ minLength: 1, maxLength: 20 })),
    });
    fc.assert(
      fc.property(place, ({ keysetFile, kek: uri, associatedData }) => {
        const reference = formatTinkReference({ keysetFile, kek: uri, associatedData } as Parameters<
          typeof formatTinkReference
        >[0]);
        expect(reference).toMatch(/^[^\s#]*$/);
        const path = /^\.{0,2}\//.test(keysetFile) ? keysetFile.replace(/\/+/, "/") : `./${keysetFile}`;
        const data = associatedData && Buffer.from(associatedData);
        expect(parseKeyReference(reference)).toEqual({
          backend: "tink",
          place: given({ keysetFile: path, kek: uri, associatedData: data }),
        });
      }),
    );
  });
});

describe("a reference that somebody spoilt", () => {
  const secret = "hunter2wJalrXUtnFEMI";
  const references = [
    "pkcs11:token=a;object=b?pin-value=1",
    "tpm:0x81008001?tcti=swtpm:host=127.0.0.1&parent=owner",
    "handle:0x81008001",
    "/etc/key.pem",
    "vault:https://vault.example:8200/transit/signer?version=1&namespace=a",
    `tink:/etc/keyset.json?kek=${encodedKek}&associated-data=a%00`,
    `aws-kms:${arn}`,
  ];
  const spoilt = fc
    .tuple(
      fc.constantFrom(...references),
      fc.nat(),
      fc.nat({ max: 6 }),
      fc.oneof(
        fc.constantFrom(
          "",
          "%",
          "?",
          "&",
          "=",
          "@",
          ":",
          "/",
          "//",
          "#",
          "\0",
          "\n",
          "..",
          "%00",
          "%2f",
          "ä",
        ),
        fc.string({ maxLength: 5 }),
      ),
      fc.boolean(),
    )
    .map(([reference, place, cut, put, first]) => {
      const at = place % (reference.length + 1);
      return reference.slice(0, at) + (first ? put + secret : secret + put) + reference.slice(at + cut);
    });

  test("is read or refused, and is in no message", () => {
    let refused = 0;
    fc.assert(
      fc.property(spoilt, (reference) => {
        try {
          expect(parseKeyReference(reference).backend).toMatch(/^(pkcs11|tpm|vault|tink|aws-kms)$/);
        } catch (error) {
          expect(error).toMatchObject({ name: "AwsHmacError", code: "ERR_INVALID_ARGUMENT" });
          expect((error as Error).message).not.toContain(secret);
          refused += 1;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(500);
  });
});
