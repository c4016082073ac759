import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import {
  AwsHmacError,
  type ErrorCode,
  importPkcs11Key,
  openPkcs11Key,
  Pkcs11Error,
  type Pkcs11KeyOptions,
} from "../../lib/index.js";
import { describeWith } from "../support/requirements.js";
import { makeSoftHsm, type SoftHsm, type SoftHsmToken } from "../support/softhsm.js";

const secret = Buffer.from("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
const label = "signer";
/** Milliseconds in which every error must come. */
const bound = 5_000;

describeWith(["softhsm"], "what goes wrong with a PKCS#11 key", () => {
  let hsm: SoftHsm;
  let twins: SoftHsmToken[];
  let token: { module: string; tokenLabel: string; pin: string };

  beforeAll(async () => {
    hsm = await makeSoftHsm("alone");
    twins = [await hsm.addToken("twin"), await hsm.addToken("twin")];
    token = { module: hsm.module, tokenLabel: "alone", pin: hsm.pin };
    await importPkcs11Key(secret, { ...token, label });
  });
  afterAll(() => hsm.remove());

  async function failure(code: ErrorCode, options: Pkcs11KeyOptions): Promise<AwsHmacError> {
    const start = performance.now();
    const error: unknown = await openPkcs11Key(options).then(
      (key) => key.close(),
      (reason: unknown) => reason,
    );
    expect(performance.now() - start).toBeLessThan(bound);
    expect(error).toBeInstanceOf(AwsHmacError);
    expect(error).toMatchObject({ code });
    return error as AwsHmacError;
  }

  test("a module that is not there, or is none", async () => {
    const missing = await failure("ERR_MODULE_NOT_FOUND", {
      ...token,
      module: "/nonexistent/pkcs11.so",
      label,
    });
    expect(missing.message).toContain("/nonexistent/pkcs11.so");
    const libc = /\S+\/libc\.so\.6$/m.exec(
      execFileSync("ldd", [process.execPath], { encoding: "utf8" }).replace(/ \(.*/gm, ""),
    );
    expect(libc).not.toBeNull();
    await failure("ERR_MODULE_FAILED", { ...token, module: String(libc?.[0]), label });
    await failure("ERR_MODULE_FAILED", { ...token, module: __filename, label });
  });

  test("no token that matches: names those there are", async () => {
    const error = await failure("ERR_TOKEN_NOT_FOUND", { ...token, tokenLabel: "absent", label });
    for (const serial of [hsm, ...twins].map((one) => one.serial)) expect(error.message).toContain(serial);
    await failure("ERR_TOKEN_NOT_FOUND", { ...token, serial: "absent", label });
    await failure("ERR_TOKEN_NOT_FOUND", { ...token, slotId: 4_000_000_000, label });
    await failure("ERR_TOKEN_NOT_FOUND", { tokenLabel: "absent", pin: "any", label });
  });

  test("two tokens with the same label: names both, and either opens by its serial", async () => {
    const error = await failure("ERR_TOKEN_AMBIGUOUS", { ...token, tokenLabel: "twin", label });
    for (const { serial, slotId, pin } of twins) {
      expect(error.message).toContain(`token "twin", serial ${serial}, slot ${slotId}`);
      const imported = await importPkcs11Key(secret, { module: hsm.module, serial, pin, label });
      await (await openPkcs11Key({ ...imported, pin })).close();
    }
    expect(error.message).not.toContain(hsm.serial);
  });

  test("no key that matches", async () => {
    const error = await failure("ERR_KEY_NOT_FOUND", { ...token, label: "absent", id: Buffer.from("ab") });
    expect(error.message).toContain('label "absent", id 0x6162');
  });

  test("two keys with the same label: names both, and either opens by its id", async () => {
    const ids = [Buffer.from("01", "hex"), Buffer.from("02", "hex")];
    for (const id of ids) await importPkcs11Key(secret, { ...token, label: "double", id });
    const error = await failure("ERR_KEY_AMBIGUOUS", { ...token, label: "double" });
    for (const id of ids) {
      expect(error.message).toContain(`label "double", id 0x${id.toString("hex")}`);
      await (await openPkcs11Key({ ...token, label: "double", id })).close();
    }
  });

  test("a PIN that is missing", async () => {
    const { pin, ...rest } = token;
    expect(pin).toBeDefined();
    await failure("ERR_PIN_REQUIRED", { ...rest, label });
  });

  test("a PIN that is wrong is sent once, and shows nowhere", async () => {
    const pin = "wrong 4711";
    const sent = await failure("ERR_PIN_INCORRECT", { ...token, pin, label });
    expect(sent).toBeInstanceOf(Pkcs11Error);
    expect(sent).toMatchObject({
      rv: 0xa0,
      rvName: "CKR_PIN_INCORRECT",
      operation: "C_Login",
      retryable: false,
    });
    const again = await failure("ERR_PIN_INCORRECT", { ...token, pin: Buffer.from(pin), label });
    expect(again).toMatchObject({ rv: 0, operation: "" });
    for (const error of [sent, again]) expect(`${error.stack} ${JSON.stringify(error)}`).not.toContain(pin);
    await (await openPkcs11Key({ ...token, label })).close();
  });

  test("a PIN that its owner does not give", async () => {
    const reason = new Error("the vault is shut");
    const pin = (): Promise<string> => Promise.reject(reason);
    await expect(openPkcs11Key({ ...token, pin, label })).rejects.toBe(reason);
  });

  test("a device that hangs: the call ends in time, and the next one is answered", async () => {
    const key = await openPkcs11Key({ ...token, label, timeout: 300 });
    // SoftHSM locks a key's file whenever it signs.
    const hold =
      "import fcntl,sys\nfiles=[open(f,'r+') for f in sys.argv[1:]]\n[fcntl.lockf(f,fcntl.LOCK_EX) for f in files]\nprint(flush=True)\nsys.stdin.read()";
    const tokens = path.join(path.dirname(hsm.conf), "tokens");
    const objects = readdirSync(tokens, { recursive: true, encoding: "utf8" }).filter((file) =>
      file.endsWith(".object"),
    );
    const holder = spawn("python3", ["-c", hold, ...objects.map((file) => path.join(tokens, file))], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(holder.stdout, "data");
    try {
      await expect(key.mac(Buffer.from("20261123"))).rejects.toMatchObject({
        code: "ERR_TIMEOUT",
        retryable: true,
      });
    } finally {
      holder.stdin.end();
      await once(holder, "exit");
    }
    expect(await key.mac(Buffer.from("20261124"))).toHaveLength(32);
    await key.close();
  });

  test.each<[string, Partial<Pkcs11KeyOptions>, RegExp]>([
    ["neither label nor id", { label: undefined }, /label or id/],
    ["an empty label", { label: "" }, /label/],
    ["an empty id", { id: new Uint8Array() }, /id/],
    ["an empty module", { module: "" }, /module/],
    ["a NUL in a path", { module: "/usr/lib\0" }, /module/],
    ["an empty token label", { tokenLabel: "" }, /tokenLabel/],
    ["a negative slot", { slotId: -1 }, /slotId must be/],
    ["a broken slot", { slotId: 1.5 }, /slotId must be/],
    ["a slot that is no number", { slotId: "1" as unknown as number }, /slotId must be/],
    ["a slot that would be rounded", { slotId: 2 ** 53 }, /slotId is above 9007199254740991.*serial/],
    ["an empty PIN", { pin: "" }, /pin/],
    ["a timeout of 0", { timeout: 0 }, /timeout/],
    ["a timeout that no timer holds", { timeout: 2 ** 31 }, /timeout/],
  ])("%s is refused by name", async (_, options, name) => {
    const error = await failure("ERR_INVALID_ARGUMENT", { ...token, label, ...options });
    expect(error.message).toMatch(name);
  });

  test("an import without a PIN, a label or a clean secret is refused", async () => {
    const options = { ...token, label: "never" };
    const withoutPin = { ...options, pin: undefined as unknown as string };
    const code = "ERR_INVALID_ARGUMENT";
    await expect(importPkcs11Key(secret, withoutPin)).rejects.toMatchObject({ code });
    await expect(importPkcs11Key(secret, { ...options, label: "" })).rejects.toMatchObject({ code });
    await expect(importPkcs11Key(Buffer.from("line\n"), options)).rejects.toMatchObject({ code });
    await failure("ERR_KEY_NOT_FOUND", options);
  });
});
