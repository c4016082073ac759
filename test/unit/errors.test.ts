import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { AwsHmacError, errorCodes, Pkcs11Error, TpmError, VaultError } from "../../lib/core/errors.js";

const root = path.join(__dirname, "..", "..");

function textsIn(folder: string, ending: RegExp): string[] {
  const files = readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" });
  return files
    .filter((file) => ending.test(file))
    .map((file) => readFileSync(path.join(root, folder, file), "utf8"));
}

const sorted = (codes: Iterable<string>): string[] => [...new Set(codes)].sort();

test("docs/errors.md explains exactly the codes there are", () => {
  const page = readFileSync(path.join(root, "docs", "errors.md"), "utf8");
  const explained = [...page.matchAll(/^\| `(ERR_[A-Z0-9_]+)` \| (.+) \| (.+) \|$/gm)];
  expect(sorted(explained.map(([, code]) => code as string))).toEqual(sorted(errorCodes));
  for (const [, , cause, remedy] of explained) expect([cause, remedy]).not.toContain("");
});

test("the addon and the library throw exactly these codes, and name no other", () => {
  const sources = [...textsIn("native", /\.(cc|h)$/), ...textsIn("lib", /(?<!core\/errors)\.ts$/)].join("\n");
  const literals = [...sources.matchAll(/"(ERR_[A-Z0-9_]+)"/g)].map(([, code]) => code as string);
  expect(sorted(literals)).toEqual(sorted(errorCodes));
  const named = sources.match(/\bERR_[A-Z0-9_]+[A-Z0-9]\b/g) ?? [];
  expect(sorted([...named, ...errorCodes])).toEqual(sorted(errorCodes));
});

test("an error has its class's name, its code, and a cause only where there is one", () => {
  const cause = new Error("before");
  const plain = new AwsHmacError("ERR_CLOSED", "the key is closed");
  expect([plain.name, plain.code, plain.retryable, "cause" in plain]).toEqual([
    "AwsHmacError",
    "ERR_CLOSED",
    false,
    false,
  ]);
  const tpm = new TpmError("ERR_TPM", "refused", {
    cause,
    retryable: true,
    rc: 0x922,
    rcName: "TPM_RC_RETRY",
    operation: "TPM2_HMAC",
  });
  expect(tpm).toMatchObject({ name: "TpmError", cause, retryable: true, rc: 0x922, operation: "TPM2_HMAC" });
  expect(tpm).toBeInstanceOf(AwsHmacError);
  const pkcs11 = new Pkcs11Error("ERR_PKCS11", "refused", {
    rv: 5,
    rvName: "CKR_GENERAL_ERROR",
    operation: "C_Sign",
  });
  expect(pkcs11).toMatchObject({
    name: "Pkcs11Error",
    rv: 5,
    rvName: "CKR_GENERAL_ERROR",
    operation: "C_Sign",
  });
  const vault = new VaultError("ERR_VAULT", "refused", { status: 400, operation: "GET sys/health" });
  expect(vault).toMatchObject({
    name: "VaultError",
    status: 400,
    operation: "GET sys/health",
    retryable: false,
  });
});
