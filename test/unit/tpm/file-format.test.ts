import { generateKeyPairSync, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { ownerHierarchy } from "../../../lib/keys/tpm/parent.js";
import { checkPolicy } from "../../../lib/keys/tpm/policy/check.js";
import { emptyDigest, extend } from "../../../lib/keys/tpm/policy/digest.js";
import type { TpmPolicy } from "../../../lib/keys/tpm/policy/policy.js";
import { externalPublicArea } from "../../../lib/keys/tpm/public-area.js";
import { parseTss2Pem } from "../../../lib/keys/tpm/tss2-pem.js";
import {
  areas,
  command,
  derOf,
  formatTss2Pem,
  hex,
  keyFile,
  pemOf,
  policyField,
} from "../../support/key-file.js";

const key = { ...areas, parent: ownerHierarchy, primary: "ecc" as const };
const digest = "5a".repeat(32);
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = externalPublicArea(ec.publicKey);
/** PolicyAuthorize with an empty signature. */
const unsigned = command("016a", `${publicKey.toString("hex")}0003c0ffee0010`);

describe("a policy is written", () => {
  const goFiles = ["auth-value", "pcr", "pcr-auth-value", "or", "command-code"];
  test.each(goFiles)("as go-tpm-keyfiles writes it: %s", (name) => {
    const file = path.join(__dirname, "..", "..", "fixtures", "go-tpm-keyfiles", `policy-${name}.pem`);
    const theirs = readFileSync(file, "latin1");
    const { policies: [policy] = [], ...blobs } = parseTss2Pem(theirs);
    expect(derOf(formatTss2Pem(blobs, false, policy?.steps))).toEqual(derOf(theirs));
  });

  test("as DER, before the parent", () => {
    const pem = formatTss2Pem(key, true, [{ kind: "authValue" }]);
    const policy = ["a10e", "300c", "300a", "a004", "0202016b", "a102", "0400"].join("");
    const rest = [
      "020440000001",
      `040c${Buffer.from(areas.publicArea).toString("hex")}`,
      "04050003000102",
    ].join("");
    expect(derOf(pem).toString("hex")).toBe(
      ["3038", "06066781050a0103", "a0030101ff", policy, rest].join(""),
    );
  });

  const written = (policy: TpmPolicy): Buffer => derOf(formatTss2Pem(key, false, checkPolicy(policy)));
  const pcr = { pcr: { indices: [0, 7, 23], digest } };
  const parentName = `000b${digest}`;

  test.each<[string, TpmPolicy, ...Buffer[]]>([
    ["PCRs", [pcr], command("017f", `0020${digest}00000001000b03810080`)],
    [
      "PCRs of the moment",
      [{ pcr: { bank: "sha1", indices: [8] } }],
      command("017f", "0000000000010004 03000100".replace(" ", "")),
    ],
    [
      "PCRs and a password",
      [pcr, { authValue: true }],
      command("017f", `0020${digest}00000001000b03810080`),
      command("016b"),
    ],
    ["a password that is sent, as one that is proved", [{ password: true }], command("016b")],
    [
      "a hierarchy's secret, without it",
      [{ secret: { object: "endorsement", password: "secret" } }],
      command("0151", "4000000b00044000000b0000"),
    ],
    [
      "a key's secret",
      [{ secret: { object: 0x81000001, name: parentName, policyRef: "c0ffee" } }],
      command("0151", `810000010022${parentName}0003c0ffee`),
    ],
    ["a command", [{ commandCode: "TPM2_HMAC" }], command("016c", "00000155")],
    ["an NV index that was written", [{ nvWritten: true }], command("018f", "01")],
    [
      "a duplication",
      [{ duplicationSelect: { newParentName: parentName } }],
      command("0188", `00000022${parentName}00`),
    ],
    [
      "a duplication of one object",
      [{ duplicationSelect: { newParentName: parentName, objectName: parentName } }],
      command("0188", `0022${parentName}0022${parentName}01`),
    ],
    [
      "a signed policy that is still to come, and what follows it",
      [{ authorize: { publicKey, policyRef: "c0ffee" } }, { authValue: true }],
      unsigned,
      command("016b"),
    ],
  ])("%s", (_what, policy, ...commands) => {
    expect(pemOf(written(policy))).toBe(keyFile(policyField(...commands)));
  });

  const digestOf = (policy: TpmPolicy): string => extend(emptyDigest, checkPolicy(policy)).toString("hex");
  const duplication = [{ duplicationSelect: { newParentName: parentName } }];
  test("with the first branch that TPM2_HMAC can satisfy, and the digests of all", () => {
    const branches: TpmPolicy[] = [
      duplication,
      [{ commandCode: "TPM2_Certify" }],
      [pcr],
      [{ authValue: true }],
    ];
    const digests = branches.map((branch) => `0020${digestOf([{ secret: { object: "owner" } }, ...branch])}`);
    const policy: TpmPolicy = [
      { secret: { object: "owner" } },
      { or: branches },
      { commandCode: "TPM2_HMAC" },
    ];
    const commands = [
      command("0151", "4000000100044000000100 00".replace(" ", "")),
      command("017f", `0020${digest}00000001000b03810080`),
      command("0171", `00000004${digests.join("")}`),
      command("016c", "00000155"),
    ];
    expect(pemOf(written(policy))).toBe(keyFile(policyField(...commands)));
    const [file] = parseTss2Pem(formatTss2Pem(key, false, checkPolicy(policy))).policies ?? [];
    expect(extend(emptyDigest, file?.steps ?? []).toString("hex")).toBe(digestOf(policy));
  });

  test("with a branch within a branch", () => {
    const inner: TpmPolicy[] = [[{ authValue: true }], duplication];
    const policy: TpmPolicy = [{ or: [duplication, [{ or: inner }]] }];
    const or = (...branches: TpmPolicy[]): Buffer =>
      command(
        "0171",
        `0000000${branches.length}${branches.map((branch) => `0020${digestOf(branch)}`).join("")}`,
      );
    const commands = [command("016b"), or(...inner), or(duplication, [{ or: inner }])];
    expect(pemOf(written(policy))).toBe(keyFile(policyField(...commands)));
  });

  test.each([
    ["ECDSA", ec],
    ["RSA", generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ])("with what was signed: %s", (_kind, pair) => {
    const area = externalPublicArea(pair.publicKey);
    const policy: TpmPolicy = [pcr, { or: [[{ authValue: true }], duplication] }];
    const message = Buffer.concat([hex(digestOf(policy)), hex("c0ffee")]);
    const signature = sign("sha256", message, pair.privateKey);
    const steps = checkPolicy([{ authorize: { publicKey: area, policyRef: "c0ffee", policy, signature } }]);
    const [file, ...more] = parseTss2Pem(formatTss2Pem(key, false, steps)).policies ?? [];
    expect(more).toEqual([]);
    expect(file?.unsupported).toBeUndefined();
    expect(extend(emptyDigest, file?.steps ?? [])).toEqual(extend(emptyDigest, steps));
    const [authorized] = file?.steps ?? [];
    if (authorized?.kind !== "authorize") throw new Error("it is no authorize");
    expect(extend(emptyDigest, authorized.policy ?? []).toString("hex")).toBe(digestOf(policy));
    // RFC 3279's DER for ECDSA; PKCS#1 v1.5 is deterministic
    const bytes = authorized.signature ?? Buffer.alloc(0);
    if (pair !== ec) expect(bytes).toEqual(Buffer.concat([hex("0014000b0100"), signature]));
    else expect(bytes.subarray(0, 6)).toEqual(hex("0018000b0020"));
  });

  const signature = sign("sha256", Buffer.from("something else"), ec.privateKey);
  const authValue: TpmPolicy = [{ authValue: true }];
  test.each<[string, TpmPolicy]>([
    ["a signature that is not over the policy", [{ authorize: { publicKey, policy: authValue, signature } }]],
    [
      "a signed policy within one",
      [{ authorize: { publicKey, policy: [{ authorize: { publicKey } }], signature } }],
    ],
    [
      "signed PCRs without a digest",
      [{ authorize: { publicKey, policy: [{ pcr: { indices: [0] } }], signature } }],
    ],
    ["a branch without a digest", [{ or: [[{ pcr: { indices: [0] } }], authValue] }]],
    ["branches after PCRs without a digest", [{ pcr: { indices: [0] } }, { or: [authValue, duplication] }]],
    ["no branch for TPM2_HMAC", [{ or: [duplication, [{ nvWritten: true }]] }]],
    ["an object whose name the TPM alone knows", [{ secret: { object: 0x81000001 } }]],
  ])("not at all where the format has no words for it: %s", (_what, policy) => {
    expect(pemOf(written(policy))).toBe(keyFile());
  });

  test("a branch that begins with a signed policy is written as the policy", () => {
    const or = [[{ authorize: { publicKey, policyRef: "c0ffee" } }], authValue];
    const digests = or.map((branch) => `0020${digestOf(branch)}`).join("");
    expect(pemOf(written([{ or }]))).toBe(
      keyFile(policyField(unsigned, command("0171", `00000002${digests}`))),
    );
  });
});
