import { generateKeyPairSync } from "node:crypto";
import { policyDigest, type TpmPolicy, type TpmPolicyStep } from "../../../lib/index.js";
import { emptyDigest, extend } from "../../../lib/keys/tpm/policy/digest.js";

// TCG EK Credential Profile for TPM Family 2.0, annex B.6: the policies of the endorsement keys, SHA-256
const policyA = "837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa";
const policyC = "3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde";
const policyB = "ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
const publicKey = rsa.publicKey.export({ type: "spki", format: "pem" }).toString();
const digestOf = async (policy: unknown): Promise<string> =>
  (await policyDigest(policy as TpmPolicy)).toString("hex");

test("is PolicyA for the secret of the endorsement hierarchy", async () => {
  expect(await digestOf([{ secret: { object: "endorsement" } }])).toBe(policyA);
});

test("is PolicyB for PolicyA or PolicyC", () => {
  const digests = [policyA, policyC].map((digest) => Buffer.from(digest, "hex"));
  expect(extend(emptyDigest, [{ kind: "orOf", digests }]).toString("hex")).toBe(policyB);
});

test("takes members that are undefined for absent, and PCRs in any order", async () => {
  const digest = Buffer.alloc(32, 1);
  const step = { pcr: { bank: undefined, indices: [7, 0], digest }, authValue: undefined };
  expect(await digestOf([step])).toBe(await digestOf([{ pcr: { bank: "sha256", indices: [0, 7], digest } }]));
});

test.each<[string, TpmPolicyStep]>([
  ["policy[0].pcr.digest", { pcr: { indices: [0] } }],
  ["policy[0].secret.name", { secret: { object: 0x81000001 } }],
])("names what only a TPM knows: %s", async (at, step) => {
  await expect(policyDigest([step])).rejects.toMatchObject({
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining(at),
  });
});

const authValue = { authValue: true };
test.each<[string, unknown, string]>([
  ["no list", {}, "policy must be a list"],
  ["an empty list", [], "policy must be a list of at least one step"],
  ["no object", [7], "policy[0] must be an object"],
  ["an unknown step", [{ locality: 1 }], "policy[0] must have exactly one of: pcr, authValue"],
  ["two steps in one", [{ authValue: true, nvWritten: true }], "policy[0] must have exactly one of"],
  ["no step", [authValue, {}], "policy[1] must have exactly one of"],
  ["authValue: false", [{ authValue: false }], "policy[0].authValue must be true"],
  ["another password", [{ password: "secret" }], "policy[0].password must be true"],
  ["an unknown bank", [{ pcr: { bank: "md5", indices: [0] } }], "policy[0].pcr.bank must be one of: sha1"],
  ["no PCRs", [{ pcr: {} }], "policy[0].pcr.indices"],
  ["PCR 24", [{ pcr: { indices: [24] } }], "policy[0].pcr.indices must be a list of different PCRs, 0..23"],
  ["a PCR twice", [{ pcr: { indices: [1, 1] } }], "policy[0].pcr.indices"],
  ["half a digest", [{ pcr: { indices: [1], digest: "00" } }], "policy[0].pcr.digest must be 32 bytes"],
  ["an unknown member", [{ pcr: { indices: [1], value: "" } }], "policy[0].pcr.value is not known"],
  ["an unknown hierarchy", [{ secret: { object: "null" } }], "policy[0].secret.object must be a persistent"],
  ["a transient handle", [{ secret: { object: 0x80000000 } }], "policy[0].secret.object"],
  ["a hierarchy's name", [{ secret: { object: "owner", name: "00" } }], "policy[0].secret.name is for keys"],
  ["a policyRef over 64 bytes", [{ secret: { object: "owner", policyRef: Buffer.alloc(65) } }], "policyRef"],
  ["no new parent", [{ duplicationSelect: {} }], "policy[0].duplicationSelect.newParentName"],
  [
    "a new parent twice",
    [{ duplicationSelect: { newParentName: "00".repeat(34), newParent: "ek-rsa" } }],
    "policy[0].duplicationSelect must have exactly one of",
  ],
  [
    "an unknown parent",
    [{ duplicationSelect: { newParent: "ek" } }],
    "duplicationSelect.newParent must be a",
  ],
  [
    "a password of a persistent parent",
    [{ duplicationSelect: { newParent: 0x81010001, hierarchyPassword: "" } }],
    "policy[0].duplicationSelect.hierarchyPassword is for",
  ],
  [
    "a new parent without its TPM",
    [{ duplicationSelect: { newParent: "ek-rsa" } }],
    "policy[0].duplicationSelect.newParentName is needed where no TPM is asked",
  ],
  ["a short name", [{ duplicationSelect: { newParentName: "000b" } }], "must be 22 to 66 bytes"],
  [
    "no hexadecimal",
    [{ pcr: { indices: [1], digest: "xy".repeat(32) } }],
    "as a Uint8Array or in hexadecimal",
  ],
  ["nvWritten: 1", [{ nvWritten: 1 }], "policy[0].nvWritten must be true or false"],
  ["an unknown command", [{ commandCode: "TPM2_MAC" }], "policy[0].commandCode must be a TPM_CC or one of"],
  ["one branch", [{ or: [[authValue]] }], "policy[0].or must have 2 to 8 branches"],
  ["nine branches", [{ or: Array.from({ length: 9 }, () => [authValue]) }], "policy[0].or must have 2 to 8"],
  ["an empty branch", [{ or: [[authValue], []] }], "policy[0].or[1] must be a list"],
  [
    "a fault far inside",
    [authValue, { or: [[{ pcr: { indices: [99] } }], [authValue]] }],
    "policy[1].or[0][0].pcr.indices",
  ],
  [
    "a late authorize",
    [authValue, { authorize: { publicKey } }],
    "policy[1].authorize must be the first step",
  ],
  [
    "an authorize in a branch after a step",
    [authValue, { or: [[{ authorize: { publicKey } }], [authValue]] }],
    "policy[1].or[0][0].authorize must be the first step",
  ],
  ["no PEM", [{ authorize: { publicKey: "key.pem" } }], "policy[0].authorize.publicKey must be a PEM"],
  [
    "a broken PEM",
    [{ authorize: { publicKey: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----" } }],
    "policy[0].authorize.publicKey must be a PEM",
  ],
  ["a signature in hexadecimal", [{ authorize: { publicKey, signature: "00" } }], "authorize.signature"],
  [
    "a fault in what was signed",
    [{ authorize: { publicKey, policy: [{ or: [] }] } }],
    "policy[0].authorize.policy[0].or",
  ],
])("refuses %s", async (_what, policy, message) => {
  await expect(digestOf(policy)).rejects.toMatchObject({
    name: "AwsHmacError",
    code: "ERR_INVALID_ARGUMENT",
    message: expect.stringContaining(message),
  });
});

test.each([
  ["exponent 3", generateKeyPairSync("rsa", { modulusLength: 2048, publicExponent: 3 })],
  ["Ed25519", generateKeyPairSync("ed25519")],
  ["secp256k1", generateKeyPairSync("ec", { namedCurve: "secp256k1" })],
])("refuses a key that a TPM does not take: %s", async (_what, pair) => {
  const pem = pair.publicKey.export({ type: "spki", format: "pem" });
  await expect(digestOf([{ authorize: { publicKey: pem } }])).rejects.toThrow(
    "must be a PEM or a TPM2B_PUBLIC",
  );
});
