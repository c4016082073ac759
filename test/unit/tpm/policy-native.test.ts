import type { NativeTpmPolicy } from "../../../lib/binding/native-tpm.js";
import { policyDigest, type TpmPolicy } from "../../../lib/index.js";
import { checkPolicy } from "../../../lib/keys/tpm/policy/check.js";
import { nativePolicy, requireSatisfiable } from "../../../lib/keys/tpm/policy/native.js";

const authValue = { authValue: true } as const;
const written = { nvWritten: true } as const;
const pcr = (digest?: string): { pcr: { indices: number[]; digest?: string | undefined } } => ({
  pcr: { indices: [8, 0], digest },
});
const native = (policy: TpmPolicy): NativeTpmPolicy =>
  nativePolicy([{ at: "policy", steps: checkPolicy(policy) }], true).policy;
const shape = (policy: NativeTpmPolicy): [string, ...string[]][] =>
  policy.paths.map(({ name, steps }) => [name, ...steps.map(({ kind }) => kind)]);

test("a policy without branches is one way, its steps in their order", async () => {
  const policy: TpmPolicy = [
    pcr("11".repeat(32)),
    authValue,
    { password: true },
    { commandCode: "TPM2_HMAC" },
  ];
  const { paths, digest, hasPassword } = native(policy);
  expect(paths).toEqual([
    {
      name: "policy",
      steps: [
        {
          ...{ kind: "pcr", at: "policy[0].pcr", bank: 0x0b },
          ...{ selected: Buffer.of(1, 1, 0), digest: Buffer.alloc(32, 0x11) },
        },
        { kind: "authValue", mayBeSent: false },
        { kind: "authValue", mayBeSent: true },
        { kind: "commandCode", at: "policy[3].commandCode", code: 0x155 },
      ],
    },
  ]);
  expect(hasPassword).toBe(true);
  expect(digest).toEqual(await policyDigest(policy));
});

test("values that only the TPM knows leave the digest open", () => {
  const { paths, digest } = native([pcr(), authValue]);
  expect(digest).toHaveLength(0);
  expect(paths[0]?.steps[0]).toMatchObject({ kind: "pcr", digest: Buffer.alloc(0) });
});

test("each branch is a way, named by its path, in the order in which they are tried", async () => {
  const policy: TpmPolicy = [
    authValue,
    { or: [[written], [{ or: [[authValue], [written]] }, authValue]] },
    { or: [[authValue], [{ commandCode: 5 }]] },
  ];
  expect(shape(native(policy))).toEqual([
    ["policy[1].or[0] and policy[2].or[0]", "authValue", "never", "or", "authValue", "or"],
    ["policy[1].or[0] and policy[2].or[1]", "authValue", "never", "or", "commandCode", "or"],
    ...["authValue", "never"].flatMap((inner, index) =>
      ["authValue", "commandCode"].map((last, end) => [
        `policy[1].or[1][0].or[${index}] and policy[2].or[${end}]`,
        ...["authValue", inner, "or", "authValue", "or", last, "or"],
      ]),
    ),
  ]);
});

test("the digests of an or are those of its branches after the steps before it", async () => {
  const { paths, digest } = native([written, { or: [[authValue], [written]] }]);
  const digests = await Promise.all([policyDigest([written, authValue]), policyDigest([written, written])]);
  for (const { steps } of paths) expect(steps.at(-1)).toEqual({ kind: "or", at: "policy[1].or", digests });
  expect(digest).toEqual(await policyDigest([written, { or: [[authValue], [written]] }]));
});

test("an orOf of a key file takes what comes before as its branch", () => {
  const digests = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const steps = [{ kind: "authValue" as const }, { kind: "orOf" as const, digests }];
  const { policy } = nativePolicy([{ at: "policy", steps }], false);
  expect(policy.paths).toEqual([
    {
      name: "policy",
      steps: [
        { kind: "authValue", mayBeSent: false },
        { kind: "or", at: "policy[1]", digests },
      ],
    },
  ]);
});

test("ways of a key file follow each other; what of one is not supported is never taken", async () => {
  const steps = checkPolicy([authValue]);
  const ways = [
    { at: "authPolicy[0]", steps, unsupported: "TPM2_PolicyNV is not supported" },
    { at: "authPolicy[1]", steps },
  ];
  const { policy } = nativePolicy(ways, false);
  expect(shape(policy)).toEqual([
    ["authPolicy[0]", "authValue", "never"],
    ["authPolicy[1]", "authValue"],
  ]);
  expect(policy.digest).toEqual(await policyDigest([authValue]));
  expect(policy.paths[0]?.steps[1]).toEqual({ kind: "never", why: "TPM2_PolicyNV is not supported" });
});

test("256 ways are taken, more are refused", () => {
  const or = { or: [[authValue], [written], [authValue], [written]] };
  expect(native([or, or, or, or]).paths).toHaveLength(256);
  expect(() => native([or, or, or, or, or])).toThrow(/policy\[4\]\.or makes more than 256 ways/);
});

test("passwords are copied, and the copies wiped, also where the policy is refused", () => {
  const password = Buffer.from("a secret's password");
  const steps = checkPolicy([{ secret: { object: "owner", password } }]);
  const { policy, wipe } = nativePolicy([{ at: "policy", steps }], false);
  const step = policy.paths[0]?.steps[0];
  if (step?.kind !== "secret") throw new Error("the step is a secret");
  expect(step).toMatchObject({ handle: 0x40000001, password });
  wipe();
  expect(step.password).toEqual(Buffer.alloc(password.length));
  expect(password.toString()).toBe("a secret's password");
  const long = checkPolicy([{ secret: { object: "owner", password: "p".repeat(65) } }]);
  expect(() => nativePolicy([{ at: "policy", steps: long }], false)).toThrow(/policy\[0\]\.secret\.password/);
});

test("a policy of which no way can ever be taken is named with every reason", () => {
  expect(() => requireSatisfiable(native([authValue, written]))).toThrow(
    expect.objectContaining({
      code: "ERR_POLICY_UNSATISFIED",
      message: expect.stringContaining("policy[1]"),
    }),
  );
  expect(() => requireSatisfiable(native([{ or: [[written], [written, authValue]] }]))).toThrow(
    /policy\[0\]\.or\[0\]: .*policy\[0\]\.or\[1\]: /,
  );
  expect(() => requireSatisfiable(native([{ or: [[written], [authValue]] }]))).not.toThrow();
});
