import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import type { HmacKey } from "../../lib/core/hmac-key.js";
import {
  importPkcs11Key,
  openKey,
  openPkcs11Key,
  type Pkcs11ImportOptions,
  type Pkcs11KeyOptions,
} from "../../lib/index.js";
import { contract } from "../contract/contract.js";
import { secretAccessKey as secret } from "../support/backends.js";
import { temporaryFolder } from "../support/process.js";
import { pkcs11Tool, type TestToken } from "../support/token.js";
import { type Disturbance, faults } from "./faults.js";
import { provisioning } from "./provisioning.js";

export function hmac(message: Uint8Array, key = secret): string {
  return createHmac("sha256", `AWS4${key}`).update(message).digest("hex");
}

export async function macOf(key: HmacKey, message: Uint8Array): Promise<string> {
  return Buffer.from(await key.mac(message)).toString("hex");
}

/** CKA_ID of the key `signer`. */
const signerId = Buffer.from("5161", "hex");

/** Opens a key, compares one MAC with node:crypto's and closes it. */
export async function expectSigns(options: Pkcs11KeyOptions, key?: string): Promise<void> {
  const opened = await openPkcs11Key(options);
  try {
    const message = randomBytes(8);
    expect(await macOf(opened, message)).toBe(hmac(message, key));
  } finally {
    await opened.close();
  }
}

/** What finds the token. */
export function place({ module, initArgs, tokenLabel }: TestToken): Partial<Pkcs11KeyOptions> {
  return { module, tokenLabel, ...(initArgs !== undefined && { initArgs }) };
}

/** What an import needs beside that. */
export function importable({ pin, allowWrapping }: TestToken): { pin: string; allowWrapping?: true } {
  return { pin, ...(allowWrapping && { allowWrapping }) };
}

/** A PIN of the token's length that it has not seen. */
let wrongPins = 0;
export const wrongPin = ({ pin }: TestToken): string => `${++wrongPins}`.padStart(pin.length, "9");

/**
 * What every token does with the key `signer` on it.
 *
 * @param token the token, once the tests run
 * @param longest the longest message that its module signs, in bytes
 */
export function signing(token: () => TestToken, longest = 100_000): void {
  const signer = (): Pkcs11KeyOptions => ({ ...place(token()), pin: token().pin, label: "signer" });
  const refused = (options: Pkcs11KeyOptions): Promise<unknown> =>
    openPkcs11Key(options).then(
      () => "opened",
      (error: unknown) => error,
    );

  test("gives the MACs of node:crypto, whatever the message's length", async () => {
    await using key = await openPkcs11Key(signer());
    for (const length of [0, 1, 8, 64, 1024, 1025, longest]) {
      const message = randomBytes(length);
      expect(await macOf(key, message)).toBe(hmac(message));
    }
  });

  test("answers 256 calls in flight, each its own", async () => {
    await using key = await openPkcs11Key(signer());
    const messages = Array.from({ length: 256 }, () => randomBytes(8));
    const macs = await Promise.all(messages.map((message) => macOf(key, message)));
    expect(macs).toEqual(messages.map((message) => hmac(message)));
  });

  test("opens by URIs and by options", async () => {
    const { module, tokenLabel, initArgs, pin } = token();
    const label = encodeURIComponent(tokenLabel);
    const uri = `pkcs11:token=${label};object=signer;type=secret-key?module-path=${module}`;
    await expectSigns({ uri, initArgs, pin });
    await expectSigns({ uri: `pkcs11:object=signer?module-path=${module}`, tokenLabel, initArgs, pin });
    await expectSigns({ uri: `${uri}&pin-value=${pin}`, initArgs });
    await expectSigns({ ...signer(), pin: async () => Buffer.from(pin) });
  });

  test("works on when another instance is closed, and opens again", async () => {
    await using one = await openPkcs11Key(signer());
    const other = await openPkcs11Key(signer());
    const message = randomBytes(8);
    expect(await macOf(other, message)).toBe(hmac(message));
    await other.close();
    expect(await macOf(one, message)).toBe(hmac(message));
    await expect(other.mac(message)).rejects.toMatchObject({ code: "ERR_CLOSED" });
    await one.close();
    await expectSigns(signer());
  });

  test("signs in a worker thread, beside this one", async () => {
    await using key = await openPkcs11Key(signer());
    const worker = new Worker(
      `const { parentPort, workerData } = require("node:worker_threads");
       const { openPkcs11Key } = require(workerData.library);
       (async () => {
         const key = await openPkcs11Key(workerData.options);
         const mac = await key.mac(Buffer.from("20261123"));
         await key.close();
         return Buffer.from(mac).toString("hex");
       })().catch((error) => error.code).then((result) => parentPort.postMessage(result));`,
      {
        eval: true,
        workerData: { library: path.join(__dirname, "..", "..", "dist"), options: signer() },
      },
    );
    const message = Buffer.from("20261123");
    const [[answer], macs] = await Promise.all([
      once(worker, "message"),
      Promise.all(Array.from({ length: 64 }, () => macOf(key, message))),
    ]);
    await worker.terminate();
    expect(new Set([answer, ...macs])).toEqual(new Set([hmac(message)]));
    expect(await macOf(key, message)).toBe(hmac(message)); // the worker's end took no login away
  });

  test("sends a wrong PIN once, and opens with the right one then", async () => {
    const options = { ...signer(), pin: wrongPin(token()) };
    expect(await refused(options)).toMatchObject({ code: "ERR_PIN_INCORRECT", operation: "C_Login" });
    for (let again = 0; again < 4; again++) {
      expect(await refused(options)).toMatchObject({ code: "ERR_PIN_INCORRECT", operation: "", rv: 0 });
    }
    await expectSigns(signer());
  });

  test("is invisible without a PIN", async () => {
    expect(await refused({ ...place(token()), label: "signer" })).toMatchObject({ code: "ERR_PIN_REQUIRED" });
  });

  test("names what is not there", async () => {
    const key = await refused({ ...signer(), label: "absent" });
    expect(key).toMatchObject({
      code: "ERR_KEY_NOT_FOUND",
      message: expect.stringContaining(token().tokenLabel),
    });
    expect(await refused({ ...signer(), tokenLabel: "absent" })).toMatchObject({
      code: "ERR_TOKEN_NOT_FOUND",
      message: expect.stringContaining(token().tokenLabel),
    });
  });
}

