import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { der, tags } from "../../../lib/keys/tpm/der.js";
import { emptyDigest, extend } from "../../../lib/keys/tpm/policy/digest.js";
import type { PolicyWay } from "../../../lib/keys/tpm/policy/native.js";
import type { Step } from "../../../lib/keys/tpm/policy/steps.js";
import { externalPublicArea } from "../../../lib/keys/tpm/public-area.js";
import { parseTss2Pem } from "../../../lib/keys/tpm/tss2-pem.js";
import {
  command,
  derOf,
  hex,
  keyFile,
  pemOf,
  policyField,
  signedField,
  signedPolicy,
} from "../../support/key-file.js";

const fixture = (name: string): string =>
  path.join(__dirname, "..", "..", "fixtures", "go-tpm-keyfiles", `${name}.pem`);
const read = (pem: string): PolicyWay[] | undefined => parseTss2Pem(pem).policies;
const readOne = (...commands: Buffer[]): PolicyWay[] | undefined => read(keyFile(policyField(...commands)));
const invalid = (pem: string): string => {
  try {
    parseTss2Pem(pem);
  } catch (error) {
    expect(error).toMatchObject({ name: "AwsHmacError", code: "ERR_PEM_INVALID" });
    return (error as Error).message;
  }
  throw new Error("the PEM was taken");
};

const digest = "5a".repeat(32);
const at = "the key file's policy[0]";
const pcrs: Step = { kind: "pcr", at, bank: 0x000b, indices: [0, 7, 23], digest: hex(digest) };
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const publicKey = externalPublicArea(ec.publicKey);
const policyRef = "0003c0ffee";
const authorize = `${publicKey.toString("hex")}${policyRef}`;
const unsigned = command("016a", `${authorize}0010`);
const ecdsa = `0018000b${`0020${"11".repeat(32)}`.repeat(2)}`;
const signedBy = (area: string): Buffer => command("016a", `${area}${ecdsa}`);
const name = hex("000b", createHash("sha256").update(publicKey.subarray(2)).digest("hex"));

describe("the policy in a TPM key file is read:", () => {
  test.each<[string, string, string, Step]>([
    ["PCRs as GRUB and Go programs have them", "017f", `0020${digest}00000001000b03810080`, pcrs],
    ["PCRs as openssl_tpm2_engine has them", "017f", `00000001000b03810080${digest}`, pcrs],
    ["PCRs of the moment", "017f", "000000000001000b03810080", { ...pcrs, digest: undefined }],
    [
      "PCRs in the SHA-1 bank",
      "017f",
      "0000000000010004030000ff",
      { ...pcrs, bank: 4, indices: [16, 17, 18, 19, 20, 21, 22, 23], digest: undefined },
    ],
    ["a password, proved", "016b", "", { kind: "authValue" }],
    ["a password, sent", "018c", "", { kind: "password" }],
    [
      "a hierarchy's secret",
      "0151",
      "4000000b00044000000b0000",
      { kind: "secret", at, handle: 0x4000000b, name: hex("4000000b"), policyRef: hex("") },
    ],
    [
      "one whose handle is its name",
      "0151",
      "0000000000044000000c0000",
      { kind: "secret", at, handle: 0x4000000c, name: hex("4000000c"), policyRef: hex("") },
    ],
    [
      "one with a policyRef",
      "0151",
      "400000010004400000010003c0ffee",
      { kind: "secret", at, handle: 0x40000001, name: hex("40000001"), policyRef: hex("c0ffee") },
    ],
    [
      "one with a policyRef without a size",
      "0151",
      "4000000100044000000166656f",
      { kind: "secret", at, handle: 0x40000001, name: hex("40000001"), policyRef: hex("66656f") },
    ],
    [
      "one without a policyRef",
      "0151",
      "40000001000440000001",
      { kind: "secret", at, handle: 0x40000001, name: hex("40000001"), policyRef: hex("") },
    ],
    [
      "a key's secret",
      "0151",
      `810000010022000b${digest}0000`,
      { kind: "secret", at, handle: 0x81000001, name: hex("000b", digest), policyRef: hex("") },
    ],
    [
      "an NV index' secret, without its name",
      "0151",
      "0150000100000000",
      { kind: "secret", at, handle: 0x01500001, name: undefined, policyRef: hex("") },
    ],
    ["a command", "016c", "00000155", { kind: "commandCode", code: 0x155 }],
    ["an NV index that was written", "018f", "01", { kind: "nvWritten", written: true }],
    ["one that was not", "018f", "00", { kind: "nvWritten", written: false }],
    [
      "branches",
      "0171",
      `000000020020${digest}0020${digest}`,
      { kind: "orOf", digests: [hex(digest), hex(digest)] },
    ],
    [
      "a duplication",
      "0188",
      `00000022000b${digest}00`,
      { kind: "duplicationSelect", at, newParentName: hex("000b", digest) },
    ],
    [
      "a duplication of one object",
      "0188",
      `0022000b${digest}0022000b${digest}01`,
      { kind: "duplicationSelect", at, newParentName: hex("000b", digest), objectName: hex("000b", digest) },
    ],
  ])("%s", (_what, code, body, step) => {
    expect(readOne(command(code, body))).toEqual([{ at: "the key file's policy", steps: [step] }]);
  });
});

