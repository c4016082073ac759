import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { temporaryFolder } from "../support/process.js";

const checkout = path.join(__dirname, "..", "..");

const values = [
  "AwsHmacError",
  "CredentialsError",
  "HmacSigner",
  "HmacSignerV4a",
  "IamAuthTokens",
  "KeysetError",
  "KmsError",
  "Pkcs11Error",
  "SigningError",
  "TpmError",
  "VaultError",
  "createPresignedPost",
  "createSignedFetch",
  "errorCodes",
  "fallbackKey",
  "fromAssumeRole",
  "fromFederationToken",
  "fromSessionToken",
  "importAwsKmsKey",
  "importPkcs11Key",
  "importTinkKey",
  "importTpmKey",
  "importVaultKey",
  "importWrappedTpmKey",
  "insecureMemoryKey",
  "listPkcs11Keys",
  "listTpmKeys",
  "openAwsKmsKey",
  "openKey",
  "openPkcs11Key",
  "openTinkKey",
  "openTpmKey",
  "openVaultKey",
  "policyDigest",
  "removePkcs11Key",
  "removeTpmKey",
  "removeVaultKey",
  "sdkIdentity",
  "signedHttpOptions",
  "signedRequest",
  "vaultAppRole",
  "vaultKubernetes",
  "wrapForTpm",
];

const { folder, remove } = temporaryFolder("exports");

beforeAll(() => {
  const tsc = path.join(checkout, "node_modules", ".bin", "tsc");
  execFileSync(tsc, ["-p", path.join(checkout, "tsconfig.json"), "--outDir", folder], { stdio: "inherit" });
}, 120_000);
afterAll(remove);

/** What a program in the compiled folder prints, as JSON. */
function evaluate(...args: string[]): unknown {
  const env = { ...process.env, NODE_PATH: path.join(checkout, "node_modules") };
  return JSON.parse(execFileSync(process.execPath, args, { cwd: folder, env, encoding: "utf8" }));
}

test("require gives exactly the public names", () => {
  expect(evaluate("-p", 'JSON.stringify(Object.keys(require("./index.js")).sort())')).toEqual(values);
});

test("import gives the same names and the same things", () => {
  const program = `
    import * as imported from "./index.mjs";
    import required from "./index.js";
    const names = Object.keys(imported).sort();
    console.log(JSON.stringify({ names, same: names.every((name) => imported[name] === required[name]) }));`;
  expect(evaluate("--input-type=module", "-e", program)).toEqual({ names: values, same: true });
});

test("a key can be wrapped for another machine's TPM where there is no addon", () => {
  const program = `
    const { generateKeyPairSync } = require("node:crypto");
    const { openTpmKey, wrapForTpm } = require("./index.js");
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const ekPublic = publicKey.export({ type: "spki", format: "pem" });
    const refused = openTpmKey({ handle: 0x81008001 }).catch((error) => error.code);
    Promise.all([wrapForTpm(Buffer.from("secret"), { ekPublic }), refused]).then(([file, code]) =>
      console.log(JSON.stringify({ code, line: file.split("\\n")[0] })));`;
  expect(evaluate("-e", program)).toEqual({
    code: "ERR_ADDON_NOT_BUILT",
    line: "-----BEGIN TSS2 PRIVATE KEY-----",
  });
});

test("both faces name the same values and types", () => {
  const names = (file: string): string[] =>
    [...readFileSync(path.join(checkout, "lib", file), "utf8").matchAll(/export (type )?\{([^}]*)\}/g)]
      .flatMap(([, type = "", list = ""]) => list.split(",").map((name) => type + name.trim()))
      .filter((name) => name.trim() !== "" && name !== "type ")
      .sort();
  expect(names("index.mts")).toEqual(names("index.ts"));
  expect(names("index.ts").filter((name) => !name.startsWith("type "))).toEqual(values);
});