/** What every token does where keys can be imported with C_CreateObject; imports `signer`. */
export function importing(token: () => TestToken): void {
  const here = (): Pkcs11ImportOptions & { pin: string } => ({ ...place(token()), ...importable(token()) });

  test("an import gives a URI by which the key opens", async () => {
    const options = { ...here(), label: "signer", id: signerId };
    const imported = await importPkcs11Key(Buffer.from(secret), options);
    expect(imported.extractable).toBe(false);
    const { pin, initArgs } = token();
    await expectSigns({ ...imported, pin });
    await using key = await openKey(imported.uri, { pin, ...(initArgs !== undefined && { initArgs }) });
    expect(await macOf(key, Buffer.from("20261123"))).toBe(hmac(Buffer.from("20261123")));
  });

  test("keys of any length make the right MACs", async () => {
    for (const key of ["s", "short", "x".repeat(60), "x".repeat(61), "x".repeat(200)]) {
      const label = `${key.length} bytes`;
      const imported = await importPkcs11Key(Buffer.from(key), { ...here(), label });
      await expectSigns({ ...imported, pin: token().pin }, key);
    }
  });

  test("no key is imported twice, and two with one label are told apart by id", async () => {
    const label = "twice";
    const ids = [Uint8Array.of(1), Uint8Array.of(2)];
    const another = { [String(ids[0])]: secret, [String(ids[1])]: "anotherSecret" };
    for (const id of ids) {
      await importPkcs11Key(Buffer.from(String(another[String(id)])), { ...here(), label, id });
      const again = importPkcs11Key(Buffer.from("third"), { ...here(), label, id });
      await expect(again).rejects.toMatchObject({ code: "ERR_KEY_EXISTS" });
    }
    await expect(openPkcs11Key({ ...here(), label })).rejects.toMatchObject({
      code: "ERR_KEY_AMBIGUOUS",
      message: expect.stringMatching(/0x01.*0x02|0x02.*0x01/),
    });
    for (const id of ids) await expectSigns({ ...here(), label, id }, another[String(id)]);
  });
}

/** What pkcs11-tool, in a process of its own, says of the key that was imported and does with it. */
export function judging(token: () => TestToken): void {
  const key = ["--type", "secrkey", "--id", signerId.toString("hex")];
  const list = async (pin?: string): Promise<string | undefined> => {
    const objects = (await pkcs11Tool(token(), ["--list-objects"], pin)).split(/^(?=\w.* Object)/m);
    return objects.find((object) => /label: +signer$/m.test(object));
  };

  test("pkcs11-tool sees a private key for signing, whose value does not come out", async () => {
    expect(await list()).toBeUndefined();
    const listed = await list(token().pin);
    expect(listed).toMatch(/Access: +sensitive\b/);
    expect(listed).toMatch(/Usage: +(none|sign)$/m); // 0.23 does not tell of signing
    expect(listed).not.toMatch(/VALUE|(?<!never )extractable/);
    const read = pkcs11Tool(token(), ["--read-object", ...key], token().pin);
    await expect(read).rejects.toThrow(/CKR_ATTRIBUTE_SENSITIVE/);
  });

  test("pkcs11-tool makes the same MACs", async () => {
    const { folder, remove } = temporaryFolder("mac");
    try {
      const [input, output] = [path.join(folder, "in"), path.join(folder, "out")];
      writeFileSync(input, "20261123");
      const sign = ["--sign", "--mechanism", "SHA256-HMAC", "--input-file", input, "--output-file", output];
      await pkcs11Tool(token(), [...sign, "--id", signerId.toString("hex")], token().pin);
      expect(readFileSync(output).toString("hex")).toBe(hmac(Buffer.from("20261123")));
    } finally {
      remove();
    }
  });
}

/**
 * Importing, signing, faults and the contract of every HmacKey, on a token; and then `more`.
 *
 * @param crashesAt what its module does not survive, when others in the process do it
 */
export function tokenSuite(
  start: () => Promise<TestToken>,
  more: (token: () => TestToken) => void = () => undefined,
  crashesAt: readonly Disturbance[] = [],
): void {
  let token: TestToken;
  beforeAll(async () => {
    token = await start();
  }, 60_000);
  afterAll(() => token?.stop());

  describe("importing", () => importing(() => token));
  describe("provisioning", () => provisioning(() => token));
  describe("signing", () => signing(() => token));
  describe("in trouble", () => faults(() => token, crashesAt));
  describe("as an HmacKey", () =>
    contract({
      start: async () => ({
        open: () => openPkcs11Key({ ...place(token), pin: token.pin, label: "signer" }),

        stop: async () => undefined,
      }),
    }));
  more(() => token);
}