describe("what cannot be carried out is named:", () => {
  test.each([
    ["PolicyNV", "0149", "00", "TPM2_PolicyNV"],
    ["PolicySigned", "0160", "00", "TPM2_PolicySigned"],
    ["PolicyCounterTimer", "016d", "0000000000000001000c0009", "TPM2_PolicyCounterTimer"],
    ["PolicyLocality", "016f", "01", "TPM2_PolicyLocality"],
    ["a command of the maker's", "20000001", "", "the command 0x20000001"],
    [
      "PCRs of two banks",
      "017f",
      "0000000000020004030000010000b03000001".replace("0000b", "000b"),
      "several banks",
    ],
    ["PCRs of an unknown bank", "017f", "0000000000010012030000 01".replace(" ", ""), "unknown bank"],
    ["32 PCRs", "017f", "000000000001000b0400000001", "other than 24 PCRs"],
    ["a digest of another hash", "017f", `0014${"00".repeat(20)}00000001000b03000001`, "no SHA-256 digest"],
    [
      "the same of openssl_tpm2_engine",
      "017f",
      `00000001000b03000001${"00".repeat(48)}`,
      "no SHA-256 digest",
    ],
    [
      "branches of another hash",
      "0171",
      `00000002${`0014${"00".repeat(20)}`.repeat(2)}`,
      "no SHA-256 digests",
    ],
    [
      "a secret of something without handle",
      "0151",
      `000000000022000b${digest}0000`,
      "without the object's handle",
    ],
    ["a secret of the NULL hierarchy", "0151", "400000070004400000070000", "without the object's handle"],
    [
      "a signed policy that is not there",
      "016a",
      `${authorize}0010`,
      "wants a signed policy, and the file has none",
    ],
  ])("%s", (_what, code, body, what) => {
    const [policy, ...more] = readOne(command("016b"), command(code, body)) ?? [];
    expect(more).toEqual([]);
    expect(policy).toMatchObject({ at: "the key file's policy", unsupported: expect.stringContaining(what) });
  });

  test("an unknown command hides none of those that are not what they should be", () => {
    expect(invalid(keyFile(policyField(command("0149"), command("016c", "01"))))).toContain(
      "policy[1]: code is cut off",
    );
  });
});

