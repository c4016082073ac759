import { formatTpmReference, parseKeyReference } from "../../lib/keys/reference.js";

const handle = 0x81008001;

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
    ["handle:/key.pem", /comes 0x81008001/],
    ["tpm:/key%.pem", /the path is not percent-encoded/],
    ["tpm:0x81008001?", /may be tcti/],
    ["tpm:0x81008001?tcti=", /may be tcti/],
    ["tpm:0x81008001?tcti=%", /tcti is not percent-encoded/],
    ["tpm:0x81008001?tcti=a&", /may be tcti/],
    ["tpm:0x81008001?tcti=a&tcti=b", /tcti is there twice/],
    ["tpm:0x81008001?password=hunter2", /passwords go into options/],
    ["tink:/path?kek=x", /tink: keys are not in this version/],
    ["vault:https://host:8200/transit/key", /vault: keys are not in this version/],
    ["aws-kms:arn:aws:kms:eu-central-1:1:key/1", /aws-kms: keys are not in this version/],
    ["gpg:key", /gpg: is no kind of key .*\.\/gpg:/],
  ])("%j is refused", (reference, message) => {
    expect(() => parseKeyReference(reference as string)).toThrow(
      expect.objectContaining({ code: "ERR_INVALID_ARGUMENT", message: expect.stringMatching(message) }),
    );
    expect(() => parseKeyReference(reference as string)).not.toThrow(/hunter2/);
  });

  test("what is written for a handle is read again", () => {
    for (const tcti of [undefined, "swtpm:host=127.0.0.1,port=2321", "cmd:nc -U '/a b' & 100% + ?"]) {
      const place = tcti === undefined ? { handle } : { handle, tcti };
      expect(parseKeyReference(formatTpmReference(handle, tcti))).toEqual({ backend: "tpm", place });
    }
  });
});
