import { der, tags } from "../../../lib/keys/tpm/der.js";
import { ownerHierarchy } from "../../../lib/keys/tpm/parent.js";
import { parseTss2Pem } from "../../../lib/keys/tpm/tss2-pem.js";
import { formatTss2Pem } from "../../support/key-file.js";

const publicArea = Buffer.from("000a00080000000000000000", "hex");
const privateArea = Buffer.concat([Buffer.from("00c8", "hex"), Buffer.alloc(200, 7)]);
const read = { publicArea, privateArea, parent: ownerHierarchy, primary: "ecc" as const };

const loadable = der(tags.objectIdentifier, Buffer.from("6781050a0103", "hex"));
const owner = der(tags.integer, Buffer.from("40000001", "hex"));
const areas = [der(tags.octetString, publicArea), der(tags.octetString, privateArea)];

const pemOf = (bytes: Uint8Array): string =>
  `-----BEGIN TSS2 PRIVATE KEY-----\n${Buffer.from(bytes).toString("base64")}\n-----END TSS2 PRIVATE KEY-----\n`;
const keyOf = (...fields: Buffer[]): string => pemOf(der(tags.sequence, ...fields));
const withParent = (hex: string): string =>
  keyOf(loadable, der(tags.integer, Buffer.from(hex, "hex")), ...areas);
const optional = (number: number, tag: number, hex: string): Buffer =>
  der(tags.explicit(number), der(tag, Buffer.from(hex, "hex")));

function invalid(pem: string): string {
  try {
    parseTss2Pem(pem);
  } catch (error) {
    expect(error).toMatchObject({ name: "AwsHmacError", code: "ERR_PEM_INVALID" });
    return (error as Error).message;
  }
  throw new Error("the PEM was taken");
}