describe("signed policies", () => {
  const step = (policy: Step[]): Step => ({
    ...{ kind: "authorize", publicKey, name, policyRef: hex("c0ffee") },
    ...{ policy, signature: hex(ecdsa) },
  });
  const kernels = [
    signedPolicy("kernel 6", command("017f", `0020${digest}00000001000b03810080`), signedBy(authorize)),
    signedPolicy(undefined, command("016b"), command("0149"), signedBy(authorize)),
    signedPolicy("the\npassword", command("016b"), signedBy(authorize)),
  ];

  test("are read in their order, each followed by the rest of the policy", () => {
    const file = keyFile(policyField(unsigned, command("016c", "00000155")), signedField(...kernels));
    const hmac: Step = { kind: "commandCode", code: 0x155 };
    const inFirst = { ...pcrs, at: "the key file's authPolicy[0].policy[0]" };
    expect(read(file)).toEqual([
      { at: 'the key file\'s authPolicy[0] "kernel 6"', steps: [step([inFirst]), hmac] },
      {
        at: "the key file's authPolicy[1]",
        steps: [{ kind: "authValue" }],
        unsupported: "TPM2_PolicyNV is not supported",
      },
      { at: 'the key file\'s authPolicy[2] "the\\npassword"', steps: [step([{ kind: "authValue" }]), hmac] },
    ]);
  });

  test("are read without a policy too, as GRUB's tools write them", () => {
    const expected = [
      { at: 'the key file\'s authPolicy[0] "the\\npassword"', steps: [step([{ kind: "authValue" }])] },
    ];
    for (const fields of [[], [policyField()]]) {
      expect(read(keyFile(...fields, signedField(...kernels.slice(2))))).toEqual(expected);
    }
  });

  test("may be in the policy itself", () => {
    const commands = [command("016b"), signedBy(authorize), command("016c", "00000155")];
    const steps = [step([{ kind: "authValue" }]), { kind: "commandCode", code: 0x155 }];
    expect(readOne(...commands)).toEqual([{ at: "the key file's policy", steps }]);
    expect(readOne(...commands, signedBy(authorize))).toMatchObject([
      { unsupported: "more than one TPM2_PolicyAuthorize is not supported" },
    ]);
  });

  test("of a policy that has none are missing", () => {
    for (const fields of [[], [signedField()]]) {
      const [policy] = read(keyFile(policyField(unsigned), ...fields)) ?? [];
      expect(policy).toMatchObject({
        steps: [],
        unsupported: expect.stringContaining("wants a signed policy, and the file has none"),
      });
    }
  });

  const other = externalPublicArea(generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey).toString(
    "hex",
  );
  test.each([
    [
      "a signed policy that is not signed",
      [unsigned],
      signedPolicy("x", command("016b")),
      'authPolicy[0] "x" does not end with TPM2_PolicyAuthorize',
    ],
    ["an empty one", [unsigned], signedPolicy(undefined), "authPolicy[0] does not end with"],
    ["one for another policy", [command("016b")], kernels[2], "authPolicy is for a policy that begins with"],
    [
      "another key",
      [unsigned],
      signedPolicy(undefined, command("016b"), signedBy(`${other}${policyRef}`)),
      "authPolicy[0] is signed with another key",
    ],
    [
      "another policyRef",
      [unsigned],
      signedPolicy(undefined, command("016b"), signedBy(`${publicKey.toString("hex")}0000`)),
      "another policyRef",
    ],
    [
      "a name that is not UTF-8",
      [unsigned],
      der(tags.sequence, der(tags.explicit(0), der(tags.utf8String, hex("ff")))),
      "authPolicy[0].name is not UTF-8",
    ],
    [
      "a name of another type",
      [unsigned],
      der(tags.sequence, der(tags.explicit(0), der(0x13, hex("61")))),
      "authPolicy[0].name is missing",
    ],
    [
      "a name alone",
      [unsigned],
      der(tags.sequence, der(tags.explicit(0), der(tags.utf8String, hex("61")))),
      "authPolicy[0].policy is missing",
    ],
    [
      "more than a policy",
      [unsigned],
      der(tags.sequence, der(tags.explicit(1), der(tags.sequence)), der(tags.integer, hex("00"))),
      "authPolicy[0].policy is followed by",
    ],
    ["no SEQUENCE", [unsigned], der(tags.octetString), "authPolicy[0] is missing"],
  ])("%s is refused", (_what, own, signed, message) => {
    expect(invalid(keyFile(policyField(...own), signedField(signed as Buffer)))).toContain(message);
  });
});

