// The public types, used by a program in strict TypeScript as the README uses them.
import { execFileSync } from "node:child_process";
import { copyFileSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { temporaryFolder } from "../support/process.js";

const checkout = path.join(__dirname, "..", "..");
const tsc = path.join(checkout, "node_modules", ".bin", "tsc");
const { folder, remove } = temporaryFolder("types");

const program = `
import {
  AwsHmacError, fallbackKey, fromAssumeRole, fromSessionToken, type HmacKey, HmacSigner, importPkcs11Key, importTpmKey,
  importWrappedTpmKey, insecureMemoryKey, openKey, openPkcs11Key, openTpmKey, sdkIdentity, wrapForTpm,
} from "aws-hmac";
import { S3Client } from "@aws-sdk/client-s3";
import type { AwsCredentialIdentityProvider, RequestPresigner, RequestSigner } from "@smithy/types";

export async function use(secret: Uint8Array, signal?: AbortSignal, timeout?: number, sessionToken?: string) {
  const { TPM_TCTI: tcti, KEY_PASSWORD: password = "", AWS_ACCESS_KEY_ID: accessKeyId = "" } = process.env;
  const { pem } = await importTpmKey(secret, { output: "pem", tcti, auth: { password }, timeout });
  const { handle, reference } = await importTpmKey(secret, { handle: 0x81008001, tcti });
  await openTpmKey({ handle, tcti });
  const wrapped = await wrapForTpm(secret, { ekPublic: secret, password });
  const imported = await importWrappedTpmKey(wrapped, { output: "pem", tcti, auth: { password } });
  await openTpmKey({ ...imported, tcti });
  await openKey(process.env.KEY ?? reference, { auth: { password }, pin: async () => "1234", timeout });
  const place = await importPkcs11Key(secret, { label: "signer", pin: Buffer.from("1234") });
  await openPkcs11Key({ ...place, pin: async () => "1234", timeout });
  await using memory = insecureMemoryKey(secret);
  const key: HmacKey = await openTpmKey({ pem, tcti, auth: { password }, timeout }).catch((error: unknown) => {
    if (error instanceof AwsHmacError && error.code === "ERR_TPM_CONNECTION") return memory;
    throw error;
  });
  await key.mac(secret, { signal });
  await fallbackKey([key, memory, () => openTpmKey({ handle, tcti })], { timeout, retryAfter: timeout });
  const signer = new HmacSigner({ key, accessKeyId, sessionToken, region: "eu-central-1", service: "s3" });
  const { headers } = await signer.sign({ method: "GET", hostname: "api.example.com", path: "/v1", headers: {} });
  await fetch(await signer.presignUrl("https://b.example.com/", { expiresIn: timeout }), { headers });
  const smithy: RequestSigner & RequestPresigner = signer;
  const params = { RoleArn: "arn:aws:iam::123456789012:role/reader" };
  const role: AwsCredentialIdentityProvider = fromAssumeRole({ key, accessKeyId, params, timeout });
  const credentials = fromSessionToken({ key, accessKeyId, clientConfig: { region: "eu-central-1" } });
  return [smithy, role, new S3Client({ credentials }), new S3Client(sdkIdentity({ key, accessKeyId }))];
}`;

afterAll(remove);

test("a strict program needs no cast, imported or required, and our own declarations are sound", () => {
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [tsc, ...args], { cwd: folder, encoding: "utf8" });
  run("-p", path.join(checkout, "tsconfig.json"), "--outDir", path.join(folder, "dist"));
  copyFileSync(path.join(checkout, "package.json"), path.join(folder, "package.json"));
  symlinkSync(path.join(checkout, "node_modules"), path.join(folder, "node_modules"));
  for (const name of ["use.mts", "use.cts"]) writeFileSync(path.join(folder, name), program);
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
  expect(
    run(...flags, "--module", "nodenext", "--target", "es2022", "--types", "node", "use.mts", "use.cts"),
  ).toBe("");
}, 60_000);