describe("TSS2 PEM", () => {
  test.each([0x40000001, 0x81000000, 0x81ffffff])("what is written is read again: parent 0x%x", (parent) => {
    for (const emptyAuth of [true, false]) {
      expect(parseTss2Pem(formatTss2Pem({ ...read, parent }, emptyAuth))).toEqual({ ...read, parent });
    }
  });

  test("is written as DER, in lines of 64 characters", () => {
    const pem = formatTss2Pem(
      { publicArea: Buffer.of(0, 1, 5), privateArea: Buffer.of(0, 1, 6), parent: 0x81000001, primary: "ecc" },
      true,
    );
    const lines = pem.split("\n");
    expect(lines.at(0)).toBe("-----BEGIN TSS2 PRIVATE KEY-----");
    expect(lines.at(-2)).toBe("-----END TSS2 PRIVATE KEY-----");
    expect(Buffer.from(lines.slice(1, -2).join(""), "base64").toString("hex")).toBe(
      ["301e", "06066781050a0103", "a0030101ff", "02050081000001", "0403000105", "0403000106"].join(""),
    );
    const long = formatTss2Pem(read, false).split("\n").slice(1, -2);
    expect(long.slice(0, -1).every((line) => line.length === 64)).toBe(true);
    expect(long.at(-1)?.length).toBeLessThanOrEqual(64);
  });

  test.each([
    ["0 means the owner hierarchy", "00", ownerHierarchy],
    ["so does a transient handle", "0080000000", ownerHierarchy],
    ["also without the leading zero", "80000000", ownerHierarchy],
    ["the owner hierarchy", "40000001", 0x40000001],
    ["the NULL hierarchy", "40000007", 0x40000007],
    ["the endorsement hierarchy", "4000000b", 0x4000000b],
    ["the platform hierarchy", "4000000c", 0x4000000c],
    ["a persistent handle", "0081000001", 0x81000001],
    ["a persistent handle as a negative number", "81000001", 0x81000001],
  ])("parent: %s", (_what, hex, parent) => {
    expect(parseTss2Pem(withParent(hex)).parent).toBe(parent);
  });

  test.each([
    ["the lockout authority, which has no keys", "4000000a", "0x4000000a is neither a hierarchy"],
    ["an NV index", "01000001", "0x01000001 is neither a hierarchy"],
    ["a number that is no handle", "0100000000", "not a handle"],
    ["nothing", "", "not a handle"],
  ])("refuses as parent: %s", (_what, hex, message) => {
    expect(invalid(withParent(hex))).toContain(message);
  });

  test.each(["01", "ff", "00"])("takes emptyAuth written as %s, and the other optional fields", (value) => {
    const fields = [
      optional(0, tags.boolean, value),
      optional(1, tags.sequence, ""),
      optional(3, tags.sequence, ""),
      optional(4, 0x0c, "6b6579"),
      optional(5, tags.boolean, "00"),
      optional(6, tags.octetString, "000b00"),
    ];
    expect(parseTss2Pem(keyOf(loadable, ...fields, owner, ...areas))).toEqual(read);
  });

  test.each(["01", "ff"])("rsaParent written as %s means the RSA primary", (value) => {
    const file = keyOf(loadable, optional(5, tags.boolean, value), owner, ...areas);
    expect(parseTss2Pem(file)).toEqual({ ...read, primary: "rsa" });
  });

  test("an RSA parent is written as rsaParent, also an endorsement key, which the format cannot name", () => {
    const file = { ...read, parent: 0x4000000b };
    for (const primary of ["rsa", "ek-rsa"] as const) {
      expect(parseTss2Pem(formatTss2Pem({ ...file, primary }, false))).toEqual({ ...file, primary: "rsa" });
    }
    expect(parseTss2Pem(formatTss2Pem({ ...file, primary: "ek-ecc" }, false))).toEqual(file);
  });

  test("text around the key and Windows line ends do no harm", () => {
    const pem = formatTss2Pem(read, true).replaceAll("\n", "\r\n");
    expect(parseTss2Pem(`a signing key\r\n${pem}\r\n`)).toEqual(read);
  });

  const good = formatTss2Pem(read, true);
  const type = (hex: string): Buffer => der(tags.objectIdentifier, Buffer.from(hex, "hex"));
  test.each([
    ["nothing", "", "there is no line"],
    ["another kind of PEM", good.replaceAll("TSS2 PRIVATE", "EC PRIVATE"), "there is no line"],
    ["no end", good.replace(/-----END.*/, ""), "there is no line"],
    ["two keys", good + good, "more than one key"],
    ["an empty body", good.replace(/\n[^-]*\n/s, "\n"), "not base64"],
    ["no base64", good.replace("\nM", "\n*"), "not base64"],
    ["no DER", pemOf(Buffer.from("hello")), "TPMKey sequence is missing"],
    ["a cut", pemOf(der(tags.sequence, loadable, owner).subarray(0, -1)), "sequence is cut off"],
    ["a tag alone", pemOf(Buffer.of(0x30)), "sequence is cut off"],
    ["an indefinite length", pemOf(Buffer.of(0x30, 0x80, 0, 0)), "invalid length"],
    ["a length that is too long-winded", pemOf(Buffer.of(0x30, 0x81, 0x01, 0)), "not DER"],
    [
      "bytes after the key",
      pemOf(Buffer.concat([der(tags.sequence, loadable), Buffer.of(0)])),
      "followed by",
    ],
    ["an importable key", keyOf(type("6781050a0104"), owner, ...areas), "an importable key"],
    ["sealed data", keyOf(type("6781050a0105"), owner, ...areas), "sealed data"],
    ["another object", keyOf(type("2a864886"), owner, ...areas), "no TPM key"],
    ["a secret", keyOf(loadable, optional(2, tags.octetString, "00"), owner, ...areas), "no secret"],
    [
      "emptyAuth of two bytes",
      keyOf(loadable, optional(0, tags.boolean, "0101"), owner, ...areas),
      "BOOLEAN",
    ],
    ["no parent", keyOf(loadable, ...areas), "the parent is missing"],
    ["no private key", keyOf(loadable, owner, der(tags.octetString, publicArea)), "privkey is missing"],
    ["bytes in the end", keyOf(loadable, owner, ...areas, owner), "privkey is followed by"],
    [
      "a public area of a wrong size",
      keyOf(loadable, owner, der(tags.octetString, Buffer.of(0, 9, 1)), der(tags.octetString, privateArea)),
      "pubkey is not a TPM2B",
    ],
  ])("refuses %s", (_what, pem, message) => {
    expect(invalid(pem)).toContain(message);
  });
});