describe("a policy is refused with", () => {
  const explicit = (number: number, ...content: Buffer[]): Buffer => der(tags.explicit(number), ...content);
  const code = explicit(0, der(tags.integer, hex("016b")));
  const body = explicit(1, der(tags.octetString));
  test.each([
    ["no SEQUENCE", explicit(1), "policy is missing"],
    ["two of them", explicit(1, der(tags.sequence), der(tags.sequence)), "policy is followed by"],
    ["no command", policyField(der(tags.sequence)), "policy[0].commandCode is missing"],
    ["no parameters", policyField(der(tags.sequence, code)), "policy[0].commandPolicy is missing"],
    [
      "something after the parameters",
      policyField(der(tags.sequence, code, body, body)),
      "policy[0].commandPolicy is followed by",
    ],
    [
      "parameters of another type",
      policyField(der(tags.sequence, code, explicit(1, der(tags.integer, hex("00"))))),
      "policy[0].commandPolicy is missing",
    ],
    [
      "something that is no command",
      policyField(command("016b"), der(tags.octetString)),
      "policy[1] is missing",
    ],
    ["a negative command", policyField(command("ff")), "policy[0].commandCode is not a TPM_CC"],
    ["a command with zeros before it", policyField(command("00016b")), "commandCode is not a TPM_CC"],
    ["an empty number", policyField(command("")), "commandCode is not a TPM_CC"],
    ["a command of 33 bits", policyField(command("0100000000")), "commandCode is not a TPM_CC"],
    ["a command of six bytes", policyField(command("010000000000")), "commandCode is not a TPM_CC"],
    [
      "parameters that a command has not",
      policyField(command("016b", "00")),
      "policy[0]: the last parameter is followed by",
    ],
    ["nothing for PCRs", policyField(command("017f")), "policy[0]: pcrDigest is cut off"],
    ["no PCRs", policyField(command("017f", "000000000000")), "policy[0]: pcrs is empty"],
    ["half a selection", policyField(command("017f", "000000000001000b0300")), "pcrs.pcrSelect is cut off"],
    ["far too many selections", policyField(command("017f", "0000ffffffff")), "pcrs.count is over 16"],
    ["more than a selection", policyField(command("017f", "000000000001000b0300000100")), "followed by"],
    ["no handle", policyField(command("0151", "4000")), "policy[0]: objectHandleHint is cut off"],
    [
      "a hierarchy's name for another",
      policyField(command("0151", "4000000b0004400000010000")),
      "objectName is of another object",
    ],
    [
      "a name over 66 bytes",
      policyField(command("0151", `810000010043${"00".repeat(67)}0000`)),
      "objectName is over 66",
    ],
    [
      "a policyRef over 64 bytes",
      policyField(command("0151", `4000000100044000000100 41${"00".repeat(65)}`.replace(" ", ""))),
      "policyRef is over 64",
    ],
    [
      "a long policyRef of a signed policy",
      policyField(command("016a", `${publicKey.toString("hex")}0041${"00".repeat(65)}0010`)),
      "policyRef is over 64",
    ],
    ["half a command code", policyField(command("016c", "0155")), "policy[0]: code is cut off"],
    ["2 for yes", policyField(command("018f", "02")), "policy[0]: writtenSet is neither 0 nor 1"],
    ["one branch", policyField(command("0171", `000000010020${digest}`)), "pHashList has not 2 to 8 digests"],
    [
      "nine branches",
      policyField(command("0171", `00000009${`0020${digest}`.repeat(9)}`)),
      "pHashList has not 2 to 8",
    ],
    [
      "branches that are cut off",
      policyField(command("0171", `000000020020${digest}`)),
      "pHashList is cut off",
    ],
    ["no public key", policyField(command("016a", "")), "policy[0]: keySign is cut off"],
    [
      "the public area of an HMAC key",
      policyField(command("016a", "000a0008000b00000000000000000010")),
      "neither of an RSA nor of an ECC key",
    ],
    ["no signature", policyField(command("016a", authorize)), "policySignature is cut off"],
    [
      "an HMAC for a signature",
      policyField(command("016a", `${authorize}0005000b0000`)),
      "neither RSASSA, RSAPSS nor ECDSA",
    ],
    [
      "half a signature",
      policyField(command("016a", `${authorize}0018000b00010100`)),
      "policySignature is cut off",
    ],
    [
      "more than a signature",
      policyField(command("016a", `${authorize}001000`)),
      "policySignature is followed by",
    ],
  ])("%s", (_what, field, message) => {
    expect(invalid(keyFile(field))).toContain(message);
  });
});

