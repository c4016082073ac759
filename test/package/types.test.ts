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

/** Clients of the KMSs and their settings, which fit without a cast. */
const withClients = `
import { KMSClient, type KMSClientConfig } from "@aws-sdk/client-kms";
import { KeyManagementServiceClient } from "@google-cloud/kms";
import { importAwsKmsKey, importTinkKey, openAwsKmsKey, openKey, openTinkKey, sdkIdentity } from "aws-hmac";

export async function use(secret: Uint8Array, keyId: string, clientConfig: KMSClientConfig, timeout?: number) {
  const client = new KMSClient(clientConfig);
  await importAwsKmsKey(secret, { keyId, client, timeout });
  const device = await openAwsKmsKey({ keyId, clientConfig });
  const kmsClient = new KMSClient({ region: "eu-central-1", ...sdkIdentity({ key: device, accessKeyId: keyId }) });
  const { keyset } = await importTinkKey(secret, { kek: "aws-kms://" + keyId, kmsClient });
  await openTinkKey({ keyset, kek: "aws-kms://" + keyId, clientConfig });
  const google = new KeyManagementServiceClient({ keyFilename: "account.json" });
  await openTinkKey({ keyset, kek: "gcp-kms://projects", kmsClient: google });
  await openTinkKey({ keyset, kek: "gcp-kms://projects", clientConfig: { keyFilename: "account.json" } });
  await openTinkKey({ keyset, kek: "hcvault://host", vault: { tokenFile: "/run/token" }, timeout });
  return openKey("aws-kms:" + keyId, { client, timeout });
}`;

afterAll(remove);

test("a strict program needs no cast, imported or required, and our own declarations are sound", () => {
  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [tsc, ...args], { cwd: folder, encoding: "utf8" });
  run("-p", path.join(checkout, "tsconfig.json"), "--outDir", path.join(folder, "dist"));
  copyFileSync(path.join(checkout, "package.json"), path.join(folder, "package.json"));
  symlinkSync(path.join(checkout, "node_modules"), path.join(folder, "node_modules"));
  const programs = { "use.mts": program, "use.cts": program, "clients.mts": withClients };
  for (const [name, text] of Object.entries(programs)) writeFileSync(path.join(folder, name), text);
  const flags = ["--noEmit", "--strict", "--exactOptionalPropertyTypes", "--noUncheckedIndexedAccess"];
  const settings = ["--module", "nodenext", "--target", "es2022", "--types", "node"];
  const read = run(...flags, ...settings, "--listFiles", "use.mts", "use.cts").split("\n");
  expect(read.filter((line) => !/^\/.+\.[cm]?ts$/.test(line) && line !== "")).toEqual([]);
  // a program that has no optional peers compiles as well
  expect(read.filter((file) => /node_modules\/(@aws-sdk\/client-kms|@google-cloud)\//.test(file))).toEqual(
    [],
  );
  expect(run(...flags, ...settings, "--skipLibCheck", "clients.mts")).toBe("");
}, 60_000);
