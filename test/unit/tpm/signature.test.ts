import { constants, createHash, generateKeyPairSync, sign } from "node:crypto";
import { externalPublicArea, objectName, readPublicArea } from "../../../lib/keys/tpm/public-area.js";
import { tpmSignature } from "../../../lib/keys/tpm/signature.js";
import { StructureError } from "../../../lib/keys/tpm/structures.js";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const curves = ["P-256", "P-384", "P-521"].map((namedCurve) => generateKeyPairSync("ec", { namedCurve }));
const message = Buffer.from("approved");
const sha256 = 0x000b;
const other = { nameAlgorithm: sha256, key: generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey };
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING };

describe("a public area", () => {
  test.each([rsa, ...curves])("is read as it was written: %#", ({ publicKey }) => {
    const area = externalPublicArea(publicKey);
    const read = readPublicArea(area);
    expect(read.nameAlgorithm).toBe(sha256);
    expect(read.key.equals(publicKey)).toBe(true);
    const name = createHash("sha256").update(area.subarray(2)).digest("hex");
    expect(objectName(area).toString("hex")).toBe(`000b${name}`);
  });

  const area = externalPublicArea(rsa.publicKey);
  test.each([
    ["nothing", Buffer.alloc(0), "cut off"],
    ["half of it", area.subarray(0, 100), "cut off"],
    ["more than it", Buffer.concat([area, Buffer.alloc(1)]), "followed by something else"],
    [
      "a symmetric key",
      Buffer.from("000a00250000000000000000", "hex"),
      "neither of an RSA nor of an ECC key",
    ],
    [
      "an unknown curve",
      Buffer.from(`00180023000b000600400000001000100020001000010100`.padEnd(52, "0"), "hex"),
      "is not supported",
    ],
    [
      "a point off the curve",
      Buffer.from("00180023000b00060040000000100010000300100001010001011".slice(0, 52), "hex"),
      "no valid key",
    ],
  ])("refuses %s", (_what, bytes, words) => {
    expect(() => readPublicArea(bytes)).toThrow(StructureError);
    expect(() => readPublicArea(bytes)).toThrow(words);
  });
});

describe("a signature", () => {
  const key = { nameAlgorithm: sha256, key: rsa.publicKey };

  test.each([
    ["PKCS#1 v1.5", "0014", {}],
    ["PSS", "0016", { ...pss, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }],
    ["PSS with the longest salt", "0016", { ...pss, saltLength: constants.RSA_PSS_SALTLEN_MAX_SIGN }],
  ])("of RSA, %s", (_what, scheme, padding) => {
    const signature = sign("sha256", message, { key: rsa.privateKey, ...padding });
    const marshalled = tpmSignature(signature, key, message);
    expect(marshalled?.toString("hex")).toBe(`${scheme}000b0100${signature.toString("hex")}`);
    expect(tpmSignature(marshalled ?? signature, key, message)).toEqual(marshalled);
    expect(tpmSignature(signature, key, Buffer.from("something else"))).toBeUndefined();
    expect(tpmSignature(signature, other, message)).toBeUndefined();
  });

  test.each(curves)("of ECDSA, in DER and as the TPM has it: %#", ({ privateKey, publicKey }) => {
    const signer = { nameAlgorithm: sha256, key: publicKey };
    for (let round = 0; round < 20; round++) {
      const signature = sign("sha256", message, privateKey); // some have short numbers
      const marshalled = tpmSignature(signature, signer, message) ?? Buffer.alloc(0);
      expect(marshalled.subarray(0, 4).toString("hex")).toBe("0018000b");
      expect(tpmSignature(marshalled, signer, message)).toEqual(marshalled);
      expect(tpmSignature(signature, signer, Buffer.from("something else"))).toBeUndefined();
    }
  });

  test.each([
    ["nothing", Buffer.alloc(0)],
    ["a few bytes", Buffer.from("0014000b", "hex")],
    ["a cut structure", Buffer.from("0018000b0020", "hex")],
    ["another DER", Buffer.from("30030201", "hex")],
  ])("refuses %s", (_what, bytes) => {
    expect(tpmSignature(bytes, key, message)).toBeUndefined();
    for (const { publicKey } of curves) {
      expect(tpmSignature(bytes, { nameAlgorithm: sha256, key: publicKey }, message)).toBeUndefined();
    }
  });

  test("with the name algorithm as its hash", () => {
    const signature = sign("sha384", message, rsa.privateKey);
    const sha384 = { nameAlgorithm: 0x000c, key: rsa.publicKey };
    expect(tpmSignature(signature, sha384, message)?.subarray(0, 4).toString("hex")).toBe("0014000c");
    expect(tpmSignature(signature, key, message)).toBeUndefined();
    expect(tpmSignature(signature, { nameAlgorithm: 0x0027, key: rsa.publicKey }, message)).toBeUndefined();
  });
});