describe("of files that Go programs and openssl_tpm2_engine wrote", () => {
  const every: [string, string[]][] = [
    ["policy-auth-value", ["the key file's policy"]],
    ["policy-pcr", ["the key file's policy"]],
    ["policy-pcr-auth-value", ["the key file's policy"]],
    ["policy-pcr-engine", ["the key file's policy"]],
    ["policy-secret", ["the key file's policy"]],
    ["policy-or", ["the key file's policy"]],
    ["policy-command-code", ["the key file's policy"]],
    ...["rsa", "ecc"].map((kind): [string, string[]] => [
      `policy-signed-${kind}`,
      [
        'the key file\'s authPolicy[0] "PCR 23 extended with 0x11"',
        'the key file\'s authPolicy[1] "PCR 23 reset"',
        'the key file\'s authPolicy[2] "password"',
      ],
    ]),
  ];
  test.each(every)("%s: the policies have the digest in the key", (name, places) => {
    const { publicArea, policies = [] } = parseTss2Pem(readFileSync(fixture(name), "latin1"));
    expect(policies.map(({ at, unsupported }) => [at, unsupported])).toEqual(
      places.map((at) => [at, undefined]),
    );
    for (const { steps } of policies) {
      expect(Buffer.from(publicArea).includes(extend(emptyDigest, steps))).toBe(true);
    }
  });
});

describe("a damaged file", () => {
  const files = ["policy-pcr", "policy-auth-value"].map((name) =>
    derOf(readFileSync(fixture(name), "latin1")),
  );
  const signed = signedPolicy("name", command("016b"), signedBy(authorize));
  const secret = command("0151", "4000000b00044000000b0000");
  files.push(derOf(keyFile(policyField(unsigned, secret), signedField(signed, signed))));

  test("gives an error or a policy, whatever is changed, cut or put in", () => {
    let refused = 0;
    for (const file of files) {
      for (let index = 0; index < file.length; index++) {
        const changed = [1, 0x80, 0xff].map((bit) => {
          const copy = Buffer.from(file);
          copy[index] = (copy[index] ?? 0) ^ bit;
          return copy;
        });
        const inserted = Buffer.concat([
          file.subarray(0, index),
          Buffer.of(index & 0xff),
          file.subarray(index),
        ]);
        for (const damaged of [...changed, inserted]) {
          try {
            parseTss2Pem(pemOf(damaged));
          } catch (error) {
            refused++;
            expect(error).toMatchObject({ code: "ERR_PEM_INVALID" });
          }
        }
      }
      for (let length = 0; length < file.length; length++)
        expect(invalid(pemOf(file.subarray(0, length)))).not.toBe("");
    }
    expect(refused).toBeGreaterThan(1000);
  });
});
